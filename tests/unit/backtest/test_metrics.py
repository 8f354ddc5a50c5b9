"""Each figure against a published value, an independent library, or a computation by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.backtest import metrics

# The series and expectations of empyrical's own test suite (quantopian/empyrical, tests/test_stats.py).
MIXED = pd.Series([math.nan, 0.01, 0.10, -0.04, 0.02, 0.03, 0.02, 0.01, -0.10])
NEGATIVE = pd.Series([0.0, -0.06, -0.07, -0.01, -0.09, -0.02, -0.06, -0.08, -0.05])

RETURNS = st.lists(st.integers(-500_000, 1_000_000), min_size=1, max_size=60).map(
    lambda ppm: pd.Series(ppm) / 1e6
)


def test_figures_are_those_that_empyrical_publishes() -> None:
    assert metrics.volatility(MIXED) == pytest.approx(0.9136465399704637, rel=1e-12)
    assert metrics.sharpe(MIXED) == pytest.approx(1.7238613961706866, rel=1e-12)
    assert metrics.sortino(MIXED) == pytest.approx(2.605531251673693, rel=1e-12)
    assert metrics.max_drawdown(MIXED) == pytest.approx(-0.1, rel=1e-12)
    assert metrics.sharpe(NEGATIVE) == pytest.approx(-24.406808633910085, rel=1e-12)
    assert metrics.sortino(NEGATIVE) == pytest.approx(-13.532743075043401, rel=1e-12)
    assert metrics.max_drawdown(NEGATIVE) == pytest.approx(-0.36590730349873601, rel=1e-12)


def test_figures_of_real_prices_are_empyricals(aapl: pd.DataFrame) -> None:
    """AAPL's adjusted closes, 2000-03-01 to 2013-03-01; expected from empyrical-reloaded 0.7.1."""
    returns = aapl["close"].pct_change()
    assert metrics.total_return(returns) == pytest.approx(12.408615817922557, rel=1e-10)
    assert metrics.cagr(returns) == pytest.approx(0.22153957597128127, rel=1e-10)
    assert metrics.volatility(returns) == pytest.approx(0.4596427686337501, rel=1e-10)
    assert metrics.sharpe(returns) == pytest.approx(0.6784016714847048, rel=1e-10)
    assert metrics.sortino(returns) == pytest.approx(0.9549721709296908, rel=1e-10)
    assert metrics.max_drawdown(returns) == pytest.approx(-0.8180178930577695, rel=1e-10)
    assert metrics.calmar(returns) == pytest.approx(0.27082485340652057, rel=1e-10)


def test_sortino_is_that_of_the_published_example() -> None:
    """T. N. Rollinger and S. T. Hoffman, "Sortino: A 'Sharper' Ratio", Red Rock Capital: 4.417, yearly."""
    years = pd.Series([0.17, 0.15, 0.23, -0.05, 0.12, 0.09, 0.13, -0.04])
    assert metrics.sortino(years, periods_per_year=1) == pytest.approx(4.417, abs=5e-4)


def test_by_hand_two_years_of_two_halves() -> None:
    """1.1 · 0.9 · 1.2 · 1.0 = 1.188; mean 0.05, squared deviations sum to 0.05, over 3."""
    halves = pd.Series([0.1, -0.1, 0.2, 0.0])
    assert metrics.total_return(halves) == pytest.approx(0.188)
    assert metrics.cagr(halves, periods_per_year=2) == pytest.approx(math.sqrt(1.188) - 1)
    assert metrics.volatility(halves, periods_per_year=2) == pytest.approx(math.sqrt(0.05 / 3 * 2))
    assert metrics.sharpe(halves, periods_per_year=2) == pytest.approx(
        0.05 / math.sqrt(0.05 / 3) * math.sqrt(2)
    )
    assert metrics.sharpe(halves, risk_free=0.05, periods_per_year=2) == pytest.approx(0.0, abs=1e-15)
    assert metrics.calmar(halves, periods_per_year=2) == pytest.approx((math.sqrt(1.188) - 1) / 0.1)


def test_a_first_loss_is_a_drawdown_from_the_starting_capital() -> None:
    assert metrics.max_drawdown(pd.Series([-0.2, 0.1])) == pytest.approx(-0.2)
    assert metrics.drawdown(pd.Series([-0.2, 0.1, 0.5])).tolist() == pytest.approx([-0.2, -0.12, 0.0])


def test_what_is_not_defined_is_nan() -> None:
    nothing, one = pd.Series(np.empty(0)), pd.Series([0.01])
    for figure in (
        metrics.total_return,
        metrics.cagr,
        metrics.volatility,
        metrics.sharpe,
        metrics.sortino,
        metrics.max_drawdown,
        metrics.calmar,
        metrics.win_rate,
    ):
        assert math.isnan(figure(nothing)), figure.__name__
    assert math.isnan(metrics.volatility(one))
    assert math.isnan(metrics.sharpe(one))
    assert math.isnan(metrics.calmar(one)), "no drawdown to divide by"
    assert math.isnan(metrics.sortino(one)), "no return below the target"


def test_without_volatility_there_is_no_sharpe_ratio() -> None:
    """0.1 has no exact binary form: a naive standard deviation of ten of them is not 0."""
    flat = pd.Series([0.1] * 10)
    assert metrics.volatility(flat) == 0.0
    assert math.isnan(metrics.sharpe(flat))
    assert metrics.expanding_sharpe(flat).isna().all()


def test_losing_everything_is_minus_one_a_year() -> None:
    ruin = pd.Series([0.1, -1.0, 0.2])
    assert (metrics.total_return(ruin), metrics.cagr(ruin), metrics.max_drawdown(ruin)) == (-1.0, -1.0, -1.0)


def test_win_rate_counts_profits_only() -> None:
    assert metrics.win_rate(pd.Series([1.0, 0.0, -1.0, 2.0])) == 0.5


@given(RETURNS)
def test_a_missing_return_changes_nothing(returns: pd.Series[float]) -> None:
    gaps = pd.Series(np.concatenate([[math.nan], returns.to_numpy(), [math.nan]]))
    for figure in (
        metrics.total_return,
        metrics.cagr,
        metrics.volatility,
        metrics.sharpe,
        metrics.max_drawdown,
    ):
        assert figure(gaps) == pytest.approx(figure(returns), nan_ok=True)


@given(RETURNS)
def test_the_expanding_sharpe_ratio_is_that_of_every_prefix(returns: pd.Series[float]) -> None:
    prefixes = [metrics.sharpe(returns.iloc[: count + 1]) for count in range(len(returns))]
    assert metrics.expanding_sharpe(returns).tolist() == pytest.approx(
        prefixes, rel=1e-6, abs=1e-6, nan_ok=True
    )


@given(RETURNS)
def test_drawdown_lies_between_minus_one_and_zero(returns: pd.Series[float]) -> None:
    assert metrics.drawdown(returns).between(-1.0, 0.0).all()
