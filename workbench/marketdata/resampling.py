"""Bars made coarser: minutes to hours, sessions, weeks and months, along the sessions of an exchange."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import QueryError
from workbench.marketdata.bars import BAR_COLUMNS, validate_index
from workbench.marketdata.calendar import is_daily, most_frequent, stretches, timezone_of

__all__ = ["resample"]

Whole = npt.NDArray[np.int64]
Label = Literal["start", "end"]

DAY = pd.Timedelta(days=1)
DAY_MICROS = 86_400_000_000
# Friday to Tuesday: bars with a larger usual step are weekly or monthly.
DAILY = pd.Timedelta(days=4)
PERIODS: Mapping[str, str] = {"W": "W", "ME": "M", "QE": "Q", "YE": "Y"}
"""pandas' offset names to its period names."""
ADVICE = 'use e.g. "5min", "1h", "session", "1D", "1W", "W-FRI", "1ME", "QE", "YE"'


@dataclass(frozen=True)
class _Target:
    """The length of the new bars: a `step`, a `period` (by pandas' name), or a session (neither)."""

    every: str
    step: pd.Timedelta | None = None
    period: str | None = None


def resample(
    bars: pd.DataFrame,
    every: str | pd.Timedelta,
    *,
    label: Label = "start",
    stamped: Label = "start",
    calendar: str | None = None,
    outside: Literal["drop", "keep"] = "drop",
) -> pd.DataFrame:
    """Coarser bars: first open, highest high, lowest low, last close, sum of volume.

    Intraday bars are stamped with their start or their end, by `label`: with "start" (as the workbench
    stores them) a 5-minute bar stamped 10:00 covers 10:00 until before 10:05, and is only known from 10:05
    on; with "end" the same bar is stamped 10:05.

    Bars of a session or longer are stamped with a date, at 00:00 UTC as daily bars are: a session's bar
    with the session's date, one of a week, month, quarter or year with its first day ("start") or last day
    ("end"), whether or not that was a session. Use "end" to join with daily bars without look-ahead. The
    last bar may be incomplete.

    Parameters
    ----------
    bars : DataFrame
        Tidy bars of any number of symbols, in any order, with some or all of open, high, low, close,
        volume. NaN is ignored.
    every : str or Timedelta
        "5min", "1h" and so on, shorter than a day; "session" or "1D"; "1W" (Monday to Sunday) or
        "W-FRI" (until Friday), "1ME", "QE", "YE", as in pandas.
    label : {"start", "end"}
        How the result is stamped.
    stamped : {"start", "end"}
        How intraday `bars` are stamped: with their start or their end.
    calendar : str, optional
        An exchange, by its name in exchange_calendars. Intraday bars are then aligned to its open, and
        again to the end of its lunch break: none spans two sessions, and the last one of a session is
        shorter if the session is not a multiple of it. Daylight saving moves the alignment with the open.
        Without a calendar bars are aligned to 00:00 UTC, and days are UTC days.
    outside : {"drop", "keep"}
        Whether bars before the open and after the close are dropped. "keep": they are aligned backwards
        from the open and forwards from the close, and belong to the session; on days without a session
        they are dropped anyway.

    Returns
    -------
    DataFrame
        Indexed (symbol, timestamp), sorted, datetime64[us, UTC], float64; only the columns of a bar, since
        how to aggregate others is not known.

    Raises
    ------
    QueryError
        `every` is not valid, finer than the bars, or not a multiple of their length; "session" for intraday
        bars without a calendar; or weeks or months from bars that are longer than a day.
    """
    _one_of("label", label, ("start", "end"))
    _one_of("stamped", stamped, ("start", "end"))
    _one_of("outside", outside, ("drop", "keep"))
    validate_index(bars)
    columns = [column for column in BAR_COLUMNS if column in bars.columns]
    if not columns:
        raise QueryError(f"bars to resample need a column of {', '.join(BAR_COLUMNS)}; these have none")
    target = _target(every)
    ordered = bars[columns].astype(np.float64).sort_index()
    times = pd.DatetimeIndex(ordered.index.get_level_values("timestamp")).tz_convert("UTC").as_unit("us")
    daily = is_daily(times)
    _refuse(ordered, times, target, daily=daily, stamped=stamped, calendar=calendar)
    if daily or ordered.empty:
        kept, dates = np.arange(len(times)), times.asi8
        starts = ends = dates
    else:
        # An instant inside the bar: a bar that ends at the close belongs to the session.
        instants = times.asi8 - (stamped == "end")
        step = DAY if target.step is None else target.step
        if calendar is None:
            kept, dates, starts, ends = _cut_by_days(instants, _micros(step))
        else:
            kept, dates, starts, ends = _cut_by_sessions(
                instants, _micros(step), calendar, keep=outside == "keep"
            )
    if target.period is not None:
        starts, ends = _periods(dates, target.period)
    elif target.step is None:
        starts = ends = dates
    return _summed(ordered.iloc[kept], starts, starts if label == "start" else ends)


def _target(every: str | pd.Timedelta) -> _Target:
    named = str(every)
    if named == "session":
        return _Target(named)
    try:
        offset = pd.tseries.frequencies.to_offset(every)
    except ValueError as error:
        raise QueryError(f'"{every}" is not a length of a bar; {ADVICE}') from error
    if offset == pd.offsets.Day(1) or offset == pd.offsets.Hour(24):
        return _Target(named)
    if isinstance(offset, pd.offsets.Tick):
        step = pd.Timedelta(offset)
        if pd.Timedelta(0) < step < DAY and step % pd.Timedelta(microseconds=1) == pd.Timedelta(0):
            return _Target(named, step=step)
    elif offset is not None and offset.n == 1:
        name, _, anchor = offset.rule_code.partition("-")
        if name in PERIODS:
            return _Target(named, period=PERIODS[name] + (f"-{anchor}" if anchor else ""))
    raise QueryError(f'bars of "{every}" cannot be made; {ADVICE}')


def _refuse(
    ordered: pd.DataFrame,
    times: pd.DatetimeIndex,
    target: _Target,
    *,
    daily: bool,
    stamped: Label,
    calendar: str | None,
) -> None:
    """Raise if the target cannot be made from these bars."""
    if daily and stamped == "end" and len(times):
        raise QueryError('daily bars are stamped with their date; use stamped="end" for intraday bars only')
    if target.every == "session" and calendar is None and not daily:
        raise QueryError('sessions need an exchange: give e.g. calendar="XNYS", or use "1D" for UTC days')
    codes = np.asarray(ordered.index.codes[0])  # type: ignore[attr-defined]
    within = np.flatnonzero(codes[1:] == codes[:-1])
    if len(within) == 0:
        return
    usual = pd.Timedelta(most_frequent(times.asi8[within + 1] - times.asi8[within]), unit="us")
    if target.step is not None:
        if target.step < usual:
            raise QueryError(
                f"these bars are {_freq(usual)} apart: {target.every} is finer, and cannot be made from them"
            )
        if target.step % usual != pd.Timedelta(0):
            raise QueryError(
                f"{target.every} is not a multiple of these bars' {_freq(usual)}: some would be in two bars"
            )
    elif usual > DAILY:
        raise QueryError(f"these bars are {_freq(usual)} apart: {target.every} needs daily or finer ones")


def _cut_by_days(instants: Whole, step: int) -> tuple[Whole, Whole, Whole, Whole]:
    """Without a calendar: which bars are kept, their dates, the start and end of their new bar."""
    dates = instants - instants % DAY_MICROS
    starts = instants - (instants - dates) % step
    return np.arange(len(instants)), dates, starts, np.minimum(starts + step, dates + DAY_MICROS)


def _cut_by_sessions(
    instants: Whole, step: int, calendar: str, *, keep: bool
) -> tuple[Whole, Whole, Whole, Whole]:
    """The same with the sessions of an exchange."""
    # A session may open on the day before its date, and close on the day after.
    first, last = _stamps(np.array([instants.min() - DAY_MICROS, instants.max() + DAY_MICROS]))
    hours = stretches(calendar, first, last)
    opens, closes, sessions = (_column(hours, name) for name in ("open", "close", "session"))
    if len(opens) == 0:
        nothing = np.empty(0, dtype=np.int64)
        return nothing, nothing, nothing, nothing
    number = np.searchsorted(opens, instants, side="right") - 1
    inside = (number >= 0) & (instants < closes[number.clip(0)])
    kept, anchors = inside, opens[number.clip(0)]
    if keep:
        local = _stamps(instants).tz_convert(timezone_of(calendar)).tz_localize(None).normalize().asi8
        after = ~inside & (number >= 0) & (sessions[number.clip(0)] == local)
        following = (number + 1).clip(0, len(opens) - 1)
        before = ~inside & ~after & (instants < opens[following]) & (sessions[following] == local)
        number = np.where(before, following, number)
        anchors = np.where(after, closes[number.clip(0)], opens[number.clip(0)])
        kept = inside | after | before
    starts = instants - (instants - anchors) % step
    ends = np.where(inside, np.minimum(starts + step, closes[number.clip(0)]), starts + step)
    return np.flatnonzero(kept), sessions[number.clip(0)][kept], starts[kept], ends[kept]


def _periods(dates: Whole, period: str) -> tuple[Whole, Whole]:
    """The first and the last day of the week, month and so on of each date."""
    spans = _stamps(dates).tz_localize(None).to_period(period)
    first, last = spans.start_time, spans.end_time.normalize()
    return first.as_unit("us").asi8, last.as_unit("us").asi8


def _summed(ordered: pd.DataFrame, starts: Whole, stamps: Whole) -> pd.DataFrame:
    """Aggregate the bars of the same symbol and start, which are adjacent, to one bar."""
    codes = np.asarray(ordered.index.codes[0])  # type: ignore[attr-defined]
    first = np.flatnonzero(
        np.append(True, (codes[1:] != codes[:-1]) | (starts[1:] != starts[:-1]))[: len(starts)]
    )
    number = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(starts))))
    groups = ordered.reset_index(drop=True).groupby(number, sort=False)
    made = {
        "open": lambda: groups["open"].first(),
        "high": lambda: groups["high"].max(),
        "low": lambda: groups["low"].min(),
        "close": lambda: groups["close"].last(),
        "volume": lambda: groups["volume"].sum(min_count=1),
    }
    coarse = pd.DataFrame({column: made[column]() for column in ordered.columns}, dtype=np.float64)
    symbols = ordered.index.get_level_values("symbol")[first]
    coarse.index = pd.MultiIndex.from_arrays([symbols, _stamps(stamps[first])], names=["symbol", "timestamp"])
    return coarse if coarse.index.is_monotonic_increasing else coarse.sort_index()


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise QueryError(f'{name} is one of {", ".join(known)}, not "{value}"')


def _freq(step: pd.Timedelta) -> str:
    if step % DAY == pd.Timedelta(0):
        return f"{step // DAY}D"
    named = str(pd.tseries.frequencies.to_offset(step).freqstr)
    return named if named[0].isdigit() else f"1{named}"


def _micros(step: pd.Timedelta) -> int:
    return step // pd.Timedelta(microseconds=1)


def _column(hours: pd.DataFrame, name: str) -> Whole:
    return pd.DatetimeIndex(hours[name]).as_unit("us").asi8


def _stamps(micros: Whole) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(micros.astype("datetime64[us]")).tz_localize("UTC")
