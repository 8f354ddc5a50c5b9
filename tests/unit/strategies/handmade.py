"""Bars made by hand, from closes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

__all__ = ["bars_of", "rounded", "rows_where"]


def bars_of(
    closes: Mapping[str, Sequence[float]], *, start: str = "2024-01-01", spread: float = 1.0
) -> pd.DataFrame:
    """Tidy daily bars, open at the close, high and low `spread` around it; NaN is no row at all."""
    days = pd.date_range(start, periods=max(map(len, closes.values())), tz="UTC")
    rows = [
        (symbol, day, close, close + spread, close - spread, close, 1_000.0)
        for symbol, prices in closes.items()
        for day, close in zip(days, prices, strict=False)
        if not math.isnan(close)
    ]
    columns = ["symbol", "timestamp", "open", "high", "low", "close", "volume"]
    return pd.DataFrame(rows, columns=columns).set_index(["symbol", "timestamp"])


def rounded(level: float, n: int, seed: int = 3) -> list[float]:
    """`n` prices that stand still but for the last bit, as adjusted ones do."""
    bits = np.random.default_rng(seed).integers(-1, 2, n)
    prices: list[float] = (level * (1.0 + np.finfo(np.float64).eps * bits)).tolist()
    assert len(set(prices)) > 1
    return prices


def rows_where(flags: pd.Series[bool] | pd.DataFrame | None, symbol: str = "A") -> list[int]:
    """The numbers of the rows in which a symbol's flag is True."""
    assert isinstance(flags, pd.DataFrame)
    return [row for row, flag in enumerate(flags[symbol]) if flag]
