"""Which slot a run of a deployment is for, and whether what it says counts.

The newest slot that is due is the one to run. What becomes of one that a schedule starts late, when a newer
one is due already, the deployment's policy tells: by default it is missed. Where more than the newest one is
caught up, each run takes the oldest slot that waits, and says live what it would have said then: it sees no
bar that was not complete at its slot, and `said_at` tells that it was late.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from workbench.attempt import Purpose
from workbench.errors import SlotRefused
from workbench.runs.slot_store import SlotStore
from workbench.schedules.catch_up import catch_up_in_words
from workbench.stack.passed_slots import IN_TIME, in_words, settle_missed
from workbench.stack.timetable import Timetable

__all__ = ["SlotOfRun", "await_slot", "slot_asked_for", "slot_of_event", "slot_of_run"]

_SAYS_NOTHING = {
    "rerun": "had completed already: a rerun, which says nothing live",
    "backfill": "is not the newest one that is due: a backfill, which says nothing live",
}


@dataclass(frozen=True)
class SlotOfRun:
    """What a run of a deployment is for.

    Attributes
    ----------
    slot : datetime
        UTC.
    purpose : str
        "live", "rerun" of a slot that had completed, or "backfill" of an older one.
    words : str
        Both, for people: "by hand, for the slot 2026-11-27 22:30 UTC".
    missed : str
        Why the slot is missed and nothing runs, in one sentence; empty for a run.
    in_turn : bool
        Whether the slot waits, rather than being skipped, if another run is under way.
    """

    slot: datetime
    purpose: Purpose
    words: str
    missed: str = ""
    in_turn: bool = False


def await_slot(slot: datetime) -> None:
    """Wait until a slot has come: Prefect rounds to seconds, and may begin a run up to half of one early."""
    time.sleep(max(0.0, (slot - datetime.now(UTC)).total_seconds()))


def slot_of_run(
    slots: SlotStore,
    timetable: Timetable,
    *,
    scheduled_for: datetime | None = None,
    asked: str | None = None,
    again: bool = False,
    now: datetime | None = None,
    is_planned: Callable[[datetime], bool] | None = None,
) -> SlotOfRun:
    """Which slot a run is for that begins now; settles the slots that were missed before it.

    Parameters
    ----------
    slots : SlotStore
    timetable : Timetable
        The deployment's.
    scheduled_for : datetime, optional
        The moment for which a schedule has started the run; without it, it was started by hand, and is for
        the newest slot that is due. Without any schedule that is the moment itself.
    asked : str, optional
        A slot in ISO 8601, which is taken instead.
    again : bool
        Whether the run is another attempt at a slot whose last one crashed.
    now : datetime, optional
        Timezone-aware. Default: now.
    is_planned : callable, optional
        Whether Prefect has a run of its own for the given, newer slot. If it has none, as after the stack was
        down for longer than Prefect plans ahead, the late run takes that slot.

    Raises
    ------
    SlotRefused
        `asked` is no moment, lies ahead, or the deployment was never due then.
    """
    now = now or datetime.now(UTC)
    newest = timetable.newest(now)
    if asked is not None:
        slot = slot_asked_for(slots, timetable, asked, now)
        return _by_hand(slots, timetable, slot, newest, how="another attempt" if again else "by hand")
    if scheduled_for is None:
        return _by_hand(slots, timetable, newest or now.astimezone(UTC).replace(microsecond=0), newest)
    if timetable.in_turn:
        return _in_turn(slots, timetable, scheduled_for, max(newest or scheduled_for, scheduled_for))
    if timetable.catch_up == "none" and now - scheduled_for > IN_TIME:
        return _too_late(slots, timetable, scheduled_for, max(newest or scheduled_for, scheduled_for), now)
    if newest is None or newest <= scheduled_for:
        settle_missed(slots, timetable, scheduled_for)
        return SlotOfRun(scheduled_for, "live", f"by schedule, for the slot {in_words(scheduled_for)}")
    reason = (
        f"it began {_late(now - scheduled_for)} late, when the slot {in_words(newest)} was due already, "
        f"and {catch_up_in_words(timetable.catch_up)}"
    )
    # From the oldest on: what lies before a slot that is known is taken for known.
    settle_missed(slots, timetable, scheduled_for)
    slots.settle(timetable.deployment, {scheduled_for: reason}, "missed")
    settle_missed(slots, timetable, newest)
    said = f"the slot {in_words(scheduled_for)} was missed: {reason}"
    if timetable.catch_up == "none" or is_planned is None or is_planned(newest):
        return SlotOfRun(scheduled_for, "live", said, missed=said)
    return SlotOfRun(
        newest, "live", f"{said}; Prefect had planned no run for that one, so that this one is for it"
    )


def _in_turn(slots: SlotStore, timetable: Timetable, scheduled_for: datetime, newest: datetime) -> SlotOfRun:
    """The oldest slot that waits; the run's own if none does, or why that one is not caught up."""
    name = timetable.deployment
    settle_missed(slots, timetable, newest)
    slots.settle(name, {newest: "no run of it has begun yet"}, "due")
    waiting = slots.waiting(name, newest)
    if not waiting:
        # Its own has a run, or had one: the record of a second one is refused.
        return SlotOfRun(scheduled_for, "live", f"by schedule, for the slot {in_words(scheduled_for)}")
    slot = waiting[0]
    words = f"by schedule, for the slot {in_words(slot)}"
    if slot != scheduled_for:
        words += f", the oldest that waits; it was started for {in_words(scheduled_for)}"
    elif slot != newest:
        words += f", which is caught up before the newest, {in_words(newest)}"
    return SlotOfRun(slot, "live", words, in_turn=True)


def _too_late(
    slots: SlotStore, timetable: Timetable, scheduled_for: datetime, newest: datetime, now: datetime
) -> SlotOfRun:
    reason = f"it began {_late(now - scheduled_for)} late, and {catch_up_in_words(timetable.catch_up)}"
    settle_missed(slots, timetable, scheduled_for)
    slots.settle(timetable.deployment, {scheduled_for: reason}, "missed")
    settle_missed(slots, timetable, newest)
    said = f"the slot {in_words(scheduled_for)} was missed: {reason}"
    return SlotOfRun(scheduled_for, "live", said, missed=said)


def slot_of_event(slots: SlotStore, deployment: str, slot: datetime) -> SlotOfRun:
    """The slot of a run that events have started: its own, unless a newer one's run answers them, too.

    Parameters
    ----------
    slots : SlotStore
    deployment : str
    slot : datetime
        Timezone-aware.
    """
    slot = slot.astimezone(UTC)
    state = slots.state(deployment, slot)
    if state in {"skipped", "missed", "cancelled"}:
        said = f"the slot {in_words(slot)} is {state}: nothing runs for it any more"
        return SlotOfRun(slot, "live", said, missed=said)
    return SlotOfRun(slot, "live", f"by events, for the slot {in_words(slot)}")


def slot_asked_for(
    slots: SlotStore, timetable: Timetable, text: str, now: datetime | None = None
) -> datetime:
    """The slot that a text in ISO 8601 names, UTC.

    Raises
    ------
    SlotRefused
        It is no moment with an offset, lies ahead, or the deployment was never due then.
    """
    now = now or datetime.now(UTC)
    try:
        slot = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise SlotRefused(
            f'slot={text!r} is no moment; give it in ISO 8601, as in "2026-11-27T22:30:00+00:00"'
        ) from error
    if slot.tzinfo is None:
        raise SlotRefused(f'slot={text!r} has no offset from UTC; give one, as in "{text}+00:00"')
    slot = slot.astimezone(UTC)
    name, told = timetable.deployment, in_words(slot)
    if slot > now:
        raise SlotRefused(f"the slot {told} of {name} lies ahead; it runs when it is due")
    if not timetable.has(slot) and slots.state(name, slot) is None:
        last = timetable.newest(slot)
        before = f"; the last one before was {in_words(last)}" if last else ""
        raise SlotRefused(f"{name} was never due at {told}, so there is no such slot{before}")
    return slot


def _by_hand(
    slots: SlotStore, timetable: Timetable, slot: datetime, newest: datetime | None, how: str = "by hand"
) -> SlotOfRun:
    purpose: Purpose = "live"
    if slots.state(timetable.deployment, slot) == "completed":
        purpose = "rerun"
    elif newest is not None and slot < newest:
        purpose = "backfill"
    else:
        settle_missed(slots, timetable, slot)
    words = f"{how}, for the slot {in_words(slot)}"
    if purpose in _SAYS_NOTHING:
        words += f", which {_SAYS_NOTHING[purpose]}"
    return SlotOfRun(slot, purpose, words)


def _late(late: timedelta) -> str:
    """A time in words, to the larger of its units: "3 days", "2 hours", "90 s"."""
    seconds = late.total_seconds()
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
