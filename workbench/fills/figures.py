"""The figures of a `BacktestRecord`, computed of arrays; what each one is, `workbench.metrics` tells."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workbench import metrics as figures
from workbench.fills.books import Books
from workbench.fills.lines import BUY, Lines
from workbench.metrics.observations import Observed, as_observed, as_paired

__all__ = ["all_figures", "changes_of"]

Floats = npt.NDArray[np.float64]


def changes_of(values: Floats, start: float) -> Floats:
    """Simple return of each bar, the first against `start`: float64, shape (n_bars,).

    Where nothing was left, nothing is earned or lost any more: 0.
    """
    before = np.concatenate(([start], values[:-1]))
    there = before > 0.0
    if there.all():
        return values / before - 1.0
    return np.where(there, values / np.where(there, before, np.inf) - 1.0, 0.0)


def all_figures(
    books: Books,
    returns: Observed,
    *,
    initial_cash: float,
    slippage: float,
    periods_per_year: float,
) -> dict[str, float]:
    """The figures that `BacktestRecord.metrics` names; NaN where undefined.

    Parameters
    ----------
    books : Books
    returns : Observed
        Of the equity, a value each bar.
    initial_cash, slippage, periods_per_year : float
    """
    year, trips = periods_per_year, books.trips
    own, rival = as_paired(returns.values, changes_of(books.benchmark, initial_cash))
    if len(own) == len(returns):
        own = returns
    closed, ended = as_observed(trips.pnl[trips.closed]), int(trips.closed.sum())
    return {
        "total_return": figures.total_return(returns),
        "benchmark_return": float(books.benchmark[-1] / initial_cash - 1.0),
        "cagr": figures.cagr(returns, periods_per_year=year),
        "volatility": figures.volatility(returns, periods_per_year=year),
        "sharpe_ratio": figures.sharpe(returns, periods_per_year=year),
        "sortino": figures.sortino(returns, periods_per_year=year),
        "calmar": figures.calmar(returns, periods_per_year=year),
        "omega": figures.omega(returns),
        "stability": figures.stability(returns),
        "max_drawdown": figures.max_drawdown(returns),
        "max_drawdown_length": figures.max_drawdown_length(returns),
        "value_at_risk": figures.value_at_risk(returns),
        "conditional_value_at_risk": figures.conditional_value_at_risk(returns),
        "tail_ratio": figures.tail_ratio(returns),
        "skewness": figures.skewness(returns),
        "kurtosis": figures.kurtosis(returns),
        "alpha": figures.alpha(own, rival, periods_per_year=year),
        "beta": figures.beta(own, rival),
        "information_ratio": figures.information_ratio(own, rival, periods_per_year=year),
        "up_capture": figures.up_capture(own, rival),
        "down_capture": figures.down_capture(own, rival),
        "total_trades": float(ended),
        "open_trades": float(len(trips) - ended),
        "win_rate": figures.win_rate(closed),
        "profit_factor": figures.profit_factor(closed),
        "expectancy": figures.expectancy(closed),
        "sqn": figures.sqn(closed),
        "exposure": figures.exposure(as_observed(books.by_equity(books.balances.gross))),
        "turnover": figures.turnover(as_observed(books.by_equity(books.traded))) * year,
        "fees_paid": float(books.fills.fees.sum()),
        "slippage_paid": _slippage_paid(books.fills, slippage),
        "final_equity": float(books.balances.equity[-1]),
    }


def _slippage_paid(fills: Lines, slippage: float) -> float:
    """By how much the fills together were worse than their prices without slippage, in currency."""
    if slippage == 0.0:
        return 0.0
    side = np.where(fills.side == BUY, 1.0, -1.0)
    return float((fills.size * fills.price * slippage / (1.0 + side * slippage)).sum())
