"""Accounts by hand: what symbols share, what short positions tie up, and what ruins an account."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.signals.sketches import NAN, run
from workbench.backtest import BacktestResult, Fixed, Percent


def test_a_shared_account_gives_each_symbol_its_share_of_the_equity_after_the_exits() -> None:
    """A doubles to 1,000 and is sold; B and C then get a third of 1,500 each."""
    prices = {"A": [10, 10, 20, 20], "B": [10, 10, 10, 10], "C": [10, 10, 10, 10]}
    result = run(prices, {"A": "Lx..", "B": ".L..", "C": ".L.."}, cash_sharing=True, cash=1_500.0)
    assert result.orders["size"].tolist() == pytest.approx([50, 50, 200 / 3, 200 / 3])
    assert result.execution.cash_sharing is True
    alone = run(prices, {"A": "Lx..", "B": ".L..", "C": ".L.."}, cash=1_500.0)
    assert alone.orders["size"].tolist() == pytest.approx([50, 50, 50, 50])


def test_proceeds_of_a_short_sale_are_not_spent_in_a_shared_account() -> None:
    """B's entry would take all of the equity, but half of it secures A's short position."""
    prices = {"A": [10, 10, 10, 10], "B": [10, 10, 10, 10]}
    result = run(prices, {"A": "S...", "B": ".L.."}, cash_sharing=True, size=Percent(0.5))
    assert result.orders["size"].tolist() == [50, 50]
    result = run(prices, {"A": "S...", "B": ".L.."}, cash_sharing=True, size=Percent(1.0))
    assert result.orders["size"].tolist() == [100], "cash is 2,000, and none of it is free"


def test_all_cash_in_one_position_leaves_no_dust_for_the_next() -> None:
    prices = {"A": [3.0, 7.0, 7.0, 7.0], "B": [3.0, 11.0, 11.0, 11.0]}
    result = run(prices, {"A": "L...", "B": ".L.."}, cash_sharing=True, size=Percent(1.0), fees=0.003)
    assert result.orders["symbol"].tolist() == ["A"]


@pytest.mark.parametrize(("cheap", "dear"), [("A", "B"), ("B", "A")])
def test_entries_that_do_not_fit_are_cut_alike_whatever_their_order(cheap: str, dear: str) -> None:
    """Each wants all of 1,000; a unit at 10 costs 10.1 with its fees, one at 40 costs 40.4."""
    prices = {cheap: [10.0] * 3, dear: [40.0] * 3}
    result = run(
        prices, {cheap: "L..", dear: "L.."}, cash_sharing=True, size=Percent(1.0), fees=0.01, cash=1_000.0
    )
    sizes = result.orders.set_index("symbol")["size"]
    assert sizes[cheap] == pytest.approx(500 / 10.1)
    assert sizes[dear] == pytest.approx(500 / 40.4)
    assert result.cash.iloc[-1] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("leverage", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("sides", ["LS", "SS", "LL"])
def test_gross_exposure_after_entries_is_at_most_leverage_times_equity(sides: str, leverage: float) -> None:
    prices = {"A": [10.0] * 3, "B": [40.0] * 3}
    marks = {"A": f"{sides[0]}..", "B": f"{sides[1]}.."}
    result = run(
        prices, marks, cash_sharing=True, size=Fixed(1_000.0), fees=0.01, slippage=0.05, leverage=leverage
    )
    assert result.exposure.iloc[-1] == pytest.approx(leverage)


def ruined(**options: Any) -> BacktestResult:
    return run({"X": [10, 10, 100, 100, 100, 90]}, {"X": "S..SL."}, **options)


def test_a_short_position_that_a_tenfold_price_ruins_is_closed_at_the_close_for_good() -> None:
    """100 short at 10, bought back at 100: 2,000 less 10,000, and 1 % of that in fees."""
    result = ruined(fees=0.01)
    owed = 1_000 / (10 * 1.01)
    left = 1_000 + owed * 10 * 0.99 - owed * 100 * 1.01
    assert result.orders["reason"].tolist() == ["signal", "ruin"]
    assert result.orders["size"].tolist() == pytest.approx([owed, owed])
    assert result.equity.tolist() == pytest.approx([1_000, 1_000 + owed * 10 * 0.99 - owed * 10, *[left] * 4])
    assert result.returns.tolist()[3:] == [0, 0, 0]
    assert result.metrics["cagr"] == -1.0
    assert result.metrics["max_drawdown"] < -1.0
    assert result.exposure.isna().tolist() == [False, False, True, True, True, True]
    assert result.trades["exit_reason"].tolist() == ["ruin"]


def test_the_ruin_of_one_account_leaves_the_others_alone() -> None:
    prices: dict[str, list[float]] = {"X": [10, 10, 100, 100], "Y": [10, 10, 10, 20]}
    result = run(prices, {"X": "S...", "Y": "L..."}, cash=2_000.0)
    assert result.equity.iloc[-1] == pytest.approx((2_000 - 10_000) + 2_000)
    shared = run(prices, {"X": "S...", "Y": "L..."}, cash=2_000.0, cash_sharing=True)
    assert shared.positions.iloc[-1].tolist() == [0, 0]
    assert shared.orders["reason"].tolist() == ["signal", "signal", "ruin", "ruin"]


def test_ruin_is_seen_at_a_close_between_two_events() -> None:
    prices = [10.0] * 100 + [25.0] + [10.0] * 100
    result = run({"X": prices}, {"X": "S" + "." * 200})
    assert result.orders["time"].tolist() == [result.equity.index[1], result.equity.index[100]]


def test_an_account_with_nothing_left_is_closed_for_good_though_what_it_holds_has_no_bar() -> None:
    """A's stop takes the last of the equity on a day without a bar of B, which doubles on the next."""
    prices: dict[str, list[float]] = {"A": [10, 10, 20, 20, 20], "B": [10, 10, NAN, 20, 20]}
    result = run(
        prices, {"A": "S.S..", "B": "L...."}, cash_sharing=True, size=Fixed(100), leverage=2.0, stop_loss=0.5
    )
    assert result.equity.tolist() == [1_000, 1_000, 0, 1_000, 1_000]
    assert result.orders["reason"].tolist() == ["signal", "signal", "stop_loss"], "A is not entered again"
