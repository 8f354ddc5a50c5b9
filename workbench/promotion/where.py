"""Where a deployment runs: it names no path, and each machine finds the flow and the project by itself.

Prefect calls `find_flow` on the worker's machine before each run; that must not import Prefect's own steps.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.paths import shipped
from workbench.project import VARIABLE
from workbench.project.known import note_project, project_folder
from workbench.settings import Settings

__all__ = ["Owner", "find_flow", "owner_of", "where", "work_in_project"]

_STEP = f"{__name__}.find_flow"


@dataclass(frozen=True)
class Owner:
    """Whose a deployment is: a project's by its name ("" without one), in a database."""

    project: str
    database: str


def where(settings: Settings) -> dict[str, Any]:
    """The part of a deployment's body that says what runs and where; the home notes the project's folder."""
    inputs = {"project": note_project(settings.home), "database": settings.trading_database}
    return {
        "entrypoint": "run_notebook.py:run_notebook",
        "pull_steps": [{_STEP: inputs}],
        # What earlier versions set.
        "path": None,
        "job_variables": {},
    }


def owner_of(deployment: Mapping[str, Any]) -> Owner | None:
    """Whose a deployment is, as Prefect's API has it; None where an earlier version made it."""
    for step in deployment.get("pull_steps") or []:
        if _STEP in step:
            return Owner(step[_STEP]["project"], step[_STEP]["database"])
    return None


def find_flow(project: str, database: str) -> dict[str, str]:
    """The folder of the shipped flows on this machine; the process then belongs to the project.

    A project that this machine does not have, as in a container, is no obstacle: what was promoted is in the
    database.
    """
    del database
    root = project_folder(Settings.load().home, project)
    if root is not None:
        os.environ[VARIABLE] = str(root)
    return {"directory": str(shipped("flows"))}


def work_in_project(settings: Settings) -> None:
    """Leave the folder of the flows for the project's, or for the home."""
    os.chdir(os.environ.get(VARIABLE) or settings.home)
