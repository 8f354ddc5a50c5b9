"""Fills, cash and equity against an independent loop."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.backtest import BacktestResult, backtest


class Fill(NamedTuple):
    """One order: the bar that filled it, units, price with slippage, fee."""

    bar: int
    side: str
    size: float
    price: float
    fee: float


def reference_backtest(
    opens: list[float],
    closes: list[float],
    entries: list[bool],
    exits: list[bool],
    *,
    cash: float,
    fees: float,
    slippage: float,
) -> tuple[list[float], list[Fill]]:
    """Walk the bars one by one; yesterday's close decides, today's open fills, today's close values."""
    units = 0.0
    equity: list[float] = []
    fills: list[Fill] = []
    for bar in range(len(opens)):
        if bar > 0 and entries[bar - 1] != exits[bar - 1]:
            if entries[bar - 1] and units == 0:
                price = opens[bar] * (1 + slippage)
                units = cash / (price + price * fees)
                fee = units * price * fees
                cash = 0.0  # All of it went into the units and their fee.
                fills.append(Fill(bar, "buy", units, price, fee))
            elif exits[bar - 1] and units > 0:
                price = opens[bar] * (1 - slippage)
                fee = units * price * fees
                cash = cash + units * price - fee
                fills.append(Fill(bar, "sell", units, price, fee))
                units = 0.0
        equity.append(cash + units * closes[bar])
    return equity, fills


def tidy(opens: list[float], closes: list[float]) -> pd.DataFrame:
    index = pd.MultiIndex.from_product(
        [["X"], pd.date_range("2020-01-01", periods=len(opens), tz="UTC")], names=["symbol", "timestamp"]
    )
    high, low = np.maximum(opens, closes), np.minimum(opens, closes)
    return pd.DataFrame(
        {"open": opens, "high": high, "low": low, "close": closes, "volume": 1.0}, index=index
    )


def series(bars: pd.DataFrame, flags: list[bool]) -> pd.Series[bool]:
    return pd.Series(flags, index=bars.index.get_level_values("timestamp"), dtype=bool)


def cross(closes: pd.DataFrame, fast: int = 20, slow: int = 100) -> pd.DataFrame:
    return closes.rolling(fast).mean() > closes.rolling(slow).mean()


def assert_as_reference(
    result: BacktestResult, bars: pd.DataFrame, entries: list[bool], exits: list[bool]
) -> None:
    equity, fills = reference_backtest(
        bars["open"].tolist(),
        bars["close"].tolist(),
        entries,
        exits,
        cash=result.initial_cash,
        fees=result.fees,
        slippage=result.slippage,
    )
    np.testing.assert_allclose(result.equity, equity, rtol=1e-10)
    assert result.orders["side"].tolist() == [fill.side for fill in fills]
    assert result.orders["time"].tolist() == [result.equity.index[fill.bar] for fill in fills]
    for column, field in (("size", "size"), ("price", "price"), ("fees", "fee")):
        expected = [getattr(fill, field) for fill in fills]
        np.testing.assert_allclose(result.orders[column], expected, rtol=1e-10, err_msg=column)


def test_real_prices_fill_as_the_reference_loop_does(aapl: pd.DataFrame) -> None:
    above = cross(aapl["close"].unstack("symbol"))["AAPL"]
    result = backtest(aapl, above, ~above, fees=0.001, slippage=0.0005)
    assert len(result.orders) > 20
    assert_as_reference(result, aapl, above.tolist(), (~above).tolist())


PRICE = st.integers(1_000, 10_000).map(lambda cents: cents / 100)
COST = st.integers(0, 500).map(lambda points: points / 10_000)
BAR = st.tuples(PRICE, PRICE, st.booleans(), st.booleans())


@settings(deadline=None, max_examples=40)
@given(st.lists(BAR, min_size=1, max_size=40), COST, COST)
def test_any_prices_fill_as_the_reference_loop_does(
    drawn: list[tuple[float, float, bool, bool]], fees: float, slippage: float
) -> None:
    opens, closes, entries, exits = (list(column) for column in zip(*drawn, strict=True))
    bars = tidy(opens, closes)
    result = backtest(bars, series(bars, entries), series(bars, exits), fees=fees, slippage=slippage)
    assert_as_reference(result, bars, entries, exits)
    held = (result.positions["X"] * np.array(closes)).to_numpy()
    np.testing.assert_allclose(result.equity, result.cash + held, rtol=1e-12)


@settings(deadline=None, max_examples=25)
@given(st.lists(BAR, min_size=2, max_size=30), st.data())
def test_the_future_does_not_change_the_past(
    drawn: list[tuple[float, float, bool, bool]], data: st.DataObject
) -> None:
    known = data.draw(st.integers(1, len(drawn) - 1))
    other = drawn[:known] + data.draw(st.lists(BAR, min_size=1, max_size=20))
    results = []
    for path in (drawn, other, drawn[:known]):
        opens, closes, entries, exits = (list(column) for column in zip(*path, strict=True))
        bars = tidy(opens, closes)
        results.append(backtest(bars, series(bars, entries), series(bars, exits)))
    first, second, cut = results
    assert first.equity.tolist()[:known] == second.equity.tolist()[:known] == cut.equity.tolist()
    assert cut.orders.equals(first.orders[first.orders["time"] <= cut.end].reset_index(drop=True))


def test_many_symbols_are_the_sum_of_one_backtest_each(stocks: pd.DataFrame) -> None:
    """GOOG and FB start years later; their share of the cash waits for them."""
    closes = stocks["close"].unstack("symbol")
    above = cross(closes)
    together = backtest(stocks, above, ~above & closes.notna(), cash=100_000.0)
    total = pd.Series(0.0, index=together.equity.index)
    for symbol in together.symbols:
        alone = above[symbol][closes[symbol].notna()]
        single = backtest(stocks.loc[[symbol]], alone, ~alone, cash=20_000.0)
        total += single.equity.reindex(total.index).ffill().fillna(20_000.0)
        mine = together.orders[together.orders["symbol"] == symbol].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, single.orders)
    pd.testing.assert_series_equal(together.equity, total, check_names=False, rtol=1e-12)


def test_symbols_that_start_late_end_early_or_pause() -> None:
    """By hand, no cost, 100 each, all enter: LATE has them from bar 2, EARLY until it, PAUSE not that one."""
    days = pd.date_range("2020-01-01", periods=5, tz="UTC")
    prices = {
        "EARLY": [10, 10, 20, None, None],
        "LATE": [None, None, 10, 10, 40],
        "PAUSE": [10, 10, None, 5, 10],
    }
    wide = pd.DataFrame(prices, index=days, dtype="float64").rename_axis(index="timestamp", columns="symbol")
    close = wide.stack().swaplevel().sort_index()
    bars = pd.DataFrame({"open": close, "close": close})
    entries = pd.DataFrame(True, index=days, columns=["PAUSE", "LATE", "EARLY"])
    result = backtest(bars, entries, ~entries, fees=0.0, cash=300.0)
    # EARLY: 10 units at 10, worth 200 for ever. LATE: 10 units at 10 on bar 3. PAUSE: 10 units at 10.
    assert result.equity.tolist() == [300.0, 300.0, 200 + 100 + 100, 200 + 100 + 50, 200 + 400 + 100]
    assert result.positions.iloc[-1].to_dict() == {"EARLY": 10.0, "LATE": 10.0, "PAUSE": 10.0}
    assert result.trades["status"].tolist() == ["open"] * 3
    assert result.trades.set_index("symbol")["pnl"].to_dict() == {"EARLY": 100.0, "LATE": 300.0, "PAUSE": 0.0}


def test_a_signal_before_a_gap_fills_at_the_symbols_own_next_bar() -> None:
    bars = tidy([10, 10, np.nan, 8, 9], [10, 10, 7, 8, 9])
    result = backtest(
        bars, series(bars, [False, True, True, False, False]), series(bars, [False] * 5), fees=0.0
    )
    assert result.orders["time"].tolist() == [datetime(2020, 1, 4, tzinfo=UTC)]
    assert result.orders["signal_time"].tolist() == [datetime(2020, 1, 3, tzinfo=UTC)], "the newest"
    assert result.orders["price"].tolist() == [8.0]
