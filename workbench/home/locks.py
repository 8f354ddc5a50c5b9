"""Locks between processes: an `flock` on a file, which the kernel releases when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import ServerError
from workbench.home.folders import private_folder

__all__ = ["exclusive", "is_held", "shared"]


@contextmanager
def exclusive(path: Path, *, patience: float, doing: str) -> Iterator[None]:
    """Hold the lock at `path` exclusively while the block runs.

    Parameters
    ----------
    path : Path
        The lock's file; it is created, with its folder, and never removed (a removed lock file can be
        locked twice).
    patience : float
        Seconds to wait for another holder.
    doing : str
        The operation, for the error: "starting PostgreSQL".

    Raises
    ------
    ServerError
        Another process still holds it after `patience` seconds.
    """
    with _held(path, fcntl.LOCK_EX, patience, doing):
        yield


@contextmanager
def shared(path: Path, *, patience: float, doing: str) -> Iterator[None]:
    """Hold the lock at `path` as a shared lock while the block runs; parameters as for `exclusive`."""
    with _held(path, fcntl.LOCK_SH, patience, doing):
        yield


def is_held(path: Path) -> bool:
    """Whether a process holds the lock at `path`."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _try(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


@contextmanager
def _held(path: Path, kind: int, patience: float, doing: str) -> Iterator[None]:
    private_folder(path.parent)
    # Not inherited by the servers we start: Python opens files close-on-exec.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + patience
        while not _try(descriptor, kind):
            if time.monotonic() >= deadline:
                raise ServerError(
                    f"Another process has been {doing} for more than {patience:.0f} s and holds {path}; "
                    "wait for it or end it, then try again."
                )
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
