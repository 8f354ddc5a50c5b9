"""Small markets and signals for tests that are worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from workbench.backtest import BacktestResult, Signals, Weights, backtest

__all__ = ["NAN", "bars", "days", "run", "weigh"]

NAN = math.nan


def days(count: int) -> pd.DatetimeIndex:
    """So many days from 2020-01-01 on, UTC."""
    return pd.date_range("2020-01-01", periods=count, tz="UTC", name="timestamp")


def bars(**prices: Sequence[float]) -> pd.DataFrame:
    """Bars that open and close at one price, by symbol; NaN is no bar."""
    wide = pd.DataFrame(prices, index=days(len(next(iter(prices.values())))), dtype="float64")
    tidy = wide.rename_axis(columns="symbol").stack(future_stack=True).swaplevel().sort_index()
    return pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), tidy))


def run(prices: Mapping[str, Sequence[float]], marks: Mapping[str, str], **options: Any) -> BacktestResult:
    """A mark a bar: L long, S short, x out, . nothing; without fees, from 1,000 on."""
    wide = pd.DataFrame({symbol: list(said) for symbol, said in marks.items()})
    wide.index = days(len(wide))
    options = {"fees": 0.0, "cash": 1_000.0, **options}
    return backtest(bars(**prices), Signals(wide == "L", wide == "x", wide == "S", wide == "x"), **options)


def weigh(
    prices: Mapping[str, Sequence[float]], weights: Mapping[str, Sequence[float]], **options: Any
) -> BacktestResult:
    """Weights by symbol and bar; without fees, from 1,000 on."""
    frame = pd.DataFrame(weights, index=days(len(next(iter(weights.values())))), dtype="float64")
    return backtest(bars(**prices), Weights(frame), **{"fees": 0.0, "cash": 1_000.0, **options})
