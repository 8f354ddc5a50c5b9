"""How many units an entry buys or sells: `Percent`, `Fixed` and `VolatilityTarget` at a fill; no orders."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from workbench.backtest.execution import Execution
from workbench.backtest.inputs import BarArrays
from workbench.backtest.sizing import Fixed, Percent, Size

__all__ = ["affordable", "default_size", "effective_price", "entry_units", "fraction_of", "spendable"]


_ROUNDING = 1e-9
"""A share of equity that is no money, but what rounding left."""


def default_size(rules: Execution, n_symbols: int) -> Size:
    """What is bought where nobody said: all of an account of its own, an equal share of a common one."""
    return rules.size or Percent(1.0 / n_symbols if rules.cash_sharing else 1.0)


def effective_price(price: float, side: int, rules: Execution) -> float:
    """What a unit costs (`side` 1) or brings (-1): the price, worse by the slippage."""
    return price * (1.0 + side * rules.slippage)


def affordable(cash: float, price: float, rules: Execution) -> float:
    """Units that this cash pays for with all fees, at an effective price."""
    return max(0.0, cash - rules.fixed_fees) / (price * (1.0 + rules.fees))


def spendable(free_cash: float, equity: float) -> float:
    """Free cash without what rounding leaves of equity that is all put in, and never below zero."""
    return free_cash if free_cash > _ROUNDING * equity else 0.0


def fraction_of(
    size: Size,
    market: BarArrays,
    column: int,
    row: int,
    rules: Execution,
    fractions: npt.NDArray[np.float64] | None = None,
) -> float:
    """The share of equity that is put in after a decision at `row`; NaN where it is not defined.

    Parameters
    ----------
    size : Size
    market : BarArrays
    column, row : int
        The symbol, and the bar at whose close it was decided: no later close is looked at.
    rules : Execution
        For its `periods_per_year`.
    fractions : ndarray of float64, shape (n_bars, n_symbols), optional
        Those of a `Percent` of a frame, as `read_fractions` lays them out.
    """
    if isinstance(size, Percent):
        if isinstance(size.fraction, float):
            return size.fraction
        assert fractions is not None, "a frame is laid out before anything is entered"
        # Of the symbol's own last bar: the row may be one in which only others have a bar.
        while not market.present[row, column]:
            row -= 1
        return float(fractions[row, column])
    if isinstance(size, Fixed):
        return 1.0
    # Rows without a bar are skipped: a return is from one of the symbol's closes to its next.
    first = max(0, row - 2 * size.window)
    while True:
        closes = market.close[first : row + 1, column]
        closes = closes[~np.isnan(closes)][-size.window - 1 :]
        if len(closes) > size.window or first == 0:
            break
        first = max(0, row - 2 * (row - first))
    if len(closes) <= size.window:
        return math.nan
    volatility = float(np.std(closes[1:] / closes[:-1] - 1.0, ddof=1)) * math.sqrt(rules.periods_per_year)
    return min(size.max_fraction, size.annual / volatility) if volatility > 0.0 else math.nan


def entry_units(
    size: Size, fraction: float, *, side: int, price: float, equity: float, free_cash: float, rules: Execution
) -> float:
    """Units to buy (`side` 1) or to sell short (-1), at least 0.

    Parameters
    ----------
    size : Size
    fraction : float
        Of `fraction_of`; NaN enters nothing.
    side : int
    price : float
        Of the fill, before slippage.
    equity, free_cash : float
        Of the account, in currency. Equity that is not above zero enters nothing.
    rules : Execution
    """
    if math.isnan(fraction) or equity <= 0.0:
        return 0.0
    paid, free = effective_price(price, side, rules), spendable(free_cash, equity)
    if isinstance(size, Fixed):
        units = size.units if side < 0 else min(size.units, affordable(free, paid, rules))
    else:
        budget = fraction * equity
        units = affordable(budget if side < 0 else min(budget, free), paid, rules)
    return math.floor(units) if rules.whole_units else units
