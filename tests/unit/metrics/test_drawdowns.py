"""Drawdowns: their depth against empyrical, their length against a count bar by bar."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from tests.unit.metrics.published import MIXED, NEGATIVE, POSITIVE, RETURNS
from workbench import metrics


def length_bar_by_bar(returns: pd.Series[float]) -> int:
    """Walk along wealth, remember where the peak was, and how long it took to be back."""
    wealth, peak, peak_bar, longest = 1.0, 1.0, -1, 0
    for bar, growth in enumerate(returns):
        wealth *= 1.0 + growth
        if wealth >= peak * (1.0 - 1e-12):
            if bar - peak_bar > 1:
                longest = max(longest, bar - peak_bar)
            peak, peak_bar = max(wealth, peak), bar
    return max(longest, len(returns) - 1 - peak_bar)


def test_figures_are_those_that_empyrical_publishes() -> None:
    """The expectations of empyrical's own test suite; its growth a year counts the NaN as a day, too."""
    assert metrics.max_drawdown(MIXED) == pytest.approx(-0.1, rel=1e-12)
    assert metrics.max_drawdown(NEGATIVE) == pytest.approx(-0.36590730349873601, rel=1e-12)
    assert metrics.max_drawdown(POSITIVE) == 0.0
    assert metrics.max_drawdown(pd.Series([0.1, -0.1, 0.1])) == pytest.approx(-0.1, rel=1e-12)
    assert metrics.calmar(MIXED.fillna(0.0)) == pytest.approx(19.135925373194233, rel=1e-12)


def test_figures_of_real_prices_are_empyricals(aapl: pd.DataFrame) -> None:
    """AAPL's adjusted closes, 2000-03-01 to 2013-03-01; expected from empyrical-reloaded 0.7.1."""
    returns = aapl["close"].pct_change()
    assert metrics.max_drawdown(returns) == pytest.approx(-0.8180178930577695, rel=1e-10)
    assert metrics.calmar(returns) == pytest.approx(0.27082485340652057, rel=1e-10)


def test_a_first_loss_is_a_drawdown_from_the_starting_capital() -> None:
    """Where vectorbt, which starts from the first bar's wealth, would see none at all."""
    assert metrics.max_drawdown(pd.Series([-0.2, 0.1])) == pytest.approx(-0.2)
    assert metrics.drawdown(pd.Series([-0.2, 0.1, 0.5])).tolist() == pytest.approx([-0.2, -0.12, 0.0])


def test_calmar_by_hand() -> None:
    """1.1 · 0.9 · 1.2 · 1.0 = 1.188 in two years of two halves; 0.1 was lost from the peak."""
    halves = pd.Series([0.1, -0.1, 0.2, 0.0])
    assert metrics.calmar(halves, periods_per_year=2) == pytest.approx((math.sqrt(1.188) - 1) / 0.1)


@pytest.mark.parametrize(
    ("returns", "bars"),
    [
        ([-0.2, 0.1, 0.5], 3),  # From the starting capital; the third bar is above it.
        ([0.1, -0.5, 0.1, 0.1], 3),  # Never recovered: to the end.
        ([0.1, -0.5, 1.0, 0.1], 2),  # Down, and back on the bar after.
        ([0.1, -0.1, 0.2, -0.5, 0.1, 0.1, 0.1, 3.0], 5),  # The longer of two.
        ([0.1, -0.9, 9.0, -0.01, 0.0, 0.0], 3),  # The longest is not the deepest.
        ([0.1, 0.0, 0.0, -0.1], 1),  # Standing at the peak is not a fall.
        ([-0.3, 1 / 0.7 - 1, 0.0], 2),  # 0.7 · (1 / 0.7) has recovered, whatever it rounds to.
        ([math.nan, -0.2, math.nan, 0.25], 2),  # Only observed bars count.
        ([0.1, 0.0, 0.2], 0),
    ],
)
def test_the_length_of_a_drawdown_by_hand(returns: list[float], bars: int) -> None:
    assert metrics.max_drawdown_length(pd.Series(returns)) == bars


@given(RETURNS)
def test_the_length_is_that_of_a_count_bar_by_bar(returns: pd.Series[float]) -> None:
    assert metrics.max_drawdown_length(returns) == length_bar_by_bar(returns)


@given(RETURNS)
def test_drawdown_lies_between_minus_one_and_zero(returns: pd.Series[float]) -> None:
    assert metrics.drawdown(returns).between(-1.0, 0.0).all()


@given(RETURNS)
def test_a_missing_return_changes_nothing(returns: pd.Series[float]) -> None:
    gaps = pd.Series(np.concatenate([[math.nan], returns.to_numpy(), [math.nan]]))
    for figure in (metrics.max_drawdown, metrics.max_drawdown_length, metrics.calmar):
        assert figure(gaps) == pytest.approx(figure(returns), nan_ok=True), figure.__name__
