"""A version's schedule, as it is kept: in words, and the moments that lie ahead.

Schedules that were read, and their next moments, are remembered: the list of a thousand deployments is asked
for again and again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from workbench.errors import ScheduleRefused
from workbench.schedules import Schedule, schedule_from_json
from workbench.schedules.on_event import awaited_from_json

__all__ = ["moments_ahead", "next_moment", "schedule_in_words", "zone_of"]

_QUARTER = 15


def schedule_in_words(schedule: Mapping[str, Any]) -> str:
    """As in "30 17 * * mon-fri (America/New_York)"; empty without moments of its own."""
    return _in_words(_text(schedule))


def zone_of(schedule: Mapping[str, Any]) -> str:
    """The time zone in which its moments are told; of a calendar its exchange's."""
    found = _read(_text(schedule))
    return "UTC" if found is None else found.timezone


def moments_ahead(
    schedule: Mapping[str, Any], count: int, *, after: datetime | None = None
) -> list[datetime]:
    """The next moments at which it is due, UTC; fewer if it ends, none without moments of its own."""
    found = _read(_text(schedule))
    return [] if found is None else found.next(after or datetime.now(UTC), count)


def next_moment(schedule: Mapping[str, Any], now: datetime) -> datetime | None:
    """The next moment at which it is due, UTC; None without one."""
    quarter = now.replace(minute=now.minute // _QUARTER * _QUARTER, second=0, microsecond=0)
    found = _first(_text(schedule), quarter)
    # Nothing lies between the beginning of the quarter of an hour and what was found.
    if found is None or found > now:
        return found
    return next(iter(moments_ahead(schedule, 1, after=now)), None)


def _text(schedule: Mapping[str, Any]) -> str:
    return json.dumps(schedule, sort_keys=True)


@lru_cache(maxsize=4_096)
def _read(text: str) -> Schedule | None:
    """None too of one that can be no longer, as where its calendar is not known any more."""
    try:
        return schedule_from_json(json.loads(text))
    except ScheduleRefused:
        return None


@lru_cache(maxsize=4_096)
def _in_words(text: str) -> str:
    try:
        found = schedule_from_json(json.loads(text)) or awaited_from_json(json.loads(text))
    except ScheduleRefused as error:
        return str(error)
    return "" if found is None else found.in_words()


@lru_cache(maxsize=4_096)
def _first(text: str, after: datetime) -> datetime | None:
    found = _read(text)
    return None if found is None else next(iter(found.next(after)), None)
