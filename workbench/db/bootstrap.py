"""Creates the two databases and the login roles on a PostgreSQL server if they are missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from workbench.db.owners import mark, refuse_foreign
from workbench.db.roles import (
    PREFECT_ROLE,
    READONLY_ROLE,
    SERVICES,
    admin_url,
    all_roles,
    role_of,
    role_password,
    role_url,
)
from workbench.db.translate import translated
from workbench.errors import DatabaseError, PermissionRefused, ServerUnreachable, SettingsError
from workbench.settings import Settings

__all__ = [
    "OLDEST_POSTGRES",
    "READER_SETTINGS",
    "create_databases",
    "create_scratch_database",
    "prefect_url",
    "put_in_place",
]

OLDEST_POSTGRES = 15
READER_SETTINGS = {
    "work_mem": "32MB",
    "lock_timeout": "30s",
    "statement_timeout": "10min",
    "idle_in_transaction_session_timeout": "5min",
    "temp_file_limit": "5GB",
}
"""Default settings of the read-only role's sessions, also of those opened with psql.

A session may change all but the last, as `wb.sql(…, timeout=…)` does: they keep a forgotten statement from
blocking others. Only a superuser, or a role with that grant, may change `temp_file_limit`.
"""
# An arbitrary number, the same in all processes: one bootstrap at a time per server.
_BOOTSTRAP_LOCK = 0x776F726B


def prefect_url(settings: Settings, server: str) -> str:
    """`postgresql://role:password@host:port/database` of Prefect's database, which that role owns."""
    url = role_url(settings, server, PREFECT_ROLE).set(drivername="postgresql")
    return url.render_as_string(hide_password=False)


def create_databases(settings: Settings, server: str) -> None:
    """Create `trading_system`, `prefect` and the login roles on the server; existing databases are kept.

    Parameters
    ----------
    settings : Settings
    server : str
        The administrator's URL. The login may create databases and roles.

    Raises
    ------
    ServerUnreachable
        The server does not answer, refuses the login, or went away meanwhile.
    DatabaseError
        The server is older than PostgreSQL 15, or refuses a statement.
    PermissionRefused
        The login may not create databases or roles.
    SettingsError
        A database is another project's, or the roles' passwords come from another login; nothing was changed.
    """
    with translated("preparing the databases"), _maintenance(server) as connection:
        version = connection.info.server_version // 10_000
        if version < OLDEST_POSTGRES:
            raise DatabaseError(
                f"the server runs PostgreSQL {version}; workbench needs {OLDEST_POSTGRES} or newer"
            )
        try:
            connection.execute("SELECT pg_advisory_lock(%s)", (_BOOTSTRAP_LOCK,))
            refuse_foreign(connection, settings)
            for role in all_roles():
                _create_role(connection, role, role_password(settings, server, role))
            _set_up_reader(connection)
            _create_database(connection, settings.trading_database, owner=None)
            _create_database(connection, settings.prefect_database, owner=PREFECT_ROLE)
            mark(connection, settings)
            if settings.database_url is None:
                # Only on the embedded server; elsewhere these databases are up to the administrator.
                connection.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")
        except psycopg.errors.InsufficientPrivilege as error:
            raise PermissionRefused(
                f"the login {connection.info.user!r} may not create databases and roles; as an "
                f"administrator run: ALTER ROLE {connection.info.user} CREATEDB CREATEROLE"
            ) from error


def create_scratch_database(settings: Settings, server: str) -> str:
    """Create an empty database beside the trading one, in the place of an abandoned one; return its name."""
    name = f"{settings.trading_database}_restoring"
    with translated("restoring a backup"), _maintenance(server) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        _create_database(connection, name, owner=None)
    return name


def put_in_place(settings: Settings, server: str, fresh: str) -> None:
    """Give a database the trading database's name; the one that had it is removed.

    Raises
    ------
    DatabaseError
        One of them is in use; nothing was changed.
    """
    name = settings.trading_database
    replaced = f"{name}_replaced"
    rename, drop = sql.SQL("ALTER DATABASE {} RENAME TO {}"), sql.SQL("DROP DATABASE IF EXISTS {}")
    with translated("restoring a backup"), _maintenance(server) as connection:
        connection.execute(drop.format(sql.Identifier(replaced)))
        with connection.transaction():
            connection.execute(rename.format(sql.Identifier(name), sql.Identifier(replaced)))
            connection.execute(rename.format(sql.Identifier(fresh), sql.Identifier(name)))
        connection.execute(drop.format(sql.Identifier(replaced)))


@contextmanager
def _maintenance(server: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """An autocommit connection to the server's database `postgres`."""
    url = admin_url(server, "postgres").set(drivername="postgresql")
    # SQLAlchemy does not escape spaces in a password, and libpq refuses them.
    spelt = url.render_as_string(hide_password=False).replace(" ", "%20")
    try:
        connection = psycopg.connect(spelt, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        # libpq's first line is the cause; the lines below only ask whether the server runs.
        reason = str(error).strip().splitlines()[0].rpartition(" failed: ")[2]
        raise ServerUnreachable(
            f"PostgreSQL does not answer at {url.host}:{url.port or 5432} ({reason}); does it run, and is "
            "WORKBENCH_DATABASE_URL right?"
        ) from error
    except (psycopg.ProgrammingError, UnicodeError) as error:
        raise SettingsError(f"WORKBENCH_DATABASE_URL is not a valid URL for psycopg: {error}") from error
    with connection:
        # A rehearsal's environment has connections only read: it may be the first to set a server up.
        connection.execute("SET default_transaction_read_only = off")
        yield connection


def _create_role(connection: psycopg.Connection[tuple[object, ...]], role: str, password: str) -> None:
    exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
    # Only the password's SCRAM verifier is sent, so a log of statements does not contain the password.
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
    # Set again if the role exists: the secret that the password is derived from may have changed.
    connection.execute(
        sql.SQL("{verb} ROLE {role} LOGIN PASSWORD {password}").format(
            verb=sql.SQL("ALTER" if exists else "CREATE"),
            role=sql.Identifier(role),
            password=sql.Literal(verifier.decode()),
        )
    )


def _set_up_reader(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Set the default settings of the read-only role."""
    for name, value in READER_SETTINGS.items():
        statement = sql.SQL("ALTER ROLE {} SET {} = {}").format(
            sql.Identifier(READONLY_ROLE), sql.Identifier(name), sql.Literal(value)
        )
        try:
            connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege:
            # `workbench doctor` shows the statement for a superuser.
            if name != "temp_file_limit":
                raise


def _create_database(
    connection: psycopg.Connection[tuple[object, ...]], name: str, *, owner: str | None
) -> None:
    database = sql.Identifier(name)
    exists = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
    if not exists:
        # template0, so that the encoding can differ from the server's default.
        connection.execute(sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0").format(database))
    if owner is not None:
        # Only a member of a role, or a superuser, can make that role the owner.
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(owner)))
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, sql.Identifier(owner)))
        roles = writers = [owner]
    else:
        roles = [role for role in all_roles() if role != PREFECT_ROLE]
        # A service writes a frame through a temporary table.
        writers = [role_of(service) for service in SERVICES]
    others = [sql.SQL("PUBLIC"), *(sql.Identifier(role) for role in all_roles() if role != owner)]
    # In one transaction, so that nobody is refused in between.
    with connection.transaction():
        for statement, who in (
            # Also revokes grants of earlier versions.
            ("REVOKE ALL ON DATABASE {} FROM {}", others),
            ("GRANT CONNECT ON DATABASE {} TO {}", map(sql.Identifier, roles)),
            ("GRANT TEMPORARY ON DATABASE {} TO {}", map(sql.Identifier, writers)),
        ):
            connection.execute(sql.SQL(statement).format(database, sql.SQL(", ").join(who)))
