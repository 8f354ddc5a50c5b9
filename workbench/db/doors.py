"""Finds permissions of our roles that our login cannot revoke, or grant, as it should; changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy as sa

from workbench.db.bootstrap import READER_SETTINGS
from workbench.db.roles import READONLY_ROLE, admin_url
from workbench.db.translate import translated
from workbench.paths import shipped
from workbench.settings import Settings

__all__ = ["Door", "open_doors"]

# Databases that accept connections from PUBLIC. A grant to our roles by name is left alone: it is another
# environment's, which shares the roles.
_DATABASES = """
    SELECT datname, quote_ident(datname), quote_ident(current_user) FROM pg_database
    WHERE datallowconn AND has_database_privilege('public', oid, 'CONNECT') AND datname <> ALL (%(own)s)
    ORDER BY 1
"""
_SETTING = """
    SELECT 1 FROM pg_db_role_setting AS s JOIN pg_roles AS r ON r.oid = s.setrole, unnest(s.setconfig) AS kept
    WHERE s.setdatabase = 0 AND r.rolname = %(role)s AND kept LIKE 'temp_file_limit=%%'
"""
_FUNCTIONS = """
    SELECT count(*) FILTER (WHERE proname LIKE '%%advisory%%'), count(*) FILTER (WHERE proname LIKE 'lo%%')
    FROM pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace
      AND proname ~ '^(lo_.*|loread|lowrite|pg_(try_)?advisory_(xact_)?lock(_shared)?)$'
      AND has_function_privilege(%(role)s, oid, 'EXECUTE')
"""
# The function that ends the sessions of a dead run works with its owner's permissions.
_SIGNALS = """
    SELECT r.rolname, quote_ident(r.rolname) FROM pg_proc AS p JOIN pg_roles AS r ON r.oid = p.proowner
    WHERE p.oid = to_regprocedure('workbench.end_sessions(uuid)') AND NOT r.rolsuper
      AND NOT (pg_has_role(r.oid, 'pg_signal_backend', 'USAGE')
               AND pg_has_role(r.oid, 'pg_read_all_stats', 'USAGE'))
"""


@dataclass(frozen=True)
class Door:
    """A permission that one of our roles has and does not need, or needs and does not have.

    Attributes
    ----------
    what : str
        The role and the permission.
    advice : str
        The SQL that revokes or grants it, and who may run that.
    """

    what: str
    advice: str


def open_doors(settings: Settings, server: str) -> list[Door]:
    """All such permissions on a server whose databases and roles exist.

    Parameters
    ----------
    settings : Settings
    server : str
        The administrator's URL.
    """
    url = admin_url(server, settings.trading_database)
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"connect_timeout": 10})
    with translated("checking the roles' permissions"), engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        return [
            *_databases(driver, settings),
            *_temporary_files(driver),
            *_functions(driver, settings),
            *_sessions(driver),
        ]


def _databases(connection: psycopg.Connection[tuple[Any, ...]], settings: Settings) -> list[Door]:
    own = [settings.trading_database, settings.prefect_database]
    found = connection.execute(_DATABASES, {"own": own}).fetchall()
    if not found:
        return []
    names = ", ".join(name for name, _, _ in found)
    quoted = ", ".join(name for _, name, _ in found)
    ours = found[0][2]
    return [
        Door(
            "Every login, and so each of workbench's, may connect to databases that are not its own: "
            f"{names}",
            # Our own login needs `postgres` for the set-up.
            f"As their owner, or as a superuser: REVOKE CONNECT, TEMPORARY ON DATABASE {quoted} FROM PUBLIC; "
            f"GRANT CONNECT ON DATABASE {quoted} TO {ours}; and the same for other logins that need them",
        )
    ]


def _temporary_files(connection: psycopg.Connection[tuple[Any, ...]]) -> list[Door]:
    if connection.execute(_SETTING, {"role": READONLY_ROLE}).fetchone():
        return []
    limit = READER_SETTINGS["temp_file_limit"]
    return [
        Door(
            f"A statement of {READONLY_ROLE} may fill the server's disk with temporary files: "
            f"{connection.info.user} may not limit them",
            f"As a superuser: ALTER ROLE {READONLY_ROLE} SET temp_file_limit = '{limit}'",
        )
    ]


def _functions(connection: psycopg.Connection[tuple[Any, ...]], settings: Settings) -> list[Door]:
    row = connection.execute(_FUNCTIONS, {"role": READONLY_ROLE}).fetchone()
    locks, objects = row or (0, 0)
    may = [
        *(["take advisory locks, and so block writers,"] if locks else []),
        *(["make large objects"] if objects else []),
    ]
    if not may:
        return []
    script = shipped("sql") / "roles.sql"
    return [
        Door(
            f"By a direct login {READONLY_ROLE} may {' and '.join(may).rstrip(',')}: {connection.info.user} "
            "may not forbid it",
            f"As a superuser: psql -d {settings.trading_database} -f {script}",
        )
    ]


def _sessions(connection: psycopg.Connection[tuple[Any, ...]]) -> list[Door]:
    row = connection.execute(_SIGNALS).fetchone()
    if row is None:
        return []
    return [
        Door(
            f"{row[0]} may not end the sessions of a run that is dead: until such a session ends by itself, "
            "what it was writing and its locks hold others up",
            f"As a superuser: GRANT pg_signal_backend, pg_read_all_stats TO {row[1]}",
        )
    ]
