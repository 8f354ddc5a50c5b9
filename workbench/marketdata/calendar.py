"""The sessions of an exchange, and which bars are missing against them.

Calendars are those of the package exchange_calendars, by its names: "XNYS", "XLON", "24/7" and so on.
A daily bar is stamped 00:00 UTC of its session's date, an intraday bar with its start.
"""

from __future__ import annotations

import functools
import warnings
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import QueryError
from workbench.spelling import did_you_mean, near_names

if TYPE_CHECKING:
    from exchange_calendars import ExchangeCalendar

__all__ = [
    "end_of",
    "expected_bars",
    "gaps_between",
    "interval_of",
    "is_daily",
    "missing",
    "most_frequent",
    "schedule",
    "sessions",
    "stretches",
    "timezone_of",
]

Moment = pd.Timestamp | date | str
DAY = pd.Timedelta(days=1)
DAY_MICROS = 86_400_000_000
# Building a calendar takes 0.1 s whatever its length: so one is built that is long enough for most calls.
SINCE = 1990
# Before this day pandas does not apply a calendar's yearly holidays; `_table` removes them itself.
RULED = pd.Timestamp("1970-01-01")


def sessions(calendar: str, first: Moment, last: Moment) -> pd.DatetimeIndex:
    """The sessions of an exchange between two dates, both included.

    Parameters
    ----------
    calendar : str
        A name of exchange_calendars: "XNYS", "XLON", "24/7" and so on, or an alias ("NYSE").
    first, last : Timestamp, date or str
        Dates; a timestamp with a time zone is converted to its UTC date.

    Returns
    -------
    DatetimeIndex
        datetime64[us, UTC], 00:00 of each session's date, ascending. Empty if there is no session, and
        for years that the calendar does not cover: XHKG's begins in 1960, XTKS's in 1997. XNYS's has no
        Saturdays, on which New York traded until 1952.

    Raises
    ------
    QueryError
        There is no such calendar; the message lists similar names.
    """
    return pd.DatetimeIndex(_hours(calendar, first, last).index)


def schedule(calendar: str, first: Moment, last: Moment) -> pd.DataFrame:
    """When the sessions of an exchange between two dates, both included, open and close.

    Parameters
    ----------
    calendar, first, last
        As for `sessions`.

    Returns
    -------
    DataFrame of shape (n_sessions, 2)
        Indexed `session` (00:00 UTC of its date); `open` and `close`, datetime64[us, UTC], the close
        excluded: the last one-minute bar of a session starts a minute before it. A session may open on
        the day before its date.

    Raises
    ------
    QueryError
        There is no such calendar.
    """
    return _hours(calendar, first, last)[["open", "close"]]


def stretches(calendar: str, first: Moment, last: Moment) -> pd.DataFrame:
    """Opening and closing times of an exchange without breaks: sessions split at the lunch break.

    Parameters
    ----------
    calendar, first, last
        As for `sessions`.

    Returns
    -------
    DataFrame
        One row per stretch, by time: session, open, close (datetime64[us, UTC]) and part (int64: 0, or 1
        after a break).

    Raises
    ------
    QueryError
        There is no such calendar.
    """
    hours = _hours(calendar, first, last).reset_index()
    rests = hours["break_start"].notna()
    until = hours["close"].mask(rests, hours["break_start"])
    mornings = hours[["session", "open"]].assign(close=until, part=0)
    later = hours.loc[rests, ["session", "break_end", "close"]].rename(columns={"break_end": "open"})
    return pd.concat([mornings, later.assign(part=1)]).sort_values("open", ignore_index=True)


def timezone_of(calendar: str) -> str:
    """The time zone of an exchange: "America/New_York" for "XNYS".

    Raises
    ------
    QueryError
        There is no such calendar.
    """
    return str(_calendar(calendar).tz)


def end_of(calendar: str) -> pd.Timestamp | None:
    """The last date that the installed calendar can know, 00:00 UTC; None for one without an end.

    Some calendars list their holidays by date, and so reach only as far as these are published.

    Raises
    ------
    QueryError
        There is no such calendar.
    """
    latest = _calendar(calendar).bound_max()
    return None if latest is None else pd.Timestamp(latest).tz_localize("UTC")


def is_daily(times: pd.DatetimeIndex) -> bool:
    """Whether these are timestamps of daily bars: all at 00:00 UTC (True if empty).

    Parameters
    ----------
    times : DatetimeIndex
        With a time zone.
    """
    return not (_micros(times) % DAY_MICROS).any()


def interval_of(times: pd.DatetimeIndex) -> pd.Timedelta:
    """The usual step between bars within a session: the most frequent one, the smallest of equals.

    Parameters
    ----------
    times : DatetimeIndex
        In any order; repeated timestamps, as of several symbols, are allowed.

    Raises
    ------
    QueryError
        Fewer than two different intraday timestamps; for daily ones the step is a day.
    """
    steps = np.diff(_distinct(_micros(times)))
    if len(steps) == 0:
        if is_daily(times):
            return DAY
        raise QueryError("the interval of the bars cannot be determined from one bar; give two bars or more")
    return pd.Timedelta(most_frequent(steps), unit="us")


def missing(times: pd.DatetimeIndex, calendar: str) -> pd.DataFrame:
    """The gaps between the first bar and the last one, against an exchange's sessions.

    Bars outside the sessions (on a holiday, before the open) are ignored. If all timestamps are at 00:00
    UTC, a bar is expected for every session; else for every interval of every session, with lunch breaks
    and early closes taken into account. Intraday bars need not start at the open: hourly ones may be
    aligned to the full hour.

    Parameters
    ----------
    times : DatetimeIndex
        The timestamps of one symbol's bars, with a time zone; in any order. An intraday bar is stamped
        with its start.
    calendar : str
        A name of exchange_calendars.

    Returns
    -------
    DataFrame
        One row per gap: start and end (datetime64[us, UTC], the first and the last missing bar, both
        included) and bars (int64, how many are missing). Missing bars on both sides of a night or a
        weekend are one gap.

    Raises
    ------
    QueryError
        There is no such calendar.
    """
    return gaps_between(*expected_bars(times, calendar))


def gaps_between(expected: pd.DatetimeIndex, there: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """Consecutive missing bars as gaps, in the form of `missing`.

    Parameters
    ----------
    expected, there
        As `expected_bars` returns them.
    """
    absent = ~there
    starts = np.flatnonzero(absent & ~np.append(False, absent[:-1]))
    ends = np.flatnonzero(absent & ~np.append(absent[1:], False))
    return pd.DataFrame(
        {"start": expected[starts], "end": expected[ends], "bars": (ends - starts + 1).astype(np.int64)}
    )


def most_frequent(numbers: npt.NDArray[np.int64]) -> int:
    """The most frequent number, the smallest of equals; `numbers` must not be empty."""
    counts = pd.Series(numbers).value_counts(sort=False)
    return int(counts.index[counts == counts.max()].min())


def expected_bars(times: pd.DatetimeIndex, calendar: str) -> tuple[pd.DatetimeIndex, npt.NDArray[np.bool_]]:
    """The bars expected between the first one and the last, and which of them exist.

    Parameters
    ----------
    times, calendar
        As for `missing`.

    Returns
    -------
    expected : DatetimeIndex
        datetime64[us, UTC], ascending.
    there : ndarray of bool, of the same length
    """
    stamps = _distinct(_micros(times))
    if len(stamps) < 2:
        _calendar(calendar)
        return _stamps(stamps), np.ones(len(stamps), dtype=bool)
    first, last = _stamps(stamps[[0, -1]])
    if is_daily(times):
        days = sessions(calendar, first, last)
        wanted = _micros(days)
        return days, stamps[np.searchsorted(stamps, wanted).clip(0, len(stamps) - 1)] == wanted
    # A session may open on the day before its date, and close on the day after.
    hours = stretches(calendar, first - DAY, last + DAY)
    step = interval_of(times) // pd.Timedelta(microseconds=1)
    expected = _intervals(hours, stamps, step)
    # A bar counts for the interval that it starts in: a timestamp may be a second late.
    place = np.searchsorted(expected, stamps, side="right") - 1
    place = place[(place >= 0) & (stamps - expected[place.clip(0)] < step)] if len(expected) else place[:0]
    there = np.zeros(len(expected), dtype=bool)
    there[place] = True
    return _stamps(expected), there


def _intervals(hours: pd.DataFrame, stamps: npt.NDArray[np.int64], step: int) -> npt.NDArray[np.int64]:
    """The starts of the stretches' intervals from the first bar to the last, aligned as the bars are."""
    # Mornings and afternoons separately: the full hour may be the open of one and not of the other.
    parts = [_cut(part, stamps, step) for _, part in hours.groupby("part")]
    starts = _distinct(np.concatenate(parts)) if parts else np.empty(0, dtype=np.int64)
    kept: npt.NDArray[np.int64] = starts[(starts >= stamps[0]) & (starts <= stamps[-1])]
    return kept


def _cut(hours: pd.DataFrame, stamps: npt.NDArray[np.int64], step: int) -> npt.NDArray[np.int64]:
    opens, closes = _micros(hours["open"]), _micros(hours["close"])
    stretch = np.searchsorted(opens, stamps, side="right") - 1
    within = (stretch >= 0) & (stamps < closes[stretch.clip(0)])
    phase = most_frequent((stamps - opens[stretch])[within] % step) if within.any() else 0
    # If bars are not aligned to the open, the first one starts before the open and covers it.
    begin = opens + (phase - step if phase else 0)
    numbers = -((begin - closes) // step)
    owner = np.repeat(np.arange(len(opens)), numbers)
    nth = np.arange(len(owner)) - (np.cumsum(numbers) - numbers)[owner]
    starts: npt.NDArray[np.int64] = begin[owner] + step * nth
    return starts


def _hours(calendar: str, first: Moment, last: Moment) -> pd.DataFrame:
    start, end = _date(first), _date(last)
    table = _table(calendar, min(SINCE, start.year // 10 * 10), end.year // 10 * 10 + 9)
    begin, stop = table.index.searchsorted(start), table.index.searchsorted(end, side="right")
    return table.iloc[begin:stop]


@functools.lru_cache(maxsize=32)
def _table(calendar: str, first_year: int, last_year: int) -> pd.DataFrame:
    """The hours of every session of those years, as far as the calendar covers them."""
    usual = _calendar(calendar)
    # The range that the calendar covers; building it beyond that raises.
    earliest, latest = usual.bound_min(), usual.bound_max()
    first, last = pd.Timestamp(first_year, 1, 1), pd.Timestamp(last_year, 12, 31)
    first = max(first, earliest) if earliest is not None else first
    last = max(min(last, latest) if latest is not None else last, usual.last_session)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from its use of pandas
        hours = pd.DataFrame(type(usual)(start=first, end=last).schedule)
    if first < RULED and usual.regular_holidays is not None:
        hours = hours[~hours.index.isin(usual.regular_holidays.holidays(first, RULED))]
    hours = pd.DataFrame({name: hours[name].dt.as_unit("us") for name in hours.columns})
    # Without the index's frequency, which slices would not keep.
    hours.index = pd.DatetimeIndex(hours.index.to_numpy(), name="session").as_unit("us").tz_localize("UTC")
    return hours


@functools.lru_cache(maxsize=128)
def _calendar(name: str) -> ExchangeCalendar:
    import exchange_calendars
    from exchange_calendars.errors import InvalidCalendarName

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return exchange_calendars.get_calendar(name)
    except InvalidCalendarName as error:
        meant = did_you_mean(near_names(name, exchange_calendars.get_calendar_names(), n=2, cutoff=0.7))
        raise QueryError(
            f'there is no exchange calendar "{name}"{meant}; "XNYS" is the New York Stock Exchange\'s, '
            '"24/7" is for coins, and exchange_calendars.get_calendar_names() lists them all'
        ) from error
    except (NotImplementedError, ValueError) as error:
        # Release 4.13.2 on pandas 3.1: ASEX, XBEL, XBSE, XCYS and XTAE.
        raise QueryError(
            f'the installed exchange_calendars cannot build its calendar "{name}"; choose another, '
            "or install another release of it"
        ) from error


def _date(moment: Moment) -> pd.Timestamp:
    stamp = pd.Timestamp(moment)
    return (stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")).normalize()


def _distinct(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Sorted and unique; for nearly sorted numbers, such as bars' timestamps, faster than by hashing."""
    ordered = np.sort(numbers, kind="stable")
    first: npt.NDArray[np.bool_] = np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]
    return ordered[first]


def _micros(times: pd.DatetimeIndex | pd.Series[pd.Timestamp]) -> npt.NDArray[np.int64]:
    return pd.DatetimeIndex(times).as_unit("us").asi8


def _stamps(micros: npt.NDArray[np.int64]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(micros.astype("datetime64[us]")).tz_localize("UTC")
