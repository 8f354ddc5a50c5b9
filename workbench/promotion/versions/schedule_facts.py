"""A version's schedule, as it is kept: in words, and the moments that lie ahead."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from workbench.errors import ScheduleRefused
from workbench.schedules import schedule_from_json
from workbench.schedules.on_event import awaited_from_json

__all__ = ["moments_ahead", "schedule_in_words", "zone_of"]


def schedule_in_words(schedule: Mapping[str, Any]) -> str:
    """As in "30 17 * * mon-fri (America/New_York)" or "after prices"; empty of a kind that is not known."""
    try:
        found = schedule_from_json(schedule) or awaited_from_json(schedule)
    except ScheduleRefused as error:
        # As where the installed packages do not know its calendar any more.
        return str(error)
    return "" if found is None else found.in_words()


def zone_of(schedule: Mapping[str, Any]) -> str:
    """The time zone in which its moments are told."""
    return str(schedule.get("timezone") or _zone(schedule) or "UTC")


def moments_ahead(
    schedule: Mapping[str, Any], count: int = 1, *, after: datetime | None = None
) -> list[datetime]:
    """The next moments at which it is due, UTC; fewer if it ends, none without moments of its own."""
    try:
        found = schedule_from_json(schedule)
    except ScheduleRefused:
        return []
    return [] if found is None else found.next(after or datetime.now(UTC), count)


def _zone(schedule: Mapping[str, Any]) -> str:
    """Of a calendar its exchange's."""
    try:
        found = schedule_from_json(schedule)
    except ScheduleRefused:
        return ""
    return "" if found is None else found.timezone
