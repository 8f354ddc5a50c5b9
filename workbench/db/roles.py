"""The login roles, their passwords and their URLs; nothing here opens a connection.

On the embedded server a role's password is random, and kept in the home's secrets. On your own server it is
derived from the administrator's password, so that every machine with that one gets the same passwords. The
derivation is slow, so that a role's password is of little help to guess the administrator's.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import os
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import URL, make_url

from workbench.home.secrets import Secret, Secrets

if TYPE_CHECKING:
    from workbench.settings import Settings


__all__ = [
    "PREFECT_ROLE",
    "READONLY_ROLE",
    "RUNS_ROLE",
    "SERVICES",
    "admin_url",
    "all_roles",
    "role_of",
    "role_password",
    "role_url",
]

SERVICES = (
    "data_ingestion",
    "strategy_engine",
    "execution",
    "risk_management",
    "analytics",
    "notification",
    "logging",
)
RUNS_ROLE = "workbench_runs"
READONLY_ROLE = "workbench_readonly"
PREFECT_ROLE = "workbench_prefect"


def role_of(service: str) -> str:
    """The login role of a service: `workbench_<service>`."""
    return f"workbench_{service}"


def all_roles() -> tuple[str, ...]:
    """Every login role, Prefect's included."""
    return (*(role_of(service) for service in SERVICES), RUNS_ROLE, READONLY_ROLE, PREFECT_ROLE)


def admin_url(server: str, database: str) -> URL:
    """The administrator's URL for a database of the server, for SQLAlchemy with psycopg."""
    return make_url(server).set(drivername="postgresql+psycopg", database=database)


def role_password(settings: Settings, server: str, role: str) -> str:
    """The role's password on that server: letters, digits, `-` and `_`, at least 128 bits.

    For your own server the first call in a process takes about 0.1 s.
    """
    if settings.database_url is None:
        return Secrets(Path(os.path.realpath(settings.home))).get(role)
    secret = Secret(make_url(server).password or "")
    digest = hmac.new(_stretched(secret), role.encode(), hashlib.sha256).digest()
    return Secret(base64.urlsafe_b64encode(digest).decode().rstrip("="))


def role_url(settings: Settings, server: str, role: str) -> URL:
    """The login URL of `role` for its database: Prefect's for Prefect's role, else ours."""
    database = settings.prefect_database if role == PREFECT_ROLE else settings.trading_database
    return admin_url(server, database).set(username=role, password=role_password(settings, server, role))


@functools.cache
def _stretched(secret: str) -> bytes:
    """The key that the roles' passwords are derived from: scrypt (RFC 7914) with 32 MB of memory per guess.

    The salt is constant: machines may use different names for one server, and share only the secret.
    """
    return hashlib.scrypt(secret.encode(), salt=b"workbench roles", n=2**15, r=8, p=1, maxmem=2**26, dklen=32)
