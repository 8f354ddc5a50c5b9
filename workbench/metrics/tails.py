"""Figures of the returns' distribution: its tails and its shape."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from workbench.arguments import as_number
from workbench.errors import BacktestError
from workbench.metrics.observations import Values, observed, only_rounding

__all__ = ["conditional_value_at_risk", "kurtosis", "skewness", "tail_ratio", "value_at_risk"]

_ROUNDING = 1e-9
"""(n - 1) · level this little below a whole number is that number: 0.29 · 100 is 28.999999999999996."""


def value_at_risk(returns: Values, *, level: float = 0.05) -> float:
    """Historical value at risk: the return that the worst `level` of the periods did not exceed.

    The `level` quantile of the returns themselves, no distribution assumed, linearly interpolated between
    the two nearest (type 7 of R. J. Hyndman and Y. Fan, "Sample Quantiles in Statistical Packages", The
    American Statistician 50(4), 1996). The sign is the return's: -0.03 is a loss of 3 %.

    Parameters
    ----------
    returns : Series of float64, shape (n_periods,)
        Simple returns as fractions.
    level : float
        The share of worst periods, between 0 and 1: 0.05 is what others call 95 %.

    Returns
    -------
    float
        A return per period, not annualised; NaN without a return.

    Raises
    ------
    BacktestError
        When the level is not between 0 and 1.
    """
    level = _checked(level)
    seen = observed(returns)
    return _quantile(seen.ascending, level) if len(seen) else math.nan


def conditional_value_at_risk(returns: Values, *, level: float = 0.05) -> float:
    """Historical expected shortfall: the mean return of the worst periods, those up to `value_at_risk`.

    The mean of the ``floor((n - 1) * level) + 1`` lowest returns, which are those that do not exceed
    `value_at_risk` at the same level; nothing is interpolated. R. T. Rockafellar and S. Uryasev,
    "Optimization of Conditional Value-at-Risk", Journal of Risk 2(3), 2000, on the empirical distribution.
    The sign is the return's: -0.04 is a loss of 4 %.

    Parameters
    ----------
    returns : Series of float64, shape (n_periods,)
        Simple returns as fractions.
    level : float
        The share of worst periods, between 0 and 1.

    Returns
    -------
    float
        A return per period, not annualised; never above `value_at_risk`; NaN without a return.

    Raises
    ------
    BacktestError
        When the level is not between 0 and 1.
    """
    level = _checked(level)
    seen = observed(returns)
    if not len(seen):
        return math.nan
    last = math.floor((len(seen) - 1) * level + _ROUNDING)
    return float(seen.ascending[: last + 1].mean())


def tail_ratio(returns: Values) -> float:
    """The size of the best twentieth by that of the worst: ``abs(quantile(0.95)) / abs(quantile(0.05))``.

    Quantopian's figure (pyfolio, empyrical), quantiles as in `value_at_risk`. Only sizes are compared:
    where even the best twentieth are losses, the ratio does not say so.

    Parameters
    ----------
    returns : Series of float64, shape (n_periods,)
        Simple returns as fractions.

    Returns
    -------
    float
        A ratio, 0 or more; NaN without a return or where the lower quantile is 0 (up to 1e-12 it is
        rounding).
    """
    seen = observed(returns)
    if not len(seen):
        return math.nan
    worst, best = abs(_quantile(seen.ascending, 0.05)), abs(_quantile(seen.ascending, 0.95))
    return math.nan if only_rounding(worst) else best / worst


def skewness(returns: Values) -> float:
    """Skewness as a population moment: ``m3 / m2 ** 1.5``, with ``mk = mean((r - mean(r)) ** k)``.

    The biased estimator (g1; scipy's `skew(bias=True)`), which the probabilistic Sharpe ratio takes;
    pandas' own `Series.skew` is the unbiased one. D. N. Joanes and C. A. Gill, "Comparing Measures of
    Sample Skewness and Kurtosis", The Statistician 47(1), 1998.

    Parameters
    ----------
    returns : Series of float64, shape (n_periods,)
        Simple returns as fractions.

    Returns
    -------
    float
        Without unit; below 0 where losses have the longer tail; NaN without volatility, as `sharpe`.
    """
    return _standardised_moment(returns, 3)


def kurtosis(returns: Values) -> float:
    """Pearson's kurtosis as a population moment: ``m4 / m2 ** 2``; 3 for the normal distribution.

    The biased estimator and not the excess (scipy's `kurtosis(fisher=False, bias=True)`), which the
    probabilistic Sharpe ratio takes; pandas' own `Series.kurt` is the unbiased excess. Source as in
    `skewness`.

    Parameters
    ----------
    returns : Series of float64, shape (n_periods,)
        Simple returns as fractions.

    Returns
    -------
    float
        Without unit, 1 or more; above 3 where the tails are fatter than normal; NaN without volatility, as
        `sharpe`.
    """
    return _standardised_moment(returns, 4)


def _standardised_moment(returns: Values, order: int) -> float:
    seen = observed(returns)
    if len(seen) < 2 or seen.spread == 0.0:
        return math.nan
    square = seen.centred * seen.centred
    moment = square @ (seen.centred if order == 3 else square) / len(seen)
    return float(moment / (square.sum() / len(seen)) ** (order / 2))


def _quantile(ascending: npt.NDArray[np.float64], level: float) -> float:
    """`numpy.quantile` of values in ascending order, linearly interpolated."""
    place = (len(ascending) - 1) * level
    below = math.floor(place)
    low, high = float(ascending[below]), float(ascending[min(below + 1, len(ascending) - 1)])
    return low + (high - low) * (place - below)


def _checked(level: float) -> float:
    share = as_number(level, "level", "give a share of the periods, such as 0.05")
    if not 0.0 < share < 1.0:
        raise BacktestError(f"level: {share} is no share of the periods; give one such as 0.05.")
    return share
