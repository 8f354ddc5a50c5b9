"""Mean-reversion strategies: prices that moved far and fast are expected to come back."""

from __future__ import annotations

from typing import Annotated

import pandas as pd

from workbench.signals.parameter import between
from workbench.signals.signals import Signals
from workbench.signals.strategy import strategy
from workbench.strategies.indicators import rsi, sma, zscore
from workbench.strategies.prices import closes

__all__ = ["bollinger_reversal", "rsi_reversal"]


@strategy(
    family="mean reversion",
    source=(
        "L. Connors and C. Alvarez, Short Term Trading Strategies That Work, TradingMarkets, 2009, ch. 9; "
        "the index: J. W. Wilder, New Concepts in Technical Trading Systems, 1978"
    ),
    where=lambda trend, leave, **_: leave < trend,
)
def rsi_reversal(
    bars: pd.DataFrame,
    window: Annotated[int, between(2, 30)] = 2,
    oversold: Annotated[float, between(1, 50)] = 5.0,
    trend: Annotated[int, between(3, 400)] = 200,
    leave: Annotated[int, between(2, 50)] = 5,
) -> Signals:
    """Buy a sharp setback within a rising trend, and sell into the recovery; never short.

    Connors and Alvarez (2009), "RSI-2": in when the close is above its 200-day average and the 2-day RSI
    below 5; out when the close is above its 5-day average. They use no stop.

    Parameters
    ----------
    bars : DataFrame
        Tidy bars with open and close.
    window : int
        Changes that Wilder's RSI averages, begun with a simple average.
    oversold : float
        The RSI, 0 to 100, below which to buy.
    trend, leave : int
        Lengths of the averages of the entry and of the exit, in the symbol's own bars; `leave` is less.

    Returns
    -------
    Signals
        Each symbol for itself; no entry before `trend` bars.
    """
    close = closes(bars)
    return Signals(
        entries=(close > sma(close, trend)) & (rsi(close, window) < oversold),
        exits=close > sma(close, leave),
    )


@strategy(
    family="mean reversion",
    source="J. Bollinger, Bollinger on Bollinger Bands, McGraw-Hill, 2001",
)
def bollinger_reversal(
    bars: pd.DataFrame,
    window: Annotated[int, between(3, 250)] = 20,
    width: Annotated[float, between(0.25, 5.0)] = 2.0,
    short: bool = True,
) -> Signals:
    """Buy below the lower Bollinger band, sell short above the upper one, and leave at the middle.

    The bands are Bollinger's (2001): the simple average and `width` population standard deviations (ddof=0)
    on either side of it.

    Parameters
    ----------
    bars : DataFrame
        Tidy bars with open and close.
    window : int
        Length of the average and of the deviation, in the symbol's own bars.
    width : float
        Distance of the bands from the middle, in standard deviations. No close lies further from the middle
        than ``sqrt(window - 1)`` of them.
    short : bool
        Whether to sell short above the upper band; False only buys.

    Returns
    -------
    Signals
        Each symbol for itself; none before `window` bars, nor while the price stands still.
    """
    score = zscore(closes(bars), window)
    below, above = score < -width, score > width
    back, down = score >= 0.0, score <= 0.0
    if not short:
        return Signals(entries=below, exits=back)
    return Signals(entries=below, exits=back, short_entries=above, short_exits=down)
