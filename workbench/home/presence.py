"""Detects that a home was deleted, moved or replaced while a process uses it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from workbench.errors import ServerError
from workbench.home.secrets import Secrets

__all__ = ["Presence", "watch_home"]

_LOOK_EVERY = 1.0


class Presence:
    """Remembers the folders of a home by their inodes; creates nothing.

    The folders are kept open, so that no later folder can have the same inode number.

    Parameters
    ----------
    home : Path
        Resolved, with its folder `run`; both must exist.

    Raises
    ------
    ServerError
        It does not exist (any more).
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._held: dict[Path, int] = {}
        self._known: dict[str, str] = {}
        try:
            # Our pid files go with `run`.
            for folder in (home, home / "run"):
                self.watch(folder)
        except OSError as error:
            self.close()
            raise ServerError(f"the home {home} is gone: {error.strerror}") from error

    def watch(self, folder: Path) -> None:
        """Also watch this folder: deletion of a home may start at any folder in it."""
        if folder not in self._held:
            self._held[folder] = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    def is_gone(self) -> bool:
        """Whether the home was deleted, moved, or replaced by one with other secrets."""
        for folder, descriptor in self._held.items():
            try:
                if not os.path.samestat(os.stat(folder), os.fstat(descriptor)):
                    return True
            except (FileNotFoundError, NotADirectoryError):
                return True
            except OSError:
                continue  # temporarily unreadable
        with contextlib.suppress(ServerError, OSError):
            now = Secrets(self.home).all()
            if not self._known.items() <= now.items():
                return True
            self._known = now
        return False

    def close(self) -> None:
        """Close the folders."""
        while self._held:
            os.close(self._held.popitem()[1])


def watch_home(home: Path, gone: Callable[[], object]) -> None:
    """Watch the home in a thread; calls `gone` once, within seconds after the home is gone."""
    presence = Presence(home)

    def watch() -> None:
        while not presence.is_gone():
            time.sleep(_LOOK_EVERY)
        gone()

    threading.Thread(target=watch, name="home watcher", daemon=True).start()
