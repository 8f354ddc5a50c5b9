"""Events start runs: one for a burst, whoever is killed, asked of a real Prefect without a scheduler."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from tests.conftest import Connection
from tests.integration.conftest import MakeBars
from tests.integration.stack.conftest import POOL
from workbench import Workbench
from workbench.db.roles import RUNS_ROLE, role_url
from workbench.events.relay import Relay
from workbench.runs.bursts import close_bursts, note_events
from workbench.runs.versions import DeploymentVersion
from workbench.schedules import Calendar, Cron, Schedule
from workbench.schedules.on_event import After, OnEvent
from workbench.settings import Settings
from workbench.stack.carried import labels_of
from workbench.stack.planning import plan_ahead
from workbench.stack.prefect_api import PrefectApi
from workbench.stack.starter import start_awaited

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

ON_AAPL = OnEvent("market_data.written", {"symbol": ["AAPL"]}, settle=60.0)
Deploy = Callable[[str, Schedule], None]


@pytest.fixture
def relay(wb: Workbench, database_settings: Settings, database_url: str) -> Iterator[Relay]:
    _ = wb.runs.list()  # the database is there from here on
    relay = Relay(role_url(database_settings, database_url, RUNS_ROLE), [], note=note_events)
    yield relay
    relay.close()


@pytest.fixture
def deploy(prefect: PrefectApi, wb: Workbench) -> Iterator[Deploy]:
    """`deploy(name, schedule)` deploys a notebook, in Prefect and in the database."""
    made = []

    def make(name: str, schedule: Schedule) -> None:
        flow = prefect.ask("/flows/", {"name": "run-notebook"})
        body = {
            "name": name,
            "flow_id": flow["id"],
            "work_pool_name": POOL,
            "enforce_parameter_schema": False,
            "parameters": {"notebook": "a.ipynb", "slot": None},
            "labels": labels_of(schedule.to_json(), datetime.now(UTC)),
        }
        made.append(prefect.ask("/deployments/", body)["id"])
        versions = wb.runs.versions
        new = DeploymentVersion(
            deployment=name,
            notebook="a.ipynb",
            content="a" * 64,
            parameters={},
            options={},
            schedule=schedule.to_json(),
            code_version="1",
        )
        versions.use(name, versions.add(new).version)

    yield make
    # The server is the module's, and a key is asked for once.
    for run in flow_runs(prefect):
        prefect.ask(f"/flow_runs/{run['id']}", method="DELETE")
    for deployment_id in made:
        prefect.ask(f"/deployments/{deployment_id}", method="DELETE")


def flow_runs(prefect: PrefectApi) -> list[dict[str, Any]]:
    runs = prefect.ask("/flow_runs/filter", {"sort": "EXPECTED_START_TIME_ASC"})
    return [run for run in runs if run["deployment_id"] is not None]


def settled(admin: Connection) -> None:
    """Let so much time pass that all events have settled."""
    admin.execute("UPDATE workbench.bursts SET last_at = last_at - interval '2 minutes'")


def test_a_burst_of_events_starts_one_run_for_the_moment_of_the_last(
    prefect: PrefectApi, wb: Workbench, make_bars: MakeBars, relay: Relay, admin: Connection, deploy: Deploy
) -> None:
    wb.data_ingestion.write_market_data(make_bars("AAPL"), source="yahoo")
    deploy("on-aapl", ON_AAPL)
    deploy("by-clock", Cron("0 0 1 1 *", "UTC"))
    for symbol, price in (("AAPL", 10.0), ("IBM", 10.0), ("AAPL", 20.0), ("MSFT", 10.0)):
        wb.data_ingestion.write_market_data(make_bars(symbol, price=price), source="file")
    while relay.pass_on_once():
        pass
    # Not settled yet.
    assert start_awaited(prefect, wb.runs.pool, {}) == []
    (burst,) = admin.execute("SELECT deployment, events, last_at FROM workbench.bursts").fetchall()
    # Neither the write before it was deployed counts, nor those of others.
    assert burst[:2] == ("on-aapl", 2)
    told = admin.execute(
        "SELECT max(created_at) FROM workbench.events WHERE data->'symbols' ? 'AAPL'"
    ).fetchone()
    assert told == (burst[2],)
    settled(admin)
    asked: dict[Any, float] = {}
    (started,) = start_awaited(prefect, wb.runs.pool, asked)
    # Asked again, by others as well, there is still one.
    assert start_awaited(prefect, wb.runs.pool, asked) == []
    assert start_awaited(prefect, wb.runs.pool, {}) == [started]
    (run,) = flow_runs(prefect)
    slot = burst[2] - timedelta(minutes=2)
    assert datetime.fromisoformat(run["parameters"]["slot"]) == started.slot == slot
    assert run["idempotency_key"] == f"event/on-aapl/{slot.astimezone(UTC).isoformat()}"
    assert wb.deployments.slots()[["deployment", "state"]].to_numpy().tolist() == [["on-aapl", "due"]]


def test_two_that_look_at_once_make_one_slot_and_a_relay_that_dies_notes_again(
    wb: Workbench,
    make_bars: MakeBars,
    relay: Relay,
    admin: Connection,
    deploy: Deploy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deploy("on-aapl", ON_AAPL)
    wb.data_ingestion.write_market_data(make_bars("AAPL"), source="file")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("workbench.events.outbox._mark", die)
        with pytest.raises(KeyboardInterrupt):
            relay.pass_on_once()
    assert admin.execute("SELECT count(*) FROM workbench.bursts").fetchone() == (0,)
    assert relay.pass_on_once() == 1
    assert relay.pass_on_once() == 0
    assert admin.execute("SELECT events FROM workbench.bursts").fetchone() == (1,)
    settled(admin)
    with wb.runs.pool.begin() as connection:
        connection.exec_driver_sql("SELECT * FROM workbench.bursts FOR UPDATE")
        assert close_bursts(wb.runs.pool) == []
    assert len(close_bursts(wb.runs.pool)) == 1
    assert close_bursts(wb.runs.pool) == []


def test_while_a_run_goes_on_the_next_waits_and_is_for_the_newest(
    prefect: PrefectApi, wb: Workbench, make_bars: MakeBars, relay: Relay, admin: Connection, deploy: Deploy
) -> None:
    deploy("on-aapl", ON_AAPL)

    def write(price: float) -> None:
        wb.data_ingestion.write_market_data(make_bars("AAPL", price=price), source="file")
        relay.pass_on_once()
        settled(admin)

    write(10.0)
    (first,) = start_awaited(prefect, wb.runs.pool, {})
    (run,) = flow_runs(prefect)
    running = {"state": {"type": "RUNNING", "name": "Running"}, "force": True}
    prefect.ask(f"/flow_runs/{run['id']}/set_state", running)
    record = wb.runs.start(
        notebook="a.ipynb", trigger="deployment", deployment="on-aapl", slot=first.slot, purpose="live"
    )
    for price in (20.0, 30.0):
        write(price)
        assert start_awaited(prefect, wb.runs.pool, {}) == []
    wb.runs.finish(record, "completed")
    completed = {"state": {"type": "COMPLETED", "name": "Completed"}, "force": True}
    prefect.ask(f"/flow_runs/{run['id']}/set_state", completed)
    (second,) = start_awaited(prefect, wb.runs.pool, {})
    listed = wb.deployments.slots("on-aapl")
    assert listed["state"].tolist() == ["due", "skipped", "completed"]
    assert listed["slot"].iloc[0] == second.slot
    assert listed["reason"].iloc[1].endswith("answers its events, too")
    assert len(flow_runs(prefect)) == 2


def test_a_flow_run_that_was_cancelled_cancels_its_slot(
    prefect: PrefectApi, wb: Workbench, make_bars: MakeBars, relay: Relay, admin: Connection, deploy: Deploy
) -> None:
    deploy("on-aapl", ON_AAPL)
    wb.data_ingestion.write_market_data(make_bars("AAPL"), source="file")
    relay.pass_on_once()
    settled(admin)
    start_awaited(prefect, wb.runs.pool, {})
    (run,) = flow_runs(prefect)
    cancelled = {"state": {"type": "CANCELLED", "name": "Cancelled", "message": "not today"}, "force": True}
    prefect.ask(f"/flow_runs/{run['id']}/set_state", cancelled)
    start_awaited(prefect, wb.runs.pool, {})
    assert wb.deployments.slots()[["state", "reason"]].to_numpy().tolist() == [["cancelled", "not today"]]


def test_one_comes_after_live_runs_of_another_and_never_after_its_own(
    prefect: PrefectApi, wb: Workbench, make_bars: MakeBars, relay: Relay, admin: Connection, deploy: Deploy
) -> None:
    deploy("after-prices", After("prices"))
    deploy("on-any", OnEvent("market_data.written"))
    deploy("paused", OnEvent("market_data.written"))
    wb.runs.versions.set_state("paused", "paused")
    slot = datetime(2026, 11, 27, 21, 10, tzinfo=UTC)

    def run(deployment: str, purpose: Any, member: str = "") -> Any:
        return wb.runs.start(
            notebook="ingestion",
            trigger="deployment",
            deployment=deployment,
            slot=slot,
            member=member,
            purpose=purpose,
        )

    def noted() -> list[str]:
        while relay.pass_on_once():
            pass
        return sorted(name for (name,) in admin.execute("SELECT deployment FROM workbench.bursts"))

    wb.runs.finish(run("prices", "rerun"), "completed")
    failing = run("prices", "live")
    wb.runs.finish(failing, "failed", error="no")
    # Bars that its own run writes start none.
    own = run("on-any", "live")
    written = make_bars("AAPL").assign(data_source="file")
    with wb.data_ingestion.pool.begin() as connection:
        wb.events.publish_data_event(
            "market_data.written",
            "data_ingestion",
            {"symbols": ["AAPL"], "run_id": str(own)},
            connection=connection,
        )
    assert noted() == []
    wb.data_ingestion.write_market_data(written.drop(columns="data_source"), source="file")
    assert noted() == ["on-any"]
    # Of a grid, all of the slot.
    wb.runs.slots.open_members("prices", slot, ["AAPL", "MSFT"])
    wb.runs.finish(run("prices", "live", "AAPL"), "completed")
    assert noted() == ["on-any"]
    admin.execute("DELETE FROM workbench.slots WHERE deployment = 'prices' AND member = ''")
    wb.runs.finish(run("prices", "live", "MSFT"), "completed")
    assert noted() == ["after-prices", "on-any"]
    assert [one.deployment for one in start_awaited(prefect, wb.runs.pool, {})] == ["after-prices"]


def test_events_that_never_cease_start_a_run_after_ten_settling_times(
    wb: Workbench, make_bars: MakeBars, relay: Relay, admin: Connection, deploy: Deploy
) -> None:
    deploy("on-aapl", replace(ON_AAPL, settle=30.0))
    wb.data_ingestion.write_market_data(make_bars("AAPL"), source="file")
    relay.pass_on_once()
    admin.execute("UPDATE workbench.bursts SET first_at = first_at - interval '299 seconds'")
    assert close_bursts(wb.runs.pool) == []
    admin.execute("UPDATE workbench.bursts SET first_at = first_at - interval '2 seconds'")
    (made,) = close_bursts(wb.runs.pool)
    assert pd.Timestamp.now("UTC") - pd.Timestamp(made.slot) < pd.Timedelta("1min")
    assert time.time() > made.slot.timestamp()


def test_a_chain_runs_each_trading_day_and_on_no_holiday(
    prefect: PrefectApi, wb: Workbench, relay: Relay, admin: Connection, deploy: Deploy
) -> None:
    """Christmas 2026 is a Friday; the day before, New York closes at 13:00, 18:00 UTC."""
    prices = Calendar("XNYS", "close+10min")
    deploy("prices", prices)
    deploy("strategy", After("prices"))
    facts = prefect.ask("/deployments/name/run-notebook/prices")
    planned = plan_ahead(prefect, facts, now=datetime(2026, 12, 23, 12, tzinfo=UTC))
    assert [f"{slot:%m-%d %H:%M}" for slot in planned if slot.month == 12] == [
        "12-23 21:10",
        "12-24 18:10",
        "12-28 21:10",
        "12-29 21:10",
        "12-30 21:10",
        "12-31 21:10",
    ]
    for slot in planned[:2]:
        run = wb.runs.start(
            notebook="ingestion", trigger="deployment", deployment="prices", slot=slot, purpose="live"
        )
        wb.runs.finish(run, "completed")
        while relay.pass_on_once():
            pass
        (started,) = start_awaited(prefect, wb.runs.pool, {})
        assert started.deployment == "strategy"
        admin.execute("UPDATE workbench.slots SET state = 'completed'")
    # Of the holiday there is no slot, so nothing comes after it.
    assert start_awaited(prefect, wb.runs.pool, {}) == []
