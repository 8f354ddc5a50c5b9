"""`make audit` is content only where every package of a lock was looked at and found well."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / "requirements" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LOCK = """aiohttp==3.14.5 ; python_full_version < '3.0' \\
    --hash=sha256:00
jinja2==3.1.6 \\
    --hash=sha256:01 \\
    --hash=sha256:02
psycopg[binary]==3.2 \\
    --hash=sha256:03
"""
WELL: dict[str, Any] = {
    "dependencies": [
        {"name": "Jinja2", "version": "3.1.6", "vulns": []},
        {"name": "psycopg", "version": "3.2", "vulns": []},
    ]
}


def test_what_this_machine_would_install_must_have_been_looked_at(audit: ModuleType) -> None:
    assert audit.wanted(LOCK) == {"jinja2", "psycopg"}
    assert audit.objections(WELL, audit.wanted(LOCK)) == []
    assert audit.objections({"dependencies": []}, audit.wanted(LOCK)) == [
        "jinja2 was not looked at",
        "psycopg was not looked at",
    ]


def test_what_was_skipped_and_what_is_weak_is_told(audit: ModuleType) -> None:
    weakness = {"id": "GHSA-1", "fix_versions": ["3.1.7"], "description": "long"}
    report = {
        "dependencies": [
            {"name": "jinja2", "version": "3.1.6", "vulns": [weakness, {"id": "GHSA-2", "fix_versions": []}]},
            {"name": "psycopg", "skip_reason": "no such package there"},
        ]
    }
    assert audit.objections(report, audit.wanted(LOCK)) == [
        "jinja2 3.1.6 has GHSA-1, mended in 3.1.7",
        "jinja2 3.1.6 has GHSA-2, mended in no version yet",
        "psycopg was not looked at: no such package there",
    ]


@pytest.mark.parametrize("lock", ["prefect-3.4.14", "prefect-latest"])
def test_the_lock_with_hashes_holds_what_the_lock_without_holds(lock: str) -> None:
    plain, hashed = (
        (ROOT / "requirements" / f"{lock}{end}").read_text(encoding="utf-8")
        for end in (".txt", ".hashes.txt")
    )
    pins = [line.removesuffix(" \\") for line in hashed.splitlines() if re.match(r"[a-zA-Z0-9]", line)]
    assert pins == [line for line in plain.splitlines() if re.match(r"[a-zA-Z0-9]", line)]
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", hashed)) > len(pins)


def test_the_workflows_run_what_this_project_runs() -> None:
    steps = []
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert workflow["permissions"] == {"contents": "read"}
        for job in workflow["jobs"].values():
            steps += [step["run"] for step in job["steps"] if "run" in step]
    assert steps == ["make audit", ".ci/run"]
