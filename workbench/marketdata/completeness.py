"""When bars are complete: which bars of a series a reader at a given moment could have had.

| bars | complete |
| --- | --- |
| daily, stamped 00:00 UTC of their session's date | at the close of that session by the series' calendar |
| daily, of a day that is no session there | at the next 00:00 UTC |
| of any other length | at their stamp, which is their start, plus their length |
| of unknown length, or daily of an unknown calendar | at their stamp plus a day, which is a guess |

Nothing here is read from a database.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.errors import QueryError
from workbench.marketdata.calendar import DAY_MICROS, schedule, timezone_of

__all__ = ["Completeness", "complete_before", "length_of"]

_UNITS = {"s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000, "d": DAY_MICROS, "w": 7 * DAY_MICROS}
_LONGEST_MONTH = 31
# Their sessions last from midnight to midnight, UTC: no need to build them.
_WHOLE_DAYS = {"24/7", "24/5"}


@dataclass(frozen=True)
class Completeness:
    """Which bars of a series are complete at a moment.

    Attributes
    ----------
    before : int
        Bars with an earlier stamp are complete; microseconds since 1970, UTC.
    known : bool
        Whether that follows from the series' calendar and the length of its bars; else it is a guess.
    """

    before: int
    known: bool


def complete_before(
    moment: pd.Timestamp, calendar: str | None, interval: str | None, *, at_midnight: bool = True
) -> Completeness:
    """The bars that are complete at a moment; one that completes exactly then is among them.

    Parameters
    ----------
    moment : Timestamp
        With a time zone.
    calendar : str, optional
        The exchange of the series, by its name in exchange_calendars. None, or one that is not installed:
        unknown.
    interval : str, optional
        The length of its bars: a number of s, min, h, d, w or mo, such as "1d"; a "mo" is a calendar month.
        None: unknown.
    at_midnight : bool
        Whether its bars are stamped 00:00 UTC. Daily bars at other hours are complete a day after their
        stamp.

    Examples
    --------
    >>> import pandas as pd
    >>> early_close = pd.Timestamp("2024-07-03 17:00", tz="UTC")  # 13:00 in New York, before a holiday
    >>> pd.Timestamp(complete_before(early_close, "XNYS", "1d").before, unit="us")
    Timestamp('2024-07-04 00:00:00')
    >>> pd.Timestamp(complete_before(early_close, "24/7", "1d").before, unit="us")
    Timestamp('2024-07-03 00:00:00')
    """
    now = _micros(moment)
    if interval is None:
        return Completeness(now - DAY_MICROS + 1, known=False)
    count, unit = length_of(interval)
    if unit == "mo":
        return Completeness(
            _months_before(moment, count) if at_midnight else _days_before(now, count), known=True
        )
    if (count, unit) != (1, "d") or not at_midnight:
        return Completeness(now - count * _UNITS[unit] + 1, known=True)
    if calendar is None or not _is_installed(calendar):
        return Completeness(now - DAY_MICROS + 1, known=False)
    if calendar in _WHOLE_DAYS:
        return Completeness(now - DAY_MICROS + 1, known=True)
    return Completeness(_sessions_before(moment, calendar), known=True)


def length_of(interval: str) -> tuple[int, str]:
    """A length of bars as number and unit: (30, "min") for "30min".

    Raises
    ------
    QueryError
        It is no such length.
    """
    found = re.fullmatch(r"([1-9]\d{0,4})(s|min|h|d|w|mo)", interval)
    if found is None:
        raise QueryError(
            f'"{interval}" is no length of bars; write a whole number of s, min, h, d, w or mo, such as "1d"'
        )
    return int(found[1]), found[2]


def _sessions_before(moment: pd.Timestamp, calendar: str) -> int:
    today = moment.tz_convert("UTC").normalize()
    # A session may close before its date begins in UTC, as in Auckland; no day is open longer than to the
    # next one's 00:00.
    first, last = today - pd.Timedelta(days=2), today + pd.Timedelta(days=2)
    closes = schedule(calendar, first, last)["close"]
    day = first
    while day <= last and (closes[day] if day in closes.index else day + pd.Timedelta(days=1)) <= moment:
        day += pd.Timedelta(days=1)
    return _micros(day)


def _months_before(moment: pd.Timestamp, months: int) -> int:
    """The first day of which a bar of so many months is not complete."""
    utc = moment.tz_convert("UTC").as_unit("us")
    length = pd.DateOffset(months=months)
    day = (utc - length).normalize() - pd.Timedelta(days=4)
    while day + length <= utc:
        day += pd.Timedelta(days=1)
    return _micros(day)


def _days_before(now: int, months: int) -> int:
    return now - months * _LONGEST_MONTH * DAY_MICROS + 1


def _is_installed(calendar: str) -> bool:
    if calendar in _WHOLE_DAYS:
        return True
    try:
        timezone_of(calendar)
    except QueryError:
        return False
    return True


def _micros(moment: pd.Timestamp) -> int:
    return int(moment.tz_convert("UTC").as_unit("us").asm8.astype(np.int64))
