"""Figures of return and of return by risk; drawdowns, tails and benchmarks live beside."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from workbench.arguments import as_finite
from workbench.metrics.observations import (
    DAYS_PER_YEAR,
    Observed,
    Values,
    compounded,
    observed,
    only_rounding,
    year_of,
)

__all__ = [
    "cagr",
    "expanding_sharpe",
    "omega",
    "sharpe",
    "sortino",
    "stability",
    "total_return",
    "volatility",
]

_PER_PERIOD = "give a return per period as a fraction, such as 0.0001"


def total_return(returns: Values) -> float:
    """Compounded return over the whole span: ``prod(1 + r) - 1``.

    Parameters
    ----------
    returns : Series of float64, shape (n_periods,)
        Simple returns as fractions.

    Returns
    -------
    float
        A fraction; NaN without a return.
    """
    values = observed(returns).values
    # As in `compounded`: what passes a float is infinite.
    with np.errstate(over="ignore"):
        return float(np.prod(1.0 + values) - 1.0) if values.size else math.nan


def cagr(returns: Values, *, periods_per_year: float = DAYS_PER_YEAR) -> float:
    """Compound annual growth rate: ``(1 + total_return) ** (periods_per_year / n) - 1``.

    Parameters
    ----------
    returns : Series of float64, shape (n_periods,)
        Simple returns as fractions; n counts the observed ones (empyrical's counts all). Those of a
        backtest count its first bar, from the starting cash to the first close, so n is the number of bars.
        Engines whose returns begin with the second bar spread the same growth over n - 1.
    periods_per_year : float
        Periods in a year.

    Returns
    -------
    float
        A fraction a year; -1 where everything was lost; NaN without a return.
    """
    return compounded(observed(returns).values, year_of(periods_per_year))


def volatility(returns: Values, *, periods_per_year: float = DAYS_PER_YEAR) -> float:
    """Annualised standard deviation: ``std(r, ddof=1) * sqrt(periods_per_year)``.

    Parameters
    ----------
    returns : Series of float64, shape (n_periods,)
        Simple returns as fractions.
    periods_per_year : float
        Periods in a year.

    Returns
    -------
    float
        A fraction a year; exactly 0 where all returns are equal but for rounding (a deviation up to
        ``1e-12 * (1 + abs(mean))``); NaN with fewer than two returns.
    """
    return observed(returns).spread * math.sqrt(year_of(periods_per_year))


def sharpe(returns: Values, *, risk_free: float = 0.0, periods_per_year: float = DAYS_PER_YEAR) -> float:
    """Annualised Sharpe ratio: ``mean(r - risk_free) / std(r, ddof=1) * sqrt(periods_per_year)``.

    W. F. Sharpe, "The Sharpe Ratio", Journal of Portfolio Management 21(1), 1994, eqs. 4 to 6 (the
    ex-post ratio), scaled by the square root of time. Autocorrelation is not corrected for.

    Parameters
    ----------
    returns : Series of float64, shape (n_periods,)
        Simple returns as fractions.
    risk_free : float
        Risk-free return per period (not per year), as a fraction.
    periods_per_year : float
        Periods in a year; 1 for the ratio per period.

    Returns
    -------
    float
        A ratio; NaN with fewer than two returns or without volatility (a deviation up to
        ``1e-12 * (1 + abs(mean))`` is rounding).
    """
    free, year = as_finite(risk_free, "risk_free", _PER_PERIOD), year_of(periods_per_year)
    seen = observed(returns)
    if math.isnan(seen.spread) or seen.spread == 0.0:
        return math.nan
    return (seen.mean - free) / seen.spread * math.sqrt(year)


def expanding_sharpe(
    returns: pd.Series[float], *, periods_per_year: float = DAYS_PER_YEAR
) -> pd.Series[float]:
    """The Sharpe ratio as it stood after each period: `sharpe` of all the returns up to there.

    Parameters
    ----------
    returns : Series of float64, shape (n_periods,)
        Simple returns as fractions.
    periods_per_year : float
        Periods in a year.

    Returns
    -------
    Series of float64, shape (n_periods,)
        Same index; NaN where `sharpe` is NaN. The last value is `sharpe(returns)` but for rounding.
    """
    year = year_of(periods_per_year)
    observed(returns)
    window = returns.astype(np.float64).expanding(min_periods=2)
    mean, spread = window.mean(), window.std(ddof=1)
    return mean / spread.mask(only_rounding(spread, mean)) * math.sqrt(year)


def sortino(returns: Values, *, target: float = 0.0, periods_per_year: float = DAYS_PER_YEAR) -> float:
    """Annualised Sortino ratio: mean excess over the target, by the downside deviation.

    The downside deviation is ``sqrt(mean(min(r - target, 0) ** 2))`` over *all* periods, not only the
    losing ones: F. A. Sortino and L. N. Price, "Performance Measurement in a Downside Risk Framework",
    Journal of Investing 3(3), 1994.

    Parameters
    ----------
    returns : Series of float64, shape (n_periods,)
        Simple returns as fractions.
    target : float
        The return per period that is to be beaten, as a fraction.
    periods_per_year : float
        Periods in a year.

    Returns
    -------
    float
        A ratio; NaN without a return, or without one below the target (a downside deviation up to
        ``1e-12 * (1 + abs(target))`` is rounding).
    """
    goal, year = as_finite(target, "target", _PER_PERIOD), year_of(periods_per_year)
    excess = observed(returns).values - goal
    if not excess.size:
        return math.nan
    downside = math.sqrt(float(np.mean(np.minimum(excess, 0.0) ** 2)))
    if only_rounding(downside, goal):
        return math.nan
    return float(np.mean(excess)) / downside * math.sqrt(year)


def omega(returns: Values, *, target: float = 0.0) -> float:
    """Omega ratio: what was gained above the target, by what was lost below it.

    ``sum(max(r - target, 0)) / sum(max(target - r, 0))``: C. Keating and W. F. Shadwick, "A Universal
    Performance Measure", Journal of Performance Measurement 6(3), 2002. At a target of 0 it is the
    gain-loss ratio of Bernardo and Ledoit. vectorbt gives infinity where nothing was lost: that would
    rank a strategy with a single lucky trade above every other, so here it is not defined. empyrical
    takes its target per year and gives NaN for a single return.

    Parameters
    ----------
    returns : Series of float64, shape (n_periods,)
        Simple returns as fractions.
    target : float
        The return per period that divides gains from losses, as a fraction.

    Returns
    -------
    float
        A ratio, 0 or more; 0 where nothing was gained; NaN without a return below the target (a mean loss up
        to ``1e-12 * (1 + abs(target))`` is rounding).
    """
    goal = as_finite(target, "target", _PER_PERIOD)
    excess = observed(returns).values - goal
    lost = -float(excess[excess < 0.0].sum())
    if not excess.size or only_rounding(lost / excess.size, goal):
        return math.nan
    return float(excess[excess > 0.0].sum()) / lost


def stability(returns: Values) -> float:
    """How steadily wealth grew: R² of the straight line through the cumulative log returns.

    ``corr(t, cumsum(log(1 + r))) ** 2`` for t = 0, 1, …: Quantopian's `stability_of_timeseries`, after
    the K-ratio's regression (L. Kestner, "Measuring System Performance", Stocks & Commodities 14(3),
    1996). A steady loss is as stable as a steady gain.

    Parameters
    ----------
    returns : Series of float64, shape (n_periods,)
        Simple returns as fractions; the line runs through wealth after each observed one.

    Returns
    -------
    float
        A fraction in [0, 1]; NaN with fewer than two returns, where wealth never moved after the first
        (but for rounding, as in `volatility`), and where everything was lost (its logarithm is not a number).
    """
    values = observed(returns).values
    if values.size < 2 or values.min() <= -1.0:
        return math.nan
    wealth = Observed(np.cumsum(np.log1p(values)))
    if wealth.spread == 0.0:
        return math.nan
    time, risen = np.arange(values.size) - (values.size - 1) / 2, wealth.residuals
    r_squared = float(time @ risen) ** 2 / (float(time @ time) * float(risen @ risen))
    return min(r_squared, 1.0)
