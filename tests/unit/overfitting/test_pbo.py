"""The probability of backtest overfitting, against CSCV written out plainly and planted cases."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import scipy

from workbench.errors import BacktestError
from workbench.overfitting import probability_of_overfitting

Matrix = npt.NDArray[np.float64]


def noise(seed: int, bars: int, variants: int) -> Matrix:
    return np.random.default_rng(seed).normal(0.0, 0.01, (bars, variants))


def sharpe(returns: Matrix) -> Matrix:
    """Of each column; 0 where nothing moves."""
    spread = returns.std(axis=0, ddof=1)
    moves = np.ptp(returns, axis=0) > 0.0
    return np.where(moves, returns.mean(axis=0) / np.where(moves, spread, 1.0), 0.0)


def written_out(returns: Matrix, n_splits: int) -> tuple[Matrix, Matrix, Matrix]:
    """CSCV of Bailey, Borwein, López de Prado and Zhu (2017), step by step: logits, in and out of sample."""
    blocks = np.split(returns[len(returns) % n_splits :], n_splits)
    logits, inside, outside = [], [], []
    for chosen in itertools.combinations(range(n_splits), n_splits // 2):
        sample = sharpe(np.concatenate([blocks[block] for block in chosen]))
        rest = sharpe(np.concatenate([blocks[block] for block in range(n_splits) if block not in chosen]))
        best = int(np.argmax(sample))
        omega = scipy.stats.rankdata(rest)[best] / (returns.shape[1] + 1)
        logits.append(math.log(omega / (1.0 - omega)))
        inside.append(sample[best])
        outside.append(rest[best])
    return np.array(logits), np.array(inside), np.array(outside)


@pytest.mark.parametrize(
    ("bars", "variants", "n_splits"), [(80, 7, 2), (83, 10, 4), (120, 3, 6), (97, 25, 8), (160, 2, 10)]
)
@pytest.mark.parametrize("edge", [0.0, 0.01])
def test_every_halving_is_that_of_cscv_written_out(
    bars: int, variants: int, n_splits: int, edge: float
) -> None:
    returns = noise(bars + variants, bars, variants) + edge * (np.arange(variants) == 1)
    found = probability_of_overfitting(returns, n_splits=n_splits)
    logits, inside, outside = written_out(returns, n_splits)
    assert found.logits == pytest.approx(logits, rel=1e-12, abs=1e-14)
    assert found.in_sample == pytest.approx(inside, rel=1e-9, abs=1e-12)
    assert found.out_of_sample == pytest.approx(outside, rel=1e-9, abs=1e-12)
    assert found.pbo == (logits <= 0.0).mean()
    assert found.probability_of_loss == (outside < 0.0).mean()
    assert found.n_bars == bars // n_splits * n_splits
    if len(logits) > 2:
        line = scipy.stats.linregress(inside, outside)
        assert found.slope == pytest.approx(line.slope, rel=1e-6)
        assert found.intercept == pytest.approx(line.intercept, rel=1e-6, abs=1e-9)
        assert found.r_squared == pytest.approx(line.rvalue**2, rel=1e-6, abs=1e-9)


def test_ties_are_those_of_cscv_written_out() -> None:
    """Twins wherever they stand, variants that never trade, and some that pause for a whole half."""
    returns = noise(11, 96, 40)
    returns[:, [3, 17, 31, 39]] = returns[:, [3]]
    returns[:, 5] = returns[:, 20] = 0.0
    returns[48:, 9] = 0.0
    returns[:48, 10] = 0.0
    for n_splits in (2, 8):
        found = probability_of_overfitting(returns, n_splits=n_splits)
        logits, inside, outside = written_out(returns, n_splits)
        assert found.logits == pytest.approx(logits, rel=1e-12, abs=1e-14)
        assert found.in_sample == pytest.approx(inside, rel=1e-9, abs=1e-12)
        assert found.out_of_sample == pytest.approx(outside, rel=1e-9, abs=1e-12)


def test_large_means_cost_no_digits() -> None:
    """Sums of squares alone would lose them: returns of 1,000 with a deviation of 0.01."""
    returns = noise(5, 64, 6) + 1000.0
    found = probability_of_overfitting(returns, n_splits=4)
    logits, inside, _ = written_out(returns, 4)
    assert found.logits == pytest.approx(logits, rel=1e-12, abs=1e-14)
    assert found.in_sample == pytest.approx(inside, rel=1e-6)


def test_among_equals_the_choice_says_nothing() -> None:
    """All ranks are the middle one, and the middle counts as overfit; all choices are the first column."""
    found = probability_of_overfitting(np.repeat(noise(1, 64, 1), 5, axis=1), n_splits=4)
    assert found.pbo == 1.0
    assert (found.logits == 0.0).all()
    assert (found.chosen == 0).all()


def test_a_variant_that_is_truly_better_is_found_on_every_half() -> None:
    returns = noise(7, 1000, 50)
    returns[:, 20] += 0.005
    found = probability_of_overfitting(returns, n_splits=10)
    assert found.pbo == 0.0
    assert found.probability_of_loss == 0.0
    assert (found.chosen == 20).all()


def test_of_pure_noise_half_the_choices_are_below_the_middle() -> None:
    chances = [probability_of_overfitting(noise(seed, 256, 20), n_splits=8).pbo for seed in range(40)]
    assert np.mean(chances) == pytest.approx(0.5, abs=0.08)


def test_what_one_half_gains_the_other_loses_is_overfit_by_construction() -> None:
    """Every variant earns nothing over all the bars, so the best on one half is the worst on the other."""
    returns = noise(3, 400, 30)
    returns -= returns.mean(axis=0)
    found = probability_of_overfitting(returns, n_splits=8)
    assert found.pbo > 0.99
    assert found.probability_of_loss == 1.0
    assert found.slope < -0.5
    assert found.r_squared > 0.5


def test_variants_that_each_shine_in_one_block_alone_are_overfit() -> None:
    """The variant whose good block is in the sample wins there, and has nothing left for the rest."""
    returns = noise(9, 320, 8)
    returns -= 0.004
    for variant in range(8):
        returns[variant * 40 : (variant + 1) * 40, variant] += 0.03
    found = probability_of_overfitting(returns, n_splits=8)
    assert found.pbo > 0.95
    assert found.probability_of_loss > 0.9


def test_a_frame_and_an_array_give_the_same_and_the_oldest_bars_go_first() -> None:
    returns = noise(2, 70, 4)
    frame = pd.DataFrame(returns, index=pd.date_range("2024-01-01", periods=70, tz="UTC"))
    found = probability_of_overfitting(frame, n_splits=8)
    assert np.array_equal(found.logits, probability_of_overfitting(returns[6:], n_splits=8).logits)
    assert (found.n_bars, found.n_variants, found.n_splits) == (64, 4, 8)
    assert "70 splits" in repr(found)


def test_sixteen_blocks_are_halved_in_12870_ways_however_many_variants_there_are() -> None:
    found = probability_of_overfitting(noise(4, 160, 300))
    assert len(found.logits) == 12_870
    assert np.isfinite(found.logits).all()


@pytest.mark.parametrize(
    ("returns", "n_splits", "advice"),
    [
        (noise(0, 100, 5), 7, "even number"),
        (noise(0, 100, 5), 0, "even number"),
        (noise(0, 5000, 5), 22, "even number"),
        (noise(0, 100, 1), 4, "two variants"),
        (noise(0, 100, 5)[:, 0], 4, "two variants"),
        (noise(0, 31, 5), 16, "smaller n_splits"),
        (np.full((100, 5), math.nan), 4, "drop those"),
        (np.full((100, 5), math.inf), 4, "drop those"),
    ],
)
def test_what_cannot_be_judged_is_refused_with_advice(returns: Matrix, n_splits: int, advice: str) -> None:
    with pytest.raises(BacktestError, match=advice):
        probability_of_overfitting(returns, n_splits=n_splits)
