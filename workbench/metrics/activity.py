"""Figures of how much was invested and traded, bar by bar."""

from __future__ import annotations

from workbench.metrics.observations import Values, observed

__all__ = ["exposure", "turnover"]


def exposure(invested: Values) -> float:
    """The share of equity that was invested, on average over the bars.

    Parameters
    ----------
    invested : Series of float64, shape (n_bars,)
        Value of the positions by equity at each bar's close, as a fraction: gross (long and short both
        count) or net. A NaN bar, such as one without equity, is left out.

    Returns
    -------
    float
        A fraction: 1 is fully invested all the time; NaN without a bar.
    """
    return observed(invested, "invested").mean


def turnover(traded: Values) -> float:
    """The share of equity that was traded in a bar, on average over the bars, buys and sells both counted.

    A bar in which everything was sold and something else bought for it has a turnover of 2. Times the
    bars in a year it is the turnover a year; half of that is what funds report as one-sided turnover.

    Parameters
    ----------
    traded : Series of float64, shape (n_bars,)
        Value of all fills of a bar by equity, as a fraction; 0 where nothing was traded. A NaN bar, such
        as one without equity, is left out.

    Returns
    -------
    float
        A fraction per bar, 0 or more; NaN without a bar.
    """
    return observed(traded, "traded").mean
