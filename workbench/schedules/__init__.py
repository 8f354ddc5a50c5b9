"""When deployments are due: cron, intervals, recurrence rules and exchange calendars; no server is asked."""

from __future__ import annotations

from workbench.schedules.base import Schedule
from workbench.schedules.calendar import Calendar
from workbench.schedules.catch_up import CatchUp, check_catch_up
from workbench.schedules.cron import Cron
from workbench.schedules.interval import Interval
from workbench.schedules.kinds import one_schedule, schedule_from_json
from workbench.schedules.rrule import RRule

__all__ = [
    "Calendar",
    "CatchUp",
    "Cron",
    "Interval",
    "RRule",
    "Schedule",
    "check_catch_up",
    "one_schedule",
    "schedule_from_json",
]
