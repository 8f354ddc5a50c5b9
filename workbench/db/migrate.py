"""Applies the numbered `.sql` migrations with Alembic, and compares a database with the `Table`s."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from alembic import command, op
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import postgresql

from workbench.db.roles import admin_url
from workbench.db.translate import translated
from workbench.errors import MigrationError
from workbench.paths import shipped
from workbench.settings import Settings
from workbench.tables import (
    analytics,
    data_ingestion,
    execution,
    logging,
    notification,
    risk_management,
    strategy_engine,
    workbench,
)
from workbench.tables.types import METADATA

__all__ = ["check", "current", "execute_file", "head", "outdated", "upgrade"]

SQL_FOLDER = shipped("sql")
SCHEMAS = tuple(
    module.SCHEMA
    for module in (
        workbench,
        data_ingestion,
        strategy_engine,
        execution,
        risk_management,
        analytics,
        notification,
        logging,
    )
)
_VERSION_SCHEMA = "workbench_meta"
_MIGRATION_LOCK = 0x6D696772
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


def upgrade(settings: Settings, server: str, revision: str = "head") -> tuple[str | None, str | None]:
    """Migrate the trading database to `revision`; return the revision before and after.

    Everything is done in one transaction, one upgrade at a time: a failed migration leaves the database as
    it was. The roles' grants (`sql/roles.sql`) are applied again at the end.
    """
    with _administrator(settings, server) as connection, translated("the migrations"):
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        before = _stamped(connection)
        if before != head() or revision != "head":
            _refuse_unknown(before)
            connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {_VERSION_SCHEMA}"))
            command.upgrade(_config(connection), revision)
        _run_script(connection, SQL_FOLDER / "roles.sql")
        return before, _stamped(connection)


def current(settings: Settings, server: str) -> str | None:
    """The current revision of the trading database; None before the first migration."""
    with _administrator(settings, server) as connection:
        return _stamped(connection)


def outdated(settings: Settings, server: str) -> str | None:
    """The current revision if there are newer ones to go to; None if there are none, or no tables yet.

    Raises
    ------
    MigrationError
        This version does not have the database's revision.
    """
    stamped = current(settings, server)
    _refuse_unknown(stamped)
    return None if stamped in (None, head()) else stamped


def head() -> str:
    """The newest revision of this version of workbench."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise MigrationError(f"there are no migrations in {SQL_FOLDER}: is the installation complete?")
    return revision


def check(settings: Settings, server: str) -> list[str]:
    """Every difference between the database and the declared tables, one sentence each; [] if they agree.

    Compared are tables, columns, types with the values of enums, nullability, defaults, keys, foreign keys
    and indexes.
    """
    with _administrator(settings, server) as connection:
        stamped, newest = _stamped(connection), head()
        if stamped != newest:
            return [f"the database is at revision {stamped}, this version of workbench at {newest}"]
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "include_name": _ours(connection),
                "compare_type": True,
                "compare_server_default": False,
            },
        )
        differences = [_sentence(difference) for difference in compare_metadata(context, METADATA)]
        return differences + _default_differences(connection) + _enum_differences(connection)


def execute_file(name: str) -> None:
    """Run one file of `sql/migrations/` on the migration's connection."""
    _run_script(op.get_bind(), SQL_FOLDER / "migrations" / name)


def _run_script(connection: sa.Connection, path: Path) -> None:
    # Sent with the driver, without parameters: a script has many statements, colons and percent signs.
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    driver.execute(path.read_bytes())


@contextmanager
def _administrator(settings: Settings, server: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(
        admin_url(server, settings.trading_database),
        poolclass=sa.NullPool,
        # A login with the name of a schema would otherwise have that schema as its default.
        connect_args={"options": "-c search_path=public -c timezone=UTC", "connect_timeout": 10},
    )
    with translated("the trading database"), engine.begin() as connection:
        yield connection


def _config(connection: sa.Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SQL_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _stamped(connection: sa.Connection) -> str | None:
    context = MigrationContext.configure(
        connection,
        opts={"version_table": "schema_version", "version_table_schema": _VERSION_SCHEMA},
    )
    return context.get_current_revision()


def _refuse_unknown(stamped: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if stamped is not None and stamped not in known:
        raise MigrationError(
            f"the database is at revision {stamped}, which this version of workbench does not have "
            f"(its newest is {head()}); upgrade workbench"
        )


def _ours(connection: sa.Connection) -> Callable[[str | None, str, Mapping[str, Any]], bool]:
    """The filter of compared names: our schemas, and in them every table except partitions."""
    partitions = set(
        connection.exec_driver_sql(
            "SELECT n.nspname || '.' || c.relname FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relispartition"
        ).scalars()
    )

    def include(name: str | None, kind: str, parents: Mapping[str, Any]) -> bool:
        if kind == "schema":
            return name in SCHEMAS
        return kind != "table" or f"{parents['schema_name']}.{name}" not in partitions

    return include


def _default_differences(connection: sa.Connection) -> list[str]:
    """Columns whose default is not the declared one (Alembic does not compare defaults with identities)."""
    rows = connection.exec_driver_sql(
        "SELECT table_schema || '.' || table_name || '.' || column_name, column_default, is_identity = 'YES' "
        "FROM information_schema.columns"
    )
    found = {name: (_plain_default(default), identity) for name, default, identity in rows}
    differences = []
    for table in METADATA.sorted_tables:
        for column in table.columns:
            name = f"{table}.{column.name}"
            default, identity = found.get(name, (None, False))
            declared = _plain_default(_declared_default(column))
            if default != declared or identity != (column.identity is not None):
                differences.append(f"default of {name}: the database has {default}, the table {declared}")
    return differences


def _enum_differences(connection: sa.Connection) -> list[str]:
    """Enums without the declared values in their order (Alembic compares only the name)."""
    rows = connection.exec_driver_sql(
        "SELECT n.nspname || '.' || t.typname, array_agg(e.enumlabel ORDER BY e.enumsortorder)::text[] "
        "FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid JOIN pg_namespace n ON n.oid = t.typnamespace "
        "GROUP BY 1"
    )
    found = {name: list(values) for name, values in rows}
    kinds = (column.type for table in METADATA.sorted_tables for column in table.columns)
    declared = {f"{kind.schema}.{kind.name}": list(kind.enums) for kind in kinds if isinstance(kind, sa.Enum)}
    return [
        f"enum {name}: the database has {found.get(name)}, the tables {values}"
        for name, values in declared.items()
        if found.get(name) != values
    ]


def _declared_default(column: sa.Column[Any]) -> str | None:
    default = column.server_default
    if not isinstance(default, sa.DefaultClause):
        return None
    return default.arg if isinstance(default.arg, str) else str(default.arg.compile(dialect=_DIALECT))


def _plain_default(default: str | None) -> str | None:
    """A default without casts and quotes, for comparison."""
    return None if default is None else re.sub(r"::[a-z_. ]+(\[\])?", "", default).strip("'")


def _sentence(difference: Any) -> str:
    if isinstance(difference, list):
        return "; ".join(_sentence(part) for part in difference)
    kind, *facts = difference
    return f"{str(kind).replace('_', ' ')}: {', '.join(str(fact) for fact in facts if fact is not None)}"
