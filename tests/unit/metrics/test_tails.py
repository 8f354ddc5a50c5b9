"""Tails and shape of the returns' distribution, against published values, empyrical and scipy."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.metrics.published import BACON, RETURNS
from workbench import metrics
from workbench.errors import BacktestError


def test_figures_of_real_prices_are_empyricals_and_scipys(aapl: pd.DataFrame) -> None:
    """AAPL's adjusted closes, 2000-03-01 to 2013-03-01.

    Expected from empyrical-reloaded 0.7.1; skewness and kurtosis from scipy 1.17.1, biased, not excess.
    """
    returns = aapl["close"].pct_change()
    assert metrics.value_at_risk(returns) == pytest.approx(-0.04159025011469375, rel=1e-10)
    assert metrics.conditional_value_at_risk(returns) == pytest.approx(-0.06240179504118864, rel=1e-10)
    assert metrics.value_at_risk(returns, level=0.01) == pytest.approx(-0.06950575190191179, rel=1e-10)
    assert metrics.conditional_value_at_risk(returns, level=0.01) == pytest.approx(
        -0.10576726135037144, rel=1e-10
    )
    assert metrics.tail_ratio(returns) == pytest.approx(1.1001010970290297, rel=1e-10)
    assert metrics.skewness(returns) == pytest.approx(-1.7196280962232569, rel=1e-10)
    assert metrics.kurtosis(returns) == pytest.approx(37.142068301522464, rel=1e-10)


def test_the_tail_ratio_by_hand() -> None:
    """Of 21 returns the second highest by the second lowest; signs do not matter."""
    returns = pd.Series([-0.30, -0.05, *[0.0] * 17, 0.10, 0.70])
    assert metrics.tail_ratio(returns) == pytest.approx(2.0)
    assert metrics.tail_ratio(-returns) == pytest.approx(0.5)
    assert math.isnan(metrics.tail_ratio(pd.Series([-0.30, *[0.0] * 19, 0.70]))), "no loss to compare with"


def test_moments_are_those_of_bacons_book() -> None:
    """C. R. Bacon, 2008: kurtosis 2.43 (p. 84), skewness by kurtosis -0.034 (p. 100)."""
    assert metrics.kurtosis(BACON) == pytest.approx(2.43, abs=5e-3)
    assert metrics.skewness(BACON) / metrics.kurtosis(BACON) == pytest.approx(-0.034, abs=5e-4)


def test_value_at_risk_by_hand() -> None:
    """Of 21 returns the second lowest is the 5 % quantile exactly; of 11, half-way to it."""
    ladder = pd.Series(range(-10, 11)) / 100
    assert metrics.value_at_risk(ladder) == pytest.approx(-0.09)
    assert metrics.conditional_value_at_risk(ladder) == pytest.approx((-0.10 - 0.09) / 2)
    assert metrics.value_at_risk(ladder[:11]) == pytest.approx(-0.095)
    assert metrics.conditional_value_at_risk(ladder[:11]) == pytest.approx(-0.10)


def test_a_share_that_floats_cannot_hold_takes_the_whole_number_of_returns() -> None:
    """100 · 0.29 is 28.999999999999996 in floats: the 30 lowest of 101 are meant."""
    ladder = pd.Series(range(101)) / 1000
    assert metrics.conditional_value_at_risk(ladder, level=0.29) == pytest.approx(0.0145)


def test_moments_by_hand() -> None:
    """Of 0, 0, 0, 1 the central moments are 3/16, 3/32 and 21/256."""
    skewed = pd.Series([0.0, 0.0, 0.0, 1.0])
    assert metrics.skewness(skewed) == pytest.approx((3 / 32) / (3 / 16) ** 1.5)
    assert metrics.kurtosis(skewed) == pytest.approx((21 / 256) / (3 / 16) ** 2)
    assert metrics.kurtosis(pd.Series([-1.0, 1.0])) == pytest.approx(1.0), "the least there is"


def test_moments_do_not_depend_on_the_size_of_the_returns() -> None:
    assert metrics.kurtosis(BACON * 1e-9) == pytest.approx(metrics.kurtosis(BACON))
    assert metrics.skewness(BACON * 1e-9) == pytest.approx(metrics.skewness(BACON))


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 5.0, math.nan])
def test_a_level_that_is_no_share_is_refused(level: float) -> None:
    for figure in (metrics.value_at_risk, metrics.conditional_value_at_risk):
        with pytest.raises(BacktestError, match=r"0\.05"):
            figure(BACON, level=level)


@given(RETURNS, st.floats(0.001, 0.999))
def test_the_mean_of_the_worst_is_no_better_than_their_threshold(
    returns: pd.Series[float], level: float
) -> None:
    shortfall, threshold = (
        figure(returns, level=level) for figure in (metrics.conditional_value_at_risk, metrics.value_at_risk)
    )
    assert returns.min() - 1e-12 <= shortfall <= threshold + 1e-12


@given(RETURNS)
def test_no_distribution_has_less_kurtosis_than_its_skewness_squared_plus_one(
    returns: pd.Series[float],
) -> None:
    """K. Pearson's inequality, 1916."""
    if returns.max() > returns.min():
        assert metrics.kurtosis(returns) >= (metrics.skewness(returns) ** 2 + 1.0) * (1.0 - 1e-6)
