"""Notes whose a database is, and which login the roles' passwords come from, in comments on the server.

Only on a server of one's own. A database that the URL names is used by whoever names it, and is not marked.
"""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from workbench.db.roles import RUNS_ROLE
from workbench.errors import SettingsError
from workbench.project.name import CLONE_NAME
from workbench.project.server_names import TRADING_DATABASE
from workbench.settings import Settings

__all__ = ["mark", "projects_of", "refuse_foreign"]

_Connection = psycopg.Connection[tuple[object, ...]]

# A line of a comment; what else the comment says is its owner's.
_MARK = re.compile(r"\n?^workbench: (\{.*\})$", re.MULTILINE)
_DATABASE = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
_ROLE = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s"


def refuse_foreign(connection: _Connection, settings: Settings) -> None:
    """Refuse what another project, or another login, has on this server already; changes nothing.

    Parameters
    ----------
    connection : Connection
        Of the administrator, to any database of the server.
    settings : Settings

    Raises
    ------
    SettingsError
        A database is another project's; this project has worked in `trading_system`; or the passwords of the
        roles come from another login's.
    """
    if settings.database_url is None:
        return
    login = _read(connection, _ROLE, RUNS_ROLE)[1].get("login", connection.info.user)
    if login != connection.info.user:
        raise SettingsError(
            f"the roles workbench_* of this server have passwords that come from the login {login!r}, and "
            f"{connection.info.user!r} in WORKBENCH_DATABASE_URL would change them for every project there; "
            f"use {login!r}, or, if no project does any more, first run as an administrator: "
            f"COMMENT ON ROLE {RUNS_ROLE} IS NULL"
        )
    if not settings.has_project_database or settings.trading_database == TRADING_DATABASE:
        return
    project = settings.names.project
    for database in (settings.trading_database, settings.prefect_database):
        owners = projects_of(connection, database)
        if owners and project not in owners:
            raise SettingsError(
                f"the database {database} of this server belongs to the project {owners[0]!r}, and this one "
                f"is called {project!r}; choose another name in workbench.toml, or name a database in "
                "WORKBENCH_DATABASE_URL"
            )
    if project in projects_of(connection, TRADING_DATABASE) and not _exists(
        connection, settings.trading_database
    ):
        raise SettingsError(
            f"the project {project!r} has its data in the database {TRADING_DATABASE} of this server, from "
            f"before projects had databases of their own; to go on with it, add /{TRADING_DATABASE} to "
            "WORKBENCH_DATABASE_URL; to begin with an empty one, first run as an administrator: "
            f"COMMENT ON DATABASE {TRADING_DATABASE} IS NULL"
        )


def mark(connection: _Connection, settings: Settings) -> None:
    """Note whose the databases are, and which login the roles' passwords come from."""
    if settings.database_url is None:
        return
    _write(connection, "ROLE", RUNS_ROLE, _ROLE, {"login": connection.info.user})
    if not settings.has_project_database or settings.names.project == CLONE_NAME:
        return
    shared = settings.trading_database == TRADING_DATABASE
    for database in [TRADING_DATABASE] if shared else [settings.trading_database, settings.prefect_database]:
        projects = dict.fromkeys([*projects_of(connection, database), settings.names.project])
        _write(connection, "DATABASE", database, _DATABASE, {"projects": list(projects)})


def projects_of(connection: _Connection, database: str) -> list[str]:
    """The names of the projects that a database is marked with; none where it is not there."""
    return list(_read(connection, _DATABASE, database)[1].get("projects", []))


def _exists(connection: _Connection, database: str) -> bool:
    query = "SELECT 1 FROM pg_database WHERE datname = %s"
    return connection.execute(query, (database,)).fetchone() is not None


def _read(connection: _Connection, query: LiteralString, name: str) -> tuple[str, dict[str, Any]]:
    """What else a comment says, and our mark in it."""
    row = connection.execute(query, (name,)).fetchone()
    text = str(row[0] or "") if row else ""
    found = _MARK.search(text)
    try:
        return _MARK.sub("", text), dict(json.loads(found[1])) if found else {}
    except ValueError:
        return text, {}


def _write(
    connection: _Connection, kind: LiteralString, name: str, query: LiteralString, facts: dict[str, Any]
) -> None:
    text, known = _read(connection, query, name)
    if known == facts:
        return
    mark = f"workbench: {json.dumps(facts, ensure_ascii=False)}"
    statement = sql.SQL(f"COMMENT ON {kind} {{}} IS {{}}").format(
        sql.Identifier(name), sql.Literal(f"{text}\n{mark}" if text else mark)
    )
    # One that another administrator made stays unmarked.
    with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)
