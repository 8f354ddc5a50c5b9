"""Over generated cases the same decisions give what vectorbt gives, where no rule of ours binds alone."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.backtest import Fixed, Signals, Weights, backtest

with warnings.catch_warnings():
    # vectorbt's own imports warn of what they will have to change.
    warnings.simplefilter("ignore")
    import vectorbt as vbt

CASH = 100_000.0
COSTS = st.fixed_dictionaries(
    {"fees": st.sampled_from([0.0, 0.001, 0.01]), "slippage": st.sampled_from([0.0, 0.0005, 0.01])}
)
SHAPE = {"seed": st.integers(0, 2**32 - 1), "n_symbols": st.integers(1, 5), "n_bars": st.integers(2, 80)}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def market(
    seed: int, n_symbols: int, n_bars: int
) -> tuple[np.random.Generator, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Random prices: tidy bars, and the panels of opens and closes."""
    rng = np.random.default_rng(seed)
    times = pd.date_range("2020-01-01", periods=n_bars, tz="UTC")
    names = [f"S{number}" for number in range(n_symbols)]
    close = 50.0 * np.exp(np.cumsum(rng.normal(0.0, 0.03, (n_bars, n_symbols)), axis=0))
    open_ = close * np.exp(rng.normal(0.0, 0.01, close.shape))
    index = pd.MultiIndex.from_product([names, times], names=["symbol", "timestamp"])
    bars = pd.DataFrame({"open": open_.T.ravel(), "close": close.T.ravel()}, index=index)
    return rng, bars, pd.DataFrame(open_, times, names), pd.DataFrame(close, times, names)


def flags(rng: np.random.Generator, close: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(rng.random(close.shape) < 0.3, close.index, close.columns)


def after(said: pd.DataFrame) -> pd.DataFrame:
    """Decided at a close, filled at the next open."""
    return said.shift(1, fill_value=False)


def assert_same(result: Any, portfolio: Any) -> None:
    value = portfolio.value()
    np.testing.assert_allclose(
        result.equity, value if value.ndim == 1 else value.sum(axis=1), rtol=1e-9, atol=1e-6
    )
    orders = portfolio.orders.values
    assert len(result.orders) == len(orders)
    ours = result.orders.sort_values(["symbol", "time"], kind="stable")
    theirs = orders[np.lexsort((orders["id"], orders["idx"], orders["col"]))]
    for column in ("size", "price", "fees"):
        np.testing.assert_allclose(ours[column], theirs[column], rtol=1e-9, atol=1e-9, err_msg=column)
    positions = portfolio.get_positions(group_by=False).values
    assert len(result.trades) == len(positions)
    assert result.trades["pnl"].sum() == pytest.approx(positions["pnl"].sum(), rel=1e-9, abs=1e-6)


@given(**SHAPE, costs=COSTS, fixed_fees=st.sampled_from([0.0, 3.0]))
@settings(max_examples=60, deadline=None)
def test_long_signals_with_all_of_each_symbols_cash(
    seed: int, n_symbols: int, n_bars: int, costs: Any, fixed_fees: float
) -> None:
    rng, bars, open_, close = market(seed, n_symbols, n_bars)
    entries, exits = flags(rng, close), flags(rng, close)
    result = backtest(bars, entries, exits, cash=CASH, fixed_fees=fixed_fees, count_trial=False, **costs)
    portfolio = vbt.Portfolio.from_signals(
        close, after(entries), after(exits), price=open_, init_cash=CASH / n_symbols, engine="rust",
        fixed_fees=fixed_fees, **costs,
    )  # fmt: skip
    assert_same(result, portfolio)


@given(**SHAPE, costs=COSTS)
@settings(max_examples=60, deadline=None)
def test_long_signals_of_so_many_units_in_one_account(
    seed: int, n_symbols: int, n_bars: int, costs: Any
) -> None:
    """Exits come before entries, as by vectorbt's automatic call sequence."""
    rng, bars, open_, close = market(seed, n_symbols, n_bars)
    entries, exits = flags(rng, close), flags(rng, close)
    result = backtest(
        bars, entries, exits, cash=CASH, size=Fixed(100.0), cash_sharing=True, count_trial=False, **costs
    )
    portfolio = vbt.Portfolio.from_signals(
        close, after(entries), after(exits), price=open_, init_cash=CASH, size=100.0, engine="rust",
        group_by=True, cash_sharing=True, call_seq="auto", **costs,
    )  # fmt: skip
    assert_same(result, portfolio)


@given(**SHAPE, costs=COSTS)
@settings(max_examples=60, deadline=None)
def test_long_and_short_positions_of_so_many_units(
    seed: int, n_symbols: int, n_bars: int, costs: Any
) -> None:
    """Compared by what is held: a reversal is one order of twice the units there, two orders here."""
    rng, bars, open_, close = market(seed, n_symbols, n_bars)
    side = pd.DataFrame(rng.choice([-1.0, 0.0, 1.0], close.shape), close.index, close.columns)
    said = Signals(side > 0, side <= 0, side < 0, side >= 0)
    result = backtest(bars, said, cash=CASH, size=Fixed(50.0), count_trial=False, **costs)
    target = side.shift(1) * 50.0
    portfolio = vbt.Portfolio.from_orders(
        close,
        target,
        size_type="targetamount",
        price=open_,
        init_cash=CASH / n_symbols,
        engine="rust",
        **costs,
    )
    np.testing.assert_allclose(result.equity, portfolio.value().sum(axis=1), rtol=1e-9)
    positions = portfolio.get_positions(group_by=False).values
    assert len(result.trades) == len(positions)
    assert result.trades["pnl"].sum() == pytest.approx(positions["pnl"].sum(), rel=1e-9, abs=1e-6)


@given(**SHAPE, costs=COSTS, every=st.sampled_from([1, 5]))
@settings(max_examples=60, deadline=None)
def test_weights_that_leave_room_for_their_fees(
    seed: int, n_symbols: int, n_bars: int, costs: Any, every: int
) -> None:
    rng, bars, open_, close = market(seed, n_symbols, n_bars)
    weights = pd.DataFrame(rng.random(close.shape), close.index, close.columns)
    weights = weights.div(weights.sum(axis=1), axis=0) * 0.7
    weights[np.arange(n_bars) % every != 0] = np.nan
    result = backtest(bars, Weights(weights), cash=CASH, count_trial=False, **costs)
    portfolio = vbt.Portfolio.from_orders(
        close, weights.shift(1), size_type="targetpercent", price=open_, init_cash=CASH, engine="rust",
        group_by=True, cash_sharing=True, call_seq="auto", **costs,
    )  # fmt: skip
    assert_same(result, portfolio)
