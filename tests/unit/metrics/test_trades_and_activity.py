"""Figures of trades, and of how much was invested and traded, against a published example or by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import metrics

# Eight trades in multiples of what was risked: V. K. Tharp, "Super Trader", 2009, p. 159.
THARP = pd.Series([0.86, 4.40, -0.72, 0.44, 1.57, 1.13, -1.70, -0.58])

PROFITS = st.lists(st.integers(-1000, 1000), max_size=50).map(lambda cents: pd.Series(cents, dtype="float64"))


def test_figures_are_those_of_tharps_book() -> None:
    """Expectancy 0.675 R, standard deviation 1.86 R, and 0.36 of the one by the other."""
    assert metrics.expectancy(THARP) == pytest.approx(0.675, abs=5e-4)
    assert metrics.expectancy(THARP) / metrics.sqn(THARP) * math.sqrt(8) == pytest.approx(1.86, abs=5e-3)
    assert metrics.sqn(THARP) / math.sqrt(8) == pytest.approx(0.36, abs=5e-3)


def test_more_than_a_hundred_trades_count_as_a_hundred() -> None:
    """±1 and 3 in turn: mean 1.5; of 200 trades the root of 100, unless all are to count."""
    many = pd.Series([1.0, -1.0, 3.0, 3.0] * 50)
    spread = np.std(many.to_numpy(), ddof=1)
    assert metrics.sqn(many) == pytest.approx(10 * 1.5 / spread)
    assert metrics.sqn(many, most_trades=None) == pytest.approx(math.sqrt(200) * 1.5 / spread)


def test_by_hand() -> None:
    pnl = pd.Series([1.0, 0.0, -1.0, 2.0])
    assert metrics.win_rate(pnl) == 0.5, "a profit of 0 is not a win"
    assert metrics.profit_factor(pnl) == 3.0
    assert metrics.expectancy(pnl) == 0.5
    assert metrics.sqn(pnl) == pytest.approx(2 * 0.5 / math.sqrt(5 / 3))


def test_all_losses_are_nothing_won() -> None:
    losses = pd.Series([-1.0, -3.0])
    assert metrics.win_rate(losses) == 0.0
    assert metrics.profit_factor(losses) == 0.0
    assert metrics.expectancy(losses) == -2.0
    assert metrics.sqn(losses) == pytest.approx(-2.0 * math.sqrt(2) / math.sqrt(2))


def test_what_is_not_defined_is_nan() -> None:
    none, one = pd.Series(np.empty(0)), pd.Series([5.0])
    for figure in (metrics.win_rate, metrics.profit_factor, metrics.expectancy, metrics.sqn):
        assert math.isnan(figure(none)), figure.__name__
        assert math.isnan(figure(pd.Series([math.nan]))), figure.__name__
    assert math.isnan(metrics.profit_factor(one)), "where vectorbt says infinity"
    assert math.isnan(metrics.sqn(one))
    assert math.isnan(metrics.sqn(pd.Series([0.1] * 10))), "all trades made the same"


@given(PROFITS)
def test_expectancy_is_what_wins_and_losses_weigh(pnl: pd.Series[float]) -> None:
    if (pnl > 0).any() and (pnl < 0).any():
        lost = float((pnl < 0).mean())
        weighed = metrics.win_rate(pnl) * pnl[pnl > 0].mean() + lost * pnl[pnl < 0].mean()
        assert metrics.expectancy(pnl) == pytest.approx(weighed, abs=1e-9)


@given(PROFITS)
def test_a_trade_without_a_profit_changes_nothing(pnl: pd.Series[float]) -> None:
    more = pd.concat([pnl, pd.Series([math.nan])], ignore_index=True)
    for figure in (metrics.win_rate, metrics.profit_factor, metrics.expectancy, metrics.sqn):
        assert figure(more) == pytest.approx(figure(pnl), nan_ok=True), figure.__name__


def test_exposure_and_turnover_are_means_over_the_bars_that_had_equity() -> None:
    bars = pd.Series([0.0, 1.0, 0.5, math.nan])
    assert metrics.exposure(bars) == 0.5
    assert metrics.turnover(bars) == 0.5
    for figure in (metrics.exposure, metrics.turnover):
        assert math.isnan(figure(pd.Series(np.empty(0))))
        assert math.isnan(figure(pd.Series([math.nan])))
