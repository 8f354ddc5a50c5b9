"""The projects of this account that run now, found by their processes; starts and changes nothing.

A process of a stack has its home in its environment, and the embedded servers have their data in it. So there
is no list that a crash, a restart of the machine or a move could make wrong.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from workbench.embedded.away import read_record
from workbench.embedded.ports import LOOPBACK, RememberedPort
from workbench.embedded.process import MARK, ManagedProcess, data_servers, sees_our_files
from workbench.errors import SettingsError
from workbench.home.locks import is_held
from workbench.project import MARKER, VARIABLE
from workbench.project.name import project_name
from workbench.stack.services import PREFECT_SERVER, RELAY, WORKER
from workbench.stack.state import SUPERVISOR, StateFile, supervisor_lock

__all__ = ["RunningProject", "running_projects"]

_POSTGRES, _VALKEY = "postgres", "valkey"
_NAMES = {
    _POSTGRES: "PostgreSQL",
    _VALKEY: "Valkey",
    PREFECT_SERVER: "Prefect server",
    RELAY: "relay",
    WORKER: "worker",
    SUPERVISOR: "supervisor",
}


@dataclass(frozen=True)
class RunningProject:
    """A home of which something runs.

    Attributes
    ----------
    name : str
        The project's; empty for a home that is used without a project.
    root : Path or None
        The project's folder.
    home : Path
    state : str
        "running", "starting", "stopping", "servers only" (PostgreSQL and Valkey, for notebooks and commands),
        or "partly down": a process has ended that should run.
    since : datetime
        When the supervisor was started, or else the oldest process; UTC.
    prefect_url : str or None
        Prefect's pages.
    running, down : tuple of str
        What runs, and what has ended although nobody stopped it.
    """

    name: str
    root: Path | None
    home: Path
    state: str
    since: datetime
    prefect_url: str | None
    running: tuple[str, ...]
    down: tuple[str, ...]


def running_projects() -> list[RunningProject]:
    """Every home of this account of which something runs, by the project's name.

    Examples
    --------
    >>> from workbench.stack import running_projects
    >>> running_projects()
    """
    environments = _environments()
    homes = {*environments, *_homes_of_servers()}
    found = (_look_at(home, environments.get(home, {})) for home in homes if _is_ours(home))
    return sorted(filter(None, found), key=lambda one: (one.name, str(one.home)))


def _environments() -> dict[Path, Mapping[str, str]]:
    """The homes of our marked processes, each with the environment of one of them."""
    found: dict[Path, Mapping[str, str]] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.uids().real != os.getuid() or not sees_our_files(process):
                continue
            environment = process.environ()
            if MARK in environment:
                home = Path(environment[MARK])
                # The worker's and the relay's have Prefect's address, the supervisor's only one of your own.
                if home not in found or "PREFECT_API_URL" in environment:
                    found[home] = environment
    return found


def _homes_of_servers() -> Iterator[Path]:
    """The homes of all PostgreSQL and Valkey servers that could be embedded ones."""
    for _, data in data_servers():
        record = read_record(data.parent)
        yield record.home if record is not None else data.parent


def _is_ours(home: Path) -> bool:
    """Whether there is a home of this account."""
    try:
        return (home / "run").stat().st_uid == os.geteuid()
    except OSError:
        return False


def _look_at(home: Path, environment: Mapping[str, str]) -> RunningProject | None:
    processes = {name: ManagedProcess(name, home) for name in _NAMES}
    pids = {name: process.pid() for name, process in processes.items()}
    running = {name: pid for name, pid in pids.items() if pid is not None}
    supervised = is_held(supervisor_lock(home))
    if not running and not supervised:
        return None  # only a kernel or JupyterLab
    # What was stopped has no pid file any more.
    down = [name for name, pid in pids.items() if pid is None and processes[name].pid_file.exists()]
    root = _root(home, environment)
    return RunningProject(
        name=_name(root),
        root=root,
        home=home,
        state=_state(home, supervised, running, down),
        since=_since(running),
        prefect_url=_prefect_url(home, running, environment),
        running=tuple(_NAMES[name] for name in running),
        down=tuple(_NAMES[name] for name in down),
    )


def _state(home: Path, supervised: bool, running: Mapping[str, int], down: list[str]) -> str:
    if not supervised:
        return "servers only" if set(running) <= {_POSTGRES, _VALKEY} and not down else "partly down"
    state = StateFile(home).read()
    # One that is started again after a kill finds the state that the one before it has left.
    is_its_own = state is not None and state.pid == running.get(SUPERVISOR)
    phase = state.phase if state is not None and is_its_own else "starting"
    if phase == "ready":
        return "partly down" if down else "running"
    return "stopping" if phase == "failed" else phase


def _since(running: Mapping[str, int]) -> datetime:
    started = {}
    for name, pid in running.items():
        with contextlib.suppress(psutil.Error):
            started[name] = psutil.Process(pid).create_time()
    moment = started.get(SUPERVISOR) or min(started.values(), default=datetime.now(UTC).timestamp())
    return datetime.fromtimestamp(moment, UTC)


def _root(home: Path, environment: Mapping[str, str]) -> Path | None:
    """The project that the stack was started in; of servers without a stack, the home's folder."""
    for folder in (environment.get(VARIABLE), home.parent):
        if folder is not None and (Path(folder) / MARKER).is_file():
            return Path(folder)
    return None


def _name(root: Path | None) -> str:
    if root is None:
        return ""
    try:
        return project_name(root)
    except SettingsError:
        return root.name


def _prefect_url(home: Path, running: Mapping[str, int], environment: Mapping[str, str]) -> str | None:
    port = RememberedPort(home / "run" / "prefect.port").read()
    if PREFECT_SERVER in running and port is not None:
        return f"http://{LOOPBACK}:{port}"
    if WORKER in running and "PREFECT_API_URL" in environment:
        return environment["PREFECT_API_URL"].removesuffix("/").removesuffix("/api")
    return None
