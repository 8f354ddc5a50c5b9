"""Stops: at which bar a position's stop loss, trailing stop or target is touched, and at what price."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from workbench.backtest.account import REASONS
from workbench.backtest.execution import Execution
from workbench.backtest.inputs import BarArrays
from workbench.errors import BacktestError

__all__ = ["Path", "Touch", "first_touch", "paths"]

_STOP_LOSS, _TRAILING, _TARGET = (
    REASONS.index(reason) for reason in ("stop_loss", "trailing_stop", "take_profit")
)


class Touch(NamedTuple):
    """Where a position ends: the row, the price before slippage, the reason's place in REASONS."""

    row: int
    price: float
    reason: int


@dataclass(frozen=True, eq=False)
class Path:
    """One symbol's own bars, without the rows in which it has none.

    Attributes
    ----------
    rows : ndarray of int64, shape (n_own_bars,)
        Which row of the market each is.
    open, high, low : ndarray of float64, shape (n_own_bars,)
        Where the high or the low is NaN, the higher and the lower one of open and close.
    """

    rows: npt.NDArray[np.int64]
    open: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]


def paths(market: BarArrays) -> list[Path]:
    """Each symbol's own bars.

    Raises
    ------
    BacktestError
        The bars have no highs or no lows.
    """
    for name in ("high", "low"):
        if np.isnan(getattr(market, name)).all():
            raise BacktestError(
                f"stops: the bars have no {name!r}, and only the range of a bar tells whether it touched "
                "one; pass bars with high and low, or leave the stops out."
            )
    made = []
    for column in range(len(market.symbols)):
        rows = np.flatnonzero(market.present[:, column])
        opens, highs, lows, closes = (
            values[rows, column] for values in (market.open, market.high, market.low, market.close)
        )
        unknown = np.isnan(highs) | np.isnan(lows)
        made.append(
            Path(
                rows,
                opens,
                np.where(unknown, np.maximum(opens, closes), highs),
                np.where(unknown, np.minimum(opens, closes), lows),
            )
        )
    return made


def first_touch(
    path: Path, rules: Execution, *, price: float, side: int, entered: int, at_open: bool, until: int
) -> Touch | None:
    """Where a position is stopped.

    A bar that opens beyond a level is left at its open. Within a bar the stop is taken to come before the
    target, since nothing tells which came first. The trailing stop follows the best price of the bars
    before, never that of the bar itself.

    Parameters
    ----------
    path : Path
        The symbol's own bars.
    rules : Execution
        Its stops are fractions of the entry price, with slippage.
    price : float
        The entry price, with slippage.
    side : int
        1 for a long position, -1 for a short one.
    entered : int
        The row of the entry.
    at_open : bool
        Whether it was entered at that bar's open, so that the bar's own range counts.
    until : int
        The row before which to look; from there on the position is another one.

    Returns
    -------
    Touch or None
    """
    first, end = path.rows.searchsorted([entered if at_open else entered + 1, until])
    loss = math.inf if rules.stop_loss is None else rules.stop_loss
    trail = math.inf if rules.trailing_stop is None else rules.trailing_stop
    gain = math.inf if rules.take_profit is None else rules.take_profit
    # A short position is a long one with all signs turned.
    fixed = side * price * (1.0 - side * loss)
    target = side * price * (1.0 + side * gain)
    best = side * price
    for start, stop in _looks(int(first), int(end)):
        opens = side * path.open[start:stop]
        good, bad = (path.high, path.low) if side > 0 else (path.low, path.high)
        favour, against = side * good[start:stop], side * bad[start:stop]
        peaks = np.maximum.accumulate(np.concatenate(([best], favour)))
        trailing = peaks[:-1] * (1.0 - side * trail)
        level = np.maximum(fixed, trailing)
        gapped = (opens <= level) | (opens >= target)
        if at_open and start == first:
            gapped[0] = False
        touched = gapped | (against <= level) | (favour >= target)
        if touched.any():
            at = int(touched.argmax())
            stopped = bool((opens if gapped[at] else against)[at] <= level[at])
            reason = _TARGET if not stopped else _STOP_LOSS if fixed >= trailing[at] else _TRAILING
            left = opens[at] if gapped[at] else level[at] if stopped else target
            return Touch(int(path.rows[start + at]), side * float(left), reason)
        best = float(peaks[-1])
    return None


def _looks(first: int, end: int) -> Iterator[tuple[int, int]]:
    """Ever longer pieces of a range: most positions are stopped soon, or never."""
    step = 64
    while first < end:
        yield first, min(first + step, end)
        first, step = first + step, step * 4
