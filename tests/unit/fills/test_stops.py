"""Stops by hand: levels, gaps, order within a bar, trailing, both sides, and what happens after one."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from workbench.backtest import BacktestResult, Fixed, Signals, Weights, backtest
from workbench.errors import BacktestError

DAYS = "2020-01-01"
NAN = math.nan


def run(bars: list[tuple[float, float, float, float]], marks: str, **options: Any) -> BacktestResult:
    """Bars of open, high, low, close. A mark a bar: L long, S short, x out, . nothing."""
    index = pd.MultiIndex.from_product(
        [["X"], pd.date_range(DAYS, periods=len(bars), tz="UTC")], names=["symbol", "timestamp"]
    )
    frame = pd.DataFrame(bars, index=index, columns=["open", "high", "low", "close"], dtype="float64")
    long, out, short = (pd.Series([mark == wanted for mark in marks], index=index) for wanted in "LxS")
    options = {"fees": 0.0, "cash": 1_000.0, "size": Fixed(10.0), **options}
    return backtest(frame, Signals(long, out, short, out), **options)


def left(result: BacktestResult) -> list[tuple[int, float, str]]:
    """Day, price and reason of each exit."""
    closed = result.trades[result.trades["status"] == "closed"]
    return list(
        zip(closed["exit_time"].dt.day, closed["exit_price"].round(9), closed["exit_reason"], strict=True)
    )


QUIET = (100.0, 101.0, 99.0, 100.0)


def test_a_stop_is_left_at_its_level_within_a_bar() -> None:
    bars = [QUIET, QUIET, (99, 100, 90, 97), QUIET]
    assert left(run(bars, "L...", stop_loss=0.05)) == [(3, 95.0, "stop_loss")]
    bars = [QUIET, QUIET, (101, 110, 100, 103), QUIET]
    assert left(run(bars, "S...", stop_loss=0.05)) == [(3, 105.0, "stop_loss")]


def test_a_gap_beyond_a_stop_is_left_at_the_open() -> None:
    assert left(run([QUIET, QUIET, (80, 99, 79, 98)], "L..", stop_loss=0.05)) == [(3, 80.0, "stop_loss")]
    assert left(run([QUIET, QUIET, (130, 131, 99, 100)], "S..", stop_loss=0.05)) == [(3, 130.0, "stop_loss")]


def test_a_gap_beyond_a_target_is_left_at_the_open() -> None:
    bars = [QUIET, QUIET, (120, 121, 119, 120)]
    assert left(run(bars, "L..", take_profit=0.1)) == [(3, 120.0, "take_profit")]
    assert left(run([QUIET, QUIET, (80, 81, 79, 80)], "S..", take_profit=0.1)) == [(3, 80.0, "take_profit")]


def test_the_stop_comes_before_the_target_within_one_bar() -> None:
    wild = (100.0, 130.0, 70.0, 100.0)
    both = {"stop_loss": 0.05, "take_profit": 0.05}
    assert left(run([QUIET, QUIET, wild], "L..", **both)) == [(3, 95.0, "stop_loss")]
    assert left(run([QUIET, QUIET, wild], "S..", **both)) == [(3, 105.0, "stop_loss")]


def test_the_bar_of_the_entry_counts_after_its_open() -> None:
    bars = [QUIET, (100, 112, 99, 100), QUIET]
    assert left(run(bars, "L..", take_profit=0.1)) == [(2, 110.0, "take_profit")]
    # Entered at that bar's close, its range is over; the next bar's is not reached.
    assert left(run(bars, "L..", take_profit=0.1, fill="next_close")) == []
    assert left(run([QUIET, (100, 101, 94, 100), QUIET], "L..", stop_loss=0.05)) == [(2, 95.0, "stop_loss")]


def test_levels_are_of_the_entry_price_with_slippage_and_the_exit_pays_it_too() -> None:
    bars = [QUIET, QUIET, (100, 100, 80, 90)]
    result = run(bars, "L..", stop_loss=0.1, slippage=0.01, fees=0.001, cash=2_000.0)
    # Bought at 101; the stop stands at 90.9, and 1 % less is got.
    assert result.orders["price"].tolist() == pytest.approx([101.0, 90.9 * 0.99])
    assert result.orders["fees"].tolist() == pytest.approx([1.01, 0.89991])


def test_a_trailing_stop_follows_the_best_price_of_the_bars_before() -> None:
    """The high of 120 counts from the next bar on: the low of 100 of its own bar does not touch 108."""
    bars = [QUIET, QUIET, (101, 120, 100, 119), (118, 119, 107, 110), QUIET]
    assert left(run(bars, "L....", trailing_stop=0.1)) == [(4, 108.0, "trailing_stop")]
    bars = [QUIET, QUIET, (99, 100, 80, 81), (82, 89, 81, 85), QUIET]
    assert left(run(bars, "S....", trailing_stop=0.1)) == [(4, 88.0, "trailing_stop")]


def test_the_nearer_one_of_two_stops_is_the_one_and_of_equal_ones_the_stop_loss() -> None:
    fall = [QUIET, (100, 100, 100, 100), (100, 100, 80, 80)]
    assert left(run(fall, "L..", stop_loss=0.1, trailing_stop=0.05)) == [(3, 95.0, "trailing_stop")]
    assert left(run(fall, "L..", stop_loss=0.05, trailing_stop=0.1)) == [(3, 95.0, "stop_loss")]
    assert left(run(fall, "L..", stop_loss=0.1, trailing_stop=0.1)) == [(3, 90.0, "stop_loss")]


def test_after_a_stop_an_entry_that_still_stands_enters_again() -> None:
    bars = [QUIET, QUIET, (99, 100, 90, 97), (98, 99, 97, 98), QUIET]
    result = run(bars, "LLLLL", stop_loss=0.05)
    assert result.orders[["side", "price"]].to_numpy().tolist() == [["buy", 100], ["sell", 95], ["buy", 98]]
    assert result.orders["time"].dt.day.tolist() == [2, 3, 4]
    # The stop's own bar decided the second entry: the signal that counts there is the entry.
    signals = result.signals()
    assert signals["timestamp"].dt.day.tolist() == [1, 3]
    assert signals["signal"].tolist() == ["buy", "buy"]


def test_a_stop_that_nothing_follows_is_a_signal_of_its_bar() -> None:
    result = run([QUIET, QUIET, (99, 100, 90, 97), QUIET], "L...", stop_loss=0.05)
    assert result.signals()[["signal", "strength"]].to_numpy().tolist() == [["buy", 1.0], ["sell", 1.0]]
    assert result.orders["signal_time"].dt.day.tolist() == [1, 3]


def test_an_exit_at_the_open_comes_before_the_bars_stop_and_one_at_the_close_after_it() -> None:
    bars = [QUIET, QUIET, (99, 100, 90, 97), QUIET]
    assert left(run(bars, "Lx..", stop_loss=0.05)) == [(3, 99.0, "signal")]
    assert left(run(bars, "Lx..", stop_loss=0.05, fill="next_close")) == [(3, 95.0, "stop_loss")]
    assert left(run(bars, "L.x.", stop_loss=0.05, fill="same_close")) == [(3, 95.0, "stop_loss")]


def test_a_reversal_ends_the_old_positions_stops() -> None:
    bars = [QUIET, QUIET, QUIET, (100, 104, 90, 100), (100, 107, 100, 106)]
    result = run(bars, "LS...", stop_loss=0.05)
    assert left(result) == [(3, 100.0, "signal"), (5, 105.0, "stop_loss")]
    assert result.trades["direction"].tolist() == ["long", "short"]


def test_without_a_range_only_open_and_close_are_looked_at() -> None:
    bars = [QUIET, QUIET, (100, NAN, NAN, 96), (96, NAN, 50, 94), QUIET]
    assert left(run(bars, "L....", stop_loss=0.05)) == [(4, 95.0, "stop_loss")]


def test_a_stop_waits_over_a_gap() -> None:
    bars = [QUIET, QUIET, (NAN, 100, 50, 60), (90, 91, 89, 90)]
    assert left(run(bars, "L...", stop_loss=0.05)) == [(4, 90.0, "stop_loss")]


def test_a_stop_far_away_is_found_after_many_bars() -> None:
    bars = [QUIET] * 1_000 + [(100, 100, 94, 95)]
    result = run(bars, "L" + "." * 1_000, stop_loss=0.05, take_profit=0.5)
    assert result.trades["exit_time"].tolist() == [result.end]
    assert result.trades["exit_price"].tolist() == [95.0]


def test_bars_without_a_range_have_no_stops() -> None:
    index = pd.MultiIndex.from_product(
        [["X"], pd.date_range(DAYS, periods=2, tz="UTC")], names=["symbol", "timestamp"]
    )
    bars = pd.DataFrame({"open": 1.0, "close": 1.0}, index=index)
    with pytest.raises(BacktestError, match="no 'high'"):
        backtest(bars, bars["close"] > 0, stop_loss=0.1)
    with pytest.raises(BacktestError, match="no 'low'"):
        backtest(bars.assign(high=1.0, low=NAN), bars["close"] > 0, trailing_stop=0.1)


def test_weights_have_no_stops() -> None:
    days = pd.date_range(DAYS, periods=2, tz="UTC", name="timestamp")
    index = pd.MultiIndex.from_product([["X"], days], names=["symbol", "timestamp"])
    bars = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), 1.0), index=index)
    weights = Weights(pd.DataFrame({"X": [1.0, 1.0]}, index=days))
    for options in ({"stop_loss": 0.1}, {"size": Fixed(1.0)}, {"cash_sharing": False}):
        with pytest.raises(
            BacktestError, match=f"^{'stops' if 'stop_loss' in options else next(iter(options))}: "
        ):
            backtest(bars, weights, **options)
