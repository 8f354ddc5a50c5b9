"""Measures how far a strategy looks ahead, and names the pattern, by moving where bars begin to differ."""

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
"""The pattern of a look-ahead; `Horizon.hint` has its usual cause."""

_NEARLY_ALL, _MOSTLY, _SOMETIMES = 0.9, 0.6, 0.3
"""Fractions of cells that must show a pattern; not all can, since one bar cannot change every flag."""

_SLACK = 1.2
"""A distance counts as constant up to this factor: measured bars may be unable to change a flag."""
_NEAR = 10
"""Distance in bars; near the end of the sample every leak reaches the last bar."""


@dataclass(frozen=True)
class Horizon:
    """How far ahead a signal looks.

    Attributes
    ----------
    pattern : Pattern
    bars : int
        The largest distance ahead at which a changed bar changed the signal; a lower bound if the pattern
        is "varying".
    hint : str
        The usual cause of this pattern, and what to write instead.
    """

    pattern: Pattern
    bars: int
    hint: str


def measure_horizon(
    evidence: Evidence, signal: str, symbol: int, timestamps: pd.DatetimeIndex, cells: int
) -> Horizon:
    """Bisect, for some cells that differ, for the last row whose bars change them, and name the pattern.

    Parameters
    ----------
    evidence : Evidence
        With runs that show a difference in `signal`.
    signal : str
    symbol : int
        The column to measure.
    timestamps : DatetimeIndex of shape (n_bars,)
    cells : int
        Maximum number of cells to measure; each costs up to ``4 * log2(n_bars)`` calls.
    """
    n_bars = len(timestamps)
    rows = _rows_to_measure(evidence, signal, symbol, cells)
    reaches = np.array([_last_that_matters(evidence, signal, symbol, row, n_bars) for row in rows.tolist()])
    distances = reaches - rows
    # In the runs themselves the first row that differs may be farther back than the measured ones.
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
    if often and farthest <= distances.max() * _SLACK:
        return "constant distance"
    return "whole sample" if farthest > n_bars // 3 else "varying"


def _rows_to_measure(evidence: Evidence, signal: str, symbol: int, count: int) -> npt.NDArray[np.int64]:
    """Rows that differ, in groups of three adjacent ones if possible: a constant distance moves with them.

    The groups come from runs spread over the time axis, away from its ends, where there are too few bars to
    measure the distance.
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
    """The last row from which on changed bars still change this cell."""
    low = row + 1
    # Start from the latest run that showed it: the bars that matter need not follow the row directly.
    for run in evidence.against(signal):
        if run.start > low and evidence.found[run][signal][row, symbol]:
            low = run.start
    if low == n_bars - 1 or evidence.differs(n_bars - 1, signal, row=row, symbol=symbol):
        return n_bars - 1
    # Doubling strides, since most leaks are short, then bisection.
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
    """The shortest period that almost no row looks beyond, and to whose end (or nearly) most look."""
    known = reaches < len(timestamps) - 1
    for name, numbers in reversed(calendar_periods(timestamps).items()):
        _, firsts, lengths = np.unique(numbers, return_index=True, return_counts=True)
        period = np.searchsorted(firsts, reaches[known], side="right") - 1
        left = firsts[period] + lengths[period] - 1 - reaches[known]
        inside = rows[known] >= firsts[period]
        # The last bar of a year seldom changes a figure of the whole year, so the end is approximate.
        at_end = inside & (left <= lengths[period] // 20)
        enough = inside.size > len(rows) // 3 and farthest < lengths.max()
        if enough and inside.mean() >= _NEARLY_ALL and at_end.mean() >= _MOSTLY:
            return name
    return None


def _counted(bars: int) -> str:
    return f"{bars} bar" if bars == 1 else f"{bars} bars"


def _constant_hint(bars: int) -> str:
    ahead = f"It always looks {_counted(bars)} ahead; likely cause: "
    if bars == 1:
        return ahead + "shift(-1), a return to the next bar, np.gradient or a centred window of 3."
    return ahead + f"shift(-{bars}), a return to a later bar, or a centred window of {2 * bars + 1}."


def _length_hint(bars: int) -> str:
    if bars == 1:
        return (
            "Only the newest bar differs, and only until there is a later one: a live run would act on "
            "another signal. Decide at the first bar of a new period, not at the last bar of the old one."
        )
    return (
        "The values of later bars do not matter, but their number does: split by a date, not by a fraction "
        "of the length, and draw random numbers bar by bar."
    )


_WHOLE = (
    "It uses bars up to the last one; likely cause: a mean, deviation, minimum, quantile or rank of the "
    "whole sample, or a scaler or regression fitted on it. Use rolling or expanding ones, or fit on the past "
    "only."
)
_PERIOD = (
    "It uses its {period} to the end; likely cause: a resampled bar labelled at the beginning of its "
    "{period} and filled forward, or a figure of the whole {period}. Use it from the next {period} on."
)
_NEXT = (
    "It looks as far as the next value, up to {bars} ahead; likely cause: bfill or interpolate. Fill with "
    "the last known value (ffill)."
)
_VARYING = (
    "It looks up to {bars} ahead, at varying distances; likely cause: smoothing in both directions "
    "(filtfilt), a spline, or extremes found from both sides."
)
