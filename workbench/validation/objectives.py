"""Objectives of a search: metrics of returns, higher is better, computed for many variants at once.

The formulas, and the rule of what counts as no volatility, are those of `workbench.metrics`, which takes
one series at a time; a test checks that both agree.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.arguments import named
from workbench.errors import BacktestError
from workbench.metrics.observations import only_rounding

__all__ = ["OBJECTIVES", "check_objective", "objective_of", "objectives_of", "sharpes_of"]

Floats = npt.NDArray[np.float64]


def sharpes_of(returns: Floats) -> Floats:
    """Sharpe ratios per bar, not annualised.

    Parameters
    ----------
    returns : ndarray of float64, shape (n_variants, n_bars)

    Returns
    -------
    ndarray of float64, shape (n_variants,)
        NaN with fewer than two returns, without volatility, or where a return is NaN.
    """
    if returns.shape[1] < 2:
        return np.full(len(returns), np.nan)
    mean, spread = returns.mean(axis=1), returns.std(axis=1, ddof=1)
    return np.asarray(mean / np.where(only_rounding(spread, mean), np.nan, spread))


def _sortinos(returns: Floats, year: float) -> Floats:
    downside = np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2, axis=1))
    known = np.where(only_rounding(downside), np.nan, downside)
    return np.asarray(returns.mean(axis=1) / known * np.sqrt(year))


def _total_returns(returns: Floats, _: float) -> Floats:
    return np.asarray(np.prod(1.0 + returns, axis=1) - 1.0)


def _cagrs(returns: Floats, year: float) -> Floats:
    growth = np.prod(1.0 + returns, axis=1)
    with np.errstate(over="ignore"):
        grown = np.maximum(growth, 0.0) ** (year / returns.shape[1]) - 1.0
    return np.asarray(grown)


def _max_drawdowns(returns: Floats, _: float) -> Floats:
    wealth = np.cumprod(1.0 + returns, axis=1)
    peaks = np.maximum(np.maximum.accumulate(wealth, axis=1), 1.0)
    return np.asarray((wealth / peaks).min(axis=1) - 1.0)


def _calmars(returns: Floats, year: float) -> Floats:
    depths = np.abs(_max_drawdowns(returns, year))
    return np.asarray(_cagrs(returns, year) / np.where(only_rounding(depths), np.nan, depths))


OBJECTIVES: dict[str, Callable[[Floats, float], Floats]] = {
    "sharpe_ratio": lambda returns, year: sharpes_of(returns) * np.sqrt(year),
    "sortino": _sortinos,
    "calmar": _calmars,
    "cagr": _cagrs,
    "total_return": _total_returns,
    "max_drawdown": _max_drawdowns,
}
"""Functions by their name in `BacktestResult.metrics`; the second argument is the number of bars per year.

Metrics of trades (such as the win rate) are missing: a search keeps returns only.
"""


def check_objective(name: str) -> None:
    """Raise `BacktestError` if `name` is not an objective."""
    if not isinstance(name, str) or name not in OBJECTIVES:
        raise BacktestError(
            f"objective: {named(name)} cannot be computed from returns alone; "
            f"choose one of {', '.join(OBJECTIVES)}."
        )


def objectives_of(name: str, returns: Floats, periods_per_year: float) -> Floats:
    """The objective of each variant.

    Parameters
    ----------
    name : str
        One of `OBJECTIVES`.
    returns : ndarray of float64, shape (n_variants, n_bars)
        Simple returns, as fractions; NaN for a variant that failed.
    periods_per_year : float
        Bars per year.

    Returns
    -------
    ndarray of float64, shape (n_variants,)
        NaN where undefined or not finite.
    """
    values = OBJECTIVES[name](returns, periods_per_year)
    return np.where(np.isfinite(values), values, np.nan)


def objective_of(name: str, returns: pd.Series[float], periods_per_year: float) -> float:
    """`objectives_of` for a single series."""
    one = np.array([returns.to_numpy()], dtype=np.float64)
    return float(objectives_of(name, one, periods_per_year)[0])
