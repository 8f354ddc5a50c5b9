"""`Interval`: a schedule that comes again and again after the same time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from workbench.errors import ScheduleRefused
from workbench.schedules.base import Schedule, check_zone
from workbench.schedules.lengths import length_in_words, length_of

__all__ = ["Interval"]

_SHORTEST = timedelta(minutes=1)
_LONGEST = timedelta(days=366)


@dataclass(frozen=True)
class Interval(Schedule):
    """Due every so often, counted in time that passes: a set clock changes nothing.

    Attributes
    ----------
    every : str
        A number of "min", "h" or "d": "15min", "1h30min", "1d".
    anchor : str
        A moment in ISO 8601 with an offset from which the intervals are counted, both ways. Default: a
        midnight, UTC, so that "15min" comes at the quarters of the hour.
    timezone : str
        For showing its moments.

    Raises
    ------
    ScheduleRefused
        No such length, one below a minute or above a year, no such moment, or no such time zone.
    """

    kind: ClassVar[str] = "interval"
    every: str
    anchor: str = "2020-01-01T00:00:00+00:00"
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        if not isinstance(self.every, str) or (length := length_of(self.every)) is None:
            raise ScheduleRefused(
                f"every={self.every!r} is no length of time; write a number of min, h or d, such as "
                '"15min", "2h" or "1d"'
            )
        if length < _SHORTEST:
            raise ScheduleRefused(f"every={self.every!r} is below a minute, which is the least")
        if length > _LONGEST:
            raise ScheduleRefused(f"every={self.every!r} is above 366 days, which is the most")
        try:
            told = datetime.fromisoformat(self.anchor).tzinfo is None
        except (TypeError, ValueError):
            told = True
        if told:
            raise ScheduleRefused(
                f"anchor={self.anchor!r} is no moment with an offset from UTC; give one such as "
                '"2026-01-01T00:00:00+00:00"'
            )
        check_zone(self.timezone)

    @property
    def length(self) -> timedelta:
        """The time between two moments."""
        length = length_of(self.every)  # which __post_init__ could read
        assert length is not None
        return length

    def rule(self) -> dict[str, Any]:
        """The interval as Prefect takes it."""
        # In UTC: in a zone Prefect counts days by the wall clock, and everything else by time that passes.
        return {
            "interval": self.length.total_seconds(),
            "anchor_date": datetime.fromisoformat(self.anchor).astimezone(UTC).isoformat(),
            "timezone": "UTC",
        }

    def in_words(self) -> str:
        """The interval, as in "every 15 minutes"."""
        return f"every {length_in_words(self.length)}"
