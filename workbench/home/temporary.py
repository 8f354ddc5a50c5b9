"""Temporary folders that are removed even if their process was killed: each is locked while it is in use.

Those of a home are in `<home>/tmp`, the others in the system's temporary folder. Unlocked ones are removed by
the next start of the stack or of a run, or when the next folder is created.
"""

from __future__ import annotations

import contextlib
import contextvars
import fcntl
import os
import re
import secrets
import shutil
import tempfile
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from workbench.home.folders import private_folder
from workbench.home.locks import is_held

__all__ = ["LOCK", "TemporaryFolder", "sweep_folders", "sweep_home", "temporaries_in"]

LOCK = ".in-use"
"""The file in a temporary folder that its process holds locked."""

PREFIX = "workbench-"
"""Prefix of the names of temporary folders outside of a home, before their kind."""

# A folder without a lock file is abandoned after this long; creating the lock takes microseconds.
_UNLOCKED_SECONDS = 10.0
# Suffixes of temporary files before they are renamed, and their age when abandoned; the cache's have no lock.
_PARTS = {".partial": _UNLOCKED_SECONDS, ".partial.ipynb": 3600.0, ".part": 3600.0}

# Other names in a home's `tmp` are not ours; the worker's folder is used by other processes too.
_OURS = re.compile(r"(run|sweep|dask)-[a-z0-9_]{8}")

_home: contextvars.ContextVar[Path | None] = contextvars.ContextVar("home of temporary folders", default=None)


@contextmanager
def temporaries_in(home: Path) -> Iterator[None]:
    """While the block runs, temporary folders without a given home are created in this one."""
    token = _home.set(home)
    try:
        yield
    finally:
        _home.reset(token)


class TemporaryFolder:
    """A folder of mode 0700, removed with this object, at the end of its block or with this process.

    Parameters
    ----------
    kind : str
        Its purpose, the prefix of its name. In a home "run", "sweep" or "dask".
    home : Path, optional
        Default: the home of the block `temporaries_in`, else the system's temporary folder.

    Attributes
    ----------
    path : Path
    """

    def __init__(self, kind: str, home: Path | None = None) -> None:
        home = home or _home.get()
        if home is None:
            above, prefix = Path(tempfile.gettempdir()), f"{PREFIX}{kind}-"
            sweep_folders(above, prefix)
        else:
            above, prefix = private_folder(home / "tmp"), f"{kind}-"
            sweep_folders(above)
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=above))
        descriptor = _locked(self.path)
        self._remove = weakref.finalize(self, _remove, self.path, descriptor, os.getpid())

    def remove(self) -> None:
        """Remove the folder and its contents now."""
        self._remove()

    def __enter__(self) -> Path:
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


def sweep_folders(above: Path, prefix: str = "") -> list[Path]:
    """Remove the temporary folders in `above` that no process has locked; return them.

    Parameters
    ----------
    above : Path
    prefix : str
        Prefix of their names. Without one, `above` is a home's `tmp`.
    """
    try:
        # The system's folder may hold thousands of others'.
        there = sorted(one for one in above.iterdir() if one.name.startswith(prefix))
    except OSError:
        return []
    return [one for one in there if _sweep(one, foreign=bool(prefix))]


def sweep_home(home: Path, runs: Path | None = None) -> list[Path]:
    """Remove what killed processes left in a home, temporary folders and partial files; return them.

    Parameters
    ----------
    home : Path
    runs : Path, optional
        The folder of the outputs of runs, if it is not the home's own.
    """
    swept = sweep_folders(home / "tmp")
    for folder in (home, home / "run", home / "store", home / "prefect", home / "backups"):
        swept += _sweep_parts(folder)
    for above in (runs or home / "runs", home / "sweeps", home / "cache" / "bars"):
        for below, _, _ in os.walk(above):
            swept += _sweep_parts(Path(below))
    return swept


def _locked(folder: Path) -> int:
    # Renamed only after it is locked, so that it is never seen unlocked.
    fresh = folder / f"{LOCK}-{secrets.token_hex(4)}"
    descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.rename(fresh, folder / LOCK)
    return descriptor


def _remove(folder: Path, descriptor: int, owner: int) -> None:
    # After a fork the child has a copy of this object; only the parent removes the folder.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
    os.close(descriptor)


def _sweep(found: Path, *, foreign: bool) -> bool:
    try:
        facts = found.lstat()
        lock = found / LOCK
        # Links are not followed.
        ours = facts.st_uid == os.geteuid() and not found.is_symlink()
        if found.is_dir() and ours and os.path.lexists(lock):
            if lock.is_symlink() or is_held(lock):
                return False
            shutil.rmtree(found, ignore_errors=True)
        elif foreign or not found.is_dir() or not ours or not _OURS.fullmatch(found.name):
            return False
        elif time.time() - facts.st_mtime > _UNLOCKED_SECONDS:
            # Its process was killed before it could lock it.
            shutil.rmtree(found, ignore_errors=True)
    except OSError:
        return False
    return not os.path.lexists(found)


def _sweep_parts(folder: Path) -> Iterator[Path]:
    """Remove the abandoned partial files directly in `folder`; yields each one."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            patience = next((age for end, age in _PARTS.items() if entry.name.endswith(end)), None)
            if patience is None or not entry.name.startswith(".") or not entry.is_file(follow_symlinks=False):
                continue
            path = Path(entry.path)
            with contextlib.suppress(OSError):
                if time.time() - entry.stat().st_mtime > patience and not is_held(path):
                    path.unlink()
                    yield path
