"""One folder for all that a session of tests or benchmarks makes, and an end for all that it starts.

The folder is the session's `TMPDIR`, so whatever it starts is known by its environment. A session that was
killed leaves both: the next one of its kind ends and removes them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from workbench.embedded import place
from workbench.embedded.away import let_go, read_record
from workbench.embedded.process import living_in, stop_process
from workbench.errors import ServerError
from workbench.home.locks import is_held
from workbench.home.temporary import LOCK, PREFIX, TemporaryFolder

__all__ = ["end_session", "session_folder"]

_ROUNDS = 3
_PATIENCE = 5.0


@contextmanager
def session_folder(kind: str, above: Path | None = None) -> Iterator[Path]:
    """A temporary folder that `tempfile` uses while the block runs, here and in whatever is started.

    Parameters
    ----------
    kind : str
        In a word, as "tests": killed sessions of the same kind are swept first.
    above : Path, optional
        Where the folder is made. Default: the system's temporary folder.
    """
    before = os.environ.get("TMPDIR")
    _sweep(kind, Path(tempfile.gettempdir()))
    if above is not None:
        _sweep(kind, above)
        tempfile.tempdir = str(above)
    folder = TemporaryFolder(kind)
    # As /tmp itself: the account that runs PostgreSQL has to be able to enter.
    folder.path.chmod(0o1777)
    os.environ["TMPDIR"] = str(folder.path)
    tempfile.tempdir = None
    try:
        yield folder.path
    finally:
        end_session(folder.path)
        folder.remove()
        os.environ.pop("TMPDIR")
        if before is not None:
            os.environ["TMPDIR"] = before
        tempfile.tempdir = None


def end_session(folder: Path) -> None:
    """End every process whose temporary folder lies in this one; remove it, and what its homes have away."""
    for _ in range(_ROUNDS):
        # Again, for one may have started another meanwhile, as supervisor and guardian do.
        found = list(_processes(folder))
        if not found:
            break
        for process in found:
            with contextlib.suppress(psutil.Error, ServerError):
                first = signal.SIGINT if process.name() == "postgres" else signal.SIGTERM
                stop_process(process.pid, first=first, patience=_PATIENCE)
    if place.AWAY.is_dir():
        for away in list(place.AWAY.iterdir()):
            record = read_record(away)
            if record is not None and record.home.is_relative_to(folder):
                let_go(away)
    shutil.rmtree(folder, ignore_errors=True)


def _sweep(kind: str, above: Path) -> None:
    """End what killed sessions of that kind left in a folder."""
    for left in above.glob(f"{PREFIX}{kind}-*"):
        lock, facts = left / LOCK, left.lstat()
        # Those of other accounts are theirs, and no link is followed.
        ours = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid()
        if ours and lock.is_file() and not is_held(lock):
            end_session(left)


def _processes(folder: Path) -> Iterator[psutil.Process]:
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            at = process.environ().get("TMPDIR", "")
            ended = process.status() in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
            if at and process.pid not in ours and not ended and Path(at).is_relative_to(folder):
                yield process
    # Valkey writes its title where its environment was.
    yield from living_in(folder)
