"""Trend-following strategies: hold what has risen; sell, or sell short, what has fallen."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.signals.inputs import BarArrays
from workbench.signals.parameter import between
from workbench.signals.signals import SignalArrays, Signals, Weights
from workbench.signals.strategy import strategy
from workbench.strategies.indicators import (
    ema,
    ewm_volatility,
    highest,
    lowest,
    moving_averages,
    past_return,
    previous,
    sma,
)
from workbench.strategies.prices import carried, closes, rebalanced, traded

__all__ = ["donchian_breakout", "macd_cross", "sma_cross", "time_series_momentum"]


@strategy(
    family="trend",
    source=(
        "W. Brock, J. Lakonishok and B. LeBaron, Simple Technical Trading Rules and the Stochastic "
        "Properties of Stock Returns, Journal of Finance 47(5), 1992"
    ),
    where=lambda fast, slow: fast < slow,
)
def sma_cross(
    bars: pd.DataFrame,
    fast: Annotated[int, between(1, 200)] = 20,
    slow: Annotated[int, between(2, 400)] = 50,
) -> Signals:
    """Long while the fast simple moving average of the close is above the slow one; never short.

    Brock, Lakonishok and LeBaron (1992), the variable-length moving average without a band.

    Parameters
    ----------
    bars : DataFrame
        Tidy bars with open and close.
    fast, slow : int
        The averages' lengths in the symbol's own bars; `fast` is less than `slow`.

    Returns
    -------
    Signals
        Each symbol for itself. Before its slow average is known, and where both are equal, it is out.
    """
    close = closes(bars)
    above = sma(close, fast) > sma(close, slow)
    return Signals(entries=above, exits=~above & close.notna())


@sma_cross.batch
def _sma_crosses(market: BarArrays, fast: npt.NDArray[np.int64], slow: npt.NDArray[np.int64]) -> SignalArrays:
    """`sma_cross` for many pairs: each distinct average once, by the same arithmetic, then compared."""
    windows, places = np.unique(np.concatenate([fast, slow]), return_inverse=True)
    quick, lazy = places[: len(fast)].tolist(), places[len(fast) :].tolist()
    averages = np.full((len(windows), *market.close.shape), np.nan)
    for symbol, present in enumerate(market.present.T):
        # A slice is copied faster than a choice of rows; most symbols have every bar.
        rows = slice(None) if present.all() else present
        averages[:, rows, symbol] = moving_averages(market.close[rows, symbol], windows.tolist())
    above = np.empty((len(fast), *market.close.shape), dtype=np.bool_)
    for variant, (one, other) in enumerate(zip(quick, lazy, strict=True)):
        np.greater(averages[one], averages[other], out=above[variant])
    return SignalArrays(entries=above, exits=~above & market.present)


@strategy(
    family="trend",
    source="G. Appel, Technical Analysis: Power Tools for Active Investors, FT Prentice Hall, 2005",
    where=lambda fast, slow, **_: fast < slow,
)
def macd_cross(
    bars: pd.DataFrame,
    fast: Annotated[int, between(2, 100)] = 12,
    slow: Annotated[int, between(3, 200)] = 26,
    signal: Annotated[int, between(2, 100)] = 9,
) -> Signals:
    """Long while the MACD line is above its signal line; never short.

    Appel (2005): the line is ``ema(close, fast) - ema(close, slow)``, its signal is that line's own EMA.

    Parameters
    ----------
    bars : DataFrame
        Tidy bars with open and close.
    fast, slow, signal : int
        The EMAs' lengths in the symbol's own bars, each begun with a simple average; `fast` is less than
        `slow`.

    Returns
    -------
    Signals
        Each symbol for itself; out until the signal line is known, after ``slow + signal - 1`` bars.
    """
    close = closes(bars)
    line = ema(close, fast) - ema(close, slow)
    above = line > ema(line, signal)
    return Signals(entries=above, exits=~above & close.notna())


@strategy(
    family="trend",
    source="C. M. Faith, Way of the Turtle, McGraw-Hill, 2007, appendix: The Original Turtle Trading Rules",
    where=lambda **chosen: chosen["exit"] <= chosen["entry"],
)
def donchian_breakout(
    bars: pd.DataFrame,
    entry: Annotated[int, between(2, 200)] = 20,
    exit: Annotated[int, between(1, 200)] = 10,
    short: bool = True,
) -> Signals:
    """Buy what breaks out of its channel upwards, sell short what breaks out downwards.

    The Turtles' first system (Faith, 2007): in on a break of the last 20 days' high or low, out on a break
    of the last 10 days' opposite end. They traded within the day, sized by ATR, added to winners and skipped
    a break after a winning one; here a break is a close beyond the channel, and nothing else is done.

    Parameters
    ----------
    bars : DataFrame
        Tidy bars with open, high, low and close.
    entry, exit : int
        The channels' lengths in the symbol's own bars before this one; `exit` is at most `entry`.
    short : bool
        Whether breaks downwards are sold short; False only buys.

    Returns
    -------
    Signals
        Each symbol for itself, as events at the break; no entry before `entry` bars.
    """
    close, high, low = closes(bars), traded(bars, "high"), traded(bars, "low")

    def above(n: int) -> pd.DataFrame:
        return close > previous(highest(high, n))

    def below(n: int) -> pd.DataFrame:
        return close < previous(lowest(low, n))

    if not short:
        return Signals(entries=above(entry), exits=below(exit))
    return Signals(
        entries=above(entry), exits=below(exit), short_entries=below(entry), short_exits=above(exit)
    )


@strategy(
    family="trend",
    source=(
        "T. J. Moskowitz, Y. H. Ooi and L. H. Pedersen, Time Series Momentum, Journal of Financial "
        "Economics 104(2), 2012"
    ),
)
def time_series_momentum(
    bars: pd.DataFrame,
    lookback: Annotated[int, between(5, 756)] = 252,
    center: Annotated[int, between(5, 250)] = 60,
    annual: Annotated[float, between(0.01, 1.0)] = 0.40,
    short: bool = True,
    periods_per_year: Annotated[float, between(1, 1_000_000)] = 252.0,
) -> Weights:
    """Hold what rose over the last year, sell short what fell, each at the same volatility; monthly.

    Moskowitz, Ooi and Pedersen (2012), section 4: the sign of the past 12 months' return times 40 % over the
    symbol's volatility (their eq. 1: exponentially weighted, centre of mass 60 days), averaged over the
    symbols. They borrow; here the weights are scaled down where they would exceed the account.

    Parameters
    ----------
    bars : DataFrame
        Tidy bars with open and close.
    lookback : int
        Bars of the past return.
    center : int
        Centre of mass of the volatility's weights, in bars.
    annual : float
        Volatility that each symbol is scaled to, as a fraction a year.
    short : bool
        Whether what fell is sold short; False stays out of it.
    periods_per_year : float
        Bars in a year, for the volatility.

    Returns
    -------
    Weights
        At the first bar of each month, absolute weights adding up to 1 at most; NaN between. A symbol without
        `lookback` bars gets 0 and does not count among the symbols; of one without a bar on that day its
        last bar counts, and its next bar fills the weight.
    """
    close = closes(bars)
    risk = carried(ewm_volatility(close, center, min(lookback, center)), close) * np.sqrt(periods_per_year)
    gain = carried(past_return(close, lookback), close)
    side = gain.gt(0.0).astype(float) - gain.lt(0.0).astype(float) * float(short)
    wanted = side.where(gain.notna()) * annual / risk.where(risk > 0.0)
    weights = wanted.div(wanted.notna().sum(axis=1), axis=0)
    weights = weights.div(weights.abs().sum(axis=1).clip(lower=1.0), axis=0)
    return rebalanced(weights)
