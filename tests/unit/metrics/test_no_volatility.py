"""Steady growth has no volatility, though rounding leaves its returns unequal; a small real one counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from workbench import metrics
from workbench.errors import BacktestError
from workbench.fills.daily import by_date
from workbench.metrics.observations import deviation, only_rounding
from workbench.overfitting import (
    deflated_sharpe,
    judge,
    probabilistic_sharpe_of,
    probability_of_overfitting,
    reality_check,
    track_record,
)
from workbench.report.periods import rolling_figures
from workbench.validation.objectives import objectives_of

DAYS = 2_520
RATE = 0.001
NOISE = np.random.default_rng(7).normal(size=DAYS)
BENCHMARK = pd.Series(0.01 * np.random.default_rng(8).normal(size=DAYS))


def changes(equity: npt.NDArray[np.floating[Any]], start: float = 100_000.0) -> pd.Series[float]:
    """Returns as a backtest computes them of its equity."""
    before = np.concatenate([[start], equity[:-1]])
    return pd.Series(equity / before - 1.0)


def booked() -> pd.Series[float]:
    """Growth of an account that books a day's gain to the last: rounding adds up."""
    equity, now = [], 100_000.0
    for _ in range(DAYS):
        now += now * RATE
        equity.append(now)
    return changes(np.array(equity))


STEADY = {
    "by powers": changes(100_000.0 * (1.0 + RATE) ** np.arange(1, DAYS + 1)),
    "booked": booked(),
    "of a hundred positions": changes(
        np.sum([100_000.0 * share * (1.0 + RATE) ** np.arange(1, DAYS + 1) for share in [0.01] * 100], axis=0)
    ),
    "a third is left every day": changes(1e5 * 3.0 ** -np.arange(1.0, 41)),
    "sevenfold every day": changes(1e5 * 7.0 ** np.arange(1, 41)),
}
FLAT = changes(100_000.0 * (1.0 + 2.3e-16 * np.sign(NOISE)))
"""An account that stands still, but for the last digit."""
SMALL = pd.Series(RATE + 1e-6 * NOISE)
"""A deviation of a millionth a day."""

FIGURES: dict[str, Callable[[pd.Series[float]], float]] = {
    "sharpe": metrics.sharpe,
    "sharpe, risk-free": lambda returns: metrics.sharpe(returns, risk_free=0.0001),
    "sortino": lambda returns: metrics.sortino(returns, target=float(returns.mean())),
    "omega": lambda returns: metrics.omega(returns, target=float(returns.mean())),
    "skewness": metrics.skewness,
    "kurtosis": metrics.kurtosis,
    "information_ratio": lambda returns: metrics.information_ratio(
        returns + BENCHMARK[: len(returns)], BENCHMARK
    ),
    "beta": lambda returns: metrics.beta(BENCHMARK, returns),
    "alpha": lambda returns: metrics.alpha(BENCHMARK, returns),
    "psr": probabilistic_sharpe_of,
    "dsr": lambda returns: deflated_sharpe(*track_record(returns), n_trials=9, sharpe_variance=0.001),
    "judged": lambda returns: judge(returns, trials=3).sharpe,
    "expanding_sharpe": lambda returns: float(metrics.expanding_sharpe(returns).iloc[-1]),
    "by date": lambda returns: float(
        by_date(
            returns.set_axis(pd.date_range("2020-01-01", periods=len(returns), tz="UTC")),
            pd.DataFrame({"status": [], "exit_time": pd.to_datetime([], utc=True), "pnl": []}),
            periods_per_year=252,
        )["sharpe_ratio"].iloc[-1]
    ),
    "rolling sharpe": lambda returns: float(
        rolling_figures(returns, BENCHMARK[: len(returns)], window=20, periods_per_year=252)["sharpe"].iloc[
            -1
        ]
    ),
    "rolling beta": lambda returns: float(
        rolling_figures(BENCHMARK[: len(returns)], returns, window=20, periods_per_year=252)["beta"].iloc[-1]
    ),
    "objective": lambda returns: float(objectives_of("sharpe_ratio", np.array([returns]), 252)[0]),
}


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("growth", STEADY)
def test_a_figure_of_steady_growth_by_its_deviation_is_not_defined(growth: str, figure: str) -> None:
    assert math.isnan(FIGURES[figure](STEADY[growth]))


@pytest.mark.parametrize("figure", FIGURES)
def test_a_deviation_of_a_millionth_is_one(figure: str) -> None:
    assert math.isfinite(FIGURES[figure](SMALL))


def test_the_returns_of_steady_growth_do_differ() -> None:
    """Else this file would prove nothing: the deviation is 1e-16, not 0."""
    assert 0.0 < np.std(STEADY["by powers"], ddof=1) < 1e-15
    assert all(returns.nunique() > 1 for returns in STEADY.values())
    assert FLAT.min() < 0.0 < FLAT.max()


@pytest.mark.parametrize("growth", STEADY)
def test_the_volatility_of_steady_growth_is_exactly_0(growth: str) -> None:
    assert metrics.volatility(STEADY[growth]) == 0.0


def test_the_sharpe_ratio_of_a_small_deviation_is_mean_by_deviation() -> None:
    expected = np.mean(SMALL) / np.std(SMALL, ddof=1) * math.sqrt(252)
    assert expected > 10_000
    assert metrics.sharpe(SMALL) == pytest.approx(expected)
    assert metrics.expanding_sharpe(SMALL).iloc[-1] == pytest.approx(expected)
    assert objectives_of("sharpe_ratio", np.array([SMALL]), 252)[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    "figure", [metrics.sortino, metrics.omega, metrics.calmar, metrics.tail_ratio, metrics.stability]
)
def test_an_account_that_stands_still_has_neither_losses_nor_drawdowns(
    figure: Callable[[pd.Series[float]], float],
) -> None:
    assert math.isnan(figure(FLAT))
    assert math.isfinite(figure(FLAT + 1e-7 * NOISE))


@pytest.mark.parametrize("name", ["sharpe_ratio", "sortino", "calmar"])
def test_nothing_is_chosen_for_standing_still(name: str) -> None:
    ours = objectives_of(name, np.array([FLAT, FLAT + 1e-7 * NOISE]), 252)
    assert np.isnan(ours).tolist() == [True, False]


def test_a_benchmark_that_stands_still_neither_rises_nor_falls() -> None:
    assert math.isnan(metrics.up_capture(BENCHMARK, FLAT))
    assert math.isnan(metrics.down_capture(BENCHMARK, FLAT))


def test_trades_that_made_the_same_have_no_system_quality() -> None:
    """A hundred units from 1,234.56 to 1,234.66, at prices that end on another binary digit each time."""
    prices = 1_234.56 + np.arange(50) * 0.01
    profits = pd.Series(100.0 * (prices + 0.1) - 100.0 * prices)
    assert profits.nunique() > 1
    assert math.isnan(metrics.sqn(profits))
    assert math.isfinite(metrics.sqn(profits + np.arange(50) * 1e-6))
    assert math.isnan(metrics.sqn(pd.Series([0.0, 0.0])))


def test_steady_growth_is_not_the_best_variant_of_a_half() -> None:
    """It has a Sharpe ratio of 0 there, as a variant that never trades."""
    noise = 0.01 * np.random.default_rng(3).normal(size=(DAYS, 4))
    judged = probability_of_overfitting(np.column_stack([STEADY["by powers"], noise + 0.001]), n_splits=4)
    assert 0 not in judged.chosen
    assert judged.in_sample.max() < 1.0


def test_variants_of_steady_growth_alone_leave_nothing_to_test() -> None:
    both = np.column_stack([STEADY["by powers"], STEADY["booked"]])
    with pytest.raises(BacktestError, match="excess return varies"):
        reality_check(both, seed=1, reps=10)
    mixed = reality_check(np.column_stack([both, 0.01 * NOISE]), seed=1, reps=200)
    assert mixed.spa_p > 0.05, "judged by the noise alone"


def test_the_line_between_rounding_and_volatility() -> None:
    assert only_rounding(1e-12)
    assert not only_rounding(1.1e-12)
    assert only_rounding(np.array([1e-12, 3e-12, math.nan]), np.array([0.0, -2.0, 0.0])).tolist() == [
        *(True, True, False)
    ]
    assert math.isnan(deviation(np.array([0.1])))
    assert deviation(np.array([0.1, 0.1 + 1e-13])) == 0.0
    assert deviation(np.array([0.1, 0.1 + 1e-11])) > 0.0
