"""The login roles, their passwords and their URLs; nothing here opens a connection.

On the embedded server a role's password is random, and kept in the home's secrets. On a server of one's own
it is derived from the administrator's, slowly, so that every machine that may administer the server reaches
the same passwords, and who knows one of them cannot try out many administrator's passwords a second.
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
    """Every login role there is, Prefect's included."""
    return (*(role_of(service) for service in SERVICES), RUNS_ROLE, READONLY_ROLE, PREFECT_ROLE)


def admin_url(server: str, database: str) -> URL:
    """The administrator's URL for a database of the server, for SQLAlchemy with psycopg."""
    return make_url(server).set(drivername="postgresql+psycopg", database=database)


def role_password(settings: Settings, server: str, role: str) -> str:
    """The role's password on that server: letters, digits, `-` and `_`, at least 128 bits of them.

    The first one that is asked for a server of one's own takes about 0.1 s in each process.
    """
    if settings.database_url is None:
        return Secrets(Path(os.path.realpath(settings.home))).get(role)
    secret = Secret(make_url(server).password or "")
    digest = hmac.new(_stretched(secret), role.encode(), hashlib.sha256).digest()
    return Secret(base64.urlsafe_b64encode(digest).decode().rstrip("="))


def role_url(settings: Settings, server: str, role: str) -> URL:
    """The URL with which `role` logs in to its database: Prefect's own, or ours."""
    database = settings.prefect_database if role == PREFECT_ROLE else settings.trading_database
    return admin_url(server, database).set(username=role, password=role_password(settings, server, role))


@functools.cache
def _stretched(secret: str) -> bytes:
    """The key from which the roles' passwords follow: scrypt (RFC 7914) with 32 MB of memory a guess.

    The salt is the same everywhere: machines name one server by different names, and have nothing else in
    common but the secret.
    """
    return hashlib.scrypt(secret.encode(), salt=b"workbench roles", n=2**15, r=8, p=1, maxmem=2**26, dklen=32)
