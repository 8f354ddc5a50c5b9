"""A server that allows few connections: doctor warns before they are used up, and the error says so after."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.servers import BarePostgres, ServerPark
from workbench import Settings, Workbench
from workbench.db.budget import connection_budget, most_of_a_process
from workbench.errors import DatabaseError
from workbench.stack.doctor import findings_of
from workbench.stack.model import Finding

ALLOWED = 30


@pytest.fixture(scope="module", params=["postgresql-18", "postgresql-15"])
def small(request: pytest.FixtureRequest, servers: ServerPark) -> Iterator[BarePostgres]:
    """A server that allows 30 connections, and keeps 3 more for superusers."""
    server = servers.bare_postgres(request.param)
    server.stop()
    server.start(max_connections=ALLOWED + 3)
    yield server
    server.make_bare()
    server.stop()
    server.start()


@pytest.fixture
def settings(small: BarePostgres, servers: ServerPark, tmp_path: Path) -> Settings:
    """One process may open a connection for each service, and four to read bars."""
    return Settings(
        home=tmp_path,
        database_url=SecretStr(small.url),
        redis_url=SecretStr(servers.valkey()),
        pool_size=1,
        pool_overflow=0,
    )


@pytest.fixture
def opened(settings: Settings) -> Iterator[Workbench]:
    """A process of workbench that has one connection."""
    with Workbench(settings) as wb:
        wb.runs.list()
        yield wb


def told(settings: Settings) -> list[Finding]:
    return [finding for finding in findings_of(settings) if "connections" in finding.what]


def test_who_is_connected_is_told_by_database_and_process(opened: Workbench, small: BarePostgres) -> None:
    opened.logging.load_system_logs()
    with small.connect() as connection:
        budget = connection_budget(opened.settings, small.url)
        assert (budget.allowed, budget.processes) == (ALLOWED, 1)
        assert budget.in_use == len(budget.holders) == 3
        assert budget.worst_case == 1 + 2 * most_of_a_process(opened.settings)
        assert budget.told() == "postgres: admin 1; trading_system: logging 1, runs 1"
        assert connection.info.user == "admin"


def test_doctor_warns_when_one_more_process_could_exceed_what_the_server_allows(opened: Workbench) -> None:
    roomy = opened.settings.model_copy(update={"pool_overflow": 20})
    (finding,) = told(roomy)
    most = most_of_a_process(roomy)
    assert finding.level == "warn"
    assert finding.what == (
        f"PostgreSQL allows {ALLOWED} connections; with 1 process of workbench connected and one more, each "
        f"with up to {most}, there could be {2 * most}"
    )
    for advice in ("ALTER SYSTEM SET max_connections = ", "WORKBENCH_POOL_OVERFLOW=0", "Close notebooks"):
        assert advice in finding.advice


def test_what_doctor_advises_is_enough(opened: Workbench, settings: Settings) -> None:
    fits = connection_budget(settings, settings_url(settings)).connections_that_fit
    (finding,) = told(settings.model_copy(update={"pool_size": fits, "pool_overflow": 0}))
    assert finding.level == "ok"
    assert "of the 30 connections that PostgreSQL allows are in use" in finding.what
    (finding,) = told(settings.model_copy(update={"pool_size": fits, "pool_overflow": 1}))
    assert finding.level == "warn"


def test_doctor_warns_above_four_fifths(opened: Workbench, small: BarePostgres) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(24):
            stack.enter_context(small.connect())
        findings = told(opened.settings)
    assert {finding.level for finding in findings} == {"warn"}
    assert findings[0].what.startswith("25 of the 30 connections that PostgreSQL allows are in use (postgres")


def test_a_pool_that_gets_no_connection_says_why_and_what_to_do(
    opened: Workbench, small: BarePostgres
) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(ALLOWED - 1):
            stack.enter_context(small.connect())
        with pytest.raises(DatabaseError, match="no connection left") as refused:
            opened.logging.load_system_logs()
    message = str(refused.value)
    assert "WORKBENCH_POOL_OVERFLOW" in message
    assert "max_connections" in message
    assert "password" not in message
    assert opened.logging.load_system_logs().empty


def settings_url(settings: Settings) -> str:
    assert settings.database_url is not None
    return settings.database_url.get_secret_value()
