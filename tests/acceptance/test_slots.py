"""Each moment at which a deployment was due is accounted for, through a real Prefect server and worker."""

from __future__ import annotations

import itertools
import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from tests.acceptance.conftest import Site
from tests.acceptance.notebooks import write_notebook
from tests.servers import wait_for
from workbench.embedded.process import ManagedProcess
from workbench.errors import SlotRefused
from workbench.promotion.once import add_run_at
from workbench.promotion.records import Deployment
from workbench.stack import Stack
from workbench.stack.prefect_api import PrefectApi

pytestmark = [pytest.mark.timeout(900)]

MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def prefect(site: Site) -> PrefectApi:
    endpoints = Stack(site.settings).endpoints()
    return PrefectApi(str(endpoints.prefect_api_url), endpoints.prefect_auth_string)


@pytest.fixture(scope="module")
def notebook(site: Site) -> Path:
    """A notebook that prints the slot that it runs for."""
    return write_notebook(
        site.folder / "slotted.ipynb",
        parameters="from datetime import datetime\nslot: datetime | None = None  # when it was due",
        cells=["print(repr(slot))"],
    )


@dataclass
class Paused:
    """Two deployments whose worker hung for some of their slots: what was said then, and in the end.

    One is due each minute. Of the other's two slots Prefect has lost the run for the second.
    """

    meanwhile: pd.DataFrame
    afterwards: pd.DataFrame
    began: dict[datetime, datetime]
    newest: datetime
    two: tuple[datetime, datetime]
    lost: pd.DataFrame


def state_of(listed: pd.DataFrame) -> dict[datetime, str]:
    return {slot.to_pydatetime(): state for slot, state in zip(listed["slot"], listed["state"], strict=True)}


@pytest.fixture(scope="module")
def paused(site: Site, prefect: PrefectApi, notebook: Path) -> Iterator[Paused]:
    worker = psutil.Process(ManagedProcess("worker", site.home).pid())
    with site.workbench() as wb:
        made = wb.promote(notebook, name="minutely", cron="* * * * *", timezone="UTC")

        def listed() -> pd.DataFrame:
            time.sleep(0.5)
            return wb.deployments.slots("minutely", latest=1_000)

        def flow_runs() -> list[dict[str, Any]]:
            return list(
                prefect.ask(
                    "/flow_runs/filter",
                    {
                        "deployments": {"id": {"any_": [made.deployment_id]}},
                        "flow_runs": {"expected_start_time": {"before_": datetime.now(UTC).isoformat()}},
                    },
                )
            )

        wait_for(lambda: "completed" in state_of(listed()).values(), "a slot is completed", seconds=180)
        lost = wb.promote(notebook, name="lost", cron="0 0 29 2 *", timezone="UTC")
        # Further ahead than a worker takes runs up, and past before the other one has missed two slots.
        first = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=40)
        two = first, first + timedelta(seconds=5)
        for moment in two:
            add_run_at(prefect, lost, moment)
        worker.send_signal(signal.SIGSTOP)
        try:
            wait_for(
                lambda: list(state_of(listed()).values()).count("missed") >= 2,
                "the slots that nothing runs are said to be missed",
                seconds=400,
            )
            meanwhile = listed()
            delete_run(prefect, lost, two[1])
            # Early in a minute, so that what it catches up has most of it.
            time.sleep(62 - datetime.now(UTC).second)
            newest = datetime.now(UTC).replace(second=0, microsecond=0)
        finally:
            worker.send_signal(signal.SIGCONT)
        wait_for(
            lambda: (
                {slot for slot, state in state_of(listed()).items() if state == "completed"}
                & {newest + n * MINUTE for n in range(8)}
            ),
            "a slot is completed again",
            seconds=300,
        )
        schedules = f"/deployments/{made.deployment_id}/schedules"
        (entry,) = prefect.ask(schedules)
        prefect.ask(f"{schedules}/{entry['id']}", {"active": False}, method="PATCH")
        wait_for(
            lambda: (
                {run["state_type"] for run in flow_runs()} <= {"COMPLETED"}
                and "running" not in state_of(listed()).values()
            ),
            "all that was started has ended",
            seconds=300,
        )
        began = {
            datetime.fromisoformat(run["expected_start_time"]): datetime.fromisoformat(run["start_time"])
            for run in flow_runs()
        }
        wait_for(
            lambda: state_of(wb.deployments.slots("lost")).get(two[1]) == "completed",
            "the newest of two slots is completed",
            seconds=120,
        )
        yield Paused(meanwhile, listed(), began, newest, two, wb.deployments.slots("lost"))


def delete_run(prefect: PrefectApi, deployment: Deployment, slot: datetime) -> None:
    """Delete what Prefect has planned for a slot: as if it had been down for longer than it plans ahead."""
    wanted = {
        "deployments": {"id": {"any_": [deployment.deployment_id]}},
        "flow_runs": {"expected_start_time": {"after_": slot.isoformat(), "before_": slot.isoformat()}},
    }
    (run,) = prefect.ask("/flow_runs/filter", wanted)
    prefect.ask(f"/flow_runs/{run['id']}", method="DELETE")


def test_while_nothing_runs_it_is_said_by_itself(paused: Paused) -> None:
    told = paused.meanwhile[paused.meanwhile["state"].isin(["due", "missed"])]
    assert told["state"].tolist()[0] == "due"
    assert set(told["state"].tolist()[1:]) == {"missed"}
    assert told["reason"].tolist()[0] == "no run of it has begun yet"
    assert all(reason.startswith("no run of it had begun when the slot ") for reason in told["reason"][1:])


def test_afterwards_every_slot_is_completed_or_missed_with_a_reason(paused: Paused) -> None:
    states = state_of(paused.afterwards)
    assert set(states.values()) == {"completed", "missed"}
    moments = sorted(states)
    assert {later - earlier for earlier, later in itertools.pairwise(moments)} == {MINUTE}
    missed = paused.afterwards[paused.afterwards["state"] == "missed"]
    assert missed["reason"].str.len().gt(10).all()
    assert missed["run_id"].isna().all()


def test_only_the_newest_slot_is_caught_up(paused: Paused) -> None:
    states = state_of(paused.afterwards)
    hung = [slot for slot in paused.meanwhile["slot"] if state_of(paused.meanwhile)[slot] != "completed"]
    older = [slot for slot in states if min(hung) <= slot < paused.newest]
    assert len(older) >= 3
    assert {states[slot] for slot in older} == {"missed"}
    # In time, unless this machine is so busy that the next one was due before the run began.
    in_time = paused.began[paused.newest] < paused.newest + MINUTE
    assert states[paused.newest] == ("completed" if in_time else "missed")


def test_a_newest_slot_that_prefect_has_no_run_for_is_taken_by_the_late_one(
    site: Site, paused: Paused
) -> None:
    assert state_of(paused.lost) == {paused.two[0]: "missed", paused.two[1]: "completed"}
    with site.workbench() as wb:
        run = wb.runs.show(paused.lost["run_id"].iloc[0])
    assert (run["scheduled_for"], run["slot"], run["purpose"]) == (*paused.two, "live")


def test_missed_slots_are_events(site: Site, paused: Paused) -> None:
    with site.workbench() as wb:
        told = [event.data for event in wb.events.recent(500) if event.type == "slot.missed"]
    missed = list(state_of(paused.afterwards).values()).count("missed")
    assert sum(data["count"] for data in told if data["deployment"] == "minutely") == missed


def test_the_slot_arrives_in_the_notebook_and_in_the_record(site: Site, paused: Paused) -> None:
    done = paused.afterwards[paused.afterwards["state"] == "completed"].iloc[0]
    with site.workbench() as wb:
        run = wb.runs.show(done["run_id"])
    assert (run["slot"], run["purpose"], run["attempt"]) == (done["slot"], "live", 1)
    assert run["parameters"] == {"slot": done["slot"].isoformat()}
    assert printed(run) == [repr(done["slot"].to_pydatetime().astimezone(UTC))]
    page = Path(run["html_path"]).read_text()
    assert f"{done['slot']:%Y-%m-%d %H:%M:%S} UTC" in page


def test_a_run_by_hand_is_for_the_newest_slot_and_then_a_rerun(
    site: Site, prefect: PrefectApi, notebook: Path
) -> None:
    # A schedule that does not come while this runs.
    now = datetime.now(UTC)
    due = (now - timedelta(hours=2)).replace(minute=30, second=0, microsecond=0)
    with site.workbench() as wb:
        wb.promote(notebook, name="daily", cron=f"30 {due.hour} * * *", timezone="UTC")
        first, second = wb.deployments.trigger("daily"), wb.deployments.trigger("daily")
        words = f"by hand, for the slot {due:%Y-%m-%d %H:%M} UTC"
        assert first.message.endswith(f" completed, {words}.")
        assert second.message.endswith(
            f"{words}, which had completed already: a rerun, which says nothing live."
        )
        runs = wb.runs.list(deployment="daily", slot=due)
        assert runs["purpose"].tolist() == ["rerun", "live"]
        before = due - timedelta(days=1)
        third = wb.deployments.trigger("daily", slot=before.isoformat())
        assert "a backfill, which says nothing live" in third.message
        backfill = wb.runs.show(wb.runs.list(latest=1)["run_id"].iloc[0])
        assert (backfill["slot"], backfill["purpose"], backfill["attempt"]) == (before, "backfill", None)
        assert printed(backfill) == [repr(before)]
        assert state_of(wb.deployments.slots("daily")) == {due: "completed"}
        with pytest.raises(SlotRefused, match="daily was never due at"):
            wb.deployments.trigger("daily", slot=(due + MINUTE).isoformat())
        # A value that is given wins; Prefect's own form gives the slot, too.
        given = wb.deployments.trigger("daily", {"slot": "2026-01-05T00:00:00+00:00"})
        assert given.state == "COMPLETED"
        assert printed(wb.runs.show(wb.runs.list(latest=1)["run_id"].iloc[0])) == [
            "datetime.datetime(2026, 1, 5, 0, 0, tzinfo=datetime.timezone.utc)"
        ]
    found = prefect.ask("/deployments/name/run-notebook/daily")
    asked = {"parameters": {"slot": (due + MINUTE).isoformat()}}
    refused = prefect.ask(f"/deployments/{found['id']}/create_flow_run", asked)
    ended = wait_for(
        lambda: (run := prefect.ask(f"/flow_runs/{refused['id']}"))["state_type"] == "FAILED" and run,
        "the run for a slot that never was has failed",
        seconds=120,
    )
    assert "was never due at" in ended["state"]["message"]
    listed = site.ask("slots", "daily")
    assert [(row["state"], row["attempts"]) for row in listed] == [("completed", 1)]
    assert "completed" in site.run("slots").stdout
    assert "rerun" in site.run("runs", "list", "--deployment", "daily").stdout
    assert json.dumps(site.ask("runs", "show", runs["run_id"].iloc[0]))


def test_a_calendars_run_that_was_made_ahead_runs_by_itself(
    site: Site, prefect: PrefectApi, notebook: Path
) -> None:
    # Promoting takes some seconds: the second minute from now, as a moment of a session that lasts all day.
    slot = (datetime.now(UTC) + 2 * MINUTE).replace(second=0, microsecond=0)
    since_open = slot.hour * 60 + slot.minute
    at = f"open+{since_open}min" if since_open <= 720 else f"close-{1440 - since_open}min"
    words = ("--name", "coins", "--calendar", "24/7", "--at", at, "--catch-up", "all")
    made = site.ask("promote", str(notebook), *words)
    assert datetime.fromisoformat(made["next_run"]) == slot
    with site.workbench() as wb:
        wait_for(
            lambda: state_of(wb.deployments.slots("coins")).get(slot) == "completed",
            "the slot is completed",
            seconds=300,
        )
        (run_id,) = wb.runs.list(deployment="coins")["run_id"]
        run = wb.runs.show(run_id)
        listed = wb.deployments.list().set_index("name").loc["coins"]
    assert (run["slot"], run["scheduled_for"], run["purpose"], run["trigger"]) == (
        *(slot, slot),
        "live",
        "deployment",
    )
    assert printed(run) == [repr(slot)]
    assert "each trading day of 24/7" in listed["schedules"]
    assert (listed["next_run"], listed["problem"]) == (slot + timedelta(days=1), "")
    flow_run = prefect.ask(f"/flow_runs/{run['flow_run_id']}")
    assert flow_run["idempotency_key"] == f"calendar/coins/{slot.isoformat()}"
    refused = site.run("promote", str(notebook), "--name", "coins", "--calendar", "XNYZ")
    assert refused.returncode == 1
    assert 'there is no exchange calendar "XNYZ"' in refused.stderr


@dataclass
class Chained:
    """An ingestion by the clock, and what it starts: the slots of each deployment, and all runs' records."""

    slots: dict[str, pd.DataFrame]
    runs: list[dict[str, Any]]


@pytest.fixture(scope="module")
def chained(site: Site, prefect: PrefectApi) -> Chained:
    """A chain that runs by itself, in two minutes, of which only the first brings new bars."""
    names = ("prices", "on-bars", "after-prices")
    reading = write_notebook(
        site.folder / "reading.ipynb",
        parameters='symbols: list[str] = ["AAPL"]',
        cells=[
            "from workbench import Workbench\nwb = Workbench()",
            'bars = wb.data_ingestion.load_market_data(symbols, source="yahoo")',
            "print(len(bars), *symbols)",
        ],
    )
    with site.workbench() as wb:

        def ingest(cron: str) -> Deployment:
            return wb.deployments.promote_ingestion(
                ["AAPL", "IBM"], name="prices", source="sample", cron=cron, timezone="UTC"
            )

        ingest("0 0 29 2 *")
        # By force: there are no bars yet, so that it fails when it is run once.
        wb.promote(
            reading,
            name="on-bars",
            on="market_data.written",
            where={"symbol": "AAPL"},
            settle="3s",
            force="there are no bars yet",
        )
        each = {"symbols": ["AAPL", "IBM"]}
        wb.promote(reading, name="after-prices", after="prices", each=each, force="there are no bars yet")
        made = ingest("* * * * *")

        def slots() -> dict[str, pd.DataFrame]:
            time.sleep(1)
            return {name: wb.deployments.slots(name, latest=1_000) for name in names}

        def completed(name: str) -> int:
            return list(slots()[name]["state"]).count("completed")

        wait_for(
            lambda: completed("prices") >= 2 and completed("after-prices") >= 2 and completed("on-bars"),
            "an ingestion has completed twice, and what it starts",
            seconds=600,
        )
        schedules = f"/deployments/{made.deployment_id}/schedules"
        (entry,) = prefect.ask(schedules)
        prefect.ask(f"{schedules}/{entry['id']}", {"active": False}, method="PATCH")
        wait_for(
            lambda: not {"due", "running"} & {state for one in slots().values() for state in one["state"]},
            "all that was started has ended",
            seconds=240,
        )
        listed = wb.runs.list(latest=1_000)
        ids = listed.loc[listed["deployment"].isin(names), "run_id"]
        return Chained(slots(), [wb.runs.show(run_id) for run_id in ids])


def test_new_bars_start_a_notebook_by_themselves_and_bars_that_stay_as_they_were_do_not(
    chained: Chained,
) -> None:
    fetched = [run for run in chained.runs if run["deployment"] == "prices" and run["status"] == "completed"]
    assert len(fetched) >= 2
    assert sum(run["headline"]["inserted"] > 0 for run in fetched) == 1
    assert all(run["headline"]["series"] == 4 for run in fetched)
    first = min(fetched, key=lambda run: run["started_at"])
    (run,) = [run for run in chained.runs if run["deployment"] == "on-bars"]
    assert (run["status"], run["purpose"], run["deployment_version"]) == ("completed", "live", 1)
    assert first["started_at"] < run["slot"] < run["started_at"]
    assert printed(run) == ["3270 AAPL"]


def test_what_comes_after_an_ingestion_runs_each_member_for_the_moment_at_which_it_completed(
    chained: Chained,
) -> None:
    done = {run["ended_at"] for run in chained.runs if run["deployment"] == "prices"}
    members = chained.slots["after-prices"]
    # On a machine so busy that the next ingestion had completed before, one run answers both.
    assert set(members["state"]) <= {"completed", "skipped"}
    for slot, rows in members[members["state"] == "completed"].groupby("slot"):
        assert sorted(rows["member"]) == ["AAPL", "IBM"]
        assert min(abs((slot - ended).total_seconds()) for ended in done) < 1
    runs = [run for run in chained.runs if run["deployment"] == "after-prices"]
    assert {(run["member"], *printed(run)) for run in runs} == {("AAPL", "3270 AAPL"), ("IBM", "3270 IBM")}


def printed(run: dict[str, Any]) -> list[str]:
    """What the cells of a run printed."""
    cells = json.loads(Path(run["output_path"]).read_text())["cells"]
    texts = [o["text"] for c in cells for o in c.get("outputs", []) if o["output_type"] == "stream"]
    return "".join("".join(text) for text in texts).splitlines()
