"""Finds and removes folders in `/var/lib/workbench` that no home uses any more."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workbench.embedded import place
from workbench.embedded.away import (
    COPIES,
    REMOVED,
    SET_ASIDE,
    changing,
    read_record,
    remove_whole,
    unused_copies,
)
from workbench.embedded.process import living_in, stop_process
from workbench.errors import ServerError
from workbench.home.secrets import Secrets

__all__ = ["Orphan", "find_orphans", "find_unclaimed", "folder_size", "remove_orphan"]

_STOP_PATIENCE = 60.0


@dataclass(frozen=True)
class Orphan:
    """A folder that no home uses.

    Attributes
    ----------
    path : Path
    why : str
        What it is, or which home it belonged to, as text.
    size : int
        Bytes on the disk.
    """

    path: Path
    why: str
    size: int

    def __str__(self) -> str:
        return f"{self.path} ({self.size / 1e6:,.0f} MB): {self.why}"


def find_orphans() -> list[Orphan]:
    """All orphaned folders; changes nothing.

    These are: the folder of a home that is gone, or that has another cluster now; clusters set aside; unused
    copies of the programs; and what an interrupted copy or removal left.
    """
    return [Orphan(path, why, folder_size(path)) for path, why in _orphans(place.AWAY)]


def find_unclaimed() -> list[Path]:
    """Folders of an earlier version without a record of their home; the home's next start adds it."""
    return [
        folder
        for folder in _folders(place.AWAY)
        if (folder / "postgres").exists() and SET_ASIDE not in folder.name and read_record(folder) is None
    ]


def remove_orphan(orphan: Orphan) -> bool:
    """Remove an orphan and stop its server first; returns False if it is not an orphan any more.

    Raises
    ------
    ServerError
        Its server does not end, or another process holds the lock for minutes.
    """
    above = orphan.path.parent
    with changing(above):
        if orphan.path not in {path for path, _ in _orphans(above)}:
            return False
        for server in list(living_in(orphan.path)):
            stop_process(server.pid, first=signal.SIGINT, patience=_STOP_PATIENCE)
        remove_whole(orphan.path, above)
        # Its server may have been the last user of a copy.
        for copy in unused_copies(above):
            remove_whole(copy, above)
    return True


def folder_size(folder: Path) -> int:
    """Bytes of a folder and everything in it on the disk; unreadable parts count as 0."""
    total, seen = 0, set()
    for above, _, files in os.walk(folder):
        for name in (".", *files):
            with contextlib.suppress(OSError):
                facts = os.lstat(os.path.join(above, name))
                if (facts.st_dev, facts.st_ino) not in seen:
                    seen.add((facts.st_dev, facts.st_ino))
                    total += facts.st_blocks * 512
    return total


def _orphans(above: Path) -> Iterator[tuple[Path, str]]:
    gone = []
    for folder in _folders(above):
        if folder.name.startswith(REMOVED):
            yield folder, "left by an interrupted removal"
        elif SET_ASIDE in folder.name:
            record = read_record(folder)
            home = f" of an earlier {record.home}" if record else ""
            yield folder, f"set aside: the data{home}, which was deleted"
        elif (record := read_record(folder)) is not None:
            why = _why_orphan(folder, record.home)
            if why:
                gone.append(folder)
                yield folder, why
    if above.is_dir():
        for copy in unused_copies(above, but_for=gone):
            half = copy.name.startswith("postgresql.")
            yield (
                copy,
                "an incomplete copy of PostgreSQL's programs" if half else "programs that no home uses",
            )


def _folders(above: Path) -> list[Path]:
    if not above.is_dir():
        return []
    copies = set(above.glob(COPIES))
    return sorted(
        one for one in above.iterdir() if one.is_dir() and not one.is_symlink() and one not in copies
    )


def _why_orphan(folder: Path, home: Path) -> str:
    """Why no home uses the folder; empty if one uses it, or may use it."""
    if not home.is_dir():
        return f"its home {home} is gone"
    try:
        ours = Secrets(home).peek("cluster")
        theirs = place.read_id(folder / "postgres")
    except (ServerError, OSError):
        return ""
    if theirs is not None and theirs != ours:
        return f"its home {home} was created again and has another cluster"
    return ""
