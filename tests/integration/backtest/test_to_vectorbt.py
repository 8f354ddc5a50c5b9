"""A result as vectorbt's own portfolio: for those who want vectorbt's plots and statistics of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.backtest import Signals, Weights, backtest
from workbench.errors import BacktestError
from workbench.marketdata import panel


def test_vectorbts_portfolio_has_the_same_equity_and_trades(stocks: pd.DataFrame) -> None:
    bars = stocks.loc[["AAPL", "GOOG"]]
    closes = panel(bars, "close")
    above = closes.rolling(20).mean() > closes.rolling(50).mean()
    result = backtest(bars, above, ~above, fees=0.002, slippage=0.001)
    with warnings.catch_warnings():
        # vectorbt's own imports warn of what they will have to change.
        warnings.simplefilter("ignore")
        portfolio = result.to_vectorbt(bars)
        equity = portfolio.value().sum(axis=1)
        closed = int(portfolio.trades.closed.count().sum())
    np.testing.assert_allclose(equity.to_numpy(), result.equity.to_numpy(), rtol=1e-9)
    assert closed == result.metrics["total_trades"]


def long_and_short(closes: pd.DataFrame) -> Signals:
    fast, slow = closes.rolling(20).mean(), closes.rolling(50).mean()
    return Signals(fast > slow, fast < slow, fast < slow, fast > slow)


def monthly(closes: pd.DataFrame) -> Weights:
    momentum = closes / closes.shift(60) - 1.0
    weights = (momentum.rank(axis=1) - 1.2) * 0.4
    return Weights(weights.iloc[::21])


@pytest.mark.parametrize(
    ("decide", "options"),
    [
        (long_and_short, {"stop_loss": 0.05, "trailing_stop": 0.08, "slippage": 0.001}),
        (long_and_short, {"cash_sharing": True, "fixed_fees": 2.0}),
        (monthly, {"slippage": 0.001}),
    ],
)
def test_shorts_stops_and_shared_cash_are_in_vectorbts_portfolio_too(
    decide: Callable[[pd.DataFrame], Signals | Weights], options: dict[str, Any], stocks: pd.DataFrame
) -> None:
    """An entry and its stop in one bar are two orders there, and our trades are its positions."""
    bars = stocks.loc[["AAPL", "IBM", "MSFT"]]
    result = backtest(bars, decide(panel(bars, "close")), **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        portfolio = result.to_vectorbt(bars)
        value = portfolio.value()
        equity = value if value.ndim == 1 else value.sum(axis=1)
        positions = int(np.sum(portfolio.positions.count()))
    np.testing.assert_allclose(equity.to_numpy(), result.equity.to_numpy(), rtol=1e-9)
    assert positions == len(result.trades) > 50
    assert set(result.trades["direction"]) == {"long", "short"}


def test_other_bars_are_refused(stocks: pd.DataFrame) -> None:
    bars = stocks.loc[["AAPL"]]
    closes = panel(bars, "close")
    result = backtest(bars, closes > 100, closes < 90)
    with pytest.raises(BacktestError, match="not the ones of the backtest"):
        result.to_vectorbt(stocks.loc[["IBM"]])
