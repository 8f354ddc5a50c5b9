"""Inference on Sharpe ratios, against the worked examples of the papers and another library."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.metrics.published import BACON, BACON_BENCHMARK
from workbench import metrics
from workbench.errors import BacktestError
from workbench.overfitting import (
    deflated_sharpe,
    expected_maximum_sharpe,
    minimum_track_record_length,
    probabilistic_sharpe,
    probabilistic_sharpe_of,
    track_record,
)

DAILY = math.sqrt(250)
"""The papers count 250 days to a year."""


def test_the_deflated_sharpe_ratio_of_the_papers_example() -> None:
    """Bailey and López de Prado, "The Deflated Sharpe Ratio", 2014, "A numerical example".

    100 trials whose annualised Sharpe ratios have a variance of 1/2; the best has 2.5 a year over 1,250 days,
    skewness -3 and kurtosis 10. Luck reaches 0.1132 a day, and DSR is 0.9004; of 46 trials it is 0.9505,
    and of 88 with normal returns about the same.
    """
    best, variance = 2.5 / DAILY, 0.5 / 250
    assert expected_maximum_sharpe(100, variance) == pytest.approx(0.1132, abs=5e-5)
    observed = {
        trials: deflated_sharpe(best, 1250, -3.0, 10.0, n_trials=trials, sharpe_variance=variance)
        for trials in (46, 100)
    }
    assert observed[100] == pytest.approx(0.9004, abs=5e-5)
    assert observed[46] == pytest.approx(0.9505, abs=5e-5)
    assert deflated_sharpe(best, 1250, n_trials=88, sharpe_variance=variance) == pytest.approx(
        0.9505, abs=5e-5
    )


@pytest.mark.parametrize(
    ("bars_per_year", "skewness", "kurtosis", "years"),
    [(250, 0.0, 3.0, 2.73), (52, 0.0, 3.0, 2.83), (12, 0.0, 3.0, 3.24), (12, -0.72, 5.78, 4.99)],
)
def test_the_minimum_track_record_of_the_papers_examples(
    bars_per_year: int, skewness: float, kurtosis: float, years: float
) -> None:
    """Bailey and López de Prado, "The Sharpe Ratio Efficient Frontier", 2012, section on MinTRL.

    A Sharpe ratio of 2 a year, to be above 1 at 95 %: years of daily, weekly and monthly returns, and of
    monthly returns with the skewness and kurtosis of hedge funds.
    """
    scale = math.sqrt(bars_per_year)
    bars = minimum_track_record_length(2 / scale, skewness, kurtosis, benchmark=1 / scale)
    assert bars / bars_per_year == pytest.approx(years, abs=5e-3)


def test_the_convention_is_that_of_2012_and_not_that_of_2025() -> None:
    """24 months of mean 3.6 % and deviation 7.9 %, far from normal; jsharpe, which is of 2025, says 0.987.

    By hand: 0.4557 · √23 / √(1 + 2.448 · 0.4557 + 9.164 / 4 · 0.4557²) = 2.1854 / 1.6100 = 1.3574.
    """
    found = probabilistic_sharpe(0.036 / 0.079, 24, -2.448, 10.164)
    assert found == pytest.approx(float(scipy.stats.norm.cdf(1.3574)), abs=1e-4)
    assert found < 0.92


def test_luck_reaches_what_the_notices_of_the_ams_say() -> None:
    """Bailey, Borwein, López de Prado and Zhu, "Pseudo-Mathematics and Financial Charlatanism", 2014.

    Of 10 trials over a year 1.57; of 45 over five years, and of 7 over two, about 1 a year.
    """
    assert expected_maximum_sharpe(10, 1.0) == pytest.approx(1.57, abs=5e-3)
    assert expected_maximum_sharpe(45, 1.0 / 5) == pytest.approx(1.0, abs=5e-3)
    assert expected_maximum_sharpe(7, 1.0 / 2) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("trials", [20, 1000])
def test_luck_is_close_to_the_exact_mean_of_the_largest_of_so_many_normals(trials: int) -> None:
    """The exact one by quadrature of N x φ(x) Φ(x)^(N-1)."""
    grid = np.linspace(-10.0, 10.0, 200_001)
    density = trials * scipy.stats.norm.pdf(grid) * scipy.stats.norm.cdf(grid) ** (trials - 1)
    exact = float(np.trapezoid(grid * density, grid))
    assert expected_maximum_sharpe(trials, 4.0, sharpe_mean=1.0) == pytest.approx(1 + 2 * exact, rel=0.015)


def test_figures_of_bacons_returns_are_those_of_another_library() -> None:
    """Expected from PortfolioAnalytics.js (lequant40), which takes unbiased moments: given to ours here."""

    def judged(returns: pd.Series[float], benchmark: float) -> tuple[float, float, float, float]:
        ratio = metrics.sharpe(returns, periods_per_year=1)
        skewness, kurtosis = (
            scipy.stats.skew(returns, bias=False),
            scipy.stats.kurtosis(returns, bias=False) + 3.0,
        )
        return ratio, float(skewness), float(kurtosis), benchmark

    for returns, benchmark, expected in (
        (BACON, 0.0, 0.85765342264124),
        (BACON_BENCHMARK, 1 / math.sqrt(12), 0.45090641544923754),
        (BACON - BACON_BENCHMARK, 0.0, 0.2619312699710906),
    ):
        ratio, skewness, kurtosis, above = judged(returns, benchmark)
        assert probabilistic_sharpe(ratio, 24, skewness, kurtosis, above) == pytest.approx(expected, rel=1e-6)
    ratio, skewness, kurtosis, _ = judged(BACON, 0.0)
    assert minimum_track_record_length(ratio, skewness, kurtosis) == pytest.approx(
        55.36857732082471, rel=1e-6
    )


def test_a_track_record_is_what_the_metrics_say_of_the_returns(aapl: pd.DataFrame) -> None:
    """AAPL, 3,269 returns: Sharpe from empyrical-reloaded 0.7.1, moments from scipy 1.17.1."""
    record = track_record(aapl["close"].pct_change())
    assert record.sharpe == pytest.approx(0.6784016714847048 / math.sqrt(252), rel=1e-10)
    assert record.n == 3269
    assert record.skewness == pytest.approx(-1.7196280962232569, rel=1e-10)
    assert record.kurtosis == pytest.approx(37.142068301522464, rel=1e-10)
    assert probabilistic_sharpe_of(aapl["close"].pct_change(), benchmark=0.01) == probabilistic_sharpe(
        *record, benchmark=0.01
    )


def test_one_trial_is_deflated_by_nothing() -> None:
    assert expected_maximum_sharpe(1, 0.5) == 0.0
    assert expected_maximum_sharpe(1, math.nan, sharpe_mean=0.2) == 0.2
    assert deflated_sharpe(0.1, 250, n_trials=1, sharpe_variance=0.5) == probabilistic_sharpe(0.1, 250)


def test_clusters_counted_in_part_are_never_less_than_one_trial() -> None:
    lucks = [expected_maximum_sharpe(1 + part / 50, 1.0) for part in range(101)]
    assert lucks == sorted(lucks)
    assert lucks[0] == 0.0


def test_what_is_not_defined_is_nan() -> None:
    assert math.isnan(probabilistic_sharpe(0.1, 1))
    assert math.isnan(probabilistic_sharpe(math.nan, 250))
    assert math.isnan(probabilistic_sharpe(0.1, 250, math.nan, 3.0))
    assert math.isnan(probabilistic_sharpe(1.0, 250, 5.0, 3.0)), "moments that no returns have"
    assert math.isnan(minimum_track_record_length(0.1, benchmark=0.1)), "no record would do"
    assert math.isnan(minimum_track_record_length(math.nan))
    assert math.isnan(expected_maximum_sharpe(10, math.nan))
    for nothing in ([], [0.01], [0.01] * 50, [math.nan] * 50):
        returns = pd.Series(nothing, dtype="float64")
        assert math.isnan(probabilistic_sharpe_of(returns))


def test_what_cannot_be_is_refused_with_advice() -> None:
    with pytest.raises(BacktestError, match=r"0\.95"):
        minimum_track_record_length(0.1, confidence=95)
    for trials in (0, -3, math.nan):
        with pytest.raises(BacktestError, match="n_trials"):
            expected_maximum_sharpe(trials, 0.5)
    with pytest.raises(BacktestError, match="sharpe_variance"):
        deflated_sharpe(0.1, 250, n_trials=10, sharpe_variance=-0.5)


@given(st.floats(0.01, 0.5), st.floats(-2.0, 0.9), st.floats(0.0, 20.0), st.floats(0.6, 0.999))
def test_a_record_of_the_minimum_length_has_just_the_confidence(
    sharpe: float, skewness: float, excess: float, confidence: float
) -> None:
    kurtosis = skewness**2 + 1.0 + excess
    bars = minimum_track_record_length(sharpe, skewness, kurtosis, confidence=confidence)
    variance = 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    assert scipy.stats.norm.cdf(sharpe * math.sqrt((bars - 1) / variance)) == pytest.approx(confidence)
    assert probabilistic_sharpe(sharpe, math.ceil(bars) + 1, skewness, kurtosis) >= confidence - 1e-9


@given(st.floats(-0.5, 0.5), st.integers(2, 5000), st.integers(1, 5000), st.integers(1, 5000))
def test_more_trials_never_make_a_result_likelier_to_be_true(
    sharpe: float, n: int, trials: int, more: int
) -> None:
    chances = [
        deflated_sharpe(sharpe, n, n_trials=count, sharpe_variance=0.001) for count in (trials, trials + more)
    ]
    assert 0.0 <= chances[1] <= chances[0] <= probabilistic_sharpe(sharpe, n) <= 1.0
