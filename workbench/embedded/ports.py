"""A server's port on 127.0.0.1: chosen once and kept in a file; a new one is chosen if it is taken."""

from __future__ import annotations

import socket
from pathlib import Path

from workbench.home.files import replace_file
from workbench.home.folders import private_folder

__all__ = ["LOOPBACK", "RememberedPort", "free_port", "is_free"]

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on that port of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: closing connections of a server that has just ended must not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A free port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


class RememberedPort:
    """The port of one server, kept in a file so that its address stays the same.

    Parameters
    ----------
    path : Path
        The file with the number; if it is missing or damaged, no port was chosen yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> int | None:
        """The remembered port, or None."""
        try:
            port = int(self._path.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return None
        return port if 0 < port < 65536 else None

    def take(self) -> int:
        """The remembered port if it is free, else a new one, which is stored."""
        port = self.read()
        if port is not None and is_free(port):
            return port
        return self.renew()

    def renew(self) -> int:
        """Choose and store another port."""
        port = free_port()
        private_folder(self._path.parent)
        replace_file(self._path, f"{port}\n")
        return port
