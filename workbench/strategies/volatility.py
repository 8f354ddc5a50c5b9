"""Volatility targeting: hold less of a symbol when its volatility rises."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import pandas as pd

from workbench.signals.parameter import between
from workbench.signals.signals import Weights
from workbench.signals.strategy import strategy
from workbench.strategies.indicators import volatility
from workbench.strategies.prices import carried, closes, rebalanced

__all__ = ["volatility_target"]


@strategy(
    family="volatility",
    source="A. Moreira and T. Muir, Volatility-Managed Portfolios, Journal of Finance 72(4), 2017",
)
def volatility_target(
    bars: pd.DataFrame,
    annual: Annotated[float, between(0.01, 1.0)] = 0.10,
    window: Annotated[int, between(5, 250)] = 21,
    by: Literal["volatility", "variance"] = "volatility",
    most: Annotated[float, between(0.1, 1.0)] = 1.0,
    periods_per_year: Annotated[float, between(1, 1_000_000)] = 252.0,
) -> Weights:
    """Hold every symbol, each scaled to the same volatility by what it was last month.

    Moreira and Muir (2017) divide by last month's variance, and choose the constant so that the whole
    sample's volatility comes out, which nobody knows beforehand; here the aim is `annual`, and practitioners
    divide by volatility. Nothing is borrowed.

    Parameters
    ----------
    bars : DataFrame
        Tidy bars with open and close.
    annual : float
        Volatility that is aimed at, as a fraction a year (0.10 is 10 %).
    window : int
        The last returns that volatility is measured on, in the symbol's own bars.
    by : str
        "volatility": ``annual / v``. "variance": ``(annual / v) ** 2``, which leaves a rough market sooner.
    most : float
        The most that a symbol's own share is invested, as a fraction.
    periods_per_year : float
        Bars in a year.

    Returns
    -------
    Weights
        At the first bar of each month ``min(most, …) / n`` for each of the n symbols whose volatility is
        known and above 0; 0 for the others; NaN between. Of a symbol without a bar on that day its last bar
        counts, and its next bar fills the weight. The
        symbols are scaled one by one: where they don't move together, the account moves less than `annual`.
    """
    close = closes(bars)
    risk = carried(volatility(close, window), close) * np.sqrt(periods_per_year)
    scaled = annual / risk.where(risk > 0.0)
    weights = (scaled if by == "volatility" else scaled**2).clip(upper=most)
    return rebalanced(weights.div(weights.notna().sum(axis=1), axis=0))
