"""Computes a tearsheet's monthly and yearly returns, drawdowns and rolling figures."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.metrics.observations import only_rounding

__all__ = [
    "WINDOWS",
    "drawdown_spells",
    "monthly_returns",
    "rolling_figures",
    "rolling_windows",
    "yearly_returns",
]

WINDOWS = (("1 year", 1.0), ("6 months", 0.5), ("3 months", 0.25), ("1 month", 1 / 12))
"""Windows of rolling figures by name, in years; the longest two that fit are shown."""


def monthly_returns(returns: pd.Series[float]) -> pd.DataFrame:
    """Compound return of each calendar month (UTC).

    Parameters
    ----------
    returns : Series of float64, shape (n_bars,)
        Simple returns, indexed by UTC timestamps.

    Returns
    -------
    DataFrame of float64, shape (n_years, 12)
        Years ascending by months 1 to 12; NaN for a month without a bar.
    """
    index = pd.DatetimeIndex(returns.index)
    growth = (1.0 + returns).groupby([index.year, index.month]).prod() - 1.0
    return growth.rename_axis(["year", "month"]).unstack("month").reindex(columns=range(1, 13))


def yearly_returns(returns: pd.Series[float]) -> pd.Series[float]:
    """Compound return of each calendar year (UTC), years ascending; see `monthly_returns`."""
    return ((1.0 + returns).groupby(pd.DatetimeIndex(returns.index).year).prod() - 1.0).rename_axis("year")


def drawdown_spells(drawdown: pd.Series[float], most: int = 5) -> pd.DataFrame:
    """The deepest drawdowns, from the peak to the bar that recovers it.

    Parameters
    ----------
    drawdown : Series of float64, shape (n_bars,)
        Equity below its highest so far, as fractions in [-1, 0], indexed by timestamps.
    most : int
        Maximum number of drawdowns.

    Returns
    -------
    DataFrame
        Deepest first: peak (the last bar at the high before the fall; the first bar, if equity fell on it),
        trough (the first bar at the lowest value), recovery (the first bar back at the high; NaT if there is
        none yet), depth (≤ 0), length (bars from peak to recovery, or to the last bar; the starting capital
        is a peak one bar before the first), under_way (bool: not recovered).
    """
    values, index = drawdown.to_numpy(dtype=np.float64), pd.DatetimeIndex(drawdown.index)
    below = values < 0.0
    edges = np.diff(below.astype(np.int8), prepend=0, append=0)
    spells = []
    starts, stops = np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist()
    for start, stop in zip(starts, stops, strict=True):
        trough = start + int(np.argmin(values[start:stop]))
        recovered = stop < len(values)
        spells.append(
            {
                "peak": index[max(start - 1, 0)],
                "trough": index[trough],
                "recovery": index[stop] if recovered else pd.NaT,
                "depth": values[trough],
                "length": (stop if recovered else len(values) - 1) - (start - 1),
                "under_way": not recovered,
            }
        )
    columns = ["peak", "trough", "recovery", "depth", "length", "under_way"]
    found = pd.DataFrame(spells, columns=columns)
    return found.sort_values("depth", kind="stable", ignore_index=True).head(most)


def rolling_windows(n_bars: int, periods_per_year: float) -> list[tuple[str, int]]:
    """The windows that fit: (name, bars), the longer first; empty if not even a month fits.

    A window fits if there are at least 1.5 times as many bars, so that its line is long enough to read.
    """
    sized = [(name, round(years * periods_per_year)) for name, years in WINDOWS]
    return [(name, bars) for name, bars in sized if bars >= 5 and 1.5 * bars <= n_bars][:2]


def rolling_figures(
    returns: pd.Series[float],
    benchmark_returns: pd.Series[float],
    window: int,
    *,
    periods_per_year: float,
) -> pd.DataFrame:
    """Sharpe ratio, volatility and beta over the last `window` bars, at each bar.

    Parameters
    ----------
    returns, benchmark_returns : Series of float64, shape (n_bars,)
        Simple returns on one index.
    window : int
        Bars per window.
    periods_per_year : float
        For annualising, by its square root.

    Returns
    -------
    DataFrame of float64, shape (n_bars, 3)
        sharpe (mean / standard deviation, ddof 1, no risk-free rate), volatility (fraction per year), beta
        (covariance with the benchmark / its variance). NaN before `window` bars, and where a window has no
        volatility (sharpe) or the benchmark has none (beta); up to ``1e-12 * (1 + abs(mean))`` it is none.
    """
    year = np.sqrt(periods_per_year)
    mine, rival = returns.rolling(window), benchmark_returns.rolling(window)
    spread, rival_spread = (_spread(values, window) for values in (returns, benchmark_returns))
    beta = mine.cov(benchmark_returns) / rival.var()
    return pd.DataFrame(
        {
            "sharpe": mine.mean() / spread.where(spread != 0.0) * year,
            "volatility": spread * year,
            "beta": beta.where(rival_spread != 0.0),
        }
    )


def _spread(returns: pd.Series[float], window: int) -> pd.Series[float]:
    """Standard deviation of the last `window` returns, exactly 0 where it is rounding alone."""
    rolling = returns.rolling(window)
    spread = rolling.std()
    # A sliding sum keeps a residue of returns that have left the window; the range does not, and no deviation
    # is larger than the range.
    return spread.mask(only_rounding(rolling.max() - rolling.min(), rolling.mean()), 0.0)
