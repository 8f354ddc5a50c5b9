"""Figures of return and of return by risk, against published values, another library, or by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from tests.unit.metrics.published import BACON, FLAT, MIXED, NEGATIVE, POSITIVE, RETURNS
from workbench import metrics


def test_figures_are_those_that_empyrical_publishes() -> None:
    """The expectations of empyrical's own test suite; its growth a year counts the NaN as a day, too."""
    assert metrics.cagr(MIXED.fillna(0.0)) == pytest.approx(1.9135925373194231, rel=1e-12)
    assert metrics.volatility(MIXED) == pytest.approx(0.9136465399704637, rel=1e-12)
    assert metrics.sharpe(MIXED) == pytest.approx(1.7238613961706866, rel=1e-12)
    assert metrics.sortino(MIXED) == pytest.approx(2.605531251673693, rel=1e-12)
    assert metrics.stability(MIXED) == pytest.approx(0.1529973665111273, rel=1e-12)
    assert metrics.stability(FLAT) == pytest.approx(1.0, rel=1e-12)
    assert metrics.sharpe(NEGATIVE) == pytest.approx(-24.406808633910085, rel=1e-12)
    assert metrics.sortino(NEGATIVE) == pytest.approx(-13.532743075043401, rel=1e-12)
    assert metrics.omega(MIXED, target=0.01) == pytest.approx(0.8125, rel=1e-12)
    assert metrics.omega(MIXED, target=11.0 ** (1 / 252) - 1) == pytest.approx(0.83354263497557934, rel=1e-12)
    assert metrics.omega(POSITIVE, target=0.011) == pytest.approx(1.125, rel=1e-12)
    assert metrics.omega(POSITIVE, target=0.02) == 0.0
    assert metrics.omega(NEGATIVE, target=0.01) == 0.0


def test_figures_are_those_of_bacons_book() -> None:
    """Bernardo–Ledoit ratio (p. 95), Omega–Sharpe ratio at 0.5 % (p. 95), Kappa of order two (p. 96)."""
    assert metrics.omega(BACON) == pytest.approx(1.78, abs=5e-3)
    assert metrics.omega(BACON, target=0.005) - 1.0 == pytest.approx(0.29, abs=5e-3)
    assert metrics.sortino(BACON, target=0.005, periods_per_year=1) == pytest.approx(0.157, abs=5e-4)


def test_figures_of_real_prices_are_empyricals(aapl: pd.DataFrame) -> None:
    """AAPL's adjusted closes, 2000-03-01 to 2013-03-01; expected from empyrical-reloaded 0.7.1."""
    returns = aapl["close"].pct_change()
    assert metrics.total_return(returns) == pytest.approx(12.408615817922557, rel=1e-10)
    assert metrics.cagr(returns) == pytest.approx(0.22153957597128127, rel=1e-10)
    assert metrics.volatility(returns) == pytest.approx(0.4596427686337501, rel=1e-10)
    assert metrics.sharpe(returns) == pytest.approx(0.6784016714847048, rel=1e-10)
    assert metrics.sortino(returns) == pytest.approx(0.9549721709296908, rel=1e-10)
    assert metrics.omega(returns) == pytest.approx(1.1325535552465884, rel=1e-10)
    assert metrics.omega(returns, target=0.001) == pytest.approx(1.0241490457222393, rel=1e-10)
    assert metrics.stability(returns) == pytest.approx(0.8898157379537002, rel=1e-10)


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
    assert metrics.omega(halves) == pytest.approx(3.0)
    assert metrics.omega(halves, target=0.1) == pytest.approx(0.1 / 0.3)


def test_doubling_every_bar_is_perfectly_stable_and_so_is_halving() -> None:
    assert metrics.stability(pd.Series([1.0] * 5)) == pytest.approx(1.0)
    assert metrics.stability(pd.Series([-0.5] * 5)) == pytest.approx(1.0)
    assert math.isnan(metrics.stability(pd.Series([0.0] * 5))), "wealth that never moves has no line"


@given(RETURNS)
def test_a_missing_return_changes_nothing(returns: pd.Series[float]) -> None:
    gaps = pd.Series(np.concatenate([[math.nan], returns.to_numpy(), [math.nan]]))
    for figure in (
        metrics.total_return,
        metrics.cagr,
        metrics.volatility,
        metrics.sharpe,
        metrics.sortino,
        metrics.omega,
        metrics.stability,
    ):
        assert figure(gaps) == pytest.approx(figure(returns), nan_ok=True), figure.__name__


@given(RETURNS)
def test_the_expanding_sharpe_ratio_is_that_of_every_prefix(returns: pd.Series[float]) -> None:
    prefixes = [metrics.sharpe(returns.iloc[: count + 1]) for count in range(len(returns))]
    assert metrics.expanding_sharpe(returns).tolist() == pytest.approx(
        prefixes, rel=1e-6, abs=1e-6, nan_ok=True
    )


@given(RETURNS)
def test_omega_is_above_one_just_where_the_mean_is_above_the_target(returns: pd.Series[float]) -> None:
    ratio, mean = metrics.omega(returns, target=0.01), float((returns - 0.01).mean())
    assert math.isnan(ratio) or abs(mean) < 1e-12 or (ratio > 1.0) == (mean > 0.0)


@given(RETURNS)
def test_stability_is_a_share(returns: pd.Series[float]) -> None:
    figure = metrics.stability(returns)
    assert math.isnan(figure) or 0.0 <= figure <= 1.0
