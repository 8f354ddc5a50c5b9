"""Figures of falling below an earlier peak, the starting capital being the first."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from workbench.metrics.observations import (
    DAYS_PER_YEAR,
    ROUNDING,
    Observed,
    Values,
    observed,
    only_rounding,
    year_of,
)
from workbench.metrics.returns import cagr

__all__ = ["calmar", "drawdown", "max_drawdown", "max_drawdown_length"]


def drawdown(returns: pd.Series[float]) -> pd.Series[float]:
    """How far wealth stands below its highest point so far, the starting capital included.

    ``W / max(1, max W so far) - 1`` with ``W = cumprod(1 + r)``. The starting capital is the first peak:
    a loss in the very first period is a drawdown. (vectorbt's own `returns.max_drawdown()` leaves it out
    and reports less, as if the money had come after the first loss.)

    Parameters
    ----------
    returns : Series of float64, shape (n_periods,)
        Simple returns as fractions. A NaN leaves wealth where it was.

    Returns
    -------
    Series of float64, shape (n_periods,)
        Fractions in [-1, 0], same index; below -1 only where more was lost than there was.
    """
    observed(returns)
    values = returns.to_numpy(dtype=np.float64, na_value=np.nan)
    known = Observed(np.where(np.isnan(values), 0.0, values))
    return pd.Series(known.below_peak, index=returns.index, name="drawdown")


def max_drawdown(returns: Values) -> float:
    """The deepest `drawdown`, the starting capital included: ``min(drawdown)``.

    Where the fall begins in the first period, vectorbt's `returns.max_drawdown()` says less.

    Parameters
    ----------
    returns : Series of float64, shape (n_periods,)
        Simple returns as fractions.

    Returns
    -------
    float
        A fraction in [-1, 0]; 0 where wealth never fell; NaN without a return.
    """
    seen = observed(returns)
    return float(np.fmin.reduce(seen.below_peak)) if len(seen) else math.nan


def max_drawdown_length(returns: Values) -> float:
    """The longest time below a peak: periods from the peak to the one that recovered it, or to the end.

    The peak is the last period at the highest wealth, or the starting capital before the first. The
    longest fall need not be the deepest.

    Parameters
    ----------
    returns : Series of float64, shape (n_periods,)
        Simple returns as fractions; only observed periods are counted.

    Returns
    -------
    float
        Periods (bars), a whole number; 0 where wealth never fell; NaN without a return.
    """
    seen = observed(returns)
    if not len(seen):
        return math.nan
    wealth = np.concatenate([[1.0], seen.wealth])
    # Wealth this little below its peak has recovered: 0.7 · (1 / 0.7) need not be 1.
    at_peak = np.flatnonzero(wealth >= np.maximum.accumulate(wealth) * (1.0 - ROUNDING))
    # Neighbouring peaks are one period apart and no fall lies between; after the last one the end counts.
    between = np.diff(at_peak)
    longest = int(between[between > 1].max(initial=0))
    return float(max(longest, wealth.size - 1 - int(at_peak[-1])))


def calmar(returns: Values, *, periods_per_year: float = DAYS_PER_YEAR) -> float:
    """Growth a year by the deepest fall: ``cagr / abs(max_drawdown)``, over the whole span.

    T. W. Young, "Calmar Ratio: A Smoother Tool", Futures, October 1991 (there over 36 months).

    Parameters
    ----------
    returns : Series of float64, shape (n_periods,)
        Simple returns as fractions. Those of a backtest count its first bar, as `cagr` says.
    periods_per_year : float
        Periods in a year.

    Returns
    -------
    float
        A ratio; NaN without a return or without a drawdown (a depth up to 1e-12 is rounding).
    """
    year = year_of(periods_per_year)
    depth = abs(max_drawdown(returns))
    if math.isnan(depth) or only_rounding(depth):
        return math.nan
    return cagr(returns, periods_per_year=year) / depth
