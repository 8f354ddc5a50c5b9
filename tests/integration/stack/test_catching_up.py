"""Weeks of slots with nothing running in the middle: each is accounted for as its policy says.

New York in 2024: the clock is set back on 3 November; 28 November is Thanksgiving, and on the day after it
closes at 13:00. Prefect is a real server; what a worker and a flow would do is done here, at given times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.integration.stack.calendars import at, deploy, facts_of, runs_of
from workbench import Workbench
from workbench.errors import SlotTaken
from workbench.promotion.slot_of_run import slot_of_run
from workbench.schedules import Calendar, CatchUp
from workbench.stack.catching_up import ask_for_next
from workbench.stack.passed_slots import GRACE, settle_deployment
from workbench.stack.planned import planned_for
from workbench.stack.planning import plan_ahead
from workbench.stack.prefect_api import PrefectApi
from workbench.stack.timetable import timetable_of

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

SINCE = at("2024-10-29 12:00")
BEFORE = [at(f"2024-10-{day} 20:15") for day in (29, 30, 31)]
AWAY = [
    at("2024-11-01 20:15"),
    *(at(f"2024-11-{day:02} 21:15") for day in (4, 5, 6, 7, 8, *range(11, 16), *range(18, 23), 25, 26, 27)),
    at("2024-11-29 18:15"),
]
BACK = at("2024-11-29 18:30")
AFTER = [at("2024-12-02 21:15"), at("2024-12-03 21:15")]


@dataclass
class Stack:
    """What runs the deployment: a look at the slots, and a worker with its flow."""

    prefect: PrefectApi
    wb: Workbench
    name: str

    @property
    def facts(self) -> Mapping[str, Any]:
        return facts_of(self.prefect, self.name)

    def is_up(self, now: datetime) -> None:
        """Do at that time what it does by itself."""
        plan_ahead(self.prefect, self.facts, now=now)
        settle_deployment(self.wb.runs.slots, timetable_of(self.facts), now - GRACE)
        while self._work(now):
            pass
        ask_for_next(self.prefect, self.wb.runs.slots, self.facts, now=now)
        while self._work(now):
            pass

    def _work(self, now: datetime) -> bool:
        """Run the first flow run that is due; whether there was one."""
        for run in runs_of(self.prefect, self.name, "SCHEDULED"):
            planned = planned_for(run)
            if planned is not None and planned <= now:
                self._flow(run, planned, now)
                return True
        return False

    def _flow(self, run: dict[str, Any], planned: datetime, now: datetime) -> None:
        slots, timetable = self.wb.runs.slots, timetable_of(self.facts)
        found = slot_of_run(slots, timetable, scheduled_for=planned, now=now, is_planned=self._is_planned)
        if not found.missed:
            try:
                record = self.wb.runs.start(
                    notebook="a.ipynb",
                    trigger="deployment",
                    deployment=self.name,
                    slot=found.slot,
                    purpose=found.purpose,
                )
                self.wb.runs.finish(record, "completed")
            except SlotTaken:
                pass
        ended = {"state": {"type": "COMPLETED"}, "force": True}
        self.prefect.ask(f"/flow_runs/{run['id']}/set_state", ended)
        ask_for_next(self.prefect, slots, self.facts, besides=run["id"], now=now)

    def _is_planned(self, slot: datetime) -> bool:
        return any(planned_for(run) == slot for run in runs_of(self.prefect, self.name, "SCHEDULED"))


@pytest.mark.parametrize(
    ("catch_up", "caught_up"), [("latest", AWAY[-1:]), ("all", AWAY), ("none", []), (3, AWAY[-3:])]
)
def test_each_slot_is_accounted_for_as_the_policy_says(
    prefect: PrefectApi, wb: Workbench, catch_up: CatchUp, caught_up: list[datetime]
) -> None:
    name = f"new-york-{catch_up}"
    schedule = {**Calendar("XNYS", "close+15min").to_json(), "catch_up": catch_up}
    deploy(prefect, name, schedule, SINCE)
    stack = Stack(prefect, wb, name)
    stack.is_up(SINCE)
    for slot in BEFORE:
        stack.is_up(slot + timedelta(seconds=10))
    stack.is_up(BACK)
    for slot in AFTER:
        stack.is_up(slot + timedelta(seconds=10))
    listed = wb.deployments.slots(name, latest=100).sort_values("slot")
    states = dict(zip(listed["slot"], listed["state"], strict=True))
    completed = {*BEFORE, *caught_up, *AFTER}
    assert states == {
        slot: "completed" if slot in completed else "missed" for slot in [*BEFORE, *AWAY, *AFTER]
    }
    assert listed[listed["state"] == "missed"]["reason"].str.len().gt(10).all()
    # Oldest first, one after the other, each for its own slot and live.
    runs = wb.runs.list(deployment=name, latest=100).sort_values("started_at")
    assert runs["slot"].tolist() == sorted(completed)
    assert set(runs["purpose"]) == {"live"}


def test_what_waits_is_taken_oldest_first_and_asked_for_once(prefect: PrefectApi, wb: Workbench) -> None:
    name, now = "busy", at("2024-11-29 18:30")
    deploy(
        prefect,
        name,
        {**Calendar("XNYS", "close+15min").to_json(), "catch_up": "all"},
        at("2024-11-26 22:00"),
    )
    slots, timetable = wb.runs.slots, timetable_of(facts_of(prefect, name))
    settle_deployment(slots, timetable, now)
    waiting = [at("2024-11-27 21:15"), at("2024-11-29 18:15")]
    assert slots.waiting(name, now) == waiting
    first = slot_of_run(slots, timetable, scheduled_for=waiting[1], now=now)
    assert (first.slot, first.in_turn) == (waiting[0], True)
    assert first.words == (
        "by schedule, for the slot 2024-11-27 21:15 UTC, the oldest that waits; it was started for "
        "2024-11-29 18:15 UTC"
    )
    asked = [ask_for_next(prefect, slots, facts_of(prefect, name)) for _ in range(2)]
    assert asked == [waiting[0], None]
    (run,) = runs_of(prefect, name, "SCHEDULED")
    assert (planned_for(run), run["parameters"]["slot"]) == (waiting[0], waiting[0].isoformat())
    # Those that end before they have a record are not asked for without end.
    failed = {"state": {"type": "FAILED"}, "force": True}
    for _ in range(3):
        (run,) = runs_of(prefect, name, "SCHEDULED")
        prefect.ask(f"/flow_runs/{run['id']}/set_state", failed)
        asked.append(ask_for_next(prefect, slots, facts_of(prefect, name)))
    assert asked[2:] == [waiting[0], waiting[0], waiting[1]]
    listed = wb.deployments.slots(name).set_index("slot")
    assert listed["state"].to_dict() == {waiting[0]: "missed", waiting[1]: "due"}
    assert listed["reason"][waiting[0]].startswith("3 runs of it were asked for")
