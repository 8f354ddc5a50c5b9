"""What a home's databases, work pool and events are called on servers that several projects use.

The names come from the project's name. A home keeps those that it began with (`<home>/run/names.json`), so
that its data stay found.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from workbench.errors import SettingsError
from workbench.home.files import replace_file
from workbench.home.folders import private_folder
from workbench.project.find import find_project
from workbench.project.name import CLONE_NAME, project_key, project_name

__all__ = ["EVENTS", "TRADING_DATABASE", "WORK_POOL", "Names", "keep_names", "names_of", "renamed"]

TRADING_DATABASE = "trading_system"
WORK_POOL = "workbench"
EVENTS = "data_sync"

# Versions that gave every project the same names left it in a home whose databases they had made.
_EARLIER_STAMP = "setup.stamp"


@dataclass(frozen=True)
class Names:
    """The names of one project.

    Attributes
    ----------
    project : str
        The project's own name; `workbench` for the clone and for a script without a project.
    database : str
        Of the trading database.
    work_pool : str
        Of Prefect's work pool.
    events : str
        What the names of the stream and the channels begin with.
    """

    project: str = CLONE_NAME
    database: str = TRADING_DATABASE
    work_pool: str = WORK_POOL
    events: str = EVENTS


def names_of(home: Path) -> Names:
    """The names that this home has kept, or else those of the project that we are in.

    A home that an earlier version used with servers of one's own goes on with the names of then, which were
    the same for every project.

    Raises
    ------
    SettingsError
        The names that it kept, or the project's name, cannot be read.
    """
    kept = _kept(home)
    if kept is not None:
        return kept
    project = _project_name()
    if project == CLONE_NAME:
        return Names()
    key = project_key(project)
    run = home / "run"
    before = (run / _EARLIER_STAMP).exists()
    # A home that has chosen no port for a server has used somebody else's.
    old_database = before and not (run / "postgres.port").exists()
    old_events = before and not (run / "valkey.port").exists()
    old_pool = before and (home / "logs" / "worker.log").exists() and not (run / "prefect.port").exists()
    database = f"trading_{key}"
    return Names(
        project,
        database=TRADING_DATABASE if old_database else database,
        work_pool=WORK_POOL if old_pool else f"{WORK_POOL}-{key.replace('_', '-')}",
        events=EVENTS if old_events else f"{EVENTS}.{database}",
    )


def keep_names(home: Path, names: Names) -> None:
    """Keep the names in the home, if it has kept none yet."""
    if _kept(home) is None:
        private_folder(_file(home).parent)
        replace_file(_file(home), json.dumps(asdict(names)) + "\n", mode=0o600)


def renamed(home: Path) -> str | None:
    """The name of the project, if this home lies in it and has kept the names of another one; else None.

    The project was renamed, or copied together with its home. A home elsewhere is shared on purpose.
    """
    kept, root = _kept(home), find_project()
    if kept is None or root is None or not home.resolve().is_relative_to(os.path.realpath(root)):
        return None
    name = project_name(root)
    return None if name == kept.project else name


def _project_name() -> str:
    root = find_project()
    return CLONE_NAME if root is None else project_name(root)


def _kept(home: Path) -> Names | None:
    try:
        return Names(**json.loads(_file(home).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise SettingsError(
            f"{_file(home)}, which says what this home's databases are called, cannot be read: {error}; "
            "put back a copy of it, or name the database in WORKBENCH_DATABASE_URL and remove the file"
        ) from error


def _file(home: Path) -> Path:
    return home / "run" / "names.json"
