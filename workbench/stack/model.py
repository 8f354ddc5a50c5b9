"""What the stack tells about itself: addresses, states, findings; plain data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Endpoints", "Finding", "Progress", "ServiceStatus"]

Progress = Callable[[str], None]
"""Told, in a few words, what is being done now."""


@dataclass(frozen=True)
class Endpoints:
    """Where the services answer. What holds a password is not printed with it.

    Attributes
    ----------
    database_url : str
        The administrator's URL: of the embedded server's database `postgres`, or the user's own.
    redis_url : str
        Redis or Valkey.
    prefect_api_url : str or None
        As in `http://127.0.0.1:4200/api`; None while no Prefect server runs.
    prefect_auth_string : str or None
        `user:password` for that API, where it wants one.
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
        Whether it runs, and answers where it has an address.
    pid : int or None
        Its process; None for a server of the user's own.
    where : str
        Its address, and its folder where it has one; without passwords.
    version : str or None
    detail : str
        What else is to be known, in plain words; may be empty.
    """

    name: str
    running: bool
    pid: int | None
    where: str
    version: str | None
    detail: str


@dataclass(frozen=True)
class Finding:
    """One thing that was checked: how it is, and what to do if it is not well."""

    level: Literal["ok", "warn", "fail"]
    what: str
    advice: str = ""
