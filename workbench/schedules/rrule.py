"""`RRule`: a schedule by a recurrence rule of iCalendar (RFC 5545)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from workbench.errors import ScheduleRefused
from workbench.schedules.base import Schedule, check_zone
from workbench.schedules.moments import next_slot

__all__ = ["RRule"]

# What Prefect takes.
_LONGEST = 6_500


@dataclass(frozen=True)
class RRule(Schedule):
    """Due at the wall clock times of a recurrence rule.

    Attributes
    ----------
    rrule : str
        Such as "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18", or lines with DTSTART, RRULE, RDATE, EXDATE. A rule
        without a DTSTART begins at midnight of 2020-01-01.
    timezone : str
        In which it is read.

    Raises
    ------
    ScheduleRefused
        It is no rule that Prefect takes, never comes again, or comes every second; no such time zone.
    """

    kind: ClassVar[str] = "rrule"
    rrule: str
    timezone: str

    def __post_init__(self) -> None:
        check_zone(self.timezone)
        shown = self.rrule if len(self.rrule) <= 100 else f"{self.rrule[:100]}..."
        if len(self.rrule) > _LONGEST:
            raise ScheduleRefused(
                f"the recurrence rule has {len(self.rrule)} characters, and Prefect takes at most {_LONGEST}"
            )
        if "SECONDLY" in self.rrule.upper() or "BYSECOND" in self.rrule.upper():
            raise ScheduleRefused(
                f"the recurrence rule {shown!r} counts seconds; a minute is the least, as in FREQ=MINUTELY"
            )
        try:
            following = next_slot(self.rule(), datetime.now(UTC))
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise ScheduleRefused(
                f"the recurrence rule {shown!r} cannot be read ({error}); write one of RFC 5545, such as "
                "FREQ=WEEKLY;BYDAY=MO,FR;BYHOUR=17;BYMINUTE=30"
            ) from error
        if following is None:
            raise ScheduleRefused(
                f"the recurrence rule {shown!r} never comes again: its last date has passed"
            )

    def rule(self) -> dict[str, Any]:
        """The rule as Prefect takes it."""
        return {"rrule": self.rrule, "timezone": self.timezone}

    def in_words(self) -> str:
        """The rule and its zone, on one line."""
        return f"{' '.join(self.rrule.split())} ({self.timezone})"
