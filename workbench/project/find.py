"""Finds the project that a command, a kernel, a run or a flow belongs to."""

from __future__ import annotations

import os
from pathlib import Path

from workbench.errors import ProjectMissing, SettingsError
from workbench.paths import PACKAGE

__all__ = [
    "MARKER",
    "RUN_PATH",
    "VARIABLE",
    "find_project",
    "notebooks_folder",
    "project_environment",
    "the_project",
]

MARKER = "workbench.toml"
"""The file at a project's root."""
VARIABLE = "WORKBENCH_PROJECT"
"""The environment variable that names the root; processes that workbench starts inherit it."""
RUN_PATH = "WORKBENCH_RUN_PATH"
"""The environment variable with what a run put before `PYTHONPATH`, for its own processes alone."""


def find_project() -> Path | None:
    """The root of the project: the one in `WORKBENCH_PROJECT`, else the nearest folder upwards with a marker.

    Outside of any project it is the clone that the package runs from; None if it was installed.

    Raises
    ------
    SettingsError
        `WORKBENCH_PROJECT` names no project, or the nearest marker belongs to another account: the modules
        beside it would run as this one.
    """
    named = os.environ.get(VARIABLE, "").strip()
    if named:
        root = Path(os.path.abspath(Path(named).expanduser()))
        if not (root / MARKER).is_file():
            raise SettingsError(f"{VARIABLE}: {root} is no project, since it has no {MARKER}")
        return root
    clone = _clone()
    try:
        here = Path.cwd()
    except FileNotFoundError:  # the working folder was deleted
        return clone
    for folder in (here, *here.parents):
        marker = folder / MARKER
        if marker.is_file():
            if folder != clone and marker.stat().st_uid not in {os.geteuid(), 0}:
                raise SettingsError(
                    f"{folder} is a project of another account, whose code would run as yours; "
                    f"if you trust it, set {VARIABLE}={folder}"
                )
            return folder
    return clone


def the_project() -> Path:
    """The root of the project, which there must be.

    Raises
    ------
    ProjectMissing
        There is none.
    SettingsError
        As in `find_project`.
    """
    root = find_project()
    if root is None:
        raise ProjectMissing(
            f"{_here()} is not in a project; make one with: workbench init my-project, then work in that "
            "folder (or set WORKBENCH_PROJECT to one, or WORKBENCH_HOME for a script without a project)"
        )
    return root


def notebooks_folder() -> Path | None:
    """The project's `notebooks/`, below which notebooks go by their path; None without a project."""
    root = find_project()
    return None if root is None else root / "notebooks"


def project_environment() -> dict[str, str]:
    """The variables for a process that belongs to the same project, wherever it works.

    `PYTHONPATH` begins with the project's root, so that its own packages can be imported, and with the clone,
    if the package is that of a clone that need not be installed.
    """
    root, clone = find_project(), _clone()
    path = [str(folder) for folder in (clone, root) if folder is not None]
    # What a run of a notebook starts, as another run or the servers, has nothing of that run's modules.
    of_a_run = os.environ.get(RUN_PATH, "").split(os.pathsep)
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    path += [entry for entry in inherited if entry and entry not in of_a_run]
    return {
        **({} if root is None else {VARIABLE: str(root)}),
        **({"PYTHONPATH": os.pathsep.join(dict.fromkeys(path))} if path or any(inherited) else {}),
    }


def _clone() -> Path | None:
    """The clone that the package runs from; it is a project itself."""
    return PACKAGE.parent if (PACKAGE.parent / MARKER).is_file() else None


def _here() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return "the working folder"
