"""What is said of slots that no run has taken: once, in one transaction with its event, and over no run."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import Connection
from workbench import Workbench
from workbench.errors import QueryError

# What PostgreSQL 15 may do differently lies beneath this, and is tested there.
pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

DAY = timedelta(days=1)
FIRST = datetime(2026, 11, 23, 22, 30, tzinfo=UTC)


def missed_events(admin: Connection) -> list[dict[str, Any]]:
    rows = admin.execute("SELECT data FROM workbench.events WHERE type = 'slot.missed' ORDER BY event_id")
    return [data for (data,) in rows.fetchall()]


def test_missed_slots_are_told_once_in_one_event(wb: Workbench, admin: Connection) -> None:
    slots = wb.runs.slots
    three = {FIRST + n * DAY: f"reason {n}" for n in range(3)}
    assert slots.settle("sma", three, "missed") == set(three)
    assert slots.settle("sma", three | {FIRST + 3 * DAY: "reason 3"}, "missed") == {FIRST + 3 * DAY}
    assert slots.settle("sma", three, "missed") == set()
    assert slots.settle("sma", {}, "missed") == set()
    first, second = missed_events(admin)
    assert first == {
        "deployment": "sma",
        "member": "",
        "slot": "2026-11-25T22:30:00+00:00",
        "first": "2026-11-23T22:30:00+00:00",
        "count": 3,
        "reason": "reason 2",
    }
    assert (second["count"], second["slot"]) == (1, "2026-11-26T22:30:00+00:00")


def test_a_slot_that_is_due_may_still_be_missed_and_nothing_else_changes(
    wb: Workbench, admin: Connection
) -> None:
    slots = wb.runs.slots
    assert slots.settle("sma", {FIRST: "waits"}, "due") == {FIRST}
    assert slots.settle("sma", {FIRST: "still waits"}, "due") == set()
    assert slots.due_before("sma", FIRST) == set()
    assert slots.due_before("sma", FIRST + DAY) == {FIRST}
    assert slots.settle("sma", {FIRST: "over"}, "missed") == {FIRST}
    failed = wb.runs.start(
        notebook="a.ipynb", trigger="deployment", deployment="sma", slot=FIRST + DAY, purpose="live"
    )
    wb.runs.finish(failed, "failed", error="no power")
    running = wb.runs.start(
        notebook="a.ipynb", trigger="deployment", deployment="sma", slot=FIRST + 2 * DAY, purpose="live"
    )
    for state in ("missed", "cancelled", "due"):
        reasons = {FIRST + n * DAY: "anything" for n in range(3)}
        assert slots.settle("sma", reasons, state) == set()
    listed = slots.list("sma")
    assert listed["state"].tolist() == ["running", "failed", "missed"]
    assert listed["reason"].tolist()[1:] == ["no power", "over"]
    assert listed["run_id"].tolist()[:2] == [str(running), str(failed)]
    assert len(missed_events(admin)) == 1


def test_a_slot_that_was_missed_may_be_run_all_the_same(wb: Workbench) -> None:
    wb.runs.slots.settle("sma", {FIRST: "over"}, "missed")
    run = wb.runs.start(
        notebook="a.ipynb", trigger="deployment", deployment="sma", slot=FIRST, purpose="live"
    )
    wb.runs.finish(run, "completed")
    assert wb.runs.slots.state("sma", FIRST) == "completed"


def test_what_is_known_of_one_deployment_says_nothing_of_another(wb: Workbench) -> None:
    slots = wb.runs.slots
    slots.settle("sma", {FIRST: "over"}, "missed")
    assert slots.last_before("sma", FIRST + DAY) == FIRST
    assert slots.last_before("sma", FIRST) is None
    assert slots.last_before("rsi", FIRST + DAY) is None
    assert (slots.state("sma", FIRST), slots.state("rsi", FIRST)) == ("missed", None)


def test_slots_are_listed_newest_first_in_the_form_that_is_promised(wb: Workbench) -> None:
    columns = ["deployment", "slot", "member", "state", "reason", "attempts", "run_id", "updated_at"]
    empty = wb.deployments.slots()
    assert list(empty.columns) == columns
    for name in ("sma", "rsi"):
        wb.runs.slots.settle(name, {FIRST + n * DAY: "over" for n in range(3)}, "missed")
    found = wb.deployments.slots(latest=3)
    assert found.dtypes.equals(empty.dtypes)
    assert list(zip(found["deployment"], found["slot"], strict=True)) == [
        ("rsi", FIRST + 2 * DAY),
        ("sma", FIRST + 2 * DAY),
        ("rsi", FIRST + DAY),
    ]
    assert wb.deployments.slots("sma")["deployment"].unique().tolist() == ["sma"]
    with pytest.raises(QueryError, match="latest=0: expected 1 or more"):
        wb.deployments.slots(latest=0)


def test_two_at_once_say_it_once(wb: Workbench, another_wb: Workbench, admin: Connection) -> None:
    reasons = {FIRST + timedelta(minutes=n): "over" for n in range(1_000)}
    news: list[int] = []

    def settle(one: Workbench) -> None:
        news.append(len(one.runs.slots.settle("sma", reasons, "missed")))

    both = [threading.Thread(target=settle, args=(one,)) for one in (wb, another_wb)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert sum(news) == 1_000
    assert sum(event["count"] for event in missed_events(admin)) == 1_000
