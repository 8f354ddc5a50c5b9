"""Dividends by hand: who gets them, who pays them, and when."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.unit.signals.sketches import NAN, days, run
from workbench.backtest import Percent


def paid(amounts: dict[tuple[str, int], float]) -> pd.Series[float]:
    index = pd.MultiIndex.from_tuples([(symbol, days(9)[number]) for symbol, number in amounts])
    return pd.Series(list(amounts.values()), index=index)


def test_dividends_are_paid_on_what_was_held_before_the_ex_dates_bar() -> None:
    """Bought on the ex-date itself: nothing; held over it: paid; sold on it: paid."""
    prices, marks = {"X": [10, 10, 10, 10]}, {"X": "L.x."}
    result = run(prices, marks, dividends=paid({("X", 1): 1.0, ("X", 2): 0.5, ("X", 3): 0.25}))
    assert result.dividends.tolist() == [0, 0, 50, 25]
    assert result.equity.tolist() == [1_000, 1_000, 1_050, 1_075]
    trade = result.trades.iloc[0]
    assert (trade["pnl"], trade["dividends"], trade["return"]) == (75, 75, 0.075)


def test_a_short_position_pays_the_dividend() -> None:
    result = run({"X": [10] * 4}, {"X": "S.x."}, dividends=paid({("X", 2): 1.0}))
    assert result.dividends.tolist() == [0, 0, -100, 0]
    assert result.trades["pnl"].tolist() == [-100]


def test_a_dividend_within_a_gap_is_paid_at_the_next_bar() -> None:
    result = run(
        {"X": [10, 10, NAN, 10], "Y": [10] * 4}, {"X": "L...", "Y": "...."}, dividends=paid({("X", 2): 1.0})
    )
    assert result.dividends.tolist() == [0, 0, 0, 50]


def test_a_dividend_is_there_for_the_entries_of_its_bar() -> None:
    """1,000 in A; its dividend of 100 is half of B's entry."""
    result = run(
        {"A": [10] * 4, "B": [10] * 4},
        {"A": "L...", "B": ".L.."},
        size=Percent(1.0),
        cash_sharing=True,
        dividends=paid({("A", 2): 1.0}),
    )
    assert result.orders["size"].tolist() == pytest.approx([100, 10])


def test_the_benchmark_holds_with_the_same_dividends_and_fills() -> None:
    result = run({"X": [10, 10, 10]}, {"X": "..."}, dividends=paid({("X", 2): 1.0}), fees=0.01)
    units = 1_000 / (10 * 1.01)
    assert result.benchmark.tolist() == pytest.approx([1_000, units * 10, units * 11])
    assert result.metrics["benchmark_return"] == pytest.approx(units * 11 / 1_000 - 1)
