"""A Workbench whose events go to a real Redis, by a relay: embedded servers first, then Debian's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
import sqlalchemy as sa
from pydantic import SecretStr

from tests.servers import Postgres, ServerPark, wait_for
from workbench import Workbench
from workbench.db.roles import RUNS_ROLE, role_url
from workbench.events.relay import PrefectSink, RedisSink, Relay
from workbench.settings import Settings

MakeRelay = Callable[..., Relay]


EMBEDDED = ("postgresql-18", "valkey")
ONES_OWN = ("postgresql-15", "redis-7")


@pytest.fixture(params=[EMBEDDED, ONES_OWN], ids=["embedded", "ones-own"])
def profile(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Which PostgreSQL and which Redis: what comes with workbench, then what Debian has."""
    pair: tuple[str, str] = request.param
    return pair


@pytest.fixture
def postgres(profile: tuple[str, str], servers: ServerPark) -> Postgres:
    """The profile's PostgreSQL."""
    return servers.postgres(profile[0])


@pytest.fixture
def redis_url(profile: tuple[str, str], servers: ServerPark) -> str:
    """The profile's Redis, emptied."""
    url = servers.valkey() if profile[1] == "valkey" else servers.redis().url
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return url


@pytest.fixture
def database_settings(database_settings: Settings, redis_url: str) -> Settings:
    """As everywhere, but with that Redis."""
    return database_settings.model_copy(update={"redis_url": SecretStr(redis_url)})


def redis_sink(settings: Settings, kind: type[RedisSink] = RedisSink) -> RedisSink:
    """A sink as the stack's relay has it."""
    assert settings.redis_url is not None
    return kind(
        settings.redis_url.get_secret_value(),
        prefix=settings.event_prefix,
        database=settings.trading_database,
    )


@pytest.fixture
def make_relay(wb: Workbench, database_settings: Settings, database_url: str) -> Iterator[MakeRelay]:
    """`make_relay()` gives a relay to Redis, `make_relay(sink, …)` one to those sinks."""
    _ = wb.runs.list()  # the databases and roles are there from here on
    made: list[Relay] = []

    def make(
        *sinks: RedisSink | PrefectSink, upkeep: Callable[[sa.Connection], object] | None = None
    ) -> Relay:
        ours = sinks or [redis_sink(database_settings)]
        relay = Relay(role_url(database_settings, database_url, RUNS_ROLE), ours, upkeep=upkeep)
        made.append(relay)
        return relay

    yield make
    for relay in made:
        relay.stop()
        relay.close()


@pytest.fixture
def run_relay() -> Iterator[Callable[[Relay], threading.Event]]:
    """`run_relay(relay)` runs it beside the test; the event is set once it is the one that works."""
    relays: list[Relay] = []
    with ThreadPoolExecutor(4) as threads:

        def run(relay: Relay) -> threading.Event:
            ready = threading.Event()
            relays.append(relay)
            threads.submit(relay.run, ready.set)
            return ready

        yield run
        for relay in relays:
            relay.stop()


def wait_until_told(wb: Workbench, count: int) -> None:
    """Wait until the stream holds so many events."""
    wait_for(lambda: sum(wb.events.counts().values()) >= count, f"{count} events have arrived")
