"""What makes a deployment due: one schedule of all that a promotion may give, by the clock or by events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from workbench.errors import ScheduleRefused
from workbench.promotion.awaiting import awaited_of, check_awaited
from workbench.schedules import CatchUp, Schedule, one_schedule
from workbench.session import Session

__all__ = ["chosen_schedule"]


def chosen_schedule(
    session: Session,
    name: str,
    kind: str,
    *,
    cron: str | None = None,
    every: str | timedelta | None = None,
    rrule: str | None = None,
    calendar: str | None = None,
    at: str | None = None,
    timezone: str | None = None,
    on: str | None = None,
    where: Mapping[str, str | Sequence[str]] | None = None,
    settle: str | float | None = None,
    after: str | None = None,
    catch_up: CatchUp = "latest",
) -> Schedule:
    """The one schedule that is given, checked.

    Parameters
    ----------
    session : Session
    name : str
        The deployment's.
    kind : str
        "notebook" or "ingest".
    cron, every, rrule, calendar, at, timezone, on, where, settle, after, catch_up
        As `Deployments.promote` takes them.

    Raises
    ------
    ScheduleRefused
        None or several are given, or one that can never be.
    NotDeployed
        There is no deployment to come after.
    """
    awaited = awaited_of(on=on, where=where, settle=settle, after=after)
    if awaited is None:
        return one_schedule(
            cron=cron,
            every=every,
            rrule=rrule,
            calendar=calendar,
            at=at,
            timezone=timezone,
            default_timezone=session.settings.timezone,
        )
    clock = {"cron": cron, "every": every, "rrule": rrule, "calendar": calendar, "at": at}
    if given := [option for option, value in clock.items() if value is not None]:
        raise ScheduleRefused(
            f"{given[0]} and {'on' if after is None else 'after'} are both given; a deployment is due by the "
            "clock or by events"
        )
    if catch_up != "latest":
        raise ScheduleRefused(
            f"catch_up={catch_up!r} is of schedules by the clock; of events that came while nothing ran, one "
            "run answers all"
        )
    check_awaited(session.pool("runs"), session.runs.versions, name, awaited, kind=kind)
    return awaited
