"""Signals by hand: shorts, reversals, conflicts, sizes, fixed fees, and where a decision is filled."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from tests.unit.signals.sketches import NAN, bars, days, run
from workbench.backtest import Fixed, Percent, Signals, VolatilityTarget, backtest
from workbench.errors import SignalsInGapsWarning
from workbench.signals.decisions import Fill


def test_a_short_position_gains_what_the_price_loses() -> None:
    """1,000 sells 100 short at 10; bought back at 8, 200 are left over."""
    result = run({"X": [10, 10, 9, 8, 8]}, {"X": "S.x.."})
    assert result.equity.tolist() == [1_000, 1_000, 1_100, 1_200, 1_200]
    assert result.cash.tolist() == [1_000, 2_000, 2_000, 1_200, 1_200]
    assert result.positions["X"].tolist() == [0, -100, -100, 0, 0]
    assert result.net_exposure.tolist() == pytest.approx([0, -1, -900 / 1_100, 0, 0])
    assert result.exposure.tolist() == pytest.approx([0, 1, 900 / 1_100, 0, 0])
    assert result.turnover.tolist() == pytest.approx([0, 1, 0, 800 / 1_200, 0])
    trade = result.trades.iloc[0]
    assert (trade["direction"], trade["size"], trade["pnl"], trade["return"]) == ("short", 100, 200, 0.2)
    assert result.signals()["signal"].tolist() == ["sell", "buy"]


def test_a_reversal_is_two_orders_at_one_price() -> None:
    """Long 100 from 10, sold at 12: 1,200 then sell 100 short at 12; at 11, 1,300 buy 118.18."""
    result = run({"X": [10, 10, 12, 11, 11]}, {"X": "LSL.."})
    assert result.orders["side"].tolist() == ["buy", "sell", "sell", "buy", "buy"]
    assert result.orders["size"].tolist() == pytest.approx([100, 100, 100, 100, 1_300 / 11])
    assert result.trades["direction"].tolist() == ["long", "short", "long"]
    assert result.trades["pnl"].tolist() == pytest.approx([200, 100, 0])
    assert result.signals()["signal"].tolist() == ["buy", "sell", "buy"]


def test_a_short_entry_pays_for_its_costs() -> None:
    """With 1 % fees and slippage a unit takes its price of 100, 1 of slippage and 0.99 of fees."""
    result = run({"X": [100, 100, 100]}, {"X": "S.."}, fees=0.01, slippage=0.01)
    assert result.orders["size"].tolist() == pytest.approx([1_000 / (100 + 1 + 0.99)])
    assert result.exposure.iloc[-1] == pytest.approx(1.0)


def test_of_several_decisions_since_a_symbol_s_last_bar_the_newest_is_filled() -> None:
    """A share that does not trade at the weekend: bars on Thursday, Friday, Monday and Tuesday."""
    prices = {"X": [10, 10, NAN, NAN, 10, 10], "COIN": [10.0] * 6}
    still = {"COIN": "......"}
    assert run(prices, {"X": ".L.x..", **still}).orders.empty, "Sunday takes Friday's entry back"
    sold = run(prices, {"X": "L..x..", **still}).orders
    assert sold["side"].tolist() == ["buy", "sell"]
    assert sold["time"].dt.day.tolist() == [2, 5]
    assert sold["signal_time"].dt.day.tolist() == [1, 4]
    bought = run(prices, {"X": ".x.L..", **still}, fill="same_close").orders
    assert bought["side"].tolist() == ["buy"]
    assert bought["time"].dt.day.tolist() == [5]


def test_a_decision_after_a_symbol_s_last_bar_is_pending() -> None:
    result = run({"X": [10, 10, 10, NAN], "Y": [10.0] * 4}, {"X": "L..x", "Y": "...."})
    waiting = result.pending.iloc[0]
    assert (waiting["symbol"], waiting["signal"], waiting["timestamp"]) == ("X", "sell", days(4)[3])


def test_before_its_first_bar_a_symbol_has_no_signals() -> None:
    result = run({"X": [NAN, NAN, 10, 10, 10], "Y": [10.0] * 5}, {"X": "LL..x", "Y": "....."})
    assert result.orders.empty


def test_a_flag_in_every_gap_of_a_symbol_is_told_of() -> None:
    """What comparing with NaN and turning it round makes of a share beside a coin."""
    frame = bars(X=[10, 11, NAN, 12, NAN, 13, NAN, 14, 15], Y=[10] * 9)
    close = frame["close"].unstack("symbol")
    rises = close > 5
    with pytest.warns(
        SignalsInGapsWarning, match=r"X has no bar in 3 rows .*2020-01-03.*close\.notna"
    ) as told:
        backtest(frame, rises, ~rises)
    assert (told[0].message.role, told[0].message.symbol) == ("exits", "X")  # type: ignore[union-attr]
    backtest(frame, rises, ~rises & close.notna())


def test_conflicts_cancel_each_other() -> None:
    said = pd.DataFrame({"X": [True, False, False, False]}, index=days(4))
    never = said & False
    frame = bars(X=[10, 10, 10, 10])
    assert backtest(frame, Signals(said, said, never, never)).orders.empty
    assert backtest(frame, Signals(said, never, said, never)).orders.empty
    assert backtest(frame, Signals(never, never, said, said)).orders.empty
    # Long entry and exit cancel first; the short entry then stands alone.
    assert backtest(frame, Signals(said, said, said, never)).orders["side"].tolist() == ["sell"]


def test_sizes() -> None:
    prices, marks = {"X": [10, 10, 10]}, {"X": "L.."}
    assert run(prices, marks, size=Percent(0.25)).orders["size"].tolist() == [25]
    assert run(prices, marks, size=Fixed(30)).orders["size"].tolist() == [30]
    assert run(prices, marks, size=Fixed(300)).orders["size"].tolist() == [100], "what the cash pays for"
    assert run(prices, {"X": "S.."}, size=Fixed(300)).orders["size"].tolist() == [100], "the account's equity"
    assert run(prices, {"X": "S.."}, size=Fixed(300), leverage=3.0).orders["size"].tolist() == [300]
    assert run(prices, marks, size=Percent(2.0), leverage=2.0).orders["size"].tolist() == [200]
    assert run({"X": [3, 3, 3]}, marks, whole_units=True).orders["size"].tolist() == [333]
    assert run({"X": [2_000] * 3}, marks, whole_units=True).orders.empty


def test_a_volatility_target_looks_at_the_closes_known_when_it_was_decided() -> None:
    """Returns of 10 % and -10 % have a deviation of 14.1 %; at one bar a year half of it takes half."""
    prices, marks = {"X": [100, 110, 99, 200, 200]}, {"X": "L.L.."}
    size = VolatilityTarget(annual=math.sqrt(0.02) / 2, window=2)
    result = run(prices, marks, size=size, periods_per_year=1.0)
    assert result.orders["time"].dt.day.tolist() == [4], "the first decision knew too few returns"
    assert result.orders["size"].tolist() == pytest.approx([1_000 / 2 / 200])
    assert run({"X": [10] * 5}, marks, size=size).orders.empty, "without volatility nothing is entered"
    pending = run({"X": [10] * 5}, {"X": "....L"}, size=size)
    assert pending.pending.empty


def test_fixed_fees_are_paid_by_each_order() -> None:
    result = run({"X": [10, 10, 11, 11]}, {"X": "L.x."}, fixed_fees=100.0)
    assert result.orders[["size", "fees"]].to_numpy().tolist() == [[90, 100], [90, 100]]
    assert result.equity.iloc[-1] == pytest.approx(1_000 - 100 + 90 - 100)
    assert run({"X": [10, 10, 10]}, {"X": "L.."}, fixed_fees=2_000.0).orders.empty


def test_a_position_is_closed_even_where_the_fixed_fee_is_more_than_it_brings() -> None:
    result = run({"X": [100, 100, 1, 1]}, {"X": "L.x."}, fixed_fees=500.0)
    assert result.positions["X"].iloc[-1] == 0.0
    assert result.equity.iloc[-1] == pytest.approx(5 * 1 - 500)


@pytest.mark.parametrize(
    ("fill", "day", "price"), [("next_open", 2, 20), ("next_close", 2, 30), ("same_close", 1, 11)]
)
def test_where_a_decision_is_filled(fill: Fill, day: int, price: float) -> None:
    frame = bars(X=[10, 20, 20]).assign(close=[11.0, 30.0, 20.0])
    said = pd.Series([True, False, False], index=frame.index)
    result = backtest(frame, Signals(said, said & False), fill=fill, fees=0.0)
    assert (result.orders["time"].dt.day.item(), result.orders["price"].item()) == (day, price)
    assert result.orders["signal_time"].dt.day.item() == 1


def test_a_symbols_own_last_bar_leaves_its_decision_pending() -> None:
    prices: dict[str, list[float]] = {"A": [10, 10, NAN], "B": [10, 10, 10]}
    result = run(prices, {"A": ".L.", "B": "L.S"})
    assert result.pending[["symbol", "signal"]].to_numpy().tolist() == [["A", "buy"], ["B", "sell"]]
    assert result.pending["timestamp"].tolist() == [days(3)[1], days(3)[2]]
    assert run(prices, {"A": ".L.", "B": "L.S"}, fill="same_close").pending.empty


def test_zero_volatility_leaves_ratios_undefined() -> None:
    result = run({"X": [10] * 5}, {"X": "L...."})
    for name in ("sharpe_ratio", "sortino", "omega", "beta", "alpha", "skewness", "information_ratio"):
        assert math.isnan(result.metrics[name]), name
    assert result.metrics["volatility"] == 0.0


def test_turnover_slippage_and_fees_by_hand() -> None:
    """Buys 1,000 of 1,000, sells 1,000: 0.4 a bar of five, with 252 bars a year 100.8."""
    result = run({"X": [10] * 5}, {"X": "L.x.."})
    assert result.metrics["turnover"] == pytest.approx(2 / 5 * 252)
    assert result.metrics["slippage_paid"] == 0.0
    slipped = run({"X": [10] * 5}, {"X": "L.x.."}, slippage=0.01)
    units = 1_000 / 10.1
    assert slipped.metrics["slippage_paid"] == pytest.approx(units * 0.1 + units * 0.1)
    assert np.isclose(slipped.equity.iloc[-1], 1_000 - slipped.metrics["slippage_paid"])
