"""The login roles, their passwords and their URLs; nothing here opens a connection.

A role's password is derived from the server's own secret (the administrator's password), so that every
machine that may administer the server reaches the same passwords and none has to be stored or passed on.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from typing import TYPE_CHECKING

from sqlalchemy.engine import URL, make_url

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


def role_password(server: str, role: str) -> str:
    """The role's password on that server (43 characters, URL-safe)."""
    secret = make_url(server).password or os.environ.get("PGPASSWORD", "")
    digest = hmac.new(str(secret).encode(), f"workbench:{role}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def role_url(settings: Settings, server: str, role: str) -> URL:
    """The URL with which `role` logs in to its database: Prefect's own, or ours."""
    database = settings.prefect_database if role == PREFECT_ROLE else settings.trading_database
    return admin_url(server, database).set(username=role, password=role_password(server, role))
