"""What a search can choose by: figures of returns alone, of which more is better, for many variants at once.

The formulas are those of `workbench.metrics`, which takes one series at a time, and so is the rule of what
counts as no volatility; a test holds the two together.
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
"""By the name that `BacktestResult.metrics` has for it; the second argument is the bars in a year.

Figures of trades (a win rate) are left out: of a stretch of training bars there are returns only.
"""


def check_objective(name: str) -> None:
    """Refuse what no search can choose by (`BacktestError`)."""
    if not isinstance(name, str) or name not in OBJECTIVES:
        raise BacktestError(
            f"objective: {named(name)} cannot be computed from returns alone; "
            f"choose one of {', '.join(OBJECTIVES)}."
        )


def objectives_of(name: str, returns: Floats, periods_per_year: float) -> Floats:
    """The figure of each variant.

    Parameters
    ----------
    name : str
        One of `OBJECTIVES`.
    returns : ndarray of float64, shape (n_variants, n_bars)
        Simple returns, as fractions; a variant whose returns are NaN failed.
    periods_per_year : float
        Bars in a year.

    Returns
    -------
    ndarray of float64, shape (n_variants,)
        NaN where it is not defined or not finite.
    """
    values = OBJECTIVES[name](returns, periods_per_year)
    return np.where(np.isfinite(values), values, np.nan)


def objective_of(name: str, returns: pd.Series[float], periods_per_year: float) -> float:
    """`objectives_of` a single series."""
    one = np.array([returns.to_numpy()], dtype=np.float64)
    return float(objectives_of(name, one, periods_per_year)[0])
