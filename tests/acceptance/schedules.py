"""What is promised to happen by schedule, seen to happen by schedule: nothing here triggers a run.

One test class for each PostgreSQL has these tests; it states which servers its site uses.
"""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psutil
import pytest

from tests.acceptance.conftest import Site, end_site, make_site
from tests.acceptance.notebooks import write_notebook
from tests.servers import ServerPark, wait_for
from workbench import Workbench
from workbench.embedded.process import ManagedProcess
from workbench.promotion.once import add_run_at, remove_schedule
from workbench.promotion.records import Deployment
from workbench.stack import Stack
from workbench.stack.prefect_api import PrefectApi

MINUTE = timedelta(minutes=1)
INTERVAL = timedelta(seconds=55)
# A yearly slot that is far away, whenever the tests run.
FAR = f"0 0 1 {(datetime.now(UTC).month + 5) % 12 + 1} *"


@dataclass
class Watched:
    """What was scheduled at a site, until when it was watched, and what became of it."""

    site: Site
    prefect: PrefectApi
    slot: datetime
    once: datetime
    repromoted: datetime = datetime.min
    deployments: dict[str, Deployment] = field(default_factory=dict)
    flow_runs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)

    def fired(self, name: str) -> list[datetime]:
        """The moments for which the scheduler started runs of a deployment, oldest first."""
        return [datetime.fromisoformat(run["expected_start_time"]) for run in self.flow_runs[name]]

    def missed(self, name: str) -> set[datetime]:
        """The slots that began after the next one was due, as on a machine that is very busy."""
        runs = self.flow_runs[name]
        return {
            datetime.fromisoformat(run["expected_start_time"])
            for run in runs
            if run["state_name"] == "Missed"
        }

    def records_of(self, name: str) -> list[dict[str, Any]]:
        return [record for record in self.records if record["deployment"] == name]

    def look(self, until: datetime) -> None:
        """Read what the scheduler has started for moments until then, and what was recorded of it."""
        for name, deployment in self.deployments.items():
            body = {
                "deployments": {"id": {"any_": [deployment.deployment_id]}},
                "flow_runs": {"expected_start_time": {"before_": until.isoformat()}},
                "sort": "EXPECTED_START_TIME_ASC",
            }
            self.flow_runs[name] = self.prefect.ask("/flow_runs/filter", body)
        with self.site.workbench() as wb:
            shown = [wb.runs.show(run_id) for run_id in wb.runs.list(latest=1000)["run_id"]]
        self.records = [
            record for record in shown if record["scheduled_for"] and record["scheduled_for"] <= until
        ]

    def has_ended(self, until: datetime) -> bool:
        """Whether all that was to begin until then has ended."""
        self.look(until)
        states = {run["state_type"] for runs in self.flow_runs.values() for run in runs}
        return states <= {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class SchedulesFire:
    """The tests; a subclass states the servers."""

    @pytest.fixture(scope="class")
    @classmethod
    def variables(cls, servers: ServerPark) -> dict[str, str]:
        """The environment that names servers of one's own; none for the embedded ones."""
        return {}

    @pytest.fixture(scope="class")
    @classmethod
    def watched(cls, variables: dict[str, str]) -> Iterator[Watched]:
        site = make_site(variables)
        try:
            done = site.run("up", "--detach")
            assert done.returncode == 0, done.stderr
            assert site.run("ingest", "AAPL").returncode == 0
            endpoints = Stack(site.settings).endpoints()
            prefect = PrefectApi(str(endpoints.prefect_api_url), endpoints.prefect_auth_string)
            yield watch(site, prefect)
        finally:
            end_site(site)

    def test_a_cron_schedule_fires_in_each_of_its_minutes(self, watched: Watched) -> None:
        moments = watched.fired("every-minute")
        assert len(moments) >= 2
        assert all(moment.second == 0 for moment in moments)
        assert {later - earlier for earlier, later in itertools.pairwise(moments)} == {MINUTE}
        assert {run["state_type"] for run in watched.flow_runs["every-minute"]} == {"COMPLETED"}

    def test_a_scheduled_run_runs_what_was_promoted_and_is_recorded_with_its_slot(
        self, watched: Watched
    ) -> None:
        records = watched.records_of("every-minute")
        fired, missed = set(watched.fired("every-minute")), watched.missed("every-minute")
        assert {record["scheduled_for"] for record in records} == fired - missed
        with watched.site.workbench() as wb:
            listed = wb.deployments.slots("every-minute", latest=1_000)
        states = dict(zip(listed["slot"], listed["state"], strict=True))
        assert {slot: states[slot] for slot in fired} == {
            slot: "missed" if slot in missed else "completed" for slot in fired
        }
        assert {(record["slot"], record["purpose"], record["attempt"]) for record in records} == {
            (slot, "live", 1) for slot in fired - missed
        }
        assert {(record["trigger"], record["status"]) for record in records} == {("deployment", "completed")}
        with watched.site.workbench() as wb:
            stored = wb.strategy_engine.load_strategies("every-minute")
            told = {
                event.data["run_id"]
                for event in wb.events.recent(500)
                if event.type == "notebook_run.completed"
            }
        assert list(stored["name"]) == ["first version"]
        assert {record["run_id"] for record in records} <= told

    def test_a_schedule_in_another_time_zone_fires_at_that_zones_wall_clock(self, watched: Watched) -> None:
        assert watched.fired("kolkata") == [watched.slot]
        assert [record["status"] for record in watched.records_of("kolkata")] == ["completed"]

    def test_an_interval_schedule_fires_at_each_of_its_moments(self, watched: Watched) -> None:
        moments = watched.fired("interval")
        assert len(moments) >= 2
        assert {later - earlier for earlier, later in itertools.pairwise(moments)} == {INTERVAL}
        ended = {(record["status"], record["error"]) for record in watched.records_of("interval")}
        assert ended == {("completed", None)}, watched.flow_runs["interval"]

    def test_a_schedule_that_comes_once_fires_once(self, watched: Watched) -> None:
        assert watched.fired("once") == [watched.once]
        assert [record["scheduled_for"] for record in watched.records_of("once")] == [watched.once]

    def test_a_scheduled_strategy_writes_signals_and_performance_and_announces_them(
        self, watched: Watched
    ) -> None:
        (record,) = watched.records_of("once")
        assert record["status"] == "completed", record["error"]
        with watched.site.workbench() as wb:
            signals = wb.strategy_engine.load_strategy_signals(run_id=record["run_id"])
            performance = wb.strategy_engine.load_strategy_performance(run_id=record["run_id"])
            told = {
                event.type for event in wb.events.recent(500) if event.data.get("run_id") == record["run_id"]
            }
        artifact = artifact_of(watched, "once")
        assert artifact["key"] == "run-once"
        assert f"- Run: `{record['run_id']}`" in artifact["data"]
        assert f"- Page: `{record['html_path']}`" in artifact["data"]
        assert "| Sharpe |" in artifact["data"]
        assert len(signals) > 50
        assert len(performance) == 3_270  # a day for each of AAPL's bars
        assert {
            "strategy_signals.written",
            "strategy_performance.written",
            "performance_metrics.written",
            "reports.written",
        } <= told

    def test_of_a_deployment_promoted_again_only_the_new_schedule_fires(self, watched: Watched) -> None:
        fired = [
            (datetime.fromisoformat(run["expected_start_time"]), run["parameters"]["parameters"]["strategy"])
            for run in watched.flow_runs["again"]
            if datetime.fromisoformat(run["expected_start_time"]) > watched.repromoted
            # One that a worker had taken up already when it was promoted again is cancelled.
            and run["state_type"] != "CANCELLED"
        ]
        # Every minute of those that passed since, the old one would have fired, too.
        assert fired == [(watched.slot, "new")]
        ran = [
            (record["scheduled_for"], record["parameters"]["strategy"])
            for record in watched.records_of("again")
            if record["scheduled_for"] > watched.repromoted
        ]
        assert ran == fired

    def test_a_scheduled_run_that_fails_says_so_everywhere(self, watched: Watched) -> None:
        assert {run["state_type"] for run in watched.flow_runs["failing"]} == {"FAILED"}
        assert all("told to fail" in run["state"]["message"] for run in watched.flow_runs["failing"])
        records = watched.records_of("failing")
        assert len(records) == len(watched.flow_runs["failing"]) == 1
        with watched.site.workbench() as wb:
            told = {
                event.data["run_id"] for event in wb.events.recent(500) if event.type == "notebook_run.failed"
            }
        for record in records:
            assert record["status"] == "failed"
            assert "told to fail" in record["error"]
            assert "RuntimeError: told to fail" in artifact_of(watched, "failing")["data"]
            assert Path(record["html_path"]).is_file()
            assert record["run_id"] in told

    def test_status_names_the_next_run_of_each_deployment_and_doctor_is_content(
        self, watched: Watched
    ) -> None:
        asked = watched.site.ask("status")
        assert asked["problems"] == []
        following = {one["name"]: one["next_run"] for one in asked["deployments"]}
        assert set(following) == set(watched.deployments)
        now = datetime.now(UTC)
        # One that a worker has taken up, ten seconds ahead, is no longer the next.
        assert now - MINUTE < datetime.fromisoformat(following["every-minute"]) <= now + 2 * MINUTE
        in_kolkata = datetime.fromisoformat(following["kolkata"])
        assert in_kolkata == watched.slot + timedelta(days=1)
        # Further ahead than Prefect plans.
        assert datetime.fromisoformat(following["interval"]) > now + timedelta(days=100)
        shown = watched.site.run("status").stdout
        assert f"{in_kolkata.astimezone(ZoneInfo('Asia/Kolkata')):%H:%M} Asia/Kolkata" in shown
        done = watched.site.run("doctor")
        assert done.returncode == 0, done.stdout
        assert f"{len(watched.deployments)} deployments are scheduled" in done.stdout

    def test_a_worker_that_hangs_fails_status_and_doctor_until_it_goes_on(self, watched: Watched) -> None:
        worker = psutil.Process(ManagedProcess("worker", watched.site.home).pid())
        worker.send_signal(signal.SIGSTOP)
        try:
            wait_for(
                lambda: is_told(watched.site, "no worker has polled", "every-minute: 1 run is late"),
                "status tells of the worker and of the late run",
                seconds=180,
            )
            done = watched.site.run("doctor")
            assert done.returncode == 1
            assert "✗ no worker has polled Prefect for" in done.stdout
        finally:
            worker.send_signal(signal.SIGCONT)
        wait_for(
            lambda: watched.site.run("status").returncode == 0, "the late runs are made up for", seconds=120
        )

    def test_a_paused_work_pool_fails_status_and_doctor(self, watched: Watched) -> None:
        pool = f"/work_pools/{watched.site.settings.work_pool}"
        watched.prefect.ask(pool, {"is_paused": True}, method="PATCH")
        try:
            assert is_told(watched.site, "the work pool workbench is paused")
            assert watched.site.run("doctor").returncode == 1
        finally:
            watched.prefect.ask(pool, {"is_paused": False}, method="PATCH")


def watch(site: Site, prefect: PrefectApi) -> Watched:
    """Schedule everything, then only watch, until all of it has had its time."""
    naming = _naming(site.folder / "naming.ipynb", "first version")
    watched = Watched(site, prefect, slot=datetime.max, once=datetime.max)
    with site.workbench() as wb:
        # Before the slot is chosen: the gates run it several times.
        _promote(watched, wb, Path("strategies/sma_cross.ipynb"), "once", FAR, "UTC", symbols=["AAPL"])
        # The other promotions take some seconds each, when the machine is busy.
        slot = (datetime.now(UTC) + timedelta(seconds=170)).replace(second=0, microsecond=0) + MINUTE
        watched.slot, watched.once = slot, slot + timedelta(seconds=5)
        _promote(watched, wb, naming, "again", "* * * * *", "Europe/Berlin", strategy="old")
        for name, cron in (("every-minute", "* * * * *"), ("interval", FAR)):
            _promote(watched, wb, naming, name, cron, "UTC", strategy=name)
        _promote(watched, wb, naming, "failing", FAR, "UTC", fails=True)
        _promote(watched, wb, naming, "kolkata", *_daily_at(slot, "Asia/Kolkata"), strategy="kolkata")
        # A run that a worker takes up, ten seconds before a minute, is test_promotion's subject.
        if (second := datetime.now(UTC).second) >= 44:
            time.sleep(61 - second)
        _promote(watched, wb, naming, "again", *_daily_at(slot, "Asia/Tokyo"), strategy="new")
        watched.repromoted = datetime.now(UTC)
        assert watched.repromoted < slot - timedelta(seconds=5), "promoting took too long for this slot"
    _naming(naming, "edited since")
    interval = {"interval": INTERVAL.total_seconds(), "anchor_date": slot.isoformat(), "timezone": "UTC"}
    (added,) = prefect.ask(
        f"/deployments/{watched.deployments['interval'].deployment_id}/schedules",
        [{"active": True, "schedule": interval}],
    )
    add_run_at(prefect, watched.deployments["once"], watched.once)
    add_run_at(prefect, watched.deployments["failing"], watched.once)
    # One more minute than there are slots: what should not fire has its chance.
    until = slot + MINUTE + timedelta(seconds=5)
    time.sleep((until - datetime.now(UTC)).total_seconds())
    remove_schedule(prefect, watched.deployments["interval"], str(added["id"]))
    _forget_inserted_since(prefect, watched.deployments["interval"], str(added["id"]))
    wait_for(lambda: watched.has_ended(until), "everything that was started has ended", seconds=180)
    return watched


def _forget_inserted_since(prefect: PrefectApi, deployment: Deployment, schedule_id: str) -> None:
    """A pass of Prefect's scheduler that had begun before may insert runs of a schedule that is removed."""
    time.sleep(3)
    wanted = {
        "deployments": {"id": {"any_": [deployment.deployment_id]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
    }
    for run in prefect.ask("/flow_runs/filter", wanted):
        later = datetime.fromisoformat(run["expected_start_time"]) > datetime.now(UTC) + MINUTE
        if later and (run["created_by"] or {}).get("id") == schedule_id:
            prefect.ask(f"/flow_runs/{run['id']}", method="DELETE")


def artifact_of(watched: Watched, name: str) -> dict[str, Any]:
    """What a deployment's one run left in Prefect's pages."""
    ids = [run["id"] for run in watched.flow_runs[name]]
    wanted = {"artifacts": {"flow_run_id": {"any_": ids}, "type": {"any_": ["markdown"]}}}
    (found,) = watched.prefect.ask("/artifacts/filter", wanted)
    return dict(found)


def is_told(site: Site, *words: str) -> bool:
    """Whether `workbench status` fails, and says all of that."""
    done = site.run("status")
    return done.returncode == 1 and all(word in done.stderr for word in words)


def _naming(path: Path, version: str) -> Path:
    """A notebook that writes one strategy, named by its parameter."""
    return write_notebook(
        path,
        parameters='strategy: str = "one"\nfails: bool = False',
        cells=[
            "import pandas as pd\nfrom workbench import Workbench\nwb = Workbench()",
            'if fails:\n    raise RuntimeError("told to fail")',
            (
                f'frame = pd.DataFrame({{"strategy_id": [strategy], "name": ["{version}"]}})\n'
                "wb.strategy_engine.write_strategies(frame)"
            ),
        ],
    )


def _promote(
    watched: Watched, wb: Workbench, notebook: Path, name: str, cron: str, timezone: str, **values: Any
) -> None:
    force = "it has to fail" if "fails" in values else None
    watched.deployments[name] = wb.promote(
        notebook, name=name, cron=cron, timezone=timezone, parameters=values, force=force
    )


def _daily_at(moment: datetime, timezone: str) -> tuple[str, str]:
    """A daily cron schedule that comes at `moment`, told in that zone."""
    local = moment.astimezone(ZoneInfo(timezone))
    return f"{local.minute} {local.hour} * * *", timezone
