"""Ends a process of the stack whose home is gone, and finds what runs for such a home; makes nothing."""

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
    """Have this process, and what it started, end within seconds of its home: deleted, moved or made anew.

    The environment names the home; without one this does nothing.
    """
    home = os.environ.get(MARK)
    if home:
        watch_home(Path(home), lambda: _end(home))


def of_deleted_home(home: Path) -> Iterator[psutil.Process]:
    """The processes of a home at that path which was deleted while they ran: their working folder tells."""
    for process in marked(home):
        with contextlib.suppress(psutil.Error, OSError):
            if process.cwd().endswith(" (deleted)"):
                yield process


def role_of_process(process: psutil.Process) -> str:
    """What a process of the stack is, in a word, or its pid."""
    with contextlib.suppress(psutil.Error, OSError):
        words = process.cmdline()
        if "-m" in words[:-1]:
            role = _ROLES.get(words[words.index("-m") + 1])
            if role:
                return role
    return f"process {process.pid}"


def _end(home: str) -> None:
    logger.warning("the home %s is gone, or another one is there now: ending", home)
    # Whatever waits for an answer of servers that are gone, too, waits no longer than this.
    killer = threading.Timer(_PATIENCE, lambda: os.kill(os.getpid(), signal.SIGKILL))
    killer.daemon = True
    killer.start()
    for child in psutil.Process().children():
        with contextlib.suppress(ServerError):
            stop_process(child.pid, patience=_PATIENCE / 4)
    os.kill(os.getpid(), signal.SIGTERM)
