"""Weights by hand: rebalancing, its orders and its trades."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.unit.signals.sketches import NAN, bars, days, weigh
from workbench.backtest import Weights, backtest


def test_weights_are_held_from_the_next_bar_and_sales_come_first() -> None:
    result = weigh(
        {"A": [10, 10, 20, 20], "B": [10, 10, 10, 10]}, {"A": [0.5, 0.5, NAN, NAN], "B": [0.5, 0.5, NAN, NAN]}
    )
    assert result.orders["size"].tolist() == pytest.approx([50, 50, 12.5, 25])
    assert result.orders["side"].tolist() == ["buy", "buy", "sell", "buy"]
    assert set(result.orders["reason"]) == {"rebalance"}
    assert result.equity.tolist() == [1_000, 1_000, 1_500, 1_500]
    assert result.cash.iloc[-1] == pytest.approx(0.0)


def test_a_weight_through_zero_is_one_order_that_ends_one_trade_and_begins_another() -> None:
    result = weigh({"A": [10, 10, 10, 5]}, {"A": [0.6, -0.4, NAN, NAN]}, fees=0.01)
    assert result.orders["side"].tolist() == ["buy", "sell"]
    first, second = result.trades.iloc[0], result.trades.iloc[1]
    assert (first["direction"], second["direction"]) == ("long", "short")
    assert (first["exit_time"], second["entry_time"]) == (result.equity.index[2], result.equity.index[2])
    share = first["size"] / (first["size"] + second["size"])
    assert first["fees"] == pytest.approx(result.orders["fees"][0] + share * result.orders["fees"][1])
    assert result.trades["pnl"].sum() == pytest.approx(result.equity.iloc[-1] - 1_000)


def test_weights_that_are_held_already_order_nothing() -> None:
    result = weigh({"A": [10, 10, 13, 7, 11]}, {"A": [1.0] * 5}, fixed_fees=1.0)
    assert len(result.orders) == 1


def test_rows_of_the_rebalancing_dates_are_enough() -> None:
    frame = pd.DataFrame({"A": [0.5]}, index=days(4)[2:3])
    result = backtest(bars(A=[10, 10, 10, 10]), Weights(frame), fees=0.0)
    assert result.orders["time"].tolist() == [days(4)[3]]


def test_a_losing_short_weight_can_be_reduced_and_closed() -> None:
    """Its security eats all free cash; buying back is what frees it."""
    result = weigh({"A": [10, 10, 12, 12]}, {"A": [-1.0, 0.0, NAN, NAN]})
    assert result.positions["A"].tolist() == [0, -100, 0, 0]
    assert result.equity.tolist() == [1_000, 1_000, 800, 800]


def test_weights_that_do_not_fit_are_cut_by_one_factor() -> None:
    result = weigh({"A": [10] * 3, "B": [10] * 3}, {"A": [0.8, NAN, NAN], "B": [0.8, NAN, NAN]})
    assert result.orders["size"].tolist() == pytest.approx([50, 50])
    assert result.orders["strength"].tolist() == [0.8, 0.8]
    result = weigh({"A": [10] * 3, "B": [10] * 3}, {"A": [2.5, NAN, NAN], "B": [2.5, NAN, NAN]}, leverage=2.0)
    assert result.orders["size"].tolist() == pytest.approx([100, 100])


def test_weights_that_add_up_to_one_leave_room_for_their_fees() -> None:
    """500 × 1/500 at 0.2 % fees: each symbol gets the same."""
    names = [f"S{number:03}" for number in range(500)]
    result = weigh(dict.fromkeys(names, (10, 10, 10)), dict.fromkeys(names, (1 / 500, NAN, NAN)), fees=0.002)
    assert result.orders["size"].tolist() == pytest.approx([1_000 / 500 / 10.02] * 500)
    assert result.cash.iloc[-1] == pytest.approx(0.0, abs=1e-9)


def test_a_short_weight_is_within_the_account_s_equity() -> None:
    result = weigh({"A": [10] * 3}, {"A": [-10.0, NAN, NAN]}, fees=0.01, slippage=0.05)
    assert result.exposure.iloc[-1] == pytest.approx(1.0)
    result = weigh({"A": [10] * 3}, {"A": [-10.0, NAN, NAN]}, fees=0.01, slippage=0.05, leverage=10.0)
    assert result.exposure.iloc[-1] == pytest.approx(10.0)


def test_what_no_weight_is_due_for_takes_its_room() -> None:
    """A keeps its 0.6; of B's 0.8 there is room for 0.4."""
    result = weigh({"A": [10] * 4, "B": [10] * 4}, {"A": [0.6, NAN, NAN, NAN], "B": [NAN, 0.8, NAN, NAN]})
    assert result.positions.iloc[-1].tolist() == pytest.approx([60, 40])


def test_of_several_decisions_since_a_symbol_s_last_bar_the_newest_is_filled() -> None:
    """A share that does not trade at the weekend, beside a coin that does: Friday 0.5, Sunday 0."""
    prices = {"COIN": [10.0] * 5, "SHARE": [10, NAN, NAN, 10, 10]}
    nothing = [NAN] * 5
    result = weigh(prices, {"COIN": nothing, "SHARE": [0.5, NAN, 0.0, NAN, NAN]})
    assert result.orders.empty
    result = weigh(prices, {"COIN": nothing, "SHARE": [0.0, NAN, 0.5, NAN, NAN]})
    assert result.orders["signal_time"].tolist() == [days(5)[2]]
    assert result.orders["time"].tolist() == [days(5)[3]]
    result = weigh(prices, {"COIN": nothing, "SHARE": [0.5, NAN, NAN, NAN, NAN]})
    assert result.orders["signal_time"].tolist() == [days(5)[0]], "NaN decides nothing"


def test_the_strength_of_a_weight_is_its_size() -> None:
    result = weigh({"A": [10] * 4}, {"A": [-1.5, 0.25, NAN, 0.5]})
    assert result.signals()[["signal", "strength"]].to_numpy().tolist() == [["sell", 1.0], ["buy", 0.25]]
    pending = result.signals(pending=True).iloc[-1]
    assert (pending["signal"], pending["strength"], pending["timestamp"]) == ("buy", 0.5, result.end)
