"""Pairs trading: two symbols that move together are expected to converge after they diverge."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
import pandas as pd

from workbench.errors import StrategyError
from workbench.signals.parameter import between
from workbench.signals.signals import Weights
from workbench.signals.strategy import strategy
from workbench.strategies.indicators import stands_still
from workbench.strategies.prices import closes

__all__ = ["pairs_zscore"]


@strategy(
    family="pairs",
    source=(
        "E. Gatev, W. N. Goetzmann and K. G. Rouwenhorst, Pairs Trading: Performance of a Relative-Value "
        "Arbitrage Rule, Review of Financial Studies 19(3), 2006; the regression: G. Vidyamurthy, Pairs "
        "Trading, Wiley, 2004"
    ),
    where=lambda **chosen: chosen["exit"] < chosen["entry"],
)
def pairs_zscore(
    bars: pd.DataFrame,
    window: Annotated[int, between(5, 756)] = 252,
    entry: Annotated[float, between(0.5, 6.0)] = 2.0,
    exit: Annotated[float, between(0.0, 3.0)] = 0.0,
    hedge: Literal["distance", "regression"] = "distance",
) -> Weights:
    """Sell the dear one of two symbols and buy the cheap one, until their spread is back.

    Gatev, Goetzmann and Rouwenhorst (2006): a pair is opened when the normalised prices part by more than two
    standard deviations, one dollar long against one dollar short, and closed when they meet. They fix mean
    and deviation in a year of formation before they trade for half a year; here both move along, over the
    last `window` bars.

    Parameters
    ----------
    bars : DataFrame
        Tidy bars of exactly two symbols, with open and close.
    window : int
        Bars on which both symbols traded that the spread's mean and deviation are taken from.
    entry, exit : float
        Opened where the spread is further than `entry` standard deviations from its mean, closed where it
        is back within `exit` of it or beyond; `exit` is less than `entry`.
    hedge : str
        "distance": the spread of the prices, each divided by its value at the window's first bar.
        "regression": the residual of the first symbol's log price on the second's, least squares over the
        window. The positions are of equal value under both.

    Returns
    -------
    Weights
        0.5 and -0.5 where a pair is opened, 0 and 0 where it is closed, NaN on every other bar: nothing is
        rebalanced between. Bars on which only one of the two traded are passed over; a position in a pair
        of which one ended stays open.

    Raises
    ------
    StrategyError
        The bars are not of two symbols.
    """
    close = closes(bars)
    if close.shape[1] != 2:
        raise StrategyError(
            f"pairs_zscore trades two symbols, and these bars have {close.shape[1]}; "
            "select them, as in bars.loc[['KO', 'PEP']]."
        )
    both = close.dropna()
    score = _score(both.iloc[:, 0], both.iloc[:, 1], window, hedge)
    cheap = _held(score < -entry, score >= -exit)
    dear = _held(score > entry, score <= exit)
    side = cheap.astype(float) - dear.astype(float)
    turned = side != side.shift(1, fill_value=0.0)
    weights = pd.DataFrame({close.columns[0]: 0.5 * side, close.columns[1]: -0.5 * side})
    return Weights(weights[turned].reindex(close.index)[close.columns])


def _score(
    one: pd.Series[float], other: pd.Series[float], window: int, hedge: Literal["distance", "regression"]
) -> pd.Series[float]:
    """Distance of the spread ``one - ratio * other`` from its mean, in standard deviations (ddof=1)."""
    still = stands_still(one, window) * stands_still(other, window) == 1.0
    if hedge == "regression":
        # Of a price that stands still nothing is left over, and on one nothing can be regressed.
        still = stands_still(one, window) + stands_still(other, window) >= 1.0
        one, other = one.map(math.log), other.map(math.log)
        ratio = one.rolling(window).cov(other) / other.rolling(window).var()
    else:
        # Normalised prices differ from this spread by a constant factor only.
        ratio = one.shift(window - 1) / other.shift(window - 1)
    level = one.rolling(window).mean() - ratio * other.rolling(window).mean()
    variance = (
        one.rolling(window).var()
        + ratio**2 * other.rolling(window).var()
        - 2.0 * ratio * one.rolling(window).cov(other)
    )
    # If both move exactly together, the spread is only rounding error, and there is nothing to trade.
    known = (variance > 1e-12 * one.rolling(window).var()) & ~still
    return (one - ratio * other - level) / variance.where(known) ** 0.5


def _held(opened: pd.Series[bool], closed: pd.Series[bool]) -> pd.Series[bool]:
    """True from an opening until the next closing."""
    events = pd.Series(np.nan, index=opened.index)
    events[closed] = 0.0
    events[opened] = 1.0
    return events.ffill().fillna(0.0).astype(bool)
