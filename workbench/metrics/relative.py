"""Figures of a strategy against a benchmark, period by period.

Returns and benchmark are matched by index label; a period that only one of them has, or where one is NaN,
is left out. A label that stands in one of them twice, timestamps of which only one side has a time zone, and
timestamps beside other labels are refused (`BacktestError`).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from workbench.arguments import as_finite
from workbench.metrics.observations import (
    DAYS_PER_YEAR,
    ROUNDING,
    Observed,
    Values,
    compounded,
    paired,
    year_of,
)

__all__ = ["alpha", "beta", "down_capture", "information_ratio", "up_capture"]


def beta(returns: Values, benchmark: Values) -> float:
    """Sensitivity to the benchmark: the slope of the least-squares line, ``cov(r, b) / var(b)``.

    W. F. Sharpe, "Capital Asset Prices", Journal of Finance 19(3), 1964. A constant risk-free rate would
    not change it.

    Parameters
    ----------
    returns, benchmark : Series of float64
        Simple returns as fractions, of the same periods.

    Returns
    -------
    float
        Without unit; NaN with fewer than two pairs or where the benchmark does not vary (a deviation up to
        ``1e-12 * (1 + abs(mean))`` is rounding).
    """
    own, market = paired(returns, benchmark)
    return _slope(own, market)


def alpha(
    returns: Values,
    benchmark: Values,
    *,
    risk_free: float = 0.0,
    periods_per_year: float = DAYS_PER_YEAR,
) -> float:
    """Jensen's alpha: what the strategy earned a year beyond its `beta`, the line's intercept.

    ``(mean(r - f) - beta * mean(b - f)) * periods_per_year``: M. C. Jensen, "The Performance of Mutual
    Funds in the Period 1945–1964", Journal of Finance 23(2), 1968. It is multiplied to a year, as a
    regression's intercept is, so that halves of a year add up; empyrical since 0.4 compounds it.

    Parameters
    ----------
    returns, benchmark : Series of float64
        Simple returns as fractions, of the same periods.
    risk_free : float
        Risk-free return per period (not per year), as a fraction.
    periods_per_year : float
        Periods in a year; 1 for alpha per period.

    Returns
    -------
    float
        A fraction a year; NaN where `beta` is NaN.
    """
    free = as_finite(risk_free, "risk_free", "give a return per period as a fraction, such as 0.0001")
    year = year_of(periods_per_year)
    own, market = paired(returns, benchmark)
    slope = _slope(own, market)
    if math.isnan(slope):
        return math.nan
    return ((own.mean - free) - slope * (market.mean - free)) * year


def information_ratio(
    returns: Values, benchmark: Values, *, periods_per_year: float = DAYS_PER_YEAR
) -> float:
    """Annualised information ratio: mean active return by its volatility, the tracking error.

    ``mean(r - b) / std(r - b, ddof=1) * sqrt(periods_per_year)``: T. H. Goodwin, "The Information Ratio",
    Financial Analysts Journal 54(4), 1998, the arithmetic form. empyrical's `excess_sharpe` is the same
    per period, not annualised; others divide compounded returns.

    Parameters
    ----------
    returns, benchmark : Series of float64
        Simple returns as fractions, of the same periods.
    periods_per_year : float
        Periods in a year; 1 for the ratio per period.

    Returns
    -------
    float
        A ratio; NaN with fewer than two pairs or without tracking error (up to
        ``1e-12 * (1 + abs(mean))`` it is rounding).
    """
    year = year_of(periods_per_year)
    own, market = paired(returns, benchmark)
    active = Observed(own.values - market.values)
    if math.isnan(active.spread) or active.spread == 0.0:
        return math.nan
    return active.mean / active.spread * math.sqrt(year)


def up_capture(returns: Values, benchmark: Values) -> float:
    """How much of the benchmark's rise was earned: mean growth in the periods in which it rose, by its own.

    Geometric means per period, ``(prod(1 + r) ** (1 / n) - 1) / (prod(1 + b) ** (1 / n) - 1)`` over the
    periods with b > 0: Morningstar's upside capture ratio. empyrical first raises both to a year of 252
    such periods, which inflates the ratio of daily returns; its `period="yearly"` gives ours. A period in
    which the benchmark moved by 1e-12 or less, which is rounding, counts neither up nor down.

    Parameters
    ----------
    returns, benchmark : Series of float64
        Simple returns as fractions, of the same periods.

    Returns
    -------
    float
        A ratio: 1 is as much as the benchmark, 0.8 is 80 % of its rise; NaN where it never rose.
    """
    own, market = paired(returns, benchmark)
    return _capture(own, market, market.values > ROUNDING)


def down_capture(returns: Values, benchmark: Values) -> float:
    """How much of the benchmark's fall was lost, too: as `up_capture`, over the periods in which it fell.

    Parameters
    ----------
    returns, benchmark : Series of float64
        Simple returns as fractions, of the same periods.

    Returns
    -------
    float
        A ratio: 1 is as much as the benchmark, below 0 is a gain while it fell; NaN where it never fell.
    """
    own, market = paired(returns, benchmark)
    return _capture(own, market, market.values < -ROUNDING)


def _slope(own: Observed, market: Observed) -> float:
    if len(own) < 2 or market.spread == 0.0:
        return math.nan
    residuals = market.residuals
    return float(residuals @ own.values) / float(residuals @ residuals)


def _capture(own: Observed, market: Observed, chosen: npt.NDArray[np.bool_]) -> float:
    if not chosen.any():
        return math.nan
    return compounded(own.values[chosen], 1.0) / compounded(market.values[chosen], 1.0)
