"""Removes a home whole, with what it has away from home; refuses what is not a home of ours."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from workbench.embedded.away import let_go
from workbench.embedded.orphans import folder_size
from workbench.embedded.place import away_folder
from workbench.errors import ServerError
from workbench.home.secrets import Secrets
from workbench.stack.model import Progress

__all__ = ["Doomed", "look_at_home", "remove_home"]

_SECRETS = "secrets.json"
# Everything that is ever made straight in a home.
_OURS = re.compile(
    r"cache|logs|postgres|prefect|run|runs|store|sweeps|tmp|valkey|yahoo|secrets\.json"
    r"|postgres\.(new|try)-.*|\.[0-9a-f]{12}\.partial"
)
# A file of passwords that none of these is in is somebody else's.
_NAMES = {"cluster", "postgres", "prefect", "stamp", "valkey"}


@dataclass(frozen=True)
class Doomed:
    """What a purge is to remove.

    Attributes
    ----------
    folders : dict of Path to int
        The home, and its folder away from home, where there are such; with their bytes on the disk.
    links : tuple of Path
        What in the home is only a link: it is removed, and what it leads to is left.
    """

    folders: dict[Path, int]
    links: tuple[Path, ...] = ()


def look_at_home(home: Path) -> Doomed:
    """What a purge of that home is to remove; changes nothing.

    Raises
    ------
    ServerError
        It is not a home of ours, or something else lies in it.
    """
    if home.is_symlink():
        raise ServerError(
            f"{home} is a link to {os.path.realpath(home)}, and only a home itself is removed; set "
            "WORKBENCH_HOME to the folder that it leads to."
        )
    home = Path(os.path.realpath(home))
    there = sorted(home.iterdir()) if home.is_dir() else []
    if there:
        _refuse_strange(home, there)
    elif os.path.lexists(home) and not home.is_dir():
        raise ServerError(f"{home} is no folder; set WORKBENCH_HOME to the home that is to be removed.")
    folders = [folder for folder in (home, away_folder(home)) if folder.is_dir()]
    return Doomed(
        {folder: folder_size(folder) for folder in folders}, tuple(one for one in there if one.is_symlink())
    )


def remove_home(home: Path, tell: Progress) -> None:
    """Remove it, where nothing runs for it any longer. Killed half-way, a second call removes the rest.

    Raises
    ------
    ServerError
        As `look_at_home`, or something cannot be removed.
    """
    doomed = look_at_home(home)
    home = Path(os.path.realpath(home))
    away = away_folder(home)
    try:
        if away in doomed.folders:
            tell(str(away))
            let_go(away)
        if home not in doomed.folders:
            return
        tell(str(home))
        # By the passwords a home is known: they go last, so that a second try finds it to be one.
        for one in sorted(home.iterdir(), key=lambda path: path.name == _SECRETS):
            if one.is_dir() and not one.is_symlink():
                shutil.rmtree(one)
            else:
                one.unlink(missing_ok=True)
        home.rmdir()
    except OSError as error:
        raise ServerError(
            f"{error.filename or home} cannot be removed ({error.strerror}); the rest of {home} is removed "
            "when you try again: workbench down --purge"
        ) from error


def _refuse_strange(home: Path, there: list[Path]) -> None:
    names = {path.name for path in there}
    if _SECRETS not in names or (home / _SECRETS).is_symlink():
        raise ServerError(
            f"{home} has no {_SECRETS}, and so is no home of workbench's; nothing was removed. Is "
            "WORKBENCH_HOME right?"
        )
    if not _NAMES & Secrets(home).all().keys():
        raise ServerError(f"{home / _SECRETS} was not written by workbench; nothing was removed.")
    strange = sorted(name for name in names if not _OURS.fullmatch(name))
    if strange:
        shown = ", ".join(strange[:5]) + (f" and {len(strange) - 5} more" if len(strange) > 5 else "")
        raise ServerError(
            f"In {home} lies what workbench did not make: {shown}. Nothing was removed; move that away, then "
            "try again."
        )
