"""What a run imports of the project: the rules for its processes, and what they have noted."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.paths import PACKAGE
from workbench.project.files_used import file_sha256, files_used
from workbench.project.find import RUN_PATH, find_project, project_environment
from workbench.project.imports import VARIABLE, ImportRules

__all__ = ["Imported", "Used", "import_environment", "import_rules", "read_record", "used_by_process"]

_STARTUP = str(Path(__file__).resolve().parent / "startup")


@dataclass(frozen=True)
class Imported:
    """One import of a module of the project: its full name, its file, and the hash of what that held."""

    name: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Used:
    """The project's modules and files that a run used, each with the SHA-256 of its content.

    They go by their paths relative to the project's root.
    """

    modules: dict[str, str]
    files: dict[str, str]


def import_rules(
    beside: Path,
    home: Path,
    *,
    record: Path | None = None,
    tree: Path | None = None,
    paths: Sequence[str] = (),
) -> ImportRules:
    """The rules for a run of a notebook that works in the folder `beside`.

    Parameters
    ----------
    beside, home : Path
    record : Path, optional
        Where imports are noted.
    tree : Path, optional
        A promoted version's modules, the only ones of the project to be let in.
    paths : sequence of str
        Where imports begin in `tree`.
    """
    found = find_project()
    root = None if found is None else os.path.abspath(found)
    installed = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    apart = [str(PACKAGE), str(home), sys.prefix, sys.base_prefix, *installed]
    # Only what lies in the project: a project in /usr/src is not part of the Python in /usr.
    within = {
        one
        for folder in apart
        for one in (os.path.abspath(folder), os.path.realpath(folder))
        for above in (root or str(beside), os.path.realpath(root or beside))
        if one.startswith(above + os.sep)
    }
    return ImportRules(
        root=root,
        beside=os.path.abspath(beside),
        apart=tuple(sorted(within)),
        record=None if record is None else str(record),
        tree=None if tree is None else str(tree),
        paths=tuple(paths),
    )


def import_environment(rules: ImportRules) -> dict[str, str]:
    """The variables for the kernel of a run under these rules, with the project's.

    `PYTHONPATH` begins with the folder that applies the rules; of a promoted version's run also with its
    modules, in place of the project's root.
    """
    environment = project_environment()
    path = [entry for entry in environment.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if rules.tree is not None:
        clone = str(PACKAGE.parent)
        path = [entry for entry in path if entry != rules.root or entry == clone]
    added = [_STARTUP, *dict.fromkeys(rules.entries())]
    return {
        **environment,
        "PYTHONPATH": os.pathsep.join([*added, *path]),
        VARIABLE: rules.to_json(),
        RUN_PATH: os.pathsep.join(added),
    }


def read_record(rules: ImportRules) -> tuple[list[Imported], Used]:
    """What the processes of a run have noted."""
    imported, modules, files = [], {}, {}
    path = Path(str(rules.record))
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            fact = json.loads(line)
        except ValueError:
            continue  # cut off by the end of a killed process
        if "used" in fact:
            files[fact["used"]] = fact["sha256"]
            continue
        one = Imported(**fact)
        imported.append(one)
        key = rules.key(one.name, one.file)
        if key is not None:
            modules[key] = one.sha256
    return imported, Used(dict(sorted(modules.items())), dict(sorted(files.items())))


def used_by_process(beside: Path, home: Path) -> Used:
    """What this process, the kernel of a notebook in `beside`, has imported and asked for, as it is now."""
    rules = import_rules(beside, home)
    modules = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and name != "__main__":
            key = rules.key(name, file)
            if key is not None and Path(file).is_file():
                modules[key] = file_sha256(Path(file))
    return Used(dict(sorted(modules.items())), files_used())
