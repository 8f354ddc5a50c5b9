"""`Schedule`: what every kind of schedule can be asked; a kind states its facts, and its moments follow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self
from zoneinfo import ZoneInfo

from workbench.errors import ScheduleRefused
from workbench.schedules.moments import moments_until, next_slot

__all__ = ["Schedule", "check_zone"]


class Schedule(ABC):
    """When a deployment is due. The kinds are frozen dataclasses, which refuse what can never be.

    Attributes
    ----------
    kind : str
        Its name where it is stored: "cron", "interval", "rrule" or "calendar".
    timezone : str
        An IANA name: in which it is read, or for showing its moments.
    """

    kind: ClassVar[str]
    timezone: str

    @abstractmethod
    def rule(self) -> Mapping[str, Any]:
        """The schedule as `moments` reads it; of all kinds but the calendar also as Prefect takes it."""

    @abstractmethod
    def in_words(self) -> str:
        """The schedule for people, on one line."""

    @property
    def is_prefects(self) -> bool:
        """Whether Prefect's own scheduler can plan its runs."""
        return True

    def to_json(self) -> dict[str, Any]:
        """The schedule as it is stored: its fields, and its `kind`."""
        return {"kind": self.kind, **asdict(self)}  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The schedule that `to_json` stored; other keys are left alone.

        Raises
        ------
        ScheduleRefused
            It can be no longer, as when the installed packages do not know its calendar.
        """
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        return cls(**{name: stored[name] for name in names if name in stored})

    def moments(self, after: datetime, until: datetime) -> list[datetime]:
        """The moments in `(after, until]`, UTC, oldest first; of a recurrence rule at most 2,000.

        Parameters
        ----------
        after, until : datetime
            Timezone-aware.
        """
        found = []
        for moment in moments_until(self.rule(), until):
            if moment <= after:
                break
            found.append(moment)
        return found[::-1]

    def next(self, after: datetime, count: int = 1) -> list[datetime]:
        """The next `count` moments after `after`, UTC, oldest first; fewer if the schedule ends before.

        Parameters
        ----------
        after : datetime
            Timezone-aware.
        count : int

        Examples
        --------
        >>> Cron("30 17 * * mon-fri", "America/New_York").next(datetime(2026, 11, 29, tzinfo=UTC))
        [datetime.datetime(2026, 11, 30, 22, 30, tzinfo=datetime.timezone.utc)]
        """
        found: list[datetime] = []
        while len(found) < count:
            moment = next_slot(self.rule(), found[-1] if found else after)
            if moment is None:
                break
            found.append(moment)
        return found

    def warning(self, now: datetime, *, within: timedelta = timedelta(days=90)) -> str:
        """That it ends within that time, or has ended, in one sentence; empty if it does not."""
        del now, within
        return ""


def check_zone(timezone: str) -> None:
    """Refuse what is no time zone.

    Raises
    ------
    ScheduleRefused
    """
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError, TypeError) as error:
        raise ScheduleRefused(
            f"there is no time zone {timezone!r}; give an IANA name, such as America/New_York"
        ) from error
