"""The folders of a home, which nobody but its owner may list or read."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["is_open_to_others", "make_home", "private_folder"]

# What we make in a home; an earlier version made them as the umask said.
_OURS = ("cache", "logs", "prefect", "run", "runs", "store", "tmp", "valkey")


def make_home(home: Path, *, entered: bool = False) -> None:
    """Make the home where it is missing, and close to others what we made in it.

    A folder that is there already keeps its own permissions: whoever made it may share it. What others can
    read of it is told by `is_open_to_others`.

    Parameters
    ----------
    home : Path
    entered : bool
        Whether another account (PostgreSQL's, where we are root) must reach a folder of its own in it: then
        others may pass through, and list nothing.
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
    """That folder, made where it is missing (with those above it), for nobody but us to enter."""
    if not folder.is_dir():
        if not folder.parent.is_dir():
            private_folder(folder.parent)
        # Another process may be making it now.
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def is_open_to_others(folder: Path, bits: int = 0o066) -> bool:
    """Whether the folder is ours and grants others one of these permissions: to list it, or to write."""
    found = folder.stat()
    return found.st_uid == os.geteuid() and bool(found.st_mode & bits)
