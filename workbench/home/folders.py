"""The folders of a home, which only its owner may list or read."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["is_open_to_others", "make_home", "private_folder"]

# The folders that we create in a home; earlier versions created them with the umask's permissions.
_OURS = ("backups", "cache", "logs", "prefect", "run", "runs", "store", "tmp", "valkey")


def make_home(home: Path, *, entered: bool = False) -> None:
    """Create the home if it is missing, and remove others' permissions from our folders in it.

    A home that exists already keeps its permissions: it may be shared on purpose. `is_open_to_others` tests
    them.

    Parameters
    ----------
    home : Path
    entered : bool
        Whether another account (PostgreSQL's, if we are root) must reach its own folder in it: then others
        may enter the home, but not list it.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    try:
        home.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        home.chmod(0o711 if entered else 0o700)
    private_folder(home / "run")
    for folder in map(home.joinpath, _OURS):
        if folder.is_dir() and not folder.is_symlink() and is_open_to_others(folder, 0o077):
            folder.chmod(0o700)


def private_folder(folder: Path) -> Path:
    """Create the folder if it is missing, with its parents, with mode 0700; returns it."""
    if not folder.is_dir():
        if not folder.parent.is_dir():
            private_folder(folder.parent)
        # Another process may create it at the same time.
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def is_open_to_others(folder: Path, bits: int = 0o066) -> bool:
    """Whether the folder is ours and gives others any of these permissions. Default: read or write."""
    found = folder.stat()
    return found.st_uid == os.geteuid() and bool(found.st_mode & bits)
