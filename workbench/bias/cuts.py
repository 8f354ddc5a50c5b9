"""Chooses where to cut the bars: at the last bars, ends of days, weeks and months, at signals, at random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.bias.subject import SignalTable
from workbench.errors import BacktestError

__all__ = [
    "Dates",
    "Rows",
    "bars_until",
    "calendar_periods",
    "choose_cuts",
    "choose_perturbed",
    "turning_points",
]

Rows = npt.NDArray[np.int64]
Dates = Sequence[pd.Timestamp] | pd.DatetimeIndex

_LAST = (1, 2, 3, 5)
_EARLY = (0, 1, 2, 4, 8, 16)


def calendar_periods(timestamps: pd.DatetimeIndex) -> dict[str, Rows]:
    """The number of each bar's year, quarter, month, week and day, as arrays by name; the longest first.

    Periods are in UTC; weeks end on Sunday. Periods that never hold two bars are left out.
    """
    naive = timestamps.tz_convert("UTC").tz_localize(None)
    codes = {"year": "Y", "quarter": "Q", "month": "M", "week": "W", "day": "D"}
    periods = {name: naive.to_period(code).asi8 for name, code in codes.items()}
    return {name: numbers for name, numbers in periods.items() if (np.diff(numbers) == 0).any()}


def bars_until(timestamps: pd.DatetimeIndex, dates: Dates, role: str) -> Rows:
    """The number of bars up to and including each date; ascending, unique.

    Raises
    ------
    BacktestError
        The dates have no time zone.
    """
    stamps = pd.DatetimeIndex(list(dates))
    if stamps.tz is None:
        raise BacktestError(f"{role}: the dates have no time zone; set one, as in tz_localize('UTC').")
    return np.unique(timestamps.searchsorted(stamps.tz_convert("UTC"), side="right")).astype(np.int64)


def turning_points(table: SignalTable) -> Rows:
    """The rows at which any symbol's signal turns on, or its weight changes; ascending."""
    turns: set[int] = set()
    for name, values in table.items():
        before = np.vstack([np.full_like(values[:1], np.nan if name == "weights" else False), values[:-1]])
        turned = values & ~before if name != "weights" else ~np.isnan(values) & (values != before)
        turns.update(np.flatnonzero(turned.any(axis=1)).tolist())
    return np.array(sorted(turns), dtype=np.int64)


def choose_cuts(
    timestamps: pd.DatetimeIndex, table: SignalTable, first: int, count: int, generator: np.random.Generator
) -> Rows:
    """The number of known bars at each cut; ascending, unique.

    Parameters
    ----------
    timestamps : DatetimeIndex of shape (n_bars,)
    table : SignalTable
        The signals on all bars: a third of the cuts come right after a bar where one turns on; otherwise a
        rule with few signals would not be caught.
    first : int
        The fewest bars with which the strategy does not raise.
    count : int
        Number of cuts; fewer if there are fewer bars.
    generator : numpy.random.Generator

    Returns
    -------
    ndarray of int64
        From `first` to ``n_bars - 1``.
    """
    n_bars = len(timestamps)
    if n_bars - first <= count:
        return np.arange(first, n_bars)
    chosen = [n_bars - back for back in _LAST] + [first + ahead for ahead in _EARLY]
    periods = [
        numbers for name, numbers in calendar_periods(timestamps).items() if name in ("month", "week", "day")
    ]
    for numbers in periods:
        ends = np.flatnonzero(np.diff(numbers)) + 1
        some = _some(ends, max(count // (8 * len(periods)), 1), generator)
        # With the period's last bar, and without it: a bar labelled at the period's start shows only without.
        chosen += [*some, *(some - 1)]
    chosen += [*(_some(turning_points(table), count // 3, generator) + 1)]
    chosen += np.linspace(first, n_bars - 1, count // 5).astype(np.int64).tolist()
    inside = np.unique([kept for kept in chosen if first <= kept < n_bars])
    others = np.setdiff1d(np.arange(first, n_bars), inside)
    missing = max(count - inside.size, 0)
    return np.union1d(_some(inside, count, generator), _some(others, missing, generator)).astype(np.int64)


def choose_perturbed(cuts: Rows, table: SignalTable, count: int, generator: np.random.Generator) -> Rows:
    """The cuts after which bars are also replaced: half of them at signals, the rest evenly spaced."""
    if cuts.size <= count:
        return cuts
    at_signals = np.intersect1d(cuts, turning_points(table) + 1)
    spread = cuts[np.linspace(0, cuts.size - 1, count - count // 2).astype(np.int64)]
    return np.union1d(spread, _some(at_signals, count // 2, generator))


def _some(rows: Rows, count: int, generator: np.random.Generator) -> Rows:
    """`count` of the rows, at random."""
    if rows.size <= count:
        return rows
    return np.sort(generator.choice(rows, count, replace=False))
