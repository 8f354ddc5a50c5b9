"""A pytest plugin: a session's files lie in one folder, in memory if it has room.

The folder goes at the session's end, also at an interrupt.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from types import FrameType

import psutil
import pytest

from benchmarks.session import session_folder

__all__ = ["folder_in_memory", "pytest_configure", "pytest_unconfigure"]

_MEMORY = Path("/dev/shm")
# What a session's files may take, and what its processes need beside them, both with much to spare.
_FILES = 6 * 2**30
_PROCESSES = 6 * 2**30
_FOLDERS = pytest.StashKey[contextlib.ExitStack]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder, unless this is a worker of pytest-xdist: those share their controller's."""
    if hasattr(config, "workerinput"):
        return
    # Tests start hundreds of Python processes: without bytecode on disk, each would compile our modules, and
    # each worker rewrite the asserts of all tests.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    # As an interrupt does it: fixtures are torn down, and the folder goes.
    signal.signal(signal.SIGTERM, _interrupt)
    config.stash[_FOLDERS] = contextlib.ExitStack()
    config.stash[_FOLDERS].enter_context(session_folder("tests", folder_in_memory()))


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what the session left running, and remove its folder."""
    if _FOLDERS in config.stash:
        config.stash[_FOLDERS].close()


def folder_in_memory(memory: Path = _MEMORY, files: int = _FILES) -> Path | None:
    """The folder in memory, if a session's files have room there and TMPDIR does not name another folder.

    Each test has a database of its own, which is 700 files that are made and deleted again: some file systems
    on a disk take ten times as long for that, and all of it is the processor's time.
    """
    if "TMPDIR" in os.environ:
        return None
    try:
        facts = os.statvfs(memory)
    except OSError:
        return None
    # Tests start programs that they have written.
    usable = not facts.f_flag & os.ST_NOEXEC and os.access(memory, os.W_OK | os.X_OK)
    room = facts.f_bavail * facts.f_frsize >= files
    return memory if usable and room and psutil.virtual_memory().available >= files + _PROCESSES else None


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt("SIGTERM")
