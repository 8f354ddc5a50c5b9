"""Ends a process of the stack whose home is gone, and finds the processes of such a home; creates nothing."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil

from workbench.embedded.process import MARK, marked, stop_process
from workbench.errors import ServerError
from workbench.home.presence import watch_home

__all__ = ["end_with_home", "of_deleted_home", "role_of_process"]

_PATIENCE = 10.0
_ROLES = {
    "workbench.stack": "supervisor",
    "workbench.stack.guardian": "guardian",
    "workbench.stack.prefect_server": "prefect-server",
    "workbench.stack.worker": "worker",
    "workbench.stack.relay": "relay",
}

logger = logging.getLogger("workbench.stack.gone")


def end_with_home() -> None:
    """End this process and its children within seconds after its home is deleted, moved or replaced.

    The home is read from the environment; without it this does nothing.
    """
    home = os.environ.get(MARK)
    if home:
        watch_home(Path(home), lambda: _end(home))


def of_deleted_home(home: Path) -> Iterator[psutil.Process]:
    """The processes of a home at that path that was deleted while they ran, found by their working folder."""
    for process in marked(home):
        with contextlib.suppress(psutil.Error, OSError):
            if process.cwd().endswith(" (deleted)"):
                yield process


def role_of_process(process: psutil.Process) -> str:
    """The name of a process of the stack, or its pid."""
    with contextlib.suppress(psutil.Error, OSError):
        words = process.cmdline()
        if "-m" in words[:-1]:
            role = _ROLES.get(words[words.index("-m") + 1])
            if role:
                return role
    return f"process {process.pid}"


def _end(home: str) -> None:
    logger.warning("the home %s is gone, or another one is there now: ending", home)
    # A limit for code that waits for servers that are gone too.
    killer = threading.Timer(_PATIENCE, lambda: os.kill(os.getpid(), signal.SIGKILL))
    killer.daemon = True
    killer.start()
    for child in psutil.Process().children():
        with contextlib.suppress(ServerError):
            stop_process(child.pid, patience=_PATIENCE / 4)
    os.kill(os.getpid(), signal.SIGTERM)
