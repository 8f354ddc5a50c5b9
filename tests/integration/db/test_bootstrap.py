"""Databases and roles made on a server where there are none, by a superuser or by a lesser administrator."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from tests.servers import BarePostgres, ServerPark
from workbench.db import migrate
from workbench.db.bootstrap import create_databases, prefect_url
from workbench.db.roles import PREFECT_ROLE, READONLY_ROLE, all_roles, role_of, role_url
from workbench.errors import PermissionRefused, ServerUnreachable
from workbench.settings import Settings


@pytest.fixture(params=["postgresql-18", "postgresql-15"])
def bare(request: pytest.FixtureRequest, servers: ServerPark) -> Iterator[BarePostgres]:
    """A server with nothing in it but PostgreSQL's own databases and its administrator."""
    server = servers.bare_postgres(request.param)
    server.make_bare()
    yield server
    server.make_bare()


def _settings(server: str) -> Settings:
    return Settings(database_url=SecretStr(server))


def _log_in(url: str) -> str:
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql")) as connection:
        row = connection.execute("SELECT current_user || '@' || current_database()").fetchone()
        assert row is not None
        return str(row[0])


def _url(server: str, role: str) -> str:
    return role_url(_settings(server), server, role).render_as_string(hide_password=False)


def _lesser_administrator(bare: BarePostgres, rights: str = "CREATEDB CREATEROLE") -> str:
    with bare.connect() as connection:
        connection.execute(f"CREATE ROLE dba LOGIN PASSWORD 'dba' {rights}".encode())
    return make_url(bare.url).set(username="dba", password="dba").render_as_string(hide_password=False)


def test_the_databases_are_made_with_the_names_and_the_encoding_that_the_design_says(
    bare: BarePostgres,
) -> None:
    create_databases(_settings(bare.url), bare.url)
    with bare.connect() as connection:
        rows = connection.execute(
            "SELECT datname, pg_encoding_to_char(encoding) FROM pg_database WHERE NOT datistemplate "
            "AND datname <> 'postgres' ORDER BY 1"
        ).fetchall()
    assert rows == [("prefect", "UTF8"), ("trading_system", "UTF8")]


def test_made_again_nothing_changes(bare: BarePostgres) -> None:
    for _ in range(2):
        create_databases(_settings(bare.url), bare.url)
        migrate.upgrade(_settings(bare.url), bare.url)
    assert migrate.check(_settings(bare.url), bare.url) == []


def test_each_role_logs_in_to_its_own_database_and_to_no_other(bare: BarePostgres) -> None:
    create_databases(_settings(bare.url), bare.url)
    for role in all_roles():
        home, other = ("prefect", "trading_system") if role == PREFECT_ROLE else ("trading_system", "prefect")
        url = make_url(_url(bare.url, role))
        assert _log_in(url.render_as_string(hide_password=False)) == f"{role}@{home}"
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            _log_in(url.set(database=other).render_as_string(hide_password=False))


def test_prefect_owns_its_database(bare: BarePostgres) -> None:
    create_databases(_settings(bare.url), bare.url)
    with psycopg.connect(prefect_url(_settings(bare.url), bare.url)) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        connection.execute("CREATE TABLE flow_run (id int)")


def test_a_login_with_createdb_and_createrole_is_enough(bare: BarePostgres) -> None:
    server = _lesser_administrator(bare)
    settings = _settings(server)
    for _ in range(2):
        create_databases(settings, server)
        migrate.upgrade(settings, server)
    assert migrate.check(settings, server) == []
    assert _log_in(_url(server, READONLY_ROLE)) == f"{READONLY_ROLE}@trading_system"
    assert _log_in(_url(server, PREFECT_ROLE)) == f"{PREFECT_ROLE}@prefect"
    # The triggers that keep the status write on behalf of the owner, who is no superuser here.
    with psycopg.connect(_url(server, role_of("data_ingestion")).replace("+psycopg", "")) as connection:
        connection.execute(
            "INSERT INTO data_ingestion.market_data (symbol, timestamp, open, high, low, close, volume) "
            "VALUES ('A', now(), 1, 1, 1, 1, 1)"
        )
        assert connection.execute("SELECT bars FROM data_ingestion.ingestion_status").fetchall() == [(1,)]


@pytest.mark.parametrize("rights", ["CREATEDB", "CREATEROLE"])
def test_a_login_that_may_not_is_told_what_it_needs(bare: BarePostgres, rights: str) -> None:
    server = _lesser_administrator(bare, rights)
    with pytest.raises(PermissionRefused, match=r"'dba' may not.*ALTER ROLE dba CREATEDB CREATEROLE"):
        create_databases(_settings(server), server)


def test_a_new_administrators_password_gives_every_role_a_new_one(bare: BarePostgres) -> None:
    old = _lesser_administrator(bare)
    create_databases(_settings(old), old)
    with bare.connect() as connection:
        connection.execute("ALTER ROLE dba PASSWORD 'new'")
    new = make_url(old).set(password="new").render_as_string(hide_password=False)
    with pytest.raises(ServerUnreachable, match="password authentication failed"):
        create_databases(_settings(old), old)
    create_databases(_settings(new), new)
    for role in all_roles():
        assert _log_in(_url(new, role)).startswith(role)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            _log_in(_url(old, role))
