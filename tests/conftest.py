"""What every test may use: real market files, real servers, and a database of its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from tests.servers import Postgres, ServerPark, server_park
from tests.session import pytest_configure, pytest_unconfigure
from tests.stocks import aapl, stocks
from workbench import Workbench
from workbench.db.roles import role_url
from workbench.settings import Settings

__all__ = ["aapl", "pytest_configure", "pytest_unconfigure", "stocks"]

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real market files, read in place; they lie beside the clone, not in it."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real market files are not here: {SHARED_DATA} is missing")
    return SHARED_DATA


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the shell that runs the tests has set must not reach them."""
    for name in list(os.environ):
        if name.startswith(("WORKBENCH_", "PREFECT_API_")) or name == "JPY_SESSION_NAME":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def servers() -> Iterator[ServerPark]:
    """The servers of this test process, started when first asked for."""
    with server_park() as park:
        yield park


@pytest.fixture(params=["postgresql-18", "postgresql-15"])
def postgres(request: pytest.FixtureRequest, servers: ServerPark) -> Postgres:
    """The embedded PostgreSQL 18, then Debian's PostgreSQL 15."""
    return servers.postgres(request.param)


@pytest.fixture
def database_settings(postgres: Postgres, servers: ServerPark, tmp_path: Path) -> Iterator[Settings]:
    """Settings that name a fresh, migrated database and a Valkey."""
    name = postgres.clone()
    yield Settings(
        home=tmp_path / "home",
        database_url=SecretStr(postgres.url_of(name)),
        redis_url=SecretStr(servers.valkey()),
    )
    postgres.drop(name)


@pytest.fixture
def database_url(database_settings: Settings) -> str:
    """The administrator's URL of the test's own database."""
    assert database_settings.database_url is not None
    return database_settings.database_url.get_secret_value()


@pytest.fixture
def wb(database_settings: Settings) -> Iterator[Workbench]:
    """A Workbench on a fresh database, outside of any run."""
    with Workbench(database_settings) as workbench:
        yield workbench


@pytest.fixture
def another_wb(database_settings: Settings) -> Iterator[Workbench]:
    """A second Workbench on the same database, as another process would have it."""
    with Workbench(database_settings) as workbench:
        yield workbench


Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def admin(database_url: str) -> Iterator[Connection]:
    """An autocommit connection of the administrator to the test's own database: plain SQL."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def connect_as(database_settings: Settings, database_url: str) -> Iterator[Callable[[str], Connection]]:
    """Autocommit connections of the login roles: `connect_as("workbench_logging")`."""
    with contextlib.ExitStack() as opened:

        def connect(role: str) -> Connection:
            url = role_url(database_settings, database_url, role).set(drivername="postgresql")
            return opened.enter_context(
                psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)
            )

        yield connect
