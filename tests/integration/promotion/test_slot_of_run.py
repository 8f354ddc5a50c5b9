"""Which slot a run is for: the schedule's, the newest that is due, or the one that is asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from workbench import Workbench
from workbench.errors import SlotRefused, SlotTaken
from workbench.promotion.slot_of_run import slot_asked_for, slot_of_run
from workbench.promotion.superseded import settle_withdrawn
from workbench.stack.passed_slots import settle_missed
from workbench.stack.timetable import Timetable

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

CLOSE = {"cron": "30 17 * * mon-fri", "timezone": "America/New_York"}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# From Monday, 2026-11-23, the slots are at 22:30 UTC of each weekday.
SINCE = at("2026-11-23 12:00")
DAILY = Timetable("sma", ((CLOSE, SINCE),))
FRIDAY, MONDAY = at("2026-11-27 22:30"), at("2026-11-30 22:30")


def states(wb: Workbench) -> dict[str, str]:
    listed = wb.deployments.slots("sma")
    return {f"{slot:%a}": state for slot, state in zip(listed["slot"], listed["state"], strict=True)}


def complete(wb: Workbench, slot: datetime, status: str = "completed") -> None:
    run = wb.runs.start(notebook="a.ipynb", trigger="deployment", deployment="sma", slot=slot, purpose="live")
    wb.runs.finish(run, status)


def test_a_run_by_hand_is_for_the_newest_slot_that_is_due(wb: Workbench) -> None:
    sunday = at("2026-11-29 12:00")
    found = slot_of_run(wb.runs.slots, DAILY, now=sunday)
    assert (found.slot, found.purpose, found.missed) == (FRIDAY, "live", "")
    assert found.words == "by hand, for the slot 2026-11-27 22:30 UTC"
    complete(wb, FRIDAY, "failed")
    assert slot_of_run(wb.runs.slots, DAILY, now=sunday).purpose == "live"
    complete(wb, FRIDAY)
    again = slot_of_run(wb.runs.slots, DAILY, now=sunday)
    assert (again.slot, again.purpose) == (FRIDAY, "rerun")
    assert again.words == (
        "by hand, for the slot 2026-11-27 22:30 UTC, which had completed already: a rerun, "
        "which says nothing live"
    )
    # A rerun as often as one likes, and no second live run.
    for _ in range(2):
        wb.runs.start(
            notebook="a.ipynb", trigger="deployment", deployment="sma", slot=FRIDAY, purpose=again.purpose
        )
    with pytest.raises(SlotTaken):
        complete(wb, FRIDAY)


def test_just_promoted_it_is_the_schedules_last_moment_all_the_same(wb: Workbench) -> None:
    new = Timetable("sma", ((CLOSE, at("2026-11-29 11:59")),))
    assert slot_of_run(wb.runs.slots, new, now=at("2026-11-29 12:00")).slot == FRIDAY
    assert states(wb) == {}


def test_without_a_schedule_it_is_the_moment_itself(wb: Workbench) -> None:
    found = slot_of_run(wb.runs.slots, Timetable("sma"), now=at("2026-11-29 12:00:07.5"))
    assert (found.slot, found.purpose) == (at("2026-11-29 12:00:07"), "live")
    assert found.words == "by hand, for the slot 2026-11-29 12:00:07 UTC"


def test_a_scheduled_run_in_time_is_for_its_own_slot(wb: Workbench) -> None:
    complete(wb, at("2026-11-26 22:30"))
    found = slot_of_run(wb.runs.slots, DAILY, scheduled_for=FRIDAY, now=at("2026-11-29 12:00"))
    assert (found.slot, found.purpose, found.missed) == (FRIDAY, "live", "")
    assert found.words == "by schedule, for the slot 2026-11-27 22:30 UTC"
    assert states(wb) == {"Thu": "completed"}


def test_a_scheduled_run_that_begins_after_the_next_slot_is_missed(wb: Workbench) -> None:
    complete(wb, at("2026-11-24 22:30"))
    thursday, asked = at("2026-11-26 22:30"), []

    def is_planned(slot: datetime) -> bool:
        asked.append(slot)
        return True

    found = slot_of_run(
        wb.runs.slots, DAILY, scheduled_for=thursday, now=at("2026-11-29 12:00"), is_planned=is_planned
    )
    assert asked == [FRIDAY]
    assert found.missed == (
        "the slot 2026-11-26 22:30 UTC was missed: it began 3 days late, when the slot 2026-11-27 22:30 UTC "
        "was due already, and only the newest is caught up"
    )
    # Wednesday, for which nothing was started, is not left without a word.
    assert states(wb) == {"Thu": "missed", "Wed": "missed", "Tue": "completed"}
    reasons = wb.deployments.slots("sma").set_index("slot")["reason"]
    assert reasons[thursday].startswith("it began 3 days late")
    assert reasons[at("2026-11-25 22:30")] == (
        "no run of it had begun when the slot 2026-11-26 22:30 UTC was due"
    )


def test_a_late_run_takes_the_newest_slot_if_prefect_has_planned_none_for_it(wb: Workbench) -> None:
    late = {"scheduled_for": at("2026-11-24 22:30"), "now": at("2026-11-29 12:00")}
    found = slot_of_run(wb.runs.slots, DAILY, is_planned=lambda _: False, **late)  # type: ignore[arg-type]
    assert (found.slot, found.purpose, found.missed) == (FRIDAY, "live", "")
    assert found.words.endswith("Prefect had planned no run for that one, so that this one is for it")
    assert states(wb) == {"Thu": "missed", "Wed": "missed", "Tue": "missed", "Mon": "missed"}


def test_a_live_run_settles_what_passed_before_it(wb: Workbench) -> None:
    slot_of_run(wb.runs.slots, DAILY, scheduled_for=MONDAY, now=at("2026-11-30 22:31"))
    # Nothing is missed before the first promotion, whose Monday was before its slot.
    missed = {f"{slot:%m-%d}" for slot in wb.deployments.slots("sma")["slot"]}
    assert missed == {"11-23", "11-24", "11-25", "11-26", "11-27"}
    assert set(wb.deployments.slots("sma")["state"]) == {"missed"}


def test_a_rerun_and_a_backfill_settle_nothing(wb: Workbench) -> None:
    complete(wb, FRIDAY)
    slots, now = wb.runs.slots, at("2026-11-29 12:00")
    wednesday = slot_of_run(slots, DAILY, asked="2026-11-25T17:30:00-05:00", now=now)
    assert (wednesday.slot, wednesday.purpose) == (at("2026-11-25 22:30"), "backfill")
    assert wednesday.words.endswith(
        "which is not the newest one that is due: a backfill, which says nothing live"
    )
    assert slot_of_run(slots, DAILY, asked="2026-11-27T22:30:00+00:00", now=now).purpose == "rerun"
    assert states(wb) == {"Fri": "completed"}


def test_the_newest_slot_that_is_asked_for_is_live(wb: Workbench) -> None:
    complete(wb, FRIDAY, "failed")
    asked = "2026-11-27T22:30:00Z"
    again = slot_of_run(wb.runs.slots, DAILY, asked=asked, again=True, now=at("2026-11-29 12:00"))
    assert (again.slot, again.purpose) == (FRIDAY, "live")
    assert again.words == "another attempt, for the slot 2026-11-27 22:30 UTC"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "2026-11-27T22:31:00+00:00",
            "sma was never due at 2026-11-27 22:31 UTC, so there is no such slot; the",
        ),
        ("2026-11-28T22:30:00+00:00", "the last one before was 2026-11-27 22:30 UTC"),
        (
            "2026-11-30T22:30:00+00:00",
            "the slot 2026-11-30 22:30 UTC of sma lies ahead; it runs when it is due",
        ),
        ("2026-11-27T22:30:00", r"has no offset from UTC; give one, as in \"2026-11-27T22:30:00\+00:00\""),
        ("yesterday", "slot='yesterday' is no moment; give it in ISO 8601"),
    ],
)
def test_a_slot_that_never_was_is_refused_in_a_sentence(wb: Workbench, text: str, says: str) -> None:
    with pytest.raises(SlotRefused, match=says):
        slot_of_run(wb.runs.slots, DAILY, asked=text, now=at("2026-11-29 12:00"))


def test_a_slot_of_an_earlier_schedule_is_known_by_its_row(wb: Workbench) -> None:
    now, odd = at("2026-11-29 12:00"), at("2026-11-25 10:00:07")
    with pytest.raises(
        SlotRefused, match=r"^sma was never due at 2026-11-25 10:00:07 UTC, so there is no such slot$"
    ):
        slot_asked_for(wb.runs.slots, Timetable("sma"), odd.isoformat(), now)
    complete(wb, odd, "failed")
    assert slot_asked_for(wb.runs.slots, Timetable("sma"), odd.isoformat(), now) == odd


def test_of_very_many_missed_slots_the_newest_thousand_have_rows(wb: Workbench) -> None:
    minutely = Timetable("sma", (({"cron": "* * * * *", "timezone": "UTC"}, SINCE),))
    missed = settle_missed(wb.runs.slots, minutely, at("2026-11-29 12:00"))
    assert len(missed) == 1_000
    assert max(missed) == at("2026-11-29 11:59")
    oldest = wb.deployments.slots("sma", latest=2_000).iloc[-1]
    assert oldest["slot"] == at("2026-11-29 12:00") - timedelta(minutes=1_000)
    assert oldest["reason"].endswith(
        "so were all earlier ones since 2026-11-23 12:00 UTC, which have no row each"
    )


def test_a_withdrawn_runs_slot_is_cancelled_unless_it_is_taken_or_still_to_be_run(wb: Workbench) -> None:
    gone, taken = at("2026-11-29 12:00"), at("2026-11-29 13:00")
    wb.runs.start(notebook="a.ipynb", trigger="deployment", deployment="sma", slot=taken, purpose="live")
    settle_withdrawn(wb.runs.slots, DAILY, [gone, taken, MONDAY])
    listed = wb.deployments.slots("sma").set_index("slot")
    assert listed["state"].to_dict() == {gone: "cancelled", taken: "running"}
    assert listed["reason"][gone] == "The deployment was changed before this run began."
