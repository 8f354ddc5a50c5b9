"""Figures of closed trades' profits, after costs.

A profit is in currency, or in multiples of what was risked (R) where those are given; NaN ones are left out.
"""

from __future__ import annotations

import math

import numpy as np

from workbench.arguments import as_whole
from workbench.errors import BacktestError
from workbench.metrics.observations import ROUNDING, Values, observed

__all__ = ["expectancy", "profit_factor", "sqn", "win_rate"]

_COUNT = "give a whole number of trades such as 100, or None for all of them"
_LARGEST_AMOUNT = 1_000.0
"""How many times its profit a trade's value and costs may be, for what rounding leaves in the profit."""


def win_rate(pnl: Values) -> float:
    """The share of closed trades that made money after costs, also called hit rate.

    Parameters
    ----------
    pnl : Series of float64, shape (n_trades,)
        Profit of each closed trade, in currency, after fees. A profit of exactly 0 is not a win.

    Returns
    -------
    float
        A fraction in [0, 1]; NaN without a trade.
    """
    profits = observed(pnl, "pnl").values
    return float((profits > 0.0).mean()) if profits.size else math.nan


def profit_factor(pnl: Values) -> float:
    """What the winners made, by what the losers lost: ``sum(pnl > 0) / -sum(pnl < 0)``.

    vectorbt gives infinity where no trade lost: that would rank a single lucky trade above every system,
    so here it is not defined.

    Parameters
    ----------
    pnl : Series of float64, shape (n_trades,)
        Profit of each closed trade, in currency, after fees.

    Returns
    -------
    float
        A ratio, 0 or more; 0 where no trade won; NaN without a losing trade.
    """
    profits = observed(pnl, "pnl").values
    lost = -float(profits[profits < 0.0].sum())
    return float(profits[profits > 0.0].sum()) / lost if lost > 0.0 else math.nan


def expectancy(pnl: Values) -> float:
    """Mean profit of a trade: ``win rate * mean win - loss rate * mean loss``, which is the plain mean.

    V. K. Tharp, "Trade Your Way to Financial Freedom", 1998, there of R multiples.

    Parameters
    ----------
    pnl : Series of float64, shape (n_trades,)
        Profit of each closed trade, in currency, after fees; or in R, for the expectancy in R.

    Returns
    -------
    float
        In the unit of the profits; NaN without a trade.
    """
    profits = observed(pnl, "pnl").values
    return float(profits.mean()) if profits.size else math.nan


def sqn(pnl: Values, *, most_trades: int | None = 100) -> float:
    """Van Tharp's system quality number: ``sqrt(min(n, most_trades)) * mean(pnl) / std(pnl, ddof=1)``.

    V. K. Tharp, "The Definitive Guide to Position Sizing", 2008: of more than 100 trades the root of 100
    is taken, so that trading often does not make up for trading badly. He takes R multiples; of profits in
    currency it is the same number where every trade risked the same. Some programs (backtesting.py) leave
    the count open: `most_trades=None`, a t statistic.

    Parameters
    ----------
    pnl : Series of float64, shape (n_trades,)
        Profit of each closed trade, after fees, in currency or in R.
    most_trades : int or None
        How many trades count at most, 1 or more; None is all of them.

    Returns
    -------
    float
        Without unit; NaN with fewer than two trades or where all made the same but for rounding: a deviation
        up to 1e-9 of the mean profit. A profit is the difference of amounts that may be a thousand times as
        large, so the bound is a thousand times that of returns.

    Raises
    ------
    BacktestError
        When `most_trades` is not a whole number of 1 or more.
    """
    limit = math.inf if most_trades is None else as_whole(most_trades, "most_trades", _COUNT)
    if limit < 1:
        raise BacktestError(f"most_trades: {limit} is below 1; {_COUNT}.")
    profits = observed(pnl, "pnl").values
    if profits.size < 2:
        return math.nan
    mean, spread = float(profits.mean()), float(np.std(profits, ddof=1))
    if spread <= _LARGEST_AMOUNT * ROUNDING * abs(mean):
        return math.nan
    return math.sqrt(min(profits.size, limit)) * mean / spread
