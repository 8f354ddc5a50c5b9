"""`Cron`: a schedule by the five fields of cron."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from workbench.errors import ScheduleRefused
from workbench.schedules.base import Schedule, check_zone
from workbench.schedules.cron_fields import wrong_field
from workbench.schedules.moments import next_cron_slot

__all__ = ["Cron"]


@dataclass(frozen=True)
class Cron(Schedule):
    """Due at the wall clock times of five cron fields.

    Attributes
    ----------
    cron : str
        Minute, hour, day, month, weekday: "30 17 * * mon-fri".
    timezone : str
        In which they are read.

    Raises
    ------
    ScheduleRefused
        A field that cannot be, a date that never comes, or no such time zone.
    """

    kind: ClassVar[str] = "cron"
    cron: str
    timezone: str

    def __post_init__(self) -> None:
        count = len(self.cron.split())
        if count != 5:
            raise ScheduleRefused(
                f"the schedule {self.cron!r} has {count} fields; cron takes five: "
                "minute hour day month weekday, such as '30 17 * * mon-fri'"
            )
        if wrong := wrong_field(self.cron):
            raise ScheduleRefused(f"the schedule {self.cron!r} cannot be: {wrong}")
        check_zone(self.timezone)
        try:
            never = next_cron_slot(self.cron, self.timezone, datetime.now(UTC)) is None
        except ValueError:
            return  # fields that only Prefect can read: it says what is wrong with them
        if never:
            raise ScheduleRefused(f"the schedule {self.cron!r} never comes: no year has such a day")

    def rule(self) -> dict[str, Any]:
        """The fields as Prefect takes them."""
        return {"cron": self.cron, "timezone": self.timezone, "day_or": True}

    def next(self, after: datetime, count: int = 1) -> list[datetime]:
        """As `Schedule.next`; none of fields that only Prefect can read."""
        try:
            return super().next(after, count)
        except ValueError:
            return []

    def in_words(self) -> str:
        """The fields and their zone, as in "30 17 * * mon-fri (America/New_York)"."""
        return f"{self.cron} ({self.timezone})"
