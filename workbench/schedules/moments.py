"""The moments of a schedule, worked out as Prefect's scheduler does: the next one, and those before.

Those of an exchange calendar, which Prefect does not have, are in `sessions`.
"""

from __future__ import annotations

import heapq
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any
from zoneinfo import ZoneInfo

from workbench.schedules.sessions import moments_after, moments_before

__all__ = ["moments_until", "next_cron_slot", "next_slot", "previous_slot"]

# More than any clock is ever set by: moments this far apart are in the order of their wall clocks.
_SHIFT = timedelta(hours=4)
_RULE_KEEPS = 2_000
_RULE_START = datetime(2020, 1, 1)  # noqa: DTZ001 - on the wall clock of the schedule's zone
"""Where Prefect begins a recurrence rule that names no start."""


def next_cron_slot(cron: str, timezone: str, now: datetime, *, day_or: bool = True) -> datetime | None:
    """The next time of a cron schedule, UTC; None if there is none, as for 30 February."""
    from croniter import CroniterBadDateError, croniter

    try:
        slot: datetime = croniter(cron, now.astimezone(ZoneInfo(timezone)), day_or=day_or).get_next(datetime)
    except CroniterBadDateError:
        return None
    return slot.astimezone(UTC)


def next_slot(schedule: Mapping[str, Any], now: datetime) -> datetime | None:
    """The schedule's next time, UTC; None if it has ended.

    Parameters
    ----------
    schedule : mapping
        As Prefect's API gives it: with `cron`, `interval` or `rrule`; or with `calendar` and `at`.
    now : datetime
        Timezone-aware.
    """
    if "calendar" in schedule:
        return next(moments_after(schedule["calendar"], schedule["at"], now), None)
    zone = ZoneInfo(schedule.get("timezone") or "UTC")
    if "cron" in schedule:
        return next_cron_slot(schedule["cron"], zone.key, now, day_or=schedule.get("day_or", True))
    if "interval" in schedule:
        anchor, length = _interval(schedule)
        return (now + (length - (now - anchor) % length)).astimezone(UTC)
    found: datetime | None = _rule(schedule).after(_wall_clock(now, zone))
    return None if found is None else _moment(found, zone)


def previous_slot(schedule: Mapping[str, Any], now: datetime) -> datetime | None:
    """The schedule's last time at or before `now`, UTC; None if it had not begun, or cannot be read.

    Parameters
    ----------
    schedule : mapping
        As `next_slot` takes it.
    now : datetime
        Timezone-aware.

    Examples
    --------
    >>> previous_slot({"cron": "30 17 * * mon-fri", "timezone": "America/New_York"},
    ...               datetime(2026, 11, 29, 12, tzinfo=UTC))
    datetime.datetime(2026, 11, 27, 22, 30, tzinfo=datetime.timezone.utc)
    """
    return next(moments_until(schedule, now), None)


def moments_until(schedule: Mapping[str, Any], until: datetime) -> Iterator[datetime]:
    """The schedule's times at or before `until`, UTC, newest first, each once; without end for most.

    Of a recurrence rule the newest 2,000; none of a schedule that only Prefect can read.
    """
    if "interval" in schedule:
        yield from _intervals_until(schedule, until)
        return
    if "calendar" in schedule:
        yield from moments_before(schedule["calendar"], schedule["at"], until)
        return
    zone = ZoneInfo(schedule.get("timezone") or "UTC")
    walls = _cron_walls(schedule, zone, until) if "cron" in schedule else _rule_walls(schedule, zone, until)
    last = None
    for moment in _sorted(walls, zone):
        if moment <= until and moment != last:
            yield moment
            last = moment


def _intervals_until(schedule: Mapping[str, Any], until: datetime) -> Iterator[datetime]:
    # The anchor only says where the intervals lie: Prefect counts from it into the past as well.
    anchor, length = _interval(schedule)
    moment = (until - (until - anchor) % length).astimezone(UTC)
    while True:
        yield moment
        moment -= length


def _cron_walls(schedule: Mapping[str, Any], zone: ZoneInfo, until: datetime) -> Iterator[datetime]:
    """The wall clock's times, newest first; from some hours after `until`, whose hour may come twice."""
    from croniter import croniter

    try:
        # Fields are read on the wall clock, without a zone: each local time is one slot, as in Prefect.
        start = _wall_clock(until, zone) + _SHIFT
        walls = croniter(schedule["cron"], start, day_or=schedule.get("day_or", True))
        while True:
            yield walls.get_prev(datetime)
    except ValueError:
        # No such day in any year, or fields that only Prefect can read.
        return


def _rule_walls(schedule: Mapping[str, Any], zone: ZoneInfo, until: datetime) -> Iterator[datetime]:
    # A rule is read from its beginning only: in one pass, of which the newest are kept.
    last = _wall_clock(until, zone) + _SHIFT
    try:
        rule = _rule(schedule)
    except ValueError:
        return
    yield from reversed(deque(takewhile(lambda wall: wall <= last, rule), maxlen=_RULE_KEEPS))


def _sorted(walls: Iterator[datetime], zone: ZoneInfo) -> Iterator[datetime]:
    """The moments of wall clock times, newest first: a set clock disorders those of some hours."""
    waiting: list[tuple[float, datetime]] = []
    for wall in walls:
        moment = _moment(wall, zone)
        while waiting and -waiting[0][0] > moment.timestamp() + _SHIFT.total_seconds():
            yield heapq.heappop(waiting)[1]
        heapq.heappush(waiting, (-moment.timestamp(), moment))
    while waiting:
        yield heapq.heappop(waiting)[1]


def _wall_clock(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first moment at which the clock shows it, UTC; a skipped time is an hour off, as in Prefect."""
    moment = wall.replace(tzinfo=zone).astimezone(UTC)
    if _wall_clock(moment, zone) != wall and sys.version_info < (3, 13):
        # Prefect is early by what the clock was set, and since Python 3.13 late by as much.
        return wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return moment


def _interval(schedule: Mapping[str, Any]) -> tuple[datetime, timedelta]:
    anchor = datetime.fromisoformat(schedule["anchor_date"])
    return anchor if anchor.tzinfo else anchor.replace(tzinfo=UTC), timedelta(
        seconds=float(schedule["interval"])
    )


def _rule(schedule: Mapping[str, Any]) -> Any:
    """The recurrence rule on the wall clock of the schedule's zone: Prefect puts its own zone aside, too."""
    from dateutil.rrule import rrulestr

    return rrulestr(schedule["rrule"], dtstart=_RULE_START, ignoretz=True)
