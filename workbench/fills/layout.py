"""`Layout`: bars, dividends, sizes and rules as the arrays that the compiled loop reads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from workbench.errors import BacktestError
from workbench.fills.execution import Execution
from workbench.fills.fractions import fractions_of
from workbench.fills.sizing import Fixed, Percent, default_size
from workbench.signals.inputs import BarArrays

__all__ = ["NONE", "Layout", "lay_out"]

Floats = npt.NDArray[np.float64]

NONE: Floats = np.zeros((0, 0))
"""What stands for dividends and fractions where there are none."""

_FILLS = {"next_open": 0.0, "next_close": 1.0, "same_close": 2.0}


@dataclass(frozen=True, eq=False)
class Layout:
    """What is traded, and by which rules.

    Attributes
    ----------
    market : BarArrays
    execution : Execution
        Its `cash_sharing` is decided.
    high, low : ndarray of float64, shape (n_bars, n_symbols)
        Without NaN where there is a bar; the closes where nothing looks at them.
    dividends : ndarray of float64, shape (n_bars, n_symbols) or (0, 0)
        Cash per unit on the bar that goes ex.
    fractions : ndarray of float64, shape (n_bars, n_symbols) or (0, 0)
        The share of equity of an entry that is decided in each row, where it differs; NaN enters nothing.
    rules : ndarray of float64, shape (14,)
        As `workbench.fills.loop` reads them.
    plain : bool
        Whether signals that are long only can take the fastest loop: one symbol without gaps or stops, filled
        at the next open, all with one share of equity.
    """

    market: BarArrays
    execution: Execution
    high: Floats
    low: Floats
    dividends: Floats
    fractions: Floats
    rules: Floats
    plain: bool

    @cached_property
    def last_closes(self) -> Floats:
        """Each symbol's last close at each row: float64, shape (n_bars, n_symbols); NaN before its first."""
        market = self.market
        if market.present.all():
            return market.close
        return np.take_along_axis(market.close, market.last_rows, axis=0)


def lay_out(market: BarArrays, execution: Execution, dividends: Floats | None) -> Layout:
    """Bars and rules as arrays.

    Parameters
    ----------
    market : BarArrays
    execution : Execution
    dividends : ndarray of float64, shape (n_bars, n_symbols), optional
        Cash per unit.

    Raises
    ------
    BacktestError
        These bars lack what the rules need: highs and lows, or a fraction for each of them.
    """
    high, low = _ranges(market) if execution.has_stops else (market.close, market.close)
    fractions = fractions_of(execution.size, market, execution.periods_per_year)
    paying = dividends is not None and bool(dividends.any())
    return Layout(
        market=market,
        execution=execution,
        high=high,
        low=low,
        dividends=dividends if paying and dividends is not None else NONE,
        # In rows, as all that the loop reads: Numba compiles it anew for another layout.
        fractions=NONE if fractions is None else np.ascontiguousarray(fractions),
        rules=_rules(execution, len(market.symbols)),
        plain=(
            len(market.symbols) == 1
            and bool(market.present.all())
            and not (execution.has_stops or paying)
            and execution.fill == "next_open"
            and isinstance(execution.size, Percent | None)
            and fractions is None
        ),
    )


def _ranges(market: BarArrays) -> tuple[Floats, Floats]:
    """Highs and lows; where one is missing, the higher and the lower one of open and close."""
    for name in ("high", "low"):
        if np.isnan(getattr(market, name)).all():
            raise BacktestError(
                f"stops: the bars have no {name!r}, and only the range of a bar tells whether it touched "
                "one; pass bars with high and low, or leave the stops out."
            )
    unknown = np.isnan(market.high) | np.isnan(market.low)
    return (
        np.where(unknown, np.maximum(market.open, market.close), market.high),
        np.where(unknown, np.minimum(market.open, market.close), market.low),
    )


def _rules(execution: Execution, n_symbols: int) -> Floats:
    size = default_size(execution.size, n_symbols, shared=bool(execution.cash_sharing))
    kind, amount = 2.0, 0.0
    if isinstance(size, Fixed):
        kind, amount = 1.0, size.units
    elif isinstance(size, Percent) and isinstance(size.fraction, float):
        kind, amount = 0.0, size.fraction
    stops = (execution.stop_loss, execution.take_profit, execution.trailing_stop)
    return np.array(
        [
            execution.cash,
            execution.fees,
            execution.fixed_fees,
            execution.slippage,
            _FILLS[execution.fill],
            kind,
            amount,
            *(math.nan if stop is None else stop for stop in stops),
            float(execution.whole_units),
            execution.periods_per_year,
            float(bool(execution.cash_sharing)),
            execution.leverage,
        ]
    )
