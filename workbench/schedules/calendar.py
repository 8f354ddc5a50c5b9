"""`Calendar`: a schedule by the sessions of an exchange."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, ClassVar

from workbench.errors import QueryError, ScheduleRefused
from workbench.schedules.base import Schedule
from workbench.schedules.lengths import length_in_words
from workbench.schedules.sessions import moments_after, offset_of

__all__ = ["Calendar"]

_FARTHEST = timedelta(hours=12)


@dataclass(frozen=True)
class Calendar(Schedule):
    """Due on each trading day of an exchange: not on holidays, and with its early closes.

    Attributes
    ----------
    calendar : str
        A name of exchange_calendars: "XNYS", "XLON", "24/7".
    at : str
        "open" or "close", and how long before or after it: "close+15min", "open-30min", "close". At most 12
        hours, and within the usual session if it leads into it.

    Raises
    ------
    ScheduleRefused
        There is no such calendar, or it has no session to come; or no such moment of a session.
    """

    kind: ClassVar[str] = "calendar"
    calendar: str
    at: str = "close"

    def __post_init__(self) -> None:
        found = offset_of(self.at) if isinstance(self.at, str) else None
        if found is None:
            raise ScheduleRefused(
                f'at={self.at!r} is no moment of a session; write "open" or "close", and how long before or '
                'after it, such as "close+15min" or "open-30min"'
            )
        edge, offset = found
        if abs(offset) > _FARTHEST:
            raise ScheduleRefused(
                f'at="{self.at}" lies more than 12 hours from the {edge}, on another day than its session; '
                'give a moment nearer to the "open" or the "close"'
            )
        try:
            length = self._usual_length()
        except QueryError as error:
            raise ScheduleRefused(str(error)) from error
        inwards = offset if edge == "open" else -offset
        if inwards >= length:
            other = "close" if edge == "open" else "open"
            beyond = length_in_words(inwards - length)
            raise ScheduleRefused(
                f'at="{self.at}" lies beyond the {other} of {self.calendar}, whose sessions usually last '
                f"{length_in_words(length)}; count from the other side: {beyond} "
                f"{'after' if other == 'close' else 'before'} the {other}"
            )

    @property
    def timezone(self) -> str:  # type: ignore[override]
        """The exchange's."""
        from workbench.marketdata.calendar import timezone_of

        return timezone_of(self.calendar)

    @property
    def is_prefects(self) -> bool:
        """No: Prefect has no calendars, so its runs are made ahead."""
        return False

    def rule(self) -> dict[str, Any]:
        """The calendar as `moments` reads it."""
        return {"calendar": self.calendar, "at": self.at}

    def next(self, after: datetime, count: int = 1) -> list[datetime]:
        """As `Schedule.next`."""
        return list(islice(moments_after(self.calendar, self.at, after), count))

    def in_words(self) -> str:
        """As in "each trading day of XNYS, 15 minutes after the close"."""
        edge, offset = offset_of(self.at) or ("close", timedelta())
        if not offset:
            return f"each trading day of {self.calendar}, at the {edge}"
        side = "after" if offset > timedelta() else "before"
        return f"each trading day of {self.calendar}, {length_in_words(abs(offset))} {side} the {edge}"

    def warning(self, now: datetime, *, within: timedelta = timedelta(days=90)) -> str:
        """As `Schedule.warning`: some calendars list their holidays by date, as far as these are known."""
        from workbench.marketdata.calendar import end_of

        end = end_of(self.calendar)
        if end is None or end.to_pydatetime() > now + within:
            return ""
        return (
            f"the installed exchange_calendars knows {self.calendar} until {end:%Y-%m-%d} only, and nothing "
            "is due after that; install a newer release of it"
        )

    def _usual_length(self) -> timedelta:
        """How long most of its sessions last."""
        import pandas as pd

        from workbench.marketdata.calendar import schedule

        now = pd.Timestamp.now("UTC")
        hours = schedule(self.calendar, now - pd.Timedelta(days=60), now + pd.Timedelta(days=30))
        if hours.empty:
            raise ScheduleRefused(
                f"the installed exchange_calendars knows no session of {self.calendar} any more; install a "
                "newer release of it"
            )
        length: timedelta = (hours["close"] - hours["open"]).mode().iloc[0].to_pytimedelta()
        return length
