"""Removes a whole home, with its folder outside of it; refuses a folder that is not a workbench home."""

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
# All names that workbench ever creates directly in a home.
_OURS = re.compile(
    r"backups|cache|logs|postgres|prefect|run|runs|store|sweeps|tmp|valkey|yahoo|(secrets|version)\.json"
    r"|postgres\.(new|try)-.*|\.[0-9a-f]{12}\.partial"
)
# Secrets of workbench; a secrets file with none of these is not ours.
_NAMES = {"cluster", "postgres", "prefect", "stamp", "valkey"}


@dataclass(frozen=True)
class Doomed:
    """What a purge removes.

    Attributes
    ----------
    folders : dict of Path to int
        The home, and its folder outside of it, if they exist, with their bytes on the disk.
    links : tuple of Path
        Links in the home: they are removed, their targets are kept.
    """

    folders: dict[Path, int]
    links: tuple[Path, ...] = ()


def look_at_home(home: Path) -> Doomed:
    """What a purge of that home would remove; changes nothing.

    Raises
    ------
    ServerError
        It is not a home of workbench, or contains other files.
    """
    if home.is_symlink():
        raise ServerError(
            f"{home} is a link to {os.path.realpath(home)}, and a home is not removed through a link; set "
            "WORKBENCH_HOME to the link's target."
        )
    home = Path(os.path.realpath(home))
    there = sorted(home.iterdir()) if home.is_dir() else []
    if there:
        _refuse_strange(home, there)
    elif os.path.lexists(home) and not home.is_dir():
        raise ServerError(f"{home} is not a folder; set WORKBENCH_HOME to the home to remove.")
    folders = [folder for folder in (home, away_folder(home)) if folder.is_dir()]
    return Doomed(
        {folder: folder_size(folder) for folder in folders}, tuple(one for one in there if one.is_symlink())
    )


def remove_home(home: Path, tell: Progress) -> None:
    """Remove a home for which nothing runs any more. If it is killed, a second call removes the rest.

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
        # A home is recognised by its passwords: they are removed last, so that a second try still works.
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
            f"{home} has no {_SECRETS}, so it is not a home of workbench; nothing was removed. Is "
            "WORKBENCH_HOME right?"
        )
    if not _NAMES & Secrets(home).all().keys():
        raise ServerError(f"{home / _SECRETS} was not written by workbench; nothing was removed.")
    strange = sorted(name for name in names if not _OURS.fullmatch(name))
    if strange:
        shown = ", ".join(strange[:5]) + (f" and {len(strange) - 5} more" if len(strange) > 5 else "")
        raise ServerError(
            f"{home} has files that are not workbench's: {shown}. Nothing was removed; move them away, then "
            "try again."
        )
