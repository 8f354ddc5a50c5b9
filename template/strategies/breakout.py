"""A rule to start from: buy a close above the highest of weeks, sell one below the lowest of days."""

from __future__ import annotations

from typing import Annotated

import pandas as pd

from workbench.backtest import Signals, between, strategy
from workbench.strategies.indicators import highest, lowest, previous
from workbench.strategies.prices import closes

__all__ = ["breakout"]


@strategy(where=lambda buy, sell: sell < buy)
def breakout(
    bars: pd.DataFrame,
    buy: Annotated[int, between(2, 400)] = 55,
    sell: Annotated[int, between(1, 200)] = 20,
) -> Signals:
    """Long from a close above the highest of the `buy` closes before, to one below the lowest of `sell`.

    A signal is known at a bar's close, and filled at the next bar's open: only earlier bars, and this one's
    close, are looked at.

    Parameters
    ----------
    bars : DataFrame
        Tidy bars, as `wb.data_ingestion.load_market_data` gives them.
    buy, sell : int
        The symbol's own bars looked back on, whatever days others trade; `sell` is less than `buy`.

    Returns
    -------
    Signals
        Each symbol for itself.
    """
    close = closes(bars)
    return Signals(
        entries=close > previous(highest(close, buy)),
        exits=close < previous(lowest(close, sell)),
    )
