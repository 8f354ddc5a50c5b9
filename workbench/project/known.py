"""Which projects a home serves: deployments name their project, and each machine knows where it has it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from workbench.home.files import replace_file
from workbench.home.folders import private_folder
from workbench.project.find import MARKER, find_project
from workbench.project.name import project_key, project_name

__all__ = ["note_project", "project_folder"]


def note_project(home: Path) -> str:
    """Note the project that we are in as one that this home serves; return its name, "" without a project."""
    root = find_project()
    if root is None:
        return ""
    name = project_name(root)
    file = _file(home, name)
    private_folder(file.parent)
    replace_file(file, f"{root}\n", mode=0o600)
    return name


def project_folder(home: Path, name: str) -> Path | None:
    """The root of the project of that name on this machine; None where there is none.

    It is the one that this process belongs to, if that is called so, else the one that the home has noted.
    """
    if not name:
        return None
    own = find_project()
    if own is not None and project_name(own) == name:
        return own
    with contextlib.suppress(OSError, UnicodeDecodeError):
        noted = Path(_file(home, name).read_text(encoding="utf-8").rstrip("\n"))
        if (noted / MARKER).is_file() and project_name(noted) == name:
            return noted
    return None


def _file(home: Path, name: str) -> Path:
    return home / "run" / "projects" / project_key(name)
