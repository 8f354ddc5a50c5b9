"""`make audit`: known weaknesses of what the locks hold, asked of the OSV database; needs that service.

pip-audit ends with success also where it has looked at nothing: every package must be in its report.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
LOCKS = ("prefect-3.4.14.hashes.txt", "prefect-latest.hashes.txt")


def wanted(lock: str) -> set[str]:
    """The packages that a lock holds for this Python and platform."""
    lines = re.findall(r"^[A-Za-z0-9][^\n\\]*==[^\n\\]*", lock, flags=re.MULTILINE)
    requirements = [Requirement(line.strip()) for line in lines]
    return {
        canonicalize_name(one.name) for one in requirements if one.marker is None or one.marker.evaluate()
    }


def objections(report: Mapping[str, Any], packages: set[str]) -> list[str]:
    """What is wrong by pip-audit's report (its JSON), in sentences; none where all of it was found well."""
    found = {canonicalize_name(one["name"]): one for one in report["dependencies"]}
    said = [f"{name} was not looked at" for name in sorted(packages - set(found))]
    for name, one in sorted(found.items()):
        if "skip_reason" in one:
            said.append(f"{name} was not looked at: {one['skip_reason']}")
        for weakness in one.get("vulns", []):
            mended = ", ".join(weakness.get("fix_versions") or ["no version yet"])
            said.append(f"{name} {one['version']} has {weakness['id']}, mended in {mended}")
    return said


def audit(lock: Path, options: list[str]) -> list[str]:
    """Ask pip-audit about a lock; what it objects to, or that it could not be asked."""
    command = [sys.executable, "-m", "pip_audit", "--strict", "--format", "json", "--progress-spinner", "off"]
    command += ["--vulnerability-service", "osv", "--disable-pip", "--require-hashes", "-r", str(lock)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return [f"pip-audit could not be asked: {last}"]
    return objections(report, wanted(lock.read_text(encoding="utf-8")))


def main() -> int:
    """Both locks; further words go to pip-audit, such as --osv-url."""
    wrong = 0
    for name in LOCKS:
        said = audit(HERE / name, sys.argv[1:])
        wrong += len(said)
        sys.stdout.write(f"{name}: {'; '.join(said) if said else 'nothing known'}\n")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
