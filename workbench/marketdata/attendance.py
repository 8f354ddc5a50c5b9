"""Bars against the exchange's calendar: missing bars, bars outside sessions, a wrong time zone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.marketdata.calendar import interval_of, is_daily, missing, schedule
from workbench.marketdata.context import BarSeries, Found, Ints, moment

__all__ = ["attendance"]

HOUR = 3_600_000_000
DAY = 24 * HOUR
# Bars with a larger usual step than this are daily ones, whatever their timestamps.
DAILY = 20 * HOUR
# No exchange closes for longer: if a calendar has no session for this long, its record does not cover it.
HOLIDAYS = pd.Timedelta(days=14)

LEAST_OUTSIDE = 20
"""Minimum bars outside the sessions to suspect the time zone."""
OUTSIDE_SHARE = 0.1
"""Minimum share of all bars outside the sessions to suspect the time zone."""
REMEDY_SHARE = 0.25
"""A shift explains bars outside the sessions if it leaves at most this share of them outside."""
SAMPLE = 10_000
"""Number of bars used to find the bar length and the best shift."""
# Steps of half an hour, for India and others; of equal shifts, whole hours are preferred, then small ones.
SHIFTS = sorted((half * HOUR // 2 for half in range(-28, 29) if half), key=lambda s: (s % HOUR, abs(s)))

Mask = npt.NDArray[np.bool_]


def attendance(series: BarSeries) -> Iterator[Found]:
    """Findings about the new bars against the exchange's calendar; none if the series has no calendar.

    Yields
    ------
    Found
        `wrong_zone`, and nothing else, if a shift would put the bars into the sessions; else
        `off_session`, once for consecutive bars, and `gap`, at the bar after the gap.

    Raises
    ------
    QueryError
        There is no such calendar.
    """
    if series.calendar is None or len(series) == 0:
        return
    hours = _hours(series, series.calendar)
    if hours is None:
        return
    off = hours.outside(series.times.asi8)
    remedy = _wrong_zone(series, hours, off)
    if remedy is not None:
        yield remedy
        return
    yield _off_session(series, hours, off)
    yield _gaps(series, hours)


@dataclass(frozen=True)
class Hours:
    """When an exchange trades, in microseconds since 1970, and how long the bars are."""

    name: str
    sessions: Ints
    opens: Ints
    closes: Ints
    daily: bool
    step: int

    def outside(self, stamps: Ints) -> Mask:
        """Which bars are in no session; False outside the years that the calendar covers."""
        if self.daily:
            known = (stamps >= self.sessions[0]) & (stamps < self.sessions[-1] + DAY)
            absent: Mask = known & ~np.isin(stamps, self.sessions)
            return absent
        # A bar belongs to a session that it overlaps; one stamped with its end may end with the session.
        place = np.searchsorted(self.opens, stamps + max(self.step - 1, 0), side="right") - 1
        late: Mask = (place >= 0) & (stamps > self.closes[place.clip(0)]) & (stamps <= self.closes[-1])
        return late


def _hours(series: BarSeries, calendar: str) -> Hours | None:
    times = series.times
    table = schedule(calendar, times[0] - HOLIDAYS, times[-1] + HOLIDAYS)
    if table.empty:
        return None
    step = 0 if len(times) < 2 else interval_of(times[:SAMPLE]) // pd.Timedelta(microseconds=1)
    return Hours(
        name=calendar,
        sessions=_micros(pd.DatetimeIndex(table.index)),
        opens=_micros(pd.DatetimeIndex(table["open"])),
        closes=_micros(pd.DatetimeIndex(table["close"])),
        daily=is_daily(times) or step >= DAILY,
        step=step,
    )


def _wrong_zone(series: BarSeries, hours: Hours, off: Mask) -> Found | None:
    """One note for the whole series if its time zone seems wrong."""
    count = int(np.count_nonzero(off))
    fresh = np.flatnonzero(off[series.fresh :])[:1] + series.fresh
    if len(fresh) == 0 or count < max(LEAST_OUTSIDE, OUTSIDE_SHARE * len(off)):
        return None
    stamps = series.times.asi8
    outside = f"{count:,} of {len(off):,} bars lie outside the sessions of {hours.name}"
    clocks, often = np.unique(stamps % DAY, return_counts=True)
    if hours.daily and 2 * often[clocks == 0].sum() < len(stamps):
        clock = moment(pd.Timestamp(int(DAY * 20_000 + clocks[np.argmax(often)]), unit="us")).split()[1]
        reason = (
            f"{outside}: a daily bar is stamped 00:00 UTC of its session's date, these are mostly stamped "
            f"{clock} UTC; give their dates without a time"
        )
        return Found("wrong_zone", fresh, lambda _: reason)
    some = stamps[:: -(-len(stamps) // SAMPLE)]
    shifts: Sequence[int] = (DAY, -DAY) if hours.daily else SHIFTS
    shares = [float(hours.outside(some + shift).mean()) for shift in shifts]
    best = int(np.argmin(shares))
    if shares[best] > REMEDY_SHARE * off.mean():
        return None
    by = f"{shifts[best] / HOUR:+g} hours" if not hours.daily else f"{shifts[best] // DAY:+d} day"
    reason = (
        f"{outside}; shifted by {by}, {1 - shares[best]:.0%} would lie inside: "
        "the time zone that they were read in seems wrong"
    )
    return Found("wrong_zone", fresh, lambda _: reason)


def _off_session(series: BarSeries, hours: Hours, off: Mask) -> Found:
    # One note for consecutive bars: bars outside the hours come every night, if at all.
    begins = np.flatnonzero(off & ~np.append(False, off[:-1]))
    ends = np.flatnonzero(off & ~np.append(off[1:], False))

    def reason(position: int) -> str:
        last = int(ends[np.searchsorted(begins, position)])
        where = (
            f"no session of {hours.name} is on that day" if hours.daily else f"{hours.name} is closed then"
        )
        if last == position:
            return f"{_weekday(series.times[position])}: {where}"
        return (
            f"{last - position + 1:,} bars in a row, {_weekday(series.times[position])} to "
            f"{_weekday(series.times[last])}: {where}"
        )

    return Found("off_session", begins[begins >= series.fresh], reason)


def _gaps(series: BarSeries, hours: Hours) -> Found:
    stamps = series.times.asi8
    # Refused rows are logged themselves, so they do not count as missing.
    refused = series.refused.asi8
    there = np.append(stamps, refused[(refused >= stamps[0]) & (refused <= stamps[-1])])
    if hours.daily:
        there = there[there % DAY == 0]
    gaps = missing(_stamps(there), hours.name)
    starts, ends = pd.DatetimeIndex(gaps["start"]), pd.DatetimeIndex(gaps["end"])
    after = np.searchsorted(stamps, _micros(ends), side="right")
    counts = gaps["bars"].to_numpy()
    what = "session" if hours.daily else "bar"

    def reason(position: int) -> str:
        own = np.flatnonzero(after == position)
        first, last = starts[own[0]], ends[own[-1]]
        count = int(counts[own].sum())
        if count == 1:
            return f"the {what} of {moment(first)} before it is missing, against {hours.name}"
        return (
            f"{count:,} {what}s before it are missing, from {moment(first)} to {moment(last)}, "
            f"against {hours.name}"
        )

    return Found("gap", np.unique(after[(after >= series.fresh) & (after < len(stamps))]), reason)


def _weekday(time: pd.Timestamp) -> str:
    return f"{time:%a} {moment(time)}"


def _micros(times: pd.DatetimeIndex) -> Ints:
    return times.as_unit("us").asi8


def _stamps(micros: Ints) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(micros.astype("datetime64[us]")).tz_localize("UTC")
