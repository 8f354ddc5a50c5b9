"""Positions, signals and weights against vectorbt's own portfolio, where its rules are ours."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.backtest import Fixed, Signals, Weights, backtest

SCRIPT = """
import sys, warnings
warnings.simplefilter("ignore")
import numpy as np, pandas as pd, vectorbt as vbt
bars, weights, path = *pd.read_pickle(sys.argv[1]), sys.argv[1]
open_, close = bars["open"].unstack("symbol"), bars["close"].unstack("symbol")
fast, slow = close.rolling(20).mean(), close.rolling(100).mean()
above, below = (fast > slow).shift(1, fill_value=False), (fast < slow).shift(1, fill_value=False)
side = pd.DataFrame(np.where(above, 1.0, np.where(below, -1.0, np.nan)), close.index, close.columns)
def run(**options):
    return vbt.Portfolio.from_orders(close, price=open_, freq="1D", engine="rust", **options)
costs = {"fees": 0.001, "slippage": 0.0005}
units = run(size=side * 50, size_type="targetamount", init_cash=100_000 / 3, **costs)
whole = run(size=side.where(side != side.shift(1)), size_type="targetpercent", init_cash=100_000 / 3)
shared = run(
    size=weights.shift(1), size_type="targetpercent", init_cash=100_000, cash_sharing=True, group_by=True,
    call_seq="auto", **costs,
)
flags = fast > slow
long = vbt.Portfolio.from_signals(
    close, flags.shift(1, fill_value=False), (~flags).shift(1, fill_value=False), price=open_, size=1.0,
    size_type="percent", direction="longonly", init_cash=100_000 / 3, freq="1D", engine="rust", **costs,
)
pd.to_pickle(
    {
        "long": long.value().sum(axis=1),
        "long orders": pd.DataFrame(long.orders.values),
        "long trades": pd.DataFrame(long.trades.values),
        "units": units.value().sum(axis=1),
        "whole": whole.value().sum(axis=1),
        "shared": shared.value(),
        "orders": pd.DataFrame(shared.orders.values),
        "positions": pd.DataFrame(shared.positions.values),
    },
    path,
)
"""


@pytest.fixture(scope="module")
def bars(stocks: pd.DataFrame) -> pd.DataFrame:
    return stocks.loc[["AAPL", "IBM", "MSFT"]]


@pytest.fixture(scope="module")
def weights(bars: pd.DataFrame) -> pd.DataFrame:
    """By rank of the last 60 days' return, -15 % to 45 %, every 21 days."""
    close = bars["close"].unstack("symbol")
    momentum = close / close.shift(60) - 1
    ranked = ((momentum.rank(axis=1) - 1.5) * 0.3).where(momentum.notna())
    ranked[np.arange(len(ranked)) % 21 != 0] = np.nan
    return ranked


@pytest.fixture(scope="module")
def theirs(bars: pd.DataFrame, weights: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What vectorbt makes of them, in a process of its own: its imports warn, and take seconds."""
    path: Path = tmp_path_factory.mktemp("vectorbt") / "exchange.pkl"
    path.write_bytes(pickle.dumps((bars, weights)))
    subprocess.run([sys.executable, "-c", SCRIPT, str(path)], check=True)
    return pd.read_pickle(path)


def long_and_short(bars: pd.DataFrame) -> Signals:
    close = bars["close"].unstack("symbol")
    fast, slow = close.rolling(20).mean(), close.rolling(100).mean()
    return Signals(fast > slow, fast < slow, fast < slow, fast > slow)


def test_long_signals_with_all_cash_are_vectorbts(bars: pd.DataFrame, theirs: Any) -> None:
    """`vectorbt.Portfolio.from_signals` on the same signals, shifted by hand."""
    close = bars["close"].unstack("symbol")
    above = close.rolling(20).mean() > close.rolling(100).mean()
    result = backtest(bars, above, ~above, fees=0.001, slippage=0.0005)
    np.testing.assert_allclose(result.equity, theirs["long"], rtol=1e-12)
    orders = result.orders.sort_values(["symbol", "time"])
    for column in ("size", "price", "fees"):
        np.testing.assert_allclose(orders[column], theirs["long orders"][column], rtol=1e-12)
    trades = result.trades.sort_values(["symbol", "entry_time"])
    for column in ("pnl", "return"):
        np.testing.assert_allclose(trades[column], theirs["long trades"][column], rtol=1e-9)


def test_long_and_short_positions_of_so_many_units_are_vectorbts(bars: pd.DataFrame, theirs: Any) -> None:
    """A reversal is one order of twice the units there, two orders at one price here."""
    result = backtest(bars, long_and_short(bars), size=Fixed(50.0), fees=0.001, slippage=0.0005)
    assert (result.trades["direction"] == "short").sum() > 30
    np.testing.assert_allclose(result.equity, theirs["units"], rtol=1e-12)


def test_long_and_short_positions_of_all_equity_are_vectorbts(bars: pd.DataFrame, theirs: Any) -> None:
    """Without costs only: vectorbt's target is a share of equity without the fees of getting there."""
    result = backtest(bars, long_and_short(bars), fees=0.0)
    np.testing.assert_allclose(result.equity, theirs["whole"], rtol=1e-12)


def test_rebalanced_weights_are_vectorbts_with_its_automatic_call_sequence(
    bars: pd.DataFrame, weights: pd.DataFrame, theirs: Any
) -> None:
    result = backtest(bars, Weights(weights), fees=0.001, slippage=0.0005)
    np.testing.assert_allclose(result.equity, theirs["shared"], rtol=1e-12)
    orders = result.orders.sort_values(["symbol", "time"])
    expected = theirs["orders"].sort_values(["col", "idx"])
    for column in ("size", "price", "fees"):
        np.testing.assert_allclose(orders[column], expected[column], rtol=1e-9)


def test_trades_are_vectorbts_positions(bars: pd.DataFrame, weights: pd.DataFrame, theirs: Any) -> None:
    """From nothing held to nothing held, at mean prices; an order through zero ends one and begins one."""
    trades = backtest(bars, Weights(weights), fees=0.001, slippage=0.0005).trades
    trades = trades.sort_values(["symbol", "entry_time"], kind="stable")
    expected = theirs["positions"].sort_values(["col", "entry_idx"], kind="stable")
    assert len(trades) == len(expected) > 100
    for ours, column in (
        ("pnl", "pnl"),
        ("return", "return"),
        ("size", "size"),
        ("entry_price", "entry_price"),
    ):
        np.testing.assert_allclose(trades[ours], expected[column], rtol=1e-9, err_msg=ours)
    closed = (trades["status"] == "closed").to_numpy()
    np.testing.assert_allclose(
        trades["exit_price"].to_numpy()[closed], expected["exit_price"].to_numpy()[closed], rtol=1e-9
    )
