"""What bars tell of their series: how long each is, and whether they can be of an exchange's calendar."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.marketdata.calendar import DAY, DAY_MICROS, is_daily, most_frequent, sessions, timezone_of

__all__ = ["fits", "known_of", "length_told"]

_UNITS = {"h": 3_600_000_000, "min": 60_000_000, "s": 1_000_000}
_MOST_UNITS = 99_999
# Among a share's bars a vendor's odd one is rarer than this; those of coins, with their weekends, and of
# currencies, with the exchange's holidays, are beyond it.
_OFF_SESSION = 0.01


def known_of(
    times: pd.DatetimeIndex, calendar: str | None, interval: str | None, *, said: bool
) -> dict[str, str | None]:
    """What is known of a series, as columns of its status: `calendar` and `bar_interval`, as far as told.

    Parameters
    ----------
    times : DatetimeIndex
        The stamps of its bars, or of the newest of them, with a time zone.
    calendar : str, optional
        The exchange that they were checked against. It is taken for the series' own unless bars contradict
        it; then the series' calendar is None, unknown.
    interval : str, optional
        The length of the bars where the source states it; else it is told by their stamps.
    said : bool
        Whether somebody named that calendar for these bars. If not, less than a week of bars tells nothing:
        a coin's are like a share's from Monday to Friday.
    """
    known: dict[str, str | None] = {}
    length = interval or length_told(times)
    if length is not None:
        known["bar_interval"] = length
    if calendar is not None and len(times):
        if not fits(times, calendar):
            known["calendar"] = None
        elif said or times.max() - times.min() >= 7 * DAY:
            known["calendar"] = calendar
    return known


def length_told(times: pd.DatetimeIndex) -> str | None:
    """The length of bars as their stamps tell it; None for a single bar, which tells nothing.

    The most frequent step, the smallest of equals: rather too long than too short, so that a bar counts as
    complete too late rather than too early.

    Parameters
    ----------
    times : DatetimeIndex
        Of one symbol's bars, with a time zone, in any order.

    Returns
    -------
    str
        "1d" only where all are at 00:00 UTC, for only then a stamp is a session's date; else "24h".
    """
    stamps = np.unique(pd.DatetimeIndex(times).as_unit("us").asi8)
    if len(stamps) < 2:
        return None
    step = most_frequent(np.diff(stamps))
    if is_daily(times):
        days = step // DAY_MICROS
        for months in (1, 3, 12):
            if 28 * months <= days <= 31 * months:
                return f"{months}mo"
        return f"{days // 7}w" if days % 7 == 0 else f"{days}d"
    for unit, length in _UNITS.items():
        if step % length == 0:
            return f"{step // length}{unit}" if step // length <= _MOST_UNITS else None
    return None


def fits(times: pd.DatetimeIndex, calendar: str) -> bool:
    """Whether bars at these times can be of a calendar: nearly all are of days on which it has a session.

    Parameters
    ----------
    times : DatetimeIndex
        With a time zone. Daily bars are stamped 00:00 UTC of their date; of others the date is the
        exchange's.
    calendar : str

    Raises
    ------
    QueryError
        There is no such calendar.
    """
    if not len(times):
        return True
    days = times if is_daily(times) else times.tz_convert(timezone_of(calendar))
    dates = pd.DatetimeIndex(days.tz_localize(None).normalize().unique()).as_unit("us")
    there = sessions(calendar, dates.min(), dates.max()).tz_localize(None)
    return float((~dates.isin(there)).mean()) <= _OFF_SESSION
