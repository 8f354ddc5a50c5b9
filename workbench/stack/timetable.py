"""`Timetable`: the moments at which a deployment is due, by all of its schedules."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from workbench.schedules import Calendar, CatchUp
from workbench.schedules.moments import moments_until, previous_slot
from workbench.stack.carried import carried_by

__all__ = ["Timetable", "timetable_of"]

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Timetable:
    """When a deployment is due.

    Attributes
    ----------
    deployment : str
        Its name.
    schedules : tuple of (mapping, datetime)
        The active ones as Prefect gives them, or a calendar as `Calendar.rule` gives it, each with the moment
        since which it holds, UTC.
    catch_up : str or int
        The policy for what was due while nothing ran.
    """

    deployment: str
    schedules: tuple[tuple[Mapping[str, Any], datetime], ...] = ()
    catch_up: CatchUp = "latest"

    @property
    def in_turn(self) -> bool:
        """Whether more than the newest slot is caught up: then one after the other, oldest first."""
        return self.catch_up not in ("latest", "none")

    def newest(self, now: datetime) -> datetime | None:
        """The last moment at or before `now` at which it was due, or would have been; None without any."""
        last = (previous_slot(schedule, now) for schedule, _ in self.schedules)
        return max(filter(None, last), default=None)

    def has(self, moment: datetime) -> bool:
        """Whether it is one of its moments."""
        return self.newest(moment) == moment

    def until(self, now: datetime, after: datetime | None = None) -> Iterator[datetime]:
        """The moments in `(after, now]` at which it was due, newest first; none before its schedule held."""
        merged = heapq.merge(
            *(_held(schedule, max(since, after or _LONG_AGO), now) for schedule, since in self.schedules),
            reverse=True,
        )
        last = None
        for moment in merged:
            if moment != last:
                yield moment
                last = moment

    def newest_held(self, now: datetime) -> datetime | None:
        """The last moment at or before `now` at which it was due; None if its schedules are newer."""
        return next(self.until(now), None)


def timetable_of(facts: Mapping[str, Any]) -> Timetable:
    """The timetable of a deployment, from what Prefect's API answers about it."""
    entries = [] if facts.get("paused") else [entry for entry in facts["schedules"] if entry["active"]]
    # A schedule that was changed or switched on was not due before. Not the deployment's own `updated`: each
    # poll of a worker sets it.
    schedules = [
        (entry["schedule"], datetime.fromisoformat(entry.get("updated") or facts["created"]))
        for entry in entries
    ]
    carried = carried_by(facts)
    if carried.schedule.get("kind") == Calendar.kind and not facts.get("paused"):
        rule = {name: carried.schedule.get(name) for name in ("calendar", "at")}
        schedules.append((rule, carried.since or datetime.fromisoformat(facts["created"])))
    return Timetable(str(facts["name"]), tuple(schedules), carried.catch_up)


def _held(schedule: Mapping[str, Any], since: datetime, now: datetime) -> Iterator[datetime]:
    for moment in moments_until(schedule, now):
        if moment <= since:
            return
        yield moment
