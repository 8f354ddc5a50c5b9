"""The kinds of schedules: one from what a promotion is given, and one from what is stored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from workbench.errors import ScheduleRefused
from workbench.schedules.base import Schedule
from workbench.schedules.calendar import Calendar
from workbench.schedules.cron import Cron
from workbench.schedules.interval import Interval
from workbench.schedules.rrule import RRule

__all__ = ["KINDS", "one_schedule", "schedule_from_json"]

KINDS: dict[str, type[Schedule]] = {"cron": Cron, "interval": Interval, "rrule": RRule, "calendar": Calendar}
"""Each kind by its name where it is stored."""


def one_schedule(
    *,
    cron: str | None = None,
    every: str | timedelta | None = None,
    rrule: str | None = None,
    calendar: str | None = None,
    at: str | None = None,
    timezone: str | None = None,
    default_timezone: str | None = None,
) -> Schedule:
    """The schedule that exactly one of `cron`, `every`, `rrule` and `calendar` gives.

    Parameters
    ----------
    cron, every, rrule, calendar, at
        As `Cron`, `Interval`, `RRule` and `Calendar` take them. `at` by default: "close".
    timezone : str, optional
        Of `cron` and `rrule` it is needed; a calendar has its exchange's.
    default_timezone : str, optional
        Taken where `timezone` is not given.

    Raises
    ------
    ScheduleRefused
        None of them or several are given, something that does not go with it, or one that can never be.
    """
    given = {"cron": cron, "every": every, "rrule": rrule, "calendar": calendar}
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        told = f"{' and '.join(names)} are" if names else "none is"
        raise ScheduleRefused(f"a schedule is one of cron, every, rrule and calendar; {told} given")
    if at is not None and calendar is None:
        raise ScheduleRefused(
            f"at={at!r} is a moment of a calendar's sessions; it does not go with {names[0]}"
        )
    zone = timezone or default_timezone
    if calendar is not None:
        if timezone is not None:
            raise ScheduleRefused(f"a calendar has the time zone of its exchange; leave out {timezone!r}")
        return Calendar(calendar, "close" if at is None else "".join(str(at).split()))
    if every is not None:
        if isinstance(every, timedelta):
            every = (
                f"{every.total_seconds() / 60:.0f}min"
                if every % timedelta(minutes=1) == timedelta()
                else str(every)
            )
        return Interval(every, timezone=zone or "UTC")
    if zone is None:
        raise ScheduleRefused(
            "a schedule needs its time zone: give one, timezone='America/New_York', or set it for the "
            "project, [defaults] timezone in workbench.toml"
        )
    return Cron(cron, zone) if cron is not None else RRule(str(rrule), zone)


def schedule_from_json(stored: Mapping[str, Any]) -> Schedule | None:
    """The schedule that `Schedule.to_json` stored; None of a kind that has no moments of its own.

    Raises
    ------
    ScheduleRefused
        It can be no longer.
    """
    kind = KINDS.get(str(stored.get("kind")))
    return None if kind is None else kind.from_json(stored)
