"""Bars and strategies made by hand, whose best parameters and records are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import pandas as pd

from workbench.backtest import Signals, Weights, between, strategy

__all__ = ["bars_of", "crossing", "direction", "monthly", "seen"]

seen: list[tuple[pd.Timestamp, pd.Timestamp]] = []
"""First and last time of the bars that `direction` was called with; tests empty it."""


def bars_of(**closes: Sequence[float]) -> pd.DataFrame:
    """Daily bars that open at their close; NaN is no row."""
    days = pd.date_range("2024-01-01", periods=max(map(len, closes.values())), tz="UTC")
    wide = pd.DataFrame(
        {name: pd.Series(prices, index=days[: len(prices)]) for name, prices in closes.items()}
    )
    close = wide.rename_axis(index="timestamp", columns="symbol").T.stack().dropna().astype(float)
    return pd.DataFrame({"open": close, "high": close, "low": close, "close": close})


def _close(bars: pd.DataFrame) -> pd.DataFrame:
    return bars["close"].unstack("symbol").sort_index()


@strategy
def direction(bars: pd.DataFrame, side: Literal["out", "long", "short"] = "out", twin: int = 0) -> Signals:
    """Always long, always short, or never in; `twin` changes nothing."""
    times = bars.index.get_level_values("timestamp")
    seen.append((times.min(), times.max()))
    close = _close(bars)
    always, never = close.notna(), close.isna() & False
    return Signals(
        entries=always if side == "long" else never,
        exits=never,
        short_entries=always if side == "short" else never,
        short_exits=never,
    )


@strategy(where=lambda fast, slow: fast < slow)
def crossing(
    bars: pd.DataFrame,
    fast: Annotated[int, between(1, 100)] = 5,
    slow: Annotated[int, between(2, 200)] = 20,
) -> Signals:
    """Long while the fast average is above the slow one."""
    close = _close(bars)
    above = close.rolling(fast).mean() > close.rolling(slow).mean()
    return Signals(entries=above, exits=~above)


@strategy
def monthly(bars: pd.DataFrame, weight: float = 1.0) -> Weights:
    """The same weight, set on every tenth day of the calendar."""
    close = _close(bars)
    due = pd.DatetimeIndex(close.index).day % 10 == 0
    frame = pd.DataFrame(np.nan, index=close.index, columns=close.columns)
    frame[due] = weight / close.shape[1]
    return Weights(frame)
