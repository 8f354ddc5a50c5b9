"""White's and Hansen's tests, against arch's own, a bootstrap written out, and planted cases."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from workbench.errors import BacktestError
from workbench.overfitting import reality_check

Matrix = npt.NDArray[np.float64]


def noise(seed: int, bars: int = 400, variants: int = 25) -> Matrix:
    return np.random.default_rng(seed).normal(0.0, 0.01, (bars, variants))


def stationary_bootstrap(excess: Matrix, block_size: int, reps: int, seed: int) -> float:
    """White's p-value, bar by bar: a new block starts with the chance 1 / block_size, round the end."""
    random = np.random.default_rng(seed)
    bars, mean = len(excess), excess.mean(axis=0)
    above = 0
    for _ in range(reps):
        fresh = random.random(bars) < 1.0 / block_size
        starts = random.integers(0, bars, bars)
        drawn = np.empty(bars, dtype=np.int64)
        for bar in range(bars):
            drawn[bar] = starts[bar] if fresh[bar] or bar == 0 else (drawn[bar - 1] + 1) % bars
        above += bool((excess[drawn].mean(axis=0) - mean).max() > mean.max())
    return above / reps


def test_p_values_are_those_of_arch_on_losses() -> None:
    """SPA of arch 8.0: losses are returns with their sign turned; "upper" is White's.

    It does not divide by a standard error, so for Hansen's it is given returns that were.
    """
    from arch.bootstrap import SPA  # Loads statsmodels and more.

    returns, benchmark = noise(1) * np.linspace(0.5, 2.0, 25), noise(2, variants=1)[:, 0]
    returns[:, 3] -= 0.02  # So much worse that the consistent p-value leaves it out.
    returns[:, 8] += 0.001
    found = reality_check(returns, benchmark, seed=5, reps=500, block_size=10)

    white = SPA(-benchmark, -returns, block_size=10, reps=500, seed=5)
    white.compute()
    assert found.white_p == white.pvalues["upper"]

    excess = returns - benchmark[:, None]
    hansen = SPA(
        np.zeros(400), -excess / excess.std(axis=0, ddof=1), block_size=10, reps=500, seed=5, nested=False
    )
    hansen.compute()
    assert found.spa_p_lower == hansen.pvalues["lower"]
    assert found.spa_p_upper == hansen.pvalues["upper"]
    assert found.spa_p == hansen.pvalues["consistent"]
    assert found.spa_p_lower <= found.spa_p <= found.spa_p_upper


def test_whites_p_value_is_that_of_a_bootstrap_written_out() -> None:
    """Other random numbers: 1,000 replications each leave a standard error of 0.016."""
    excess = noise(13, bars=150, variants=6) - 0.0003
    expected = stationary_bootstrap(excess, 5, 1000, seed=1)
    assert 0.1 < expected < 0.9
    assert reality_check(excess, seed=2, block_size=5).white_p == pytest.approx(expected, abs=0.07)


def test_the_best_of_pure_noise_is_not_significant() -> None:
    """Of twenty, one below 5 % is to be expected; the best variant's own t test would say it of most."""
    found = [reality_check(noise(seed), seed=seed, reps=200) for seed in range(20)]
    assert sum(check.white_p < 0.05 for check in found) <= 4
    assert sum(check.spa_p < 0.05 for check in found) <= 4
    assert np.mean([check.white_p for check in found]) > 0.3
    best = [noise(seed)[:, int(check.best)] for seed, check in enumerate(found)]
    assert np.mean([own.mean() / own.std() * 20 > 1.645 for own in best]) > 0.5


def test_a_variant_that_is_truly_better_is() -> None:
    returns = noise(3)
    returns[:, 7] += 0.004
    found = reality_check(returns, noise(4, variants=1)[:, 0], seed=1)
    assert found.best == 7
    assert found.white_p < 0.01
    assert found.spa_p < 0.01


def test_a_steady_variant_is_not_hidden_by_wild_ones() -> None:
    """Which is what Hansen divides by the standard error for."""
    returns = noise(6) * 5.0
    returns[:, 0] = noise(7)[:, 0] * 0.2 + 0.0006
    found = reality_check(returns, seed=1)
    assert found.spa_p < 0.01
    assert found.white_p > 0.1


def test_many_bad_variants_do_not_hide_a_good_one() -> None:
    """The consistent p-value leaves out what is far behind; the upper one does not."""
    good = noise(8, variants=1) + 0.0011
    bad = noise(9, variants=200) - 0.004
    found = reality_check(np.hstack([good, bad]), seed=1)
    assert found.spa_p < 0.05 < found.spa_p_upper


def test_the_same_seed_gives_the_same_and_another_another() -> None:
    first, again, other = (reality_check(noise(1), seed=seed, reps=300) for seed in (1, 1, 2))
    assert first == again
    assert first.white_p != other.white_p
    assert "White p" in repr(first)


def test_series_are_matched_by_label_and_incomplete_bars_are_left_out() -> None:
    days = pd.date_range("2024-01-01", periods=400, tz="UTC")
    frame = pd.DataFrame(noise(1), index=days).add_prefix("v")
    frame.iloc[50, 3] = math.nan
    benchmark = pd.Series(noise(2, variants=1)[:, 0], index=days)
    benchmark.iloc[90] = math.nan
    complete = np.delete(np.arange(400), [*range(10), 50, 90])
    found = reality_check(frame, benchmark.iloc[10:].sample(frac=1.0, random_state=1), seed=1)
    plain = reality_check(noise(1)[complete], noise(2, variants=1)[complete, 0], seed=1)
    assert found.n_bars == plain.n_bars == 388
    assert (found.white_p, found.spa_p) == (plain.white_p, plain.spa_p)
    assert found.best == f"v{plain.best}"


def test_a_variant_that_never_trades_neither_helps_nor_harms() -> None:
    returns = noise(1)
    idle = np.hstack([returns, np.zeros((400, 1))])
    assert reality_check(idle, seed=1).spa_p == reality_check(returns, seed=1).spa_p


def test_what_cannot_be_tested_is_refused_with_advice() -> None:
    returns = noise(1)
    with pytest.raises(BacktestError, match="one return for each bar"):
        reality_check(returns, returns[:-1, 0], seed=1)
    with pytest.raises(BacktestError, match="one column for each variant"):
        reality_check(returns[:, 0], seed=1)
    with pytest.raises(BacktestError, match="needs 10 or more"):
        reality_check(returns[:9], seed=1)
    with pytest.raises(BacktestError, match="nothing to test"):
        reality_check(np.zeros((50, 3)), seed=1)
    with pytest.raises(BacktestError, match="infinite"):
        reality_check(np.full((50, 3), math.inf), seed=1)
    with pytest.raises(BacktestError, match="both must be 1 or more"):
        reality_check(returns, seed=1, reps=0)
    with pytest.raises(BacktestError, match="both must be 1 or more"):
        reality_check(returns, seed=1, block_size=0)
