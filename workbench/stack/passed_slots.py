"""Says of slots that have passed without a run that they were missed: none is left without a word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from workbench.runs.slot_store import SlotStore
from workbench.schedules.catch_up import catch_up_in_words, caught_up
from workbench.stack.prefect_api import PrefectApi
from workbench.stack.schedules import deployments_in
from workbench.stack.timetable import Timetable, timetable_of

__all__ = [
    "GRACE",
    "IN_TIME",
    "SettledSlot",
    "in_words",
    "settle_deployment",
    "settle_missed",
    "settle_passed_slots",
]

GRACE = timedelta(seconds=60)
"""A slot that passed this long ago should have its run: a worker polls every two seconds."""

IN_TIME = timedelta(minutes=5)
"""Where nothing is caught up, a run that begins later than this after its slot is too late."""

_MOST = 1_000


@dataclass(frozen=True)
class SettledSlot:
    """A slot of which something new was said: its deployment, its moment (UTC), and "due" or "missed"."""

    deployment: str
    slot: datetime
    state: str


def settle_missed(slots: SlotStore, timetable: Timetable, before: datetime) -> set[datetime]:
    """Mark as missed what passed before the slot `before` without a run, since the last slot that is known.

    What the timetable's policy catches up in its turn is due instead, and waits. Nothing is missed before a
    schedule held, so the first promotion of a name is its beginning. At most the newest 1,000 get a row each;
    the reason of the oldest of them tells since when there were more.

    Parameters
    ----------
    slots : SlotStore
    timetable : Timetable
    before : datetime
        A newer slot of the same deployment.

    Returns
    -------
    set of datetime
        The slots of which that was news, UTC.
    """
    known = slots.last_before(timetable.deployment, before)
    passed = timetable.until(before - timedelta(microseconds=1), after=known)
    missed = list(islice(passed, _MOST))
    # The oldest of them tells of those.
    eldest = {missed[-1]} if next(passed, None) is not None else set()
    reason = f"no run of it had begun when the slot {in_words(before)} was due"
    unworked = slots.due_before(timetable.deployment, before).union(missed)
    if timetable.in_turn:
        waiting = set(caught_up(timetable.catch_up, [*unworked, before])) - {before} - eldest
        slots.settle(timetable.deployment, dict.fromkeys(waiting, f"{reason}; it waits for its turn"), "due")
        unworked -= waiting
        reason += f", and {catch_up_in_words(timetable.catch_up)}"
    reasons = dict.fromkeys(unworked, reason)
    if eldest:
        since = in_words(known or min(since for _, since in timetable.schedules))
        reasons[missed[-1]] += f"; so were all earlier ones since {since}, which have no row each"
    return slots.settle(timetable.deployment, reasons, "missed")


def settle_passed_slots(
    prefect: PrefectApi,
    slots: SlotStore,
    pool: str,
    *,
    now: datetime | None = None,
    grace: timedelta = GRACE,
) -> list[SettledSlot]:
    """Say of each slot that passed without a run what it is: the newest is due, and older ones were missed.

    For whoever looks from time to time: it tells of slots also while nothing runs them, as with a paused work
    pool. Looking twice, or two at once, says nothing twice. A run that begins later takes its slot all the
    same.

    Parameters
    ----------
    prefect : PrefectApi
    slots : SlotStore
    pool : str
        The work pool whose promoted notebooks are looked at.
    now : datetime, optional
        Timezone-aware. Default: now.
    grace : timedelta
        Slots that passed less than this ago are left alone.

    Raises
    ------
    ServerError, DatabaseError
        Prefect or PostgreSQL does not answer; look again later.
    """
    settled: list[SettledSlot] = []
    for facts in list(deployments_in(prefect, pool)):
        # Those that were promoted, as a notebook or as an ingestion.
        if {"sha256", "notebook"} & set(facts.get("parameters") or {}):
            settled += settle_deployment(slots, timetable_of(facts), (now or datetime.now(UTC)) - grace)
    return settled


def settle_deployment(slots: SlotStore, timetable: Timetable, until: datetime) -> list[SettledSlot]:
    """As `settle_passed_slots`, of one deployment and what passed until then."""
    newest = timetable.newest_held(until)
    if newest is None:
        return []
    name = timetable.deployment
    missed = sorted(settle_missed(slots, timetable, newest))
    if timetable.catch_up == "none" and until - newest > IN_TIME:
        reason = f"no run of it had begun in time, and {catch_up_in_words(timetable.catch_up)}"
        missed += slots.settle(name, {newest: reason}, "missed")
        return [SettledSlot(name, slot, "missed") for slot in missed]
    due = slots.settle(name, {newest: "no run of it has begun yet"}, "due")
    return [SettledSlot(name, slot, "missed") for slot in missed] + [
        SettledSlot(name, slot, "due") for slot in due
    ]


def in_words(slot: datetime) -> str:
    """A slot as text: "2026-11-27 22:30 UTC", with seconds where it has some."""
    slot = slot.astimezone(UTC)
    return f"{slot:%Y-%m-%d %H:%M:%S} UTC" if slot.second else f"{slot:%Y-%m-%d %H:%M} UTC"
