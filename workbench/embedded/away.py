"""The folder of clusters that are not in their home, with a record of each one's home, and shared programs.

- `lock` is held while anything there is created, set aside or removed.
- `postgresql-18.3.0` has the programs of one version, for all homes.
- `3f2a9c0d1e4b` belongs to one home: its cluster, and `home.json` with the home's path and its programs.
- `3f2a9c0d1e4b.old-<time>` has the cluster of an earlier home of the same path.
- `removed.<digits>` is being removed.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from workbench.embedded.binaries import PostgresPrograms, copy_programs
from workbench.home.files import replace_file
from workbench.home.locks import exclusive

__all__ = [
    "Record",
    "changing",
    "let_go",
    "read_record",
    "remove_whole",
    "running_programs",
    "set_aside",
    "shared_programs",
    "unused_copies",
]

RECORD = "home.json"
SET_ASIDE = ".old-"
REMOVED = "removed."
COPIES = "postgresql[.-]*"
_PATIENCE = 600.0


@dataclass(frozen=True)
class Record:
    """The home that a folder belongs to, and the name of the copy of programs that its server runs from."""

    home: Path
    programs: str


@contextmanager
def changing(above: Path) -> Iterator[None]:
    """Hold the lock of `above`, so that only one process at a time changes it."""
    with exclusive(above / "lock", patience=_PATIENCE, doing=f"changing {above}"):
        yield


def read_record(folder: Path) -> Record | None:
    """The folder's record; None if an earlier version made the folder, or it cannot be read."""
    try:
        facts = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return Record(Path(facts["home"]), str(facts["programs"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def shared_programs(programs: PostgresPrograms, away: Path, home: Path) -> PostgresPrograms:
    """The copy of PostgreSQL for the server of `home`, created if it is missing.

    Copies that are no longer used are removed, also the one that an earlier version made for this home only.
    The caller holds the start lock, and the home's server is down.

    Parameters
    ----------
    programs : PostgresPrograms
        Those of the wheel.
    away : Path
        The folder of this home's cluster; it must exist.
    home : Path

    Raises
    ------
    ServerError
        The copy cannot be written.
    """
    above = away.parent
    with changing(above):
        # First, so that the copy does not count as unused.
        _write_record(away, Record(home, f"postgresql-{programs.wheel}"))
        copied = copy_programs(programs, above)
        for own in away.glob(COPIES):
            remove_whole(own, above)
        for unused in unused_copies(above):
            remove_whole(unused, above)
        _sweep_removed(above)
    return copied


def set_aside(away: Path, home: Path) -> tuple[Path, list[Path]]:
    """Rename the data of an earlier home of the same path, which we cannot open. Only the newest are kept.

    Returns
    -------
    Path
        The new folder of the data.
    list of Path
        Older ones, which were removed.
    """
    above = away.parent
    with changing(above):
        if read_record(away) is None:
            _write_record(away, Record(home, ""))
        aside = away.with_name(f"{away.name}{SET_ASIDE}{datetime.now(UTC):%Y%m%dT%H%M%S.%f}")
        os.rename(away, aside)
        for copied in aside.glob(COPIES):
            remove_whole(copied, above)
        older = [found for found in sorted(above.glob(f"{away.name}{SET_ASIDE}*")) if found != aside]
        for found in older:
            remove_whole(found, above)
    return aside, older


def let_go(away: Path) -> None:
    """Remove a home's folder, and the programs if no other home uses them."""
    with changing(away.parent):
        remove_whole(away, away.parent)
        for unused in unused_copies(away.parent):
            remove_whole(unused, away.parent)


def unused_copies(above: Path, but_for: Collection[Path] = ()) -> list[Path]:
    """The copies of programs that no home (except `but_for`) has in its record and no server runs from."""
    needed = {
        record.programs
        for folder in above.iterdir()
        if SET_ASIDE not in folder.name
        and folder not in but_for
        and (record := read_record(folder)) is not None
    }
    running = running_programs()
    return [
        copy
        for copy in sorted(above.glob(COPIES))
        if copy.name not in needed and not any(program.is_relative_to(copy) for program in running)
    ]


def running_programs() -> set[Path]:
    """The programs of every running PostgreSQL on this machine that we have permission to inspect."""
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.name() in {"postgres", "initdb"}:
                found.add(Path(process.exe()))
    return found


def remove_whole(folder: Path, above: Path) -> None:
    """Rename a folder, then remove it, so that it disappears at once; `_sweep_removed` removes the rest."""
    doomed = above / f"{REMOVED}{secrets.token_hex(4)}"
    with contextlib.suppress(FileNotFoundError):
        os.rename(folder, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _sweep_removed(above: Path) -> None:
    for left in above.glob(f"{REMOVED}*"):
        shutil.rmtree(left, ignore_errors=True)


def _write_record(away: Path, record: Record) -> None:
    if read_record(away) != record:
        # Other accounts should not see the home's path.
        text = json.dumps({"home": str(record.home), "programs": record.programs}) + "\n"
        replace_file(away / RECORD, text, mode=0o600)
