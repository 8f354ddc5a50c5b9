"""Fixtures of real prices: the adjusted daily bars that ship with `bokeh_sampledata`."""

from __future__ import annotations

import pandas as pd
import pytest

__all__ = ["aapl", "stocks"]


@pytest.fixture(scope="session")
def stocks() -> pd.DataFrame:
    """AAPL, IBM, MSFT from 2000-03-01, GOOG from 2004-08-19, FB from 2012-05-18; 12,154 bars."""
    from bokeh_sampledata import stocks as sample

    frames = []
    for symbol in ("AAPL", "FB", "GOOG", "IBM", "MSFT"):
        raw = pd.DataFrame(getattr(sample, symbol))
        factor = raw["adj_close"] / raw["close"]
        bars = raw[["open", "high", "low", "close"]].mul(factor, axis=0).assign(volume=raw["volume"])
        bars.index = pd.MultiIndex.from_product(
            [[symbol], pd.to_datetime(raw["date"], utc=True)], names=["symbol", "timestamp"]
        )
        frames.append(bars.astype("float64"))
    return pd.concat(frames)


@pytest.fixture(scope="session")
def aapl(stocks: pd.DataFrame) -> pd.DataFrame:
    """AAPL's 3,270 adjusted daily bars."""
    return stocks.loc[["AAPL"]]
