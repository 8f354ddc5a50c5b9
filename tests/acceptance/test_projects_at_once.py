"""Two projects of one environment run at the same time, and neither sees the other's."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from sqlalchemy.engine import make_url

from tests.acceptance.conftest import Site
from tests.acceptance.projects import Project, running_pair
from tests.servers import BarePostgres, ServerPark, wait_for
from workbench.db.owners import projects_of
from workbench.stack import Stack

pytestmark = [pytest.mark.timeout(900)]


@dataclass
class Pair:
    """Two projects whose names differ in one character, and which have a deployment of the same name."""

    one: Project
    other: Project
    postgres: BarePostgres | None

    def __iter__(self) -> Iterator[Project]:
        return iter((self.one, self.other))


@pytest.fixture(scope="module", params=["embedded", "own servers"])
def pair(request: pytest.FixtureRequest, servers: ServerPark) -> Iterator[Pair]:
    """Both up, started at the same moment, with bars, a run, and a schedule that comes every minute."""
    variables, postgres = {}, None
    if request.param == "own servers":
        postgres = servers.bare_postgres("postgresql-15")
        postgres.make_bare()
        with redis.Redis.from_url(servers.redis().url) as client:
            client.flushall()
        variables = {
            "WORKBENCH_DATABASE_URL": postgres.url,
            "WORKBENCH_REDIS_URL": servers.redis().url,
            # As the server allows 200 connections.
            "WORKBENCH_POOL_SIZE": "2",
            "WORKBENCH_POOL_OVERFLOW": "2",
        }
    names = ("my-fund", "my_fund")
    symbols = dict(zip(names, ("AAPL", "MSFT"), strict=True))
    with running_pair(symbols, variables, dict.fromkeys(names, "nightly")) as (one, other):
        yield Pair(one, other, postgres)
    if postgres is not None:
        postgres.make_bare()


def test_each_has_its_own_rows_runs_events_and_deployments(pair: Pair) -> None:
    for project in pair:
        with project.workbench() as wb:
            assert set(wb.data_ingestion.load_ingestion_status()["symbol"]) == {project.symbol}
            strategies = wb.strategy_engine.load_strategies()
            assert set(strategies["strategy_id"]) == {"by-hand", "by-schedule"}
            assert set(strategies["name"]) == {f"of {project.symbol}"}
            runs = [wb.runs.show(run_id) for run_id in wb.runs.list()["run_id"]]
            assert all(
                str(run["html_path"]).startswith(str(project.home)) for run in runs if run["html_path"]
            )
            events = wb.events.recent(500)
            written = [event for event in events if event.type == "market_data.written"]
            assert {symbol for event in written for symbol in event.data["symbols"]} == {project.symbol}
            told = {event.data["run_id"] for event in events if event.type.startswith("notebook_run.")}
            assert told
            assert told <= {run["run_id"] for run in runs}
            assert len({event.event_id for event in events}) == len(events)
        (deployment,) = project.ask("status")["deployments"]
        assert deployment["name"] == "nightly"


def test_scheduled_runs_of_one_name_run_what_each_has_promoted(pair: Pair) -> None:
    for project in pair:
        for record in project.scheduled():
            assert record["deployment"] == "nightly"
    one, other = ({record["run_id"] for record in project.scheduled()} for project in pair)
    assert one.isdisjoint(other)


def test_workbench_projects_lists_both_from_anywhere(pair: Pair, tmp_path: Path) -> None:
    own = pair.postgres is not None
    servers = () if own else ("PostgreSQL", "Valkey")
    asked = Site(tmp_path)
    found = {one["home"]: one for one in asked.ask("projects")}
    for project in pair:
        one = found[str(project.home)]
        assert (one["name"], one["root"]) == (project.folder.name, str(project.folder))
        assert (one["state"], one["down"]) == ("running", [])
        assert one["running"] == [*servers, "Prefect server", "relay", "worker", "supervisor"]
        assert f"{one['prefect_url']}/api" == Stack(project.settings).endpoints().prefect_api_url
    assert len({found[str(project.home)]["prefect_url"] for project in pair}) == 2
    shown = asked.run("projects").stdout
    assert "my-fund" in shown
    assert "my_fund" in shown
    # Looking has made nothing: no home where one looked from, and none elsewhere.
    assert not asked.home.exists()


@pytest.mark.parametrize("pair", ["own servers"], indirect=True)
def test_on_servers_of_ones_own_each_has_databases_streams_and_channels_of_its_own(pair: Pair) -> None:
    assert pair.postgres is not None
    names = {project.folder.name: project.settings.trading_database for project in pair}
    assert names["my-fund"] == "trading_my_fund"
    assert names["my_fund"].startswith("trading_my_fund_")
    with pair.postgres.connect() as connection:
        rows = connection.execute("SELECT datname FROM pg_database WHERE NOT datistemplate").fetchall()
        assert {str(name) for (name,) in rows} == {
            "postgres",
            *names.values(),
            *(f"{name}_prefect" for name in names.values()),
        }
        for project, database in names.items():
            assert projects_of(connection, database) == [project]
            assert projects_of(connection, f"{database}_prefect") == [project]
    url = pair.one.variables["WORKBENCH_REDIS_URL"]
    with redis.Redis.from_url(url, decode_responses=True) as client, client.pubsub() as listener:
        streams = set(client.scan_iter("*:events"))
        assert streams == {f"data_sync.{database}:events" for database in names.values()}
        listener.subscribe("data_sync:thing.done")
        with contextlib.ExitStack() as opened:
            wbs = [opened.enter_context(project.workbench()) for project in pair]
            own = [opened.enter_context(wb.events.subscribe("thing.done")) for wb in wbs]
            for number, wb in enumerate(wbs):
                wb.events.publish_data_event("thing.done", "research", {"n": number})
            for number, subscription in enumerate(own):
                said = wait_for(partial(_message, subscription), "its own event arrives")
                assert said["data"] == {"n": number}
                assert _message(subscription) is None
        # Who listens on the common channel gets both, and can tell them apart.
        both = [wait_for(lambda: _message(listener), "both arrive") for _ in wbs]
    assert {one["database"]: one["data"]["n"] for one in both} == {
        pair.one.settings.trading_database: 0,
        pair.other.settings.trading_database: 1,
    }


@pytest.mark.parametrize("pair", ["own servers"], indirect=True)
def test_the_roles_of_both_keep_one_password(pair: Pair) -> None:
    """A start of one sets the roles' passwords: to what the other's are."""
    assert pair.one.run("db", "upgrade").returncode == 0
    assert pair.other.run("db", "upgrade").returncode == 0
    for project in pair:
        with project.workbench() as wb:
            assert len(wb.sql("SELECT 1 AS one")) == 1
        assert make_url(project.variables["WORKBENCH_DATABASE_URL"]).database == "postgres"


def test_a_killed_supervisor_comes_back_and_the_other_project_notices_nothing(pair: Pair) -> None:
    before, others = pair.one.pids(), pair.other.pids()
    supervisor = before["supervisor"]
    assert supervisor is not None
    psutil.Process(supervisor).send_signal(signal.SIGKILL)
    wait_for(
        lambda: (
            pair.one.pids()["supervisor"] not in {None, supervisor}
            and (listed := pair.one.listed()) is not None
            and listed.state == "running"
        ),
        "the guardian has started it again",
    )
    assert pair.one.pids() == {**before, "supervisor": pair.one.pids()["supervisor"]}
    assert pair.other.pids() == others


def test_a_killed_worker_is_told_as_partly_down_until_it_is_back(pair: Pair) -> None:
    supervisor = psutil.Process(pair.one.pids()["supervisor"])
    supervisor.suspend()
    try:
        worker = pair.one.pids()["worker"]
        assert worker is not None
        psutil.Process(worker).kill()
        wait_for(lambda: pair.one.pids()["worker"] is None, "the worker has ended")
        listed = pair.one.listed()
        assert listed is not None
        assert (listed.state, listed.down) == ("partly down", ("worker",))
        assert "has ended: worker" in pair.one.run("projects").stdout
    finally:
        supervisor.resume()
    wait_for(
        lambda: (listed := pair.one.listed()) is not None and listed.state == "running",
        "the supervisor has started the worker again",
        seconds=120,
    )


def test_stopping_one_leaves_the_other_at_work(pair: Pair) -> None:
    others, before = pair.other.pids(), len(pair.other.scheduled())
    assert pair.one.run("down").returncode == 0
    assert pair.one.listed() is None
    assert set(pair.one.pids().values()) == {None}
    assert pair.other.pids() == others
    wait_for(
        lambda: len(pair.other.scheduled()) > before, "its schedule has fired by itself again", seconds=180
    )
    listed = pair.other.listed()
    assert listed is not None
    assert listed.state == "running"


def _message(subscription: Any) -> dict[str, Any] | None:
    """The next event on a subscription, if one comes soon."""
    for _ in range(3):
        found = subscription.get_message(timeout=1)
        if found is not None and found["type"] == "message":
            return dict(json.loads(found["data"]))
    return None
