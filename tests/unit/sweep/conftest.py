"""Strategies and bars that the sweep's tests share."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from workbench.backtest import Signals, Strategy, between, strategy
from workbench.signals.inputs import BarArrays
from workbench.signals.signals import SignalArrays


@pytest.fixture(scope="session")
def two_years(stocks: pd.DataFrame) -> pd.DataFrame:
    """AAPL's, IBM's and GOOG's bars from mid-2004 to mid-2006; GOOG begins on 2004-08-19."""
    times = stocks.index.get_level_values("timestamp")
    symbols = stocks.index.get_level_values("symbol")
    return stocks[(times >= "2004-06-01") & (times < "2006-06-01") & symbols.isin(["AAPL", "IBM", "GOOG"])]


@pytest.fixture
def momentum() -> Strategy:
    """Long above the close of `n` bars ago, plain pandas; it cannot look back 13 bars."""

    @strategy(where=lambda n, band: n != 7)
    def momentum(bars: pd.DataFrame, n: int = 5, band: float = 0.0) -> Signals:
        if n == 13:
            raise ZeroDivisionError("thirteen")
        close = bars["close"].unstack("symbol")
        change = close / close.shift(n) - 1.0
        return Signals(change > band, change < -band)

    return momentum


@pytest.fixture
def crossing() -> Strategy:
    """Long above the average of `n` closes, short below it, in both forms."""

    @strategy
    def crossing(bars: pd.DataFrame, n: Annotated[int, between(2, 100)] = 10) -> Signals:
        close = bars["close"].unstack("symbol")
        mean = close.rolling(n).mean()
        return Signals(close > mean, close < mean, close < mean, close > mean)

    @crossing.batch
    def many(market: BarArrays, n: npt.NDArray[np.int64]) -> SignalArrays:
        close = pd.DataFrame(market.close)
        means = np.stack([close.rolling(length).mean().to_numpy() for length in n.tolist()])
        above, below = market.close > means, market.close < means
        return SignalArrays(above, below, below, above)

    return crossing
