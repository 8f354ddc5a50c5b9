"""Upgrading: once, again, by several at once, and not at all where the database is newer than we are."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr

from tests.servers import Postgres
from workbench.db import migrate
from workbench.db.bootstrap import create_databases
from workbench.errors import DatabaseError, MigrationError, ServerUnreachable
from workbench.settings import Settings


@pytest.fixture
def empty_database(postgres: Postgres) -> Iterator[Settings]:
    """Settings for databases that were created but never migrated."""
    settings = Settings(database_url=SecretStr(postgres.url_of("test_fresh")))
    create_databases(settings, postgres.url)
    yield settings
    postgres.drop("test_fresh")
    postgres.drop("test_fresh_prefect")


def test_an_upgrade_goes_from_nothing_to_the_newest_and_the_next_one_changes_nothing(
    empty_database: Settings, postgres: Postgres
) -> None:
    newest = migrate.head()
    assert migrate.current(empty_database, postgres.url) is None
    assert migrate.upgrade(empty_database, postgres.url) == (None, newest)
    assert migrate.upgrade(empty_database, postgres.url) == (newest, newest)
    assert migrate.current(empty_database, postgres.url) == newest
    assert migrate.check(empty_database, postgres.url) == []


def test_upgrades_at_the_same_time_take_turns_and_all_succeed(
    empty_database: Settings, postgres: Postgres
) -> None:
    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(lambda _: migrate.upgrade(empty_database, postgres.url), range(4)))
    newest = migrate.head()
    assert sorted(outcomes, key=str) == sorted([(None, newest), *[(newest, newest)] * 3], key=str)
    assert migrate.check(empty_database, postgres.url) == []


def test_before_the_first_upgrade_check_says_how_far_the_database_is(
    empty_database: Settings, postgres: Postgres
) -> None:
    (said,) = migrate.check(empty_database, postgres.url)
    assert said == f"the database is at revision None, this version of workbench at {migrate.head()}"


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    empty_database: Settings, postgres: Postgres
) -> None:
    with postgres.connect("test_fresh") as connection:
        connection.execute("CREATE SCHEMA logging")
    with pytest.raises(DatabaseError, match='the migrations: schema "logging" already exists'):
        migrate.upgrade(empty_database, postgres.url)
    with postgres.connect("test_fresh") as connection:
        rows = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_'").fetchall()
    assert {name for (name,) in rows} == {"information_schema", "public", "logging"}


def test_a_database_of_a_newer_version_is_refused_and_left_alone(
    database_settings: Settings, database_url: str, postgres: Postgres
) -> None:
    assert database_settings.trading_database.startswith("test_")
    with postgres.connect(database_settings.trading_database) as connection:
        connection.execute("UPDATE workbench_meta.schema_version SET version_num = '9999'")
    with pytest.raises(MigrationError, match=r"9999.*does not have.*upgrade workbench"):
        migrate.upgrade(database_settings, database_url)
    assert migrate.current(database_settings, database_url) == "9999"
    assert "9999" in migrate.check(database_settings, database_url)[0]


def test_a_server_that_does_not_answer_is_named_so() -> None:
    settings = Settings(database_url=SecretStr("postgresql://a:b@127.0.0.1:1/x"))
    with pytest.raises(ServerUnreachable, match=r"127.0.0.1:1"):
        create_databases(settings, "postgresql://a:b@127.0.0.1:1/x")
    with pytest.raises(ServerUnreachable, match="does not answer"):
        migrate.current(settings, "postgresql://a:b@127.0.0.1:1/x")
