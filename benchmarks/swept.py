"""What is swept: one random price path, and strategies on it; imported by every candidate's process."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.backtest import Signals, between, strategy
from workbench.signals.inputs import BarArrays
from workbench.signals.signals import SignalArrays

__all__ = ["METRICS", "channel", "make_prices", "momentum", "pairs", "read_prices", "windows_of"]

METRICS = ("total_return", "sharpe_ratio", "max_drawdown", "total_trades")
"""What every candidate has to find for each variant."""


def make_prices(path: Path, bars: int) -> None:
    """Daily bars of one symbol, a random walk that drifts up, to a file."""
    rng = np.random.default_rng(42)
    close = 100 * np.exp(np.cumsum(rng.normal(0.0004, 0.015, bars)))
    opened = close * np.exp(rng.normal(0, 0.003, bars))
    index = pd.MultiIndex.from_product(
        [["WALK"], pd.bdate_range("2010-01-04", periods=bars, tz="UTC")], names=["symbol", "timestamp"]
    )
    frame = pd.DataFrame(
        {
            "open": opened,
            "high": np.maximum(opened, close) * 1.002,
            "low": np.minimum(opened, close) * 0.998,
            "close": close,
            "volume": 1e6,
        },
        index=index,
    )
    frame.to_pickle(path)


def read_prices(path: str) -> pd.DataFrame:
    """What `make_prices` wrote."""
    frame = pd.read_pickle(path)
    assert isinstance(frame, pd.DataFrame)
    return frame


def windows_of(count: int) -> list[int]:
    """So many lengths of averages, three bars apart."""
    return list(range(5, 5 + 3 * count, 3))


def pairs(count: int) -> int:
    """How many pairs of a shorter and a longer one there are."""
    return count * (count - 1) // 2


@strategy
def channel(bars: pd.DataFrame, window: Annotated[int, between(2, 100_000)] = 20) -> Signals:
    """In while the close is above the middle of its recent range, in plain pandas."""
    close = bars["close"].droplevel("symbol")
    recent = close.rolling(2 + window % 200)
    middle = (recent.max() + recent.min()) / 2
    return Signals(entries=close > middle, exits=close < middle)


@strategy
def momentum(bars: pd.DataFrame, threshold: Annotated[float, between(-0.5, 0.5)] = 0.0) -> Signals:
    """In while the return over 60 bars is above a threshold."""
    close = bars["close"].droplevel("symbol")
    risen = close / close.shift(60) - 1.0
    return Signals(entries=risen > threshold, exits=risen <= threshold)


@momentum.batch
def _momenta(market: BarArrays, threshold: npt.NDArray[np.float64]) -> SignalArrays:
    close = market.close
    risen = np.full(close.shape, np.nan)
    risen[60:] = close[60:] / close[:-60] - 1.0
    bound = threshold[:, np.newaxis, np.newaxis]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return SignalArrays(entries=risen > bound, exits=risen <= bound)


def columns(frame: pd.DataFrame) -> dict[str, Any]:
    """The four figures as lists, which travel between processes."""
    return {name: frame[name].tolist() for name in METRICS}
