"""Runs of calendars are made ahead, once each, and taken back when they are due no more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.stack.calendars import deploy, facts_of, runs_of
from tests.integration.stack.conftest import POOL
from tests.servers import wait_for
from workbench import Workbench
from workbench.errors import NotDeployed
from workbench.promotion.replan import replan
from workbench.schedules import Calendar, Cron
from workbench.stack.planned import planned_for
from workbench.stack.planning import WITHDRAWN, plan_ahead, plan_all_ahead
from workbench.stack.prefect_api import PrefectApi
from workbench.stack.schedules import schedules_in
from workbench.stack.slot_watch import SlotWatch
from workbench.stack.timetable import timetable_of

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

_CHANGES = {"labels", "schedules", "updated", "last_polled", "status"}
COINS = Calendar("24/7", "close-1h")


def slots_ahead(prefect: PrefectApi, name: str) -> list[datetime | None]:
    return [planned_for(run) for run in runs_of(prefect, name, "SCHEDULED", "PENDING")]


def test_ten_days_are_made_ahead_and_only_once(prefect: PrefectApi, wb: Workbench) -> None:
    now = datetime.now(UTC)
    facts = deploy(prefect, "coins", COINS.to_json(), now)
    made = plan_ahead(prefect, facts)
    assert made == [moment for moment in COINS.next(now, 11) if moment <= now + timedelta(days=10, minutes=1)]
    assert plan_ahead(prefect, facts) == []
    runs = runs_of(prefect, "coins", "SCHEDULED")
    assert [run["parameters"]["slot"] for run in runs] == [slot.isoformat() for slot in made]
    assert [run["idempotency_key"] for run in runs] == [f"calendar/coins/{slot.isoformat()}" for slot in made]
    assert [datetime.fromisoformat(run["expected_start_time"]) for run in runs] == made
    (shown,) = [one for one in schedules_in(prefect, POOL).deployments if one.name == "coins"]
    assert shown.schedules == ("each trading day of 24/7, 1 hour before the close",)
    assert (shown.next_run, shown.problem) == (made[0], "")
    timetable = timetable_of(facts)
    assert timetable.has(made[0])
    assert not timetable.has(made[0] + timedelta(minutes=1))
    # Five at the least, however far apart: over new year there are fewer sessions in ten days.
    facts = deploy(prefect, "london", Calendar("XLON").to_json(), now)
    assert len(plan_ahead(prefect, facts, now=datetime(2027, 12, 24, 20, tzinfo=UTC))) >= 5


def test_a_change_takes_back_what_is_due_no_more(prefect: PrefectApi, wb: Workbench) -> None:
    facts = deploy(prefect, "changed", COINS.to_json(), datetime.now(UTC))
    before = {name: value for name, value in facts.items() if name not in _CHANGES}
    made = plan_ahead(prefect, facts)
    kept = {run["id"] for run in runs_of(prefect, "changed", "SCHEDULED")}
    replan(prefect, "changed", {**COINS.to_json(), "catch_up": "all"}, slots=wb.runs.slots)
    assert {run["id"] for run in runs_of(prefect, "changed", "SCHEDULED")} == kept
    assert timetable_of(facts_of(prefect, "changed")).catch_up == "all"
    later = Calendar("24/7", "close-2h")
    replan(prefect, "changed", later.to_json(), slots=wb.runs.slots)
    assert slots_ahead(prefect, "changed") == later.next(datetime.now(UTC), len(made))
    listed = wb.deployments.slots("changed")
    assert sorted(listed["slot"]) == made
    assert set(listed["state"]) == {"cancelled"}
    # To a schedule of Prefect's own, and back.
    replan(prefect, "changed", Cron("0 0 1 1 *", "UTC").to_json())
    assert slots_ahead(prefect, "changed") == []
    (entry,) = facts_of(prefect, "changed")["schedules"]
    assert entry["schedule"]["cron"] == "0 0 1 1 *"
    replan(prefect, "changed", COINS.to_json())
    assert slots_ahead(prefect, "changed")[0] == COINS.next(datetime.now(UTC))[0]
    assert facts_of(prefect, "changed")["schedules"] == []
    replan(prefect, "changed", None)
    assert slots_ahead(prefect, "changed") == []
    assert timetable_of(facts_of(prefect, "changed")).schedules == ()
    # All else about it is as it was.
    after = facts_of(prefect, "changed")
    assert {name: value for name, value in after.items() if name not in _CHANGES} == before
    with pytest.raises(NotDeployed, match="nothing is deployed as nowhere"):
        replan(prefect, "nowhere", None)


def test_one_that_is_taken_up_is_cancelled_and_made_again(prefect: PrefectApi, wb: Workbench) -> None:
    facts = deploy(prefect, "taken", COINS.to_json(), datetime.now(UTC))
    slot = plan_ahead(prefect, facts)[0]
    run = runs_of(prefect, "taken", "SCHEDULED")[0]
    pending = {"state": {"type": "PENDING"}, "force": True}
    prefect.ask(f"/flow_runs/{run['id']}/set_state", pending)
    replan(prefect, "taken", None)
    (cancelled,) = runs_of(prefect, "taken", "CANCELLED")
    assert (cancelled["id"], cancelled["state"]["message"]) == (run["id"], WITHDRAWN)
    replan(prefect, "taken", COINS.to_json())
    first = runs_of(prefect, "taken", "SCHEDULED")[0]
    assert planned_for(first) == slot
    # One that somebody cancels in Prefect's pages stays cancelled.
    by_hand = {"state": {"type": "CANCELLED", "message": "not today"}, "force": True}
    prefect.ask(f"/flow_runs/{first['id']}/set_state", by_hand)
    assert plan_ahead(prefect, facts_of(prefect, "taken")) == []
    assert slot not in slots_ahead(prefect, "taken")


def test_it_is_done_by_itself(prefect: PrefectApi, wb: Workbench) -> None:
    now = datetime.now(UTC)
    deploy(prefect, "by-itself", COINS.to_json(), now)
    paused = deploy(prefect, "paused", COINS.to_json(), now)
    plan_ahead(prefect, paused)
    prefect.ask(f"/deployments/{paused['id']}", {"paused": True}, method="PATCH")
    deploy(prefect, "gone", {"kind": "calendar", "calendar": "XGONE", "at": "close"}, now)
    watch = SlotWatch(prefect, wb.runs.slots, POOL)
    watch.start()
    try:
        wait_for(
            lambda: len(slots_ahead(prefect, "by-itself")) >= 10 and not slots_ahead(prefect, "paused"),
            "runs are made ahead, and those of what is paused are gone",
            seconds=60,
        )
    finally:
        watch.stop()
    made, problems = plan_all_ahead(prefect, POOL)
    assert made == 0
    assert [problem.partition(":")[0] for problem in problems] == ["no runs of gone can be made ahead"]
    (shown,) = [one for one in schedules_in(prefect, POOL).deployments if one.name == "gone"]
    assert shown.problem.startswith('there is no exchange calendar "XGONE"')
