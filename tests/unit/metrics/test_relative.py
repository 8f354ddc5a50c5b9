"""Figures against a benchmark, against published values, empyrical, or by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given

from tests.unit.metrics.published import BACON, BACON_BENCHMARK, FLAT, MIXED, NEGATIVE, RETURNS
from workbench import metrics

RELATIVE = (
    metrics.alpha,
    metrics.beta,
    metrics.information_ratio,
    metrics.up_capture,
    metrics.down_capture,
)


def test_figures_are_those_that_empyrical_published() -> None:
    """The expectations of quantopian/empyrical's own test suite when its alpha was multiplied to a year."""
    assert metrics.beta(MIXED, NEGATIVE[1:]) == pytest.approx(-0.71296296296296313, rel=1e-12)
    assert metrics.alpha(MIXED, NEGATIVE[1:]) == pytest.approx(-8.306666666666668, rel=1e-12)
    assert metrics.beta(MIXED, -MIXED) == pytest.approx(-1.0, rel=1e-12)
    assert metrics.alpha(MIXED, MIXED) == pytest.approx(0.0, abs=1e-15)
    nothing = pd.Series(0.0, index=MIXED.index)
    assert metrics.information_ratio(MIXED, nothing, periods_per_year=1) == pytest.approx(
        0.10859306069076737, rel=1e-12
    )
    assert metrics.information_ratio(MIXED, FLAT, periods_per_year=1) == pytest.approx(
        -0.06515583641446039, rel=1e-12
    )


def test_the_regression_on_bacons_benchmark_is_the_exact_one() -> None:
    """Expected from exact rational arithmetic on the same numbers (fractions.Fraction)."""
    assert metrics.beta(BACON, BACON_BENCHMARK) == pytest.approx(0.9988502086225746, rel=1e-12)
    assert metrics.alpha(BACON, BACON_BENCHMARK, periods_per_year=1) == pytest.approx(
        -0.001030120844918352, rel=1e-10
    )


def test_figures_of_real_prices_are_empyricals(stocks: pd.DataFrame) -> None:
    """AAPL's adjusted closes against IBM's, 2000-03-01 to 2013-03-01.

    Expected from empyrical-reloaded 0.7.1 with `annualization=1` for alpha and `period="yearly"` for the
    captures. Its defaults compound daily alpha over a year (0.2682, where the sum is 0.2377) and raise each
    side's growth on rising days alone to a year before it divides (0.5584 and 0.9320).
    """
    returns, benchmark = (stocks["close"].xs(symbol).pct_change() for symbol in ("AAPL", "IBM"))
    assert metrics.beta(returns, benchmark) == pytest.approx(0.6994546103326642, rel=1e-10)
    assert metrics.alpha(returns, benchmark, periods_per_year=1) == pytest.approx(
        0.0009433835370937782, rel=1e-10
    )
    assert metrics.alpha(returns, benchmark, risk_free=1e-4, periods_per_year=1) == pytest.approx(
        0.0009133289981269055, rel=1e-10
    )
    assert metrics.alpha(returns, benchmark) == pytest.approx(0.0009433835370937782 * 252, rel=1e-10)
    assert metrics.information_ratio(returns, benchmark, periods_per_year=1) == pytest.approx(
        0.030568688745917144, rel=1e-10
    )
    assert metrics.information_ratio(returns, benchmark) == pytest.approx(
        0.030568688745917144 * math.sqrt(252), rel=1e-10
    )
    assert metrics.up_capture(returns, benchmark) == pytest.approx(0.8189742138655471, rel=1e-10)
    assert metrics.down_capture(returns, benchmark) == pytest.approx(0.7243123142607435, rel=1e-10)


def test_capture_by_hand() -> None:
    """Up: 1.1 · 1.21 over two against 1.21 · 1.21; down: -10 % against -20 %; standing still counts not."""
    benchmark = pd.Series([0.21, -0.2, 0.21, 0.0])
    returns = pd.Series([0.10, -0.1, 0.21, 5.0])
    assert metrics.up_capture(returns, benchmark) == pytest.approx((math.sqrt(1.1 * 1.21) - 1) / 0.21)
    assert metrics.down_capture(returns, benchmark) == pytest.approx(0.5)


def test_capture_of_a_strategy_that_lost_everything_is_all_that_there_was() -> None:
    benchmark = pd.Series([-0.5, -0.5, 0.1])
    assert metrics.down_capture(pd.Series([-1.0, 0.0, 0.0]), benchmark) == pytest.approx(2.0)


def test_periods_are_matched_by_their_labels() -> None:
    days = pd.date_range("2024-01-01", periods=6, tz="UTC")
    returns = pd.Series([0.01, 0.03, math.nan, -0.02, 0.05, 0.01], index=days)
    benchmark = pd.Series([0.02, 0.01, -0.01, math.nan, 0.03, 0.04], index=days)
    both = [0, 1, 4, 5]
    shuffled = benchmark.iloc[[5, 3, 0, 1, 4]]
    for figure in RELATIVE:
        expected = figure(returns.iloc[both], benchmark.iloc[both])
        assert figure(returns, benchmark) == pytest.approx(expected, nan_ok=True), figure.__name__
        assert figure(returns, shuffled) == pytest.approx(expected, nan_ok=True), figure.__name__


def test_what_is_not_defined_is_nan() -> None:
    one, other = pd.Series([0.01]), pd.Series([0.01], index=[7])
    for figure in RELATIVE:
        assert math.isnan(figure(one, other)), f"{figure.__name__}: no label in common"
    assert math.isnan(metrics.beta(one, one))
    assert math.isnan(metrics.information_ratio(one, one))
    assert math.isnan(metrics.beta(MIXED, FLAT)), "a benchmark that does not vary"
    assert math.isnan(metrics.alpha(MIXED, FLAT))
    assert math.isnan(metrics.information_ratio(MIXED, MIXED)), "no tracking error"
    assert math.isnan(metrics.up_capture(MIXED, NEGATIVE)), "a benchmark that never rose"
    assert math.isnan(metrics.down_capture(MIXED, FLAT)), "a benchmark that never fell"


@given(RETURNS)
def test_a_benchmark_captures_all_of_itself(returns: pd.Series[float]) -> None:
    if (returns > 0.0).any():
        assert metrics.up_capture(returns, returns) == pytest.approx(1.0)
    if (returns < 0.0).any():
        assert metrics.down_capture(returns, returns) == pytest.approx(1.0)


@given(RETURNS)
def test_twice_the_benchmark_and_a_little_has_a_beta_of_two_and_the_little_for_alpha(
    returns: pd.Series[float],
) -> None:
    if returns.max() > returns.min():
        leveraged = 2.0 * returns + 0.001
        assert metrics.beta(leveraged, returns) == pytest.approx(2.0, rel=1e-6)
        assert metrics.alpha(leveraged, returns, periods_per_year=1) == pytest.approx(0.001, rel=1e-3)
