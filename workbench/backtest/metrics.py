"""Performance figures as pure functions of returns or of trades' profits; nothing here knows an engine.

Conventions, the same for every function below:

- `returns` are simple returns, one per period: 0.01 is +1 %. Float64, oldest first, any index.
- A NaN return is a period that was not observed: it is left out, as if it were not there.
- Annualised figures use `periods_per_year`: 252 for daily bars, so a year is 252 bars, whatever the
  calendar says.
- Volatility is the sample standard deviation (ddof=1).
- The risk-free rate is zero per period unless `risk_free` says otherwise.
- A figure that is not defined (no returns, one return where two are needed, no volatility, no
  drawdown to divide by) is NaN: never infinity, never zero.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = [
    "cagr",
    "calmar",
    "drawdown",
    "expanding_sharpe",
    "max_drawdown",
    "sharpe",
    "sortino",
    "total_return",
    "volatility",
    "win_rate",
]

DAYS_PER_YEAR = 252.0
"""Daily bars in a year, as the industry counts them."""


def total_return(returns: pd.Series[float]) -> float:
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
    observed = _observed(returns)
    return float(np.prod(1.0 + observed) - 1.0) if observed.size else math.nan


def cagr(returns: pd.Series[float], *, periods_per_year: float = DAYS_PER_YEAR) -> float:
    """Compound annual growth rate: ``(1 + total_return) ** (periods_per_year / n) - 1``.

    Parameters
    ----------
    returns : Series of float64, shape (n_periods,)
        Simple returns as fractions; n counts the observed ones.
    periods_per_year : float
        Periods in a year.

    Returns
    -------
    float
        A fraction a year; -1 where everything was lost; NaN without a return.
    """
    observed = _observed(returns)
    if not observed.size:
        return math.nan
    growth = float(np.prod(1.0 + observed))
    if growth <= 0.0:
        return -1.0
    # Growth of one lucky bar to the power of 252 can pass what a float holds: infinity is then right.
    with np.errstate(over="ignore"):
        return float(np.float64(growth) ** (periods_per_year / observed.size) - 1.0)


def volatility(returns: pd.Series[float], *, periods_per_year: float = DAYS_PER_YEAR) -> float:
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
        A fraction a year; exactly 0 where all returns are equal; NaN with fewer than two returns.
    """
    return _deviation(_observed(returns)) * math.sqrt(periods_per_year)


def sharpe(
    returns: pd.Series[float], *, risk_free: float = 0.0, periods_per_year: float = DAYS_PER_YEAR
) -> float:
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
        Periods in a year.

    Returns
    -------
    float
        A ratio; NaN with fewer than two returns or without volatility.
    """
    observed = _observed(returns)
    deviation = _deviation(observed)
    if math.isnan(deviation) or deviation == 0.0:
        return math.nan
    return float(np.mean(observed) - risk_free) / deviation * math.sqrt(periods_per_year)


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
    window = returns.expanding(min_periods=2)
    # Running sums leave a residue where there is no volatility at all; the range does not.
    deviation = window.std(ddof=1).where(window.max() > window.min())
    return window.mean() / deviation.where(deviation > 0.0) * math.sqrt(periods_per_year)


def sortino(
    returns: pd.Series[float], *, target: float = 0.0, periods_per_year: float = DAYS_PER_YEAR
) -> float:
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
        A ratio; NaN without a return, or without one below the target.
    """
    excess = _observed(returns) - target
    if not (excess < 0.0).any():
        return math.nan
    downside = math.sqrt(float(np.mean(np.minimum(excess, 0.0) ** 2)))
    return float(np.mean(excess)) / downside * math.sqrt(periods_per_year)


def drawdown(returns: pd.Series[float]) -> pd.Series[float]:
    """How far wealth stands below its highest point so far, the starting capital included.

    The starting capital is the first peak: a loss in the very first period is a drawdown. (vectorbt's
    own `returns.max_drawdown()` leaves it out and reports less.)

    Parameters
    ----------
    returns : Series of float64, shape (n_periods,)
        Simple returns as fractions. A NaN leaves wealth where it was.

    Returns
    -------
    Series of float64, shape (n_periods,)
        Fractions in [-1, 0], same index.
    """
    wealth = (1.0 + returns.fillna(0.0)).cumprod()
    return (wealth / wealth.cummax().clip(lower=1.0) - 1.0).rename("drawdown")


def max_drawdown(returns: pd.Series[float]) -> float:
    """The deepest `drawdown`, the starting capital included.

    Parameters
    ----------
    returns : Series of float64, shape (n_periods,)
        Simple returns as fractions.

    Returns
    -------
    float
        A fraction in [-1, 0]; 0 where wealth never fell; NaN without a return.
    """
    return float(drawdown(returns).min()) if returns.notna().any() else math.nan


def calmar(returns: pd.Series[float], *, periods_per_year: float = DAYS_PER_YEAR) -> float:
    """Growth a year by the deepest fall: ``cagr / abs(max_drawdown)``, over the whole span.

    T. W. Young, "Calmar Ratio: A Smoother Tool", Futures, October 1991 (there over 36 months).

    Parameters
    ----------
    returns : Series of float64, shape (n_periods,)
        Simple returns as fractions.
    periods_per_year : float
        Periods in a year.

    Returns
    -------
    float
        A ratio; NaN without a return or without a drawdown.
    """
    depth = max_drawdown(returns)
    if math.isnan(depth) or depth == 0.0:
        return math.nan
    return cagr(returns, periods_per_year=periods_per_year) / abs(depth)


def win_rate(pnl: pd.Series[float]) -> float:
    """The share of closed trades that made money after costs.

    Parameters
    ----------
    pnl : Series of float64, shape (n_trades,)
        Profit of each closed trade, in currency, after fees. A profit of exactly 0 is not a win.

    Returns
    -------
    float
        A fraction in [0, 1]; NaN without a trade.
    """
    return float((pnl > 0.0).mean()) if len(pnl) else math.nan


def _observed(returns: pd.Series[float]) -> npt.NDArray[np.float64]:
    values = returns.to_numpy(dtype=np.float64)
    return np.asarray(values[~np.isnan(values)], dtype=np.float64)


def _deviation(observed: npt.NDArray[np.float64]) -> float:
    """Sample standard deviation; exactly 0 where all are equal, which a mean's rounding would hide."""
    if observed.size < 2:
        return math.nan
    return float(np.std(observed, ddof=1)) if observed.max() > observed.min() else 0.0
