"""A result as vectorbt's own portfolio: for those who want vectorbt's plots and statistics of it."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from workbench.backtest import backtest, vectorbt_portfolio
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
        portfolio = vectorbt_portfolio(result, bars)
        equity = portfolio.value().sum(axis=1)
        closed = int(portfolio.trades.closed.count().sum())
    np.testing.assert_allclose(equity.to_numpy(), result.equity.to_numpy(), rtol=1e-9)
    assert closed == result.metrics["total_trades"]


def test_other_bars_are_refused(stocks: pd.DataFrame) -> None:
    bars = stocks.loc[["AAPL"]]
    closes = panel(bars, "close")
    result = backtest(bars, closes > 100, closes < 90)
    with pytest.raises(BacktestError, match="not the ones of the backtest"):
        vectorbt_portfolio(result, stocks.loc[["IBM"]])
