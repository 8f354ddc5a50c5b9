"""Whether a home is still the one that a process began with: it may be deleted, moved or made anew."""

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
    """Remembers the very folders of a home; makes nothing.

    Their inodes are kept open, so that no folder made later can have the same number.

    Parameters
    ----------
    home : Path
        Resolved, with its folder `run`; both must exist.

    Raises
    ------
    ServerError
        It does not exist (any longer).
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
        """Take the home for gone also when this folder is: whoever deletes a home begins anywhere in it."""
        if folder not in self._held:
            self._held[folder] = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    def is_gone(self) -> bool:
        """Whether the home was deleted or moved, or another one, with other secrets, is in its place."""
        for folder, descriptor in self._held.items():
            try:
                if not os.path.samestat(os.stat(folder), os.fstat(descriptor)):
                    return True
            except (FileNotFoundError, NotADirectoryError):
                return True
            except OSError:
                continue  # unreadable for the moment is not gone
        with contextlib.suppress(ServerError, OSError):
            now = Secrets(self.home).all()
            if not self._known.items() <= now.items():
                return True
            self._known = now
        return False

    def close(self) -> None:
        """Let go of the folders."""
        while self._held:
            os.close(self._held.popitem()[1])


def watch_home(home: Path, gone: Callable[[], object]) -> None:
    """In a thread of its own, for as long as this process lives: call `gone` once, within seconds."""
    presence = Presence(home)

    def watch() -> None:
        while not presence.is_gone():
            time.sleep(_LOOK_EVERY)
        gone()

    threading.Thread(target=watch, name="whether the home is there", daemon=True).start()
