"""How far a strategy looks ahead, and what it looks like: found by moving where the bars begin to differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.bias.cuts import calendar_periods
from workbench.bias.evidence import Evidence

__all__ = ["Horizon", "Pattern", "measure_horizon"]

Pattern = Literal[
    "constant distance", "whole sample", "period end", "next value", "number of bars", "own close", "varying"
]
"""What a look-ahead looks like; `Horizon.hint` says what does that."""

_NEARLY_ALL, _MOSTLY, _SOMETIMES = 0.9, 0.6, 0.3
"""Shares of cells that have to show a pattern: a single bar cannot turn every flag, so not all do."""

_NOT_MUCH = 1.2
"""By so much a constant distance may seem exceeded, where the measured bars could not turn a flag."""
_NEAR = 10
"""Bars; at the end of the sample every leak reaches the last bar."""


@dataclass(frozen=True)
class Horizon:
    """How far ahead a signal looks.

    Attributes
    ----------
    pattern : Pattern
    bars : int
        The most bars ahead at which another bar still made another signal; a lower bound where the
        pattern varies.
    hint : str
        What usually looks like that, and what to write instead.
    """

    pattern: Pattern
    bars: int
    hint: str


def measure_horizon(
    evidence: Evidence, signal: str, symbol: int, timestamps: pd.DatetimeIndex, cells: int
) -> Horizon:
    """Bisect, for some cells that differ, the last row whose bars matter to them, and name the pattern.

    Parameters
    ----------
    evidence : Evidence
        With runs that show a difference in `signal`.
    signal : str
    symbol : int
        The column that is looked at.
    timestamps : DatetimeIndex of shape (n_bars,)
    cells : int
        How many cells of it are measured at most; each costs up to ``4 * log2(n_bars)`` calls.
    """
    n_bars = len(timestamps)
    rows = _rows_to_measure(evidence, signal, symbol, cells)
    reaches = np.array([_last_that_matters(evidence, signal, symbol, row, n_bars) for row in rows.tolist()])
    distances = reaches - rows
    # Where the bars were bisected, too, the first row that differs may lie farther back than those measured.
    runs = evidence.against(signal)
    starts = [run.start - int(np.argmax(evidence.found[run][signal].any(axis=1))) for run in runs]
    farthest = max(int(distances.max()), *starts)
    if all(run.kind is None for run in runs):
        return Horizon("number of bars", farthest, _length_hint(farthest))
    pattern = _pattern(timestamps, rows, reaches, farthest)
    if pattern == "constant distance":
        return Horizon(pattern, farthest, _constant_hint(farthest))
    if pattern == "period end":
        period = _period_ended(timestamps, rows, reaches, farthest)
        return Horizon(pattern, farthest, _PERIOD.format(period=period))
    hint = {"whole sample": _WHOLE, "next value": _NEXT}.get(pattern, _VARYING)
    return Horizon(pattern, farthest, hint.format(bars=_counted(farthest)))


def _pattern(
    timestamps: pd.DatetimeIndex,
    rows: npt.NDArray[np.int64],
    reaches: npt.NDArray[np.int64],
    farthest: int,
) -> Pattern:
    n_bars, distances = len(timestamps), reaches - rows
    if np.mean(reaches == n_bars - 1) >= _MOSTLY and np.median(distances) > _NEAR:
        return "whole sample"
    if len(np.unique(distances)) > 1 and _period_ended(timestamps, rows, reaches, farthest) is not None:
        return "period end"
    if distances.max() > n_bars // 3 and len(np.unique(reaches)) > 1:
        return "whole sample"
    neighbours = np.diff(rows) == 1
    shared = np.mean(np.diff(reaches)[neighbours] == 0) if neighbours.any() else 0.0
    if shared >= _MOSTLY:
        return "next value"
    often = np.mean(distances == distances.max()) >= _SOMETIMES
    if often and farthest <= distances.max() * _NOT_MUCH:
        return "constant distance"
    return "whole sample" if farthest > n_bars // 3 else "varying"


def _rows_to_measure(evidence: Evidence, signal: str, symbol: int, count: int) -> npt.NDArray[np.int64]:
    """Rows that differ, in threes where neighbours do: a constant distance moves on with them.

    The first of each three comes from runs spread over the time axis, away from its ends, where there are
    too few bars to show how far it looks.
    """
    runs = sorted(
        (run for run in evidence.against(signal) if evidence.found[run][signal][:, symbol].any()),
        key=lambda run: run.start,
    )
    places = (np.arange(max(count // 3, 1)) + 0.5) / max(count // 3, 1) * len(runs)
    chosen: set[int] = set()
    for place in np.unique(places.astype(np.int64)):
        row = int(np.flatnonzero(evidence.found[runs[place]][signal][:, symbol])[-1])
        chosen.add(row)
        for neighbour in (row + 1, row + 2):
            if neighbour < len(evidence) - 1 and evidence.differs(
                neighbour + 1, signal, row=neighbour, symbol=symbol
            ):
                chosen.add(neighbour)
    return np.array(sorted(chosen))


def _last_that_matters(evidence: Evidence, signal: str, symbol: int, row: int, n_bars: int) -> int:
    """The greatest row from which on other bars still change this cell."""
    low = row + 1
    # Where it differed, which need not be right after the row: a later bar may be the one that is missed.
    for run in evidence.against(signal):
        if run.start > low and evidence.found[run][signal][row, symbol]:
            low = run.start
    if low == n_bars - 1 or evidence.differs(n_bars - 1, signal, row=row, symbol=symbol):
        return n_bars - 1
    # Strides that double, since most leaks are short, then halves.
    stride, high = 1, n_bars - 1
    while low + stride < high and evidence.differs(low + stride, signal, row=row, symbol=symbol):
        low, stride = low + stride, stride * 2
    high = min(low + stride, high)
    while high - low > 1:
        middle = (low + high) // 2
        if evidence.differs(middle, signal, row=row, symbol=symbol):
            low = middle
        else:
            high = middle
    return low


def _period_ended(
    timestamps: pd.DatetimeIndex,
    rows: npt.NDArray[np.int64],
    reaches: npt.NDArray[np.int64],
    farthest: int,
) -> str | None:
    """The shortest period that hardly a row looks beyond, and to whose end, or nearly, most do."""
    known = reaches < len(timestamps) - 1
    for name, numbers in reversed(calendar_periods(timestamps).items()):
        _, firsts, lengths = np.unique(numbers, return_index=True, return_counts=True)
        period = np.searchsorted(firsts, reaches[known], side="right") - 1
        left = firsts[period] + lengths[period] - 1 - reaches[known]
        inside = rows[known] >= firsts[period]
        # One bar of a year, the last, seldom turns a figure of the whole year.
        at_end = inside & (left <= lengths[period] // 20)
        enough = inside.size > len(rows) // 3 and farthest < lengths.max()
        if enough and inside.mean() >= _NEARLY_ALL and at_end.mean() >= _MOSTLY:
            return name
    return None


def _counted(bars: int) -> str:
    return f"{bars} bar" if bars == 1 else f"{bars} bars"


def _constant_hint(bars: int) -> str:
    ahead = f"It looks {_counted(bars)} ahead, always: "
    if bars == 1:
        return ahead + "shift(-1), a return to the next bar, np.gradient or a centred window of 3."
    return ahead + f"shift(-{bars}), a return to a later bar, or a centred window of {2 * bars + 1}."


def _length_hint(bars: int) -> str:
    if bars == 1:
        return (
            "Only the newest bar differs, and only while no later one is there: a live run would act "
            "otherwise on it. Decide at the first bar of a new period, not at one that the next bar ends."
        )
    return (
        "What later bars hold does not matter, but how many there are does: split by a date, not by a share "
        "of the length, and draw random numbers bar by bar."
    )


_WHOLE = (
    "Bars up to the last one matter: a mean, deviation, minimum, quantile or rank of the whole sample, or a "
    "scaler or regression fitted on it. Use rolling or expanding ones, or fit on the past alone."
)
_PERIOD = (
    "It knows its {period} to the end: a resampled bar that stands at the beginning of its {period} and is "
    "filled forward, or a figure of the whole {period}. Use it from the next {period} on."
)
_NEXT = (
    "It looks as far as the next value, up to {bars} ahead: bfill or interpolate. Fill with the last known "
    "value (ffill)."
)
_VARYING = (
    "It looks up to {bars} ahead, not always as far: smoothing in both directions (filtfilt), a spline, or "
    "extremes found from both sides."
)
