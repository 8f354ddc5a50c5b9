"""A home's passwords: random, created at first use, in one file of mode 0600."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from workbench.errors import ServerError
from workbench.home.files import replace_file
from workbench.home.locks import exclusive

__all__ = ["Secret", "Secrets"]


class Secret(str):
    """A string whose `repr` is masked, for dumps and verbose tracebacks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'**********'"


class Secrets:
    """Named random secrets in `<home>/secrets.json`.

    Parameters
    ----------
    home : Path
        The home (`Settings.home`).

    Notes
    -----
    The file is written atomically, with mode 0600; two processes at once get the same secret. A secret is 32
    hexadecimal digits (128 random bits), safe in URLs and configuration files.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / "secrets.json"
        self._lock = home / "run" / "secrets.lock"

    def get(self, name: str) -> Secret:
        """The secret of that name, created if there is none.

        Raises
        ------
        ServerError
            The file cannot be read, or is damaged.
        """
        known = self._read()
        if name not in known:
            with exclusive(self._lock, patience=30, doing="writing the passwords"):
                known = self._read()
                if name not in known:
                    known[name] = secrets.token_hex(16)
                    replace_file(self.path, json.dumps(known, indent=2) + "\n", mode=0o600)
        return Secret(known[name])

    def peek(self, name: str) -> str | None:
        """The secret of that name, or None; creates nothing."""
        return self._read().get(name)

    def all(self) -> dict[str, str]:
        """Every secret by name; empty without a file."""
        return self._read()

    def exists(self) -> bool:
        """Whether the file exists."""
        return self.path.exists()

    def is_private(self) -> bool:
        """Whether only the owner can read the file (True without a file)."""
        try:
            return not self.path.stat().st_mode & 0o077
        except FileNotFoundError:
            return True

    def _read(self) -> dict[str, str]:
        try:
            known = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except PermissionError as error:
            owner = os.stat(self.path).st_uid if os.access(self.path.parent, os.X_OK) else None
            raise ServerError(
                f"{self.path} cannot be read by this account (it belongs to user id {owner}); "
                "use the account that started workbench first, or set WORKBENCH_HOME to a folder of your own."
            ) from error
        except ValueError as error:
            raise ServerError(
                f"{self.path} is damaged: it is not JSON. Put back a copy of it; without the passwords in it "
                "the data of the embedded servers cannot be opened."
            ) from error
        if not isinstance(known, dict) or not all(isinstance(value, str) for value in known.values()):
            raise ServerError(
                f"{self.path} is damaged: it is not an object of strings. Put back a copy of it."
            )
        return dict(known)
