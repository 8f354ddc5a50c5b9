"""A pytest plugin: a session's files lie in one folder, which goes at its end, also at an interrupt."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType

import pytest

from benchmarks.session import session_folder

__all__ = ["pytest_configure", "pytest_unconfigure"]

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
    config.stash[_FOLDERS].enter_context(session_folder("tests"))


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what the session left running, and remove its folder."""
    if _FOLDERS in config.stash:
        config.stash[_FOLDERS].close()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt("SIGTERM")
