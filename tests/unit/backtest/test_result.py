"""What a result tells: figures, trades, signals, performance by date, at the edges too."""

from __future__ import annotations

import dataclasses
import math
import pickle
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.backtest import BacktestResult, backtest, metrics


def run(opens: list[float], closes: list[float], entries: str, exits: str, **options: Any) -> BacktestResult:
    """Signals as strings: an x on each bar that gives one."""
    index = pd.MultiIndex.from_product(
        [["X"], pd.date_range("2020-01-01", periods=len(opens), tz="UTC")], names=["symbol", "timestamp"]
    )
    bars = pd.DataFrame({"open": opens, "close": closes}, index=index, dtype="float64")
    flags = [pd.Series([mark == "x" for mark in marks], index=index) for marks in (entries, exits)]
    return backtest(bars, flags[0], flags[1], **options)


def day(number: int) -> pd.Timestamp:
    return pd.Timestamp(2020, 1, number, tz="UTC")


def test_frames_are_made_when_they_are_looked_at_and_stay_the_same_afterwards() -> None:
    """The figures need none of them: who backtests thousands of variants pays for what is looked at."""
    result = run([9, 10, 12, 20, 16], [10, 11, 13, 18, 15], "x.x..", ".x...", fees=0.0, cash=1_000.0)
    assert result.metrics["total_trades"] == 1
    assert not {"equity", "returns", "positions", "orders", "trades"} & set(vars(result))
    for name in ("equity", "returns", "drawdown", "positions", "orders", "trades", "turnover"):
        assert getattr(result, name) is getattr(result, name)
    again = pickle.loads(pickle.dumps(result))
    pd.testing.assert_frame_equal(again.trades, result.trades)
    assert again.metrics == pytest.approx(result.metrics, nan_ok=True)


def test_two_trades_by_hand() -> None:
    """1,000 buys 100 at 10 and sells them at 12; 1,200 buys 60 at 20, still worth 15 each."""
    result = run([9, 10, 12, 20, 16], [10, 11, 13, 18, 15], "x.x..", ".x...", fees=0.0, cash=1_000.0)
    assert result.equity.tolist() == [1_000, 1_100, 1_200, 1_080, 900]
    assert result.returns.tolist() == pytest.approx([0, 0.1, 1 / 11, -0.1, -1 / 6])
    assert result.drawdown.tolist() == pytest.approx([0, 0, 0, -0.1, -0.25])
    assert result.exposure.tolist() == pytest.approx([0, 1, 0, 1, 1])
    assert result.trades[["entry_time", "exit_time"]].to_numpy().tolist() == [
        [day(2), day(3)],
        [day(4), pd.NaT],
    ]
    assert result.trades[["entry_price", "size", "pnl", "return", "fees"]].to_numpy().tolist() == [
        [10, 100, 200, 0.2, 0],
        [20, 60, -300, -0.25, 0],
    ]
    assert result.trades["exit_price"].tolist() == pytest.approx([12, math.nan], nan_ok=True)
    assert result.trades["status"].tolist() == ["closed", "open"]
    figures = result.metrics
    assert figures["total_return"] == pytest.approx(-0.1)
    assert figures["max_drawdown"] == pytest.approx(-0.25)
    assert (figures["total_trades"], figures["open_trades"], figures["win_rate"]) == (1, 1, 1)
    assert figures["exposure"] == pytest.approx(0.6)
    assert figures["final_equity"] == 900
    table = result.performance()
    assert table["total_trades"].tolist() == [0, 0, 1, 1, 1], "a trade counts from the day of its exit"
    assert table["win_rate"].tolist() == pytest.approx([math.nan, math.nan, 1, 1, 1], nan_ok=True)
    assert table["max_drawdown"].tolist() == pytest.approx([0, 0, 0, -0.1, -0.25])
    # Buying and holding buys 100 at 10 on the second bar too, and ends at 15.
    assert result.benchmark.tolist() == [1_000, 1_100, 1_300, 1_800, 1_500]
    assert figures["benchmark_return"] == pytest.approx(0.5)


def test_costs_by_hand() -> None:
    """At 100 with 1 % slippage and 1 % fees: 102.01 a unit buys 100 units; sold at 198 less 1.98 each."""
    result = run([100, 100, 200], [100, 100, 200], "x..", ".x.", fees=0.01, slippage=0.01, cash=10_201.0)
    trade = result.trades.iloc[0]
    assert trade["size"] == pytest.approx(100)
    assert (trade["entry_price"], trade["exit_price"]) == pytest.approx((101.0, 198.0))
    assert trade["fees"] == pytest.approx(101 + 198)
    assert trade["pnl"] == pytest.approx(19_800 - 198 - 10_201)
    assert trade["return"] == pytest.approx(trade["pnl"] / 10_100)
    assert result.metrics["fees_paid"] == pytest.approx(299)
    assert result.equity.iloc[-1] == pytest.approx(19_602)


def test_signals_are_those_that_changed_the_position() -> None:
    result = run([10] * 7, [10] * 7, "xx.x..x", "..x..x.", fees=0.0)
    signals = result.signals()
    assert signals.columns.tolist() == ["symbol", "timestamp", "signal", "strength"]
    assert signals[["timestamp", "signal"]].to_numpy().tolist() == [
        [day(1), "buy"],
        [day(3), "sell"],
        [day(4), "buy"],
        [day(6), "sell"],
    ]
    assert (signals["symbol"] == "X").all()
    assert (signals["strength"] == 1.0).all()
    assert str(signals["timestamp"].dt.tz) == "UTC"


def test_the_last_bars_signal_is_pending() -> None:
    result = run([10] * 3, [10] * 3, "..x", "...", fees=0.0)
    assert result.signals().empty
    assert result.signals(pending=True).to_numpy().tolist() == [["X", day(3), "buy", 1.0]]
    assert run([10] * 3, [10] * 3, "x..", "..x").signals(pending=True)["signal"].tolist() == ["buy", "sell"]
    assert run([10] * 3, [10] * 3, "x.x", "...").signals(pending=True)["signal"].tolist() == ["buy"]


def test_contradicting_signals_cancel_each_other() -> None:
    assert run([10] * 4, [10] * 4, "x...", "x...").trades.empty
    result = run([10] * 5, [10] * 5, "x.x..", "..xx.")
    assert result.signals()["timestamp"].tolist() == [day(1), day(4)]


def test_an_exit_before_any_entry_does_nothing() -> None:
    assert run([10] * 4, [10] * 4, "..x.", "xx..").signals()["signal"].tolist() == ["buy"]


def test_one_bar() -> None:
    result = run([10], [11], "x", ".", cash=500.0)
    assert result.equity.tolist() == [500.0]
    assert result.orders.empty
    assert result.metrics["total_return"] == 0.0
    assert math.isnan(result.metrics["sharpe_ratio"])
    assert len(result.performance()) == 1


def test_no_trade_leaves_the_cash_and_no_ratios() -> None:
    result = run([10, 11, 12], [10, 11, 12], "...", "...")
    assert result.equity.tolist() == [100_000.0] * 3
    figures = result.metrics
    assert (figures["total_return"], figures["volatility"], figures["max_drawdown"]) == (0, 0, 0)
    assert (figures["total_trades"], figures["exposure"], figures["fees_paid"]) == (0, 0, 0)
    for name in ("sharpe_ratio", "sortino", "calmar", "win_rate"):
        assert math.isnan(figures[name]), name
    for frame in (result.trades, result.orders, result.signals(pending=True)):
        assert frame.empty
    traded = run([10] * 3, [10] * 3, "x..", ".x.")
    assert result.trades.dtypes.equals(traded.trades.dtypes)
    assert result.orders.dtypes.equals(traded.orders.dtypes)
    assert result.signals(pending=True).dtypes.equals(traded.signals().dtypes)


def test_all_losses() -> None:
    result = run([10, 10, 8, 8, 6], [10, 9, 8, 7, 6], "x.x..", ".x.x.", fees=0.0, cash=1_000.0)
    assert result.trades["pnl"].tolist() == [-200, -200]
    assert result.metrics["win_rate"] == 0.0
    assert result.metrics["max_drawdown"] == pytest.approx(-0.4)
    assert result.metrics["sharpe_ratio"] < 0


def test_costs_that_eat_the_account_stop_the_trading() -> None:
    """99 % a fill: after a few round trips nothing is left that an order could be made of."""
    result = run([10.0] * 40, [10.0] * 40, "x." * 20, ".x" * 20, fees=0.99, slippage=0.99)
    assert (result.equity >= 0).all()
    assert result.equity.iloc[-1] < 1e-6
    assert result.performance().notna()["max_drawdown"].all()


def test_performance_ends_with_the_metrics_and_is_true_at_every_date(aapl: pd.DataFrame) -> None:
    """Each row equals the metrics of a backtest that ends there."""
    recent = aapl.iloc[-400:]
    close = recent["close"]
    above = close > close.rolling(20).mean()
    result = backtest(recent, above, ~above)
    table = result.performance()
    assert table.columns.tolist() == [
        "date",
        "returns",
        "sharpe_ratio",
        "max_drawdown",
        "total_trades",
        "win_rate",
    ]
    assert len(table) == 400
    for count in (1, 2, 60, 137, 400):
        cut = backtest(recent.iloc[:count], above.iloc[:count], ~above.iloc[:count])
        row = table.iloc[count - 1]
        assert row["date"] == cut.end.date()
        assert row["returns"] == pytest.approx(cut.returns.iloc[-1], abs=1e-12)
        for name in ("sharpe_ratio", "max_drawdown", "total_trades", "win_rate"):
            assert row[name] == pytest.approx(cut.metrics[name], rel=1e-9, nan_ok=True), (count, name)


def test_several_bars_on_a_date_make_one_row_of_performance() -> None:
    index = pd.MultiIndex.from_product(
        [["X"], pd.date_range("2020-01-01", periods=6, freq="8h", tz="UTC")], names=["symbol", "timestamp"]
    )
    bars = pd.DataFrame({"open": [10.0, 10, 11, 12, 12, 12], "close": [10.0, 11, 12, 12, 12, 9]}, index=index)
    entries = pd.Series([True] + [False] * 5, index=index)
    result = backtest(bars, entries, entries & False, fees=0.0, periods_per_year=756)
    table = result.performance()
    assert table["date"].tolist() == [date(2020, 1, 1), date(2020, 1, 2)]
    assert table["returns"].tolist() == pytest.approx([0.2, -0.25])
    assert table["sharpe_ratio"].iloc[-1] == pytest.approx(
        metrics.sharpe(result.returns, periods_per_year=756)
    )
    assert table["sharpe_ratio"].iloc[-1] == pytest.approx(result.metrics["sharpe_ratio"])


def test_returns_compound_to_the_equity(aapl: pd.DataFrame) -> None:
    above = aapl["close"] > aapl["close"].rolling(50).mean()
    result = backtest(aapl, above, ~above)
    np.testing.assert_allclose(
        (1 + result.returns).cumprod() * result.initial_cash, result.equity, rtol=1e-10
    )
    peak = result.equity.cummax().clip(lower=result.initial_cash)
    np.testing.assert_allclose(result.drawdown, result.equity / peak - 1, atol=1e-10)


def test_every_figure_has_its_name_and_is_the_metric_of_the_returns(aapl: pd.DataFrame) -> None:
    above = aapl["close"] > aapl["close"].rolling(50).mean()
    result = backtest(aapl, above, ~above, short_entries=~above, short_exits=above, slippage=0.0005)
    figures, returns = result.metrics, result.returns
    of_returns = (
        "total_return", "cagr", "volatility", "sortino", "calmar", "omega", "stability", "max_drawdown",
        "max_drawdown_length", "value_at_risk", "conditional_value_at_risk", "tail_ratio", "skewness",
        "kurtosis",
    )  # fmt: skip
    for name in of_returns:
        assert figures[name] == getattr(metrics, name)(returns), name
    assert figures["sharpe_ratio"] == metrics.sharpe(returns)
    for name in ("alpha", "beta", "information_ratio", "up_capture", "down_capture"):
        assert figures[name] == getattr(metrics, name)(returns, result.benchmark_returns), name
    closed = result.trades.loc[result.trades["status"] == "closed", "pnl"]
    for name in ("win_rate", "profit_factor", "expectancy", "sqn"):
        assert figures[name] == getattr(metrics, name)(closed), name
    assert figures["exposure"] == metrics.exposure(result.exposure)
    assert figures["turnover"] == metrics.turnover(result.turnover) * 252
    assert set(figures) == {
        *of_returns, "sharpe_ratio", "benchmark_return", "alpha", "beta", "information_ratio", "up_capture",
        "down_capture", "total_trades", "open_trades", "win_rate", "profit_factor", "expectancy", "sqn",
        "exposure", "turnover", "fees_paid", "slippage_paid", "final_equity",
    }  # fmt: skip
    assert not any(math.isnan(value) for value in figures.values())


def test_a_result_cannot_be_changed() -> None:
    result = run([10] * 3, [10] * 3, "x..", "...")
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.name = "other"  # type: ignore[misc]


def test_its_short_form_names_what_matters() -> None:
    text = repr(run([10, 10, 12], [10, 11, 13], "x..", "...", fees=0.0))
    assert text == (
        "<BacktestResult 'backtest': X, 2020-01-01 to 2020-01-03, return +30.0%, Sharpe 16.38, "
        "max drawdown 0.0%, trades 0 (+1 open)>"
    )
