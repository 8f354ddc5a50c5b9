"""What each login role may do: a service writes its own schema only, reads all, and owns nothing."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from tests.conftest import Connection
from workbench.db.bootstrap import create_databases
from workbench.db.migrate import SCHEMAS
from workbench.db.roles import (
    PREFECT_ROLE,
    READONLY_ROLE,
    RUNS_ROLE,
    SERVICES,
    all_roles,
    role_of,
    role_password,
)
from workbench.settings import Settings
from workbench.tables.types import METADATA

OURS = [role for role in all_roles() if role != PREFECT_ROLE]
WRITES = {**{role_of(service): service for service in SERVICES}, RUNS_ROLE: "workbench", READONLY_ROLE: None}
TABLES = [(str(table.schema), table.name) for table in METADATA.sorted_tables]
KEPT = {(str(t.schema), t.name) for t in METADATA.sorted_tables if t.info.get("kept_by_triggers")}


def _attempts(schema: str, table: str, column: str) -> list[sql.Composed]:
    name = sql.Identifier(schema, table)
    return [
        statement.format(name, sql.Identifier(column))
        for statement in (
            sql.SQL("INSERT INTO {0} ({1}) VALUES (DEFAULT)"),
            sql.SQL("UPDATE {0} SET {1} = DEFAULT"),
            sql.SQL("DELETE FROM {0}"),
            sql.SQL("TRUNCATE {0}"),
            sql.SQL("COPY {0} FROM STDIN"),
        )
    ]


@pytest.mark.parametrize("role", OURS)
def test_a_role_is_refused_every_way_of_writing_in_another_schema(
    connect_as: Callable[[str], Connection], role: str
) -> None:
    connection = connect_as(role)
    for table in METADATA.sorted_tables:
        if table.schema == WRITES[role]:
            continue
        attempts = _attempts(str(table.schema), table.name, table.columns.keys()[-1])
        if table.fullname == "workbench.events" and role in map(role_of, SERVICES):
            attempts = attempts[1:-1]  # a service adds events to the outbox, and can do no more to it
        for attempt in attempts:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(attempt)


@pytest.mark.parametrize("role", OURS)
def test_a_role_reads_every_table(connect_as: Callable[[str], Connection], role: str) -> None:
    connection = connect_as(role)
    for schema, table in TABLES:
        connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, table)))


@pytest.mark.parametrize("role", [role for role in OURS if WRITES[role]])
def test_a_role_writes_its_own_schema_but_empties_no_table_at_a_stroke(
    connect_as: Callable[[str], Connection], role: str
) -> None:
    connection = connect_as(role)
    for schema, table in TABLES:
        if schema != WRITES[role]:
            continue
        name = sql.Identifier(schema, table)
        if (schema, table) in KEPT:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(sql.SQL("DELETE FROM {}").format(name))
        else:
            connection.execute(sql.SQL("DELETE FROM {}").format(name))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(sql.SQL("TRUNCATE {}").format(name))


def _definitions(schema: str, table: str, column: str) -> list[sql.Composed]:
    """Every kind of DDL on a table and in its schema."""
    name, inner, outer = sql.Identifier(schema, table), sql.Identifier(column), sql.Identifier(schema)
    return [
        statement.format(table=name, column=inner, schema=outer)
        for statement in (
            sql.SQL("CREATE TABLE {schema}.mine (a int)"),
            sql.SQL("CREATE TABLE {schema}.mine AS SELECT * FROM {table}"),
            sql.SQL("CREATE VIEW {schema}.mine AS SELECT 1"),
            sql.SQL("CREATE MATERIALIZED VIEW {schema}.mine AS SELECT 1"),
            sql.SQL("CREATE SEQUENCE {schema}.mine"),
            sql.SQL("CREATE TYPE {schema}.mine AS ENUM ('a')"),
            sql.SQL("CREATE FUNCTION {schema}.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
            sql.SQL("CREATE INDEX mine ON {table} ({column})"),
            sql.SQL("CREATE RULE mine AS ON INSERT TO {table} DO INSTEAD NOTHING"),
            sql.SQL(
                "CREATE TRIGGER mine AFTER INSERT ON {table} EXECUTE FUNCTION workbench.announce_events()"
            ),
            sql.SQL("ALTER TABLE {table} ADD COLUMN mine int"),
            sql.SQL("ALTER TABLE {table} DROP COLUMN {column}"),
            sql.SQL("ALTER TABLE {table} RENAME TO mine"),
            sql.SQL("ALTER TABLE {table} DISABLE TRIGGER ALL"),
            sql.SQL("ALTER TABLE {table} OWNER TO CURRENT_USER"),
            sql.SQL("ALTER SCHEMA {schema} RENAME TO mine"),
            sql.SQL("COMMENT ON TABLE {table} IS 'mine'"),
            sql.SQL("DROP TABLE {table} CASCADE"),
            sql.SQL("DROP SCHEMA {schema} CASCADE"),
        )
    ]


@pytest.mark.parametrize("role", OURS)
def test_a_role_defines_nothing_in_any_schema_its_own_included(
    connect_as: Callable[[str], Connection], role: str
) -> None:
    connection = connect_as(role)
    first = {str(table.schema): table for table in METADATA.sorted_tables}
    assert set(first) == set(SCHEMAS)
    for schema, table in first.items():
        for attempt in _definitions(schema, table.name, table.columns.keys()[-1]):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(attempt)


@pytest.mark.parametrize("role", OURS)
def test_a_role_hands_on_no_right_and_takes_none(connect_as: Callable[[str], Connection], role: str) -> None:
    """PostgreSQL only warns where nothing of a GRANT could be granted: what counts is what is there after."""
    connection = connect_as(role)
    rights = (
        "SELECT nspname, nspacl::text FROM pg_namespace WHERE nspname = ANY (%s) UNION ALL "
        "SELECT c.oid::regclass::text, relacl::text FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = ANY (%s) ORDER BY 1"
    )
    before = connection.execute(rights, [list(SCHEMAS)] * 2).fetchall()
    for schema in SCHEMAS:
        for statement in (
            sql.SQL("GRANT ALL ON ALL TABLES IN SCHEMA {} TO CURRENT_USER"),
            sql.SQL("GRANT ALL ON ALL TABLES IN SCHEMA {} TO PUBLIC"),
            sql.SQL("GRANT ALL ON SCHEMA {} TO CURRENT_USER"),
        ):
            try:
                connection.execute(statement.format(sql.Identifier(schema)))
            except psycopg.errors.InsufficientPrivilege:
                continue
    assert connection.execute(rights, [list(SCHEMAS)] * 2).fetchall() == before


def test_the_role_of_prefect_cannot_connect_to_our_database(
    admin: Connection, database_settings: Settings, database_url: str
) -> None:
    # The test's database is a clone, and who may connect is not cloned.
    create_databases(database_settings, database_url)
    url = make_url(database_url).set(
        username=PREFECT_ROLE, password=role_password(database_settings, database_url, PREFECT_ROLE)
    )
    assert url.database == database_settings.trading_database
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(url.render_as_string(hide_password=False))
    for schema in SCHEMAS:
        row = admin.execute("SELECT has_schema_privilege(%s, %s, 'USAGE')", [PREFECT_ROLE, schema]).fetchone()
        assert row == (False,)


@pytest.mark.parametrize("role", OURS)
def test_a_role_makes_and_changes_no_objects(connect_as: Callable[[str], Connection], role: str) -> None:
    connection = connect_as(role)
    for statement in (
        "CREATE TABLE public.mine (a int)",
        "CREATE TABLE logging.mine (a int)",
        "CREATE SCHEMA mine",
        "DROP TABLE logging.system_logs",
        "ALTER TABLE data_ingestion.market_data DISABLE TRIGGER ALL",
        "CREATE ROLE mine",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SET ROLE workbench_prefect",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_no_role_is_a_superuser_or_owns_anything_of_ours(admin: Connection) -> None:
    powers = admin.execute(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'workbench\\_%' "
        "AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls OR rolreplication)"
    ).fetchall()
    owned = admin.execute(
        "SELECT relname FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner "
        "WHERE r.rolname LIKE 'workbench\\_%'"
    ).fetchall()
    assert powers == []
    assert owned == []


def test_only_services_may_ask_the_fence(connect_as: Callable[[str], Connection]) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connect_as(READONLY_ROLE).execute("SELECT workbench.require_live_run(gen_random_uuid())")
    with pytest.raises(psycopg.Error, match="is unknown"):
        connect_as(role_of("logging")).execute("SELECT workbench.require_live_run(gen_random_uuid())")
