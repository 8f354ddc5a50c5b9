"""Plain data of the stack: addresses, states, findings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Endpoints", "Finding", "Progress", "ServiceStatus"]

Progress = Callable[[str], None]
"""Called with a short text about the current step."""


@dataclass(frozen=True)
class Endpoints:
    """The addresses of the services. Fields with a password are not in the `repr`.

    Attributes
    ----------
    database_url : str
        The administrator's URL: of the embedded server's database `postgres`, or the user's own.
    redis_url : str
        Redis or Valkey.
    prefect_api_url : str or None
        As in `http://127.0.0.1:4200/api`; None while no Prefect server runs.
    prefect_auth_string : str or None
        `user:password` for that API, if it requires a login.
    """

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    prefect_api_url: str | None
    prefect_auth_string: str | None = field(repr=False)

    @property
    def prefect_ui_url(self) -> str | None:
        """The address of Prefect's pages, for a browser."""
        return self.prefect_api_url.removesuffix("/").removesuffix("/api") if self.prefect_api_url else None


@dataclass(frozen=True)
class ServiceStatus:
    """The state of one service.

    Attributes
    ----------
    name : str
        As in "PostgreSQL".
    running : bool
        Whether it runs, and answers if it has an address.
    pid : int or None
        Its process; None for the user's own server.
    where : str
        Its address, and its folder if it has one; without passwords.
    version : str or None
    detail : str
        Further information as text; may be empty.
    """

    name: str
    running: bool
    pid: int | None
    where: str
    version: str | None
    detail: str


@dataclass(frozen=True)
class Finding:
    """The result of one check, with advice if something is wrong."""

    level: Literal["ok", "warn", "fail"]
    what: str
    advice: str = ""
