"""Inference from what is no number or no return is refused in a sentence that names the argument."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.errors import BacktestError
from workbench.overfitting import (
    deflated_sharpe,
    expected_maximum_sharpe,
    judge,
    minimum_track_record_length,
    probabilistic_sharpe,
    probabilistic_sharpe_of,
    probability_of_overfitting,
    reality_check,
    track_record,
)

MATRIX = np.random.default_rng(1).normal(0.0, 0.01, (60, 4))
RETURNS = pd.Series(MATRIX[:, 0])

NUMBERS: dict[str, Callable[[Any], Any]] = {
    "sharpe": lambda value: probabilistic_sharpe(value, 60),
    "n": lambda value: probabilistic_sharpe(0.1, value),
    "skewness": lambda value: probabilistic_sharpe(0.1, 60, value),
    "kurtosis": lambda value: minimum_track_record_length(0.1, kurtosis=value),
    "benchmark": lambda value: probabilistic_sharpe_of(RETURNS, benchmark=value),
    "confidence": lambda value: minimum_track_record_length(0.1, confidence=value),
    "n_trials": lambda value: expected_maximum_sharpe(value, 0.1),
    "sharpe_variance": lambda value: deflated_sharpe(0.1, 60, n_trials=5, sharpe_variance=value),
    "sharpe_mean": lambda value: expected_maximum_sharpe(5, 0.1, value),
    "trials": lambda value: judge(RETURNS, trials=value),
    "pbo": lambda value: judge(RETURNS, pbo=value),
    "spa": lambda value: judge(RETURNS, spa=value),
    "periods_per_year": lambda value: judge(RETURNS, periods_per_year=value),
    "n_splits": lambda value: probability_of_overfitting(MATRIX, n_splits=value),
    "seed": lambda value: reality_check(MATRIX, seed=value, reps=5),
    "reps": lambda value: reality_check(MATRIX, seed=1, reps=value),
    "block_size": lambda value: reality_check(MATRIX, seed=1, reps=5, block_size=value),
}


@pytest.mark.parametrize("value", ["5", True, np.bool_(True), pd.NA, [5], np.array([5.0, 6.0]), 5j, RETURNS])
@pytest.mark.parametrize("name", NUMBERS)
def test_what_is_no_number(name: str, value: Any) -> None:
    with pytest.raises(BacktestError, match=rf"^{name}: .*\.$"):
        NUMBERS[name](value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("sharpe", value) for value in (math.inf, -math.inf, 1e300)),
        *(("n", value) for value in (math.nan, 2.5)),
        *(("n_trials", value) for value in (math.nan, math.inf, 0.0)),
        *(("sharpe_variance", value) for value in (-0.1,)),
        *(("trials", value) for value in (2.5, math.nan)),
        *(("pbo", value) for value in (-0.1, 1.1, math.inf)),
        *(("spa", value) for value in (-0.1, 1.1, math.inf)),
        *(("n_splits", value) for value in (4.5, 5, math.nan)),
        *(("seed", value) for value in (-1, 1.5, math.nan)),
        *(("reps", value) for value in (0, 1.5, 10**8)),
        *(("block_size", value) for value in (1.5, math.inf)),
    ],
)
def test_numbers_that_cannot_be(name: str, value: float) -> None:
    with pytest.raises(BacktestError, match=rf"^{name}: "):
        NUMBERS[name](value)


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_of_numpy_pass(name: str) -> None:
    if name not in ("pbo", "spa", "confidence"):
        NUMBERS[name](np.int64(4))
    NUMBERS[name](np.float64(1.0 if name in ("pbo", "spa") else 0.95 if name == "confidence" else 4.0))


@pytest.mark.parametrize(
    "given", [None, 0.1, "returns", [[0.1]], MATRIX.astype(str), MATRIX > 0, MATRIX * 1j]
)
def test_what_are_no_returns(given: Any) -> None:
    for test in (probability_of_overfitting, lambda returns: reality_check(returns, seed=1)):
        with pytest.raises(BacktestError, match=r"^returns: "):
            test(given)
    for figure in (judge, track_record, probabilistic_sharpe_of):
        with pytest.raises(BacktestError, match=r"^returns: "):
            figure(given)
    if given is not None:
        with pytest.raises(BacktestError, match=r"^benchmark: "):
            reality_check(MATRIX, given, seed=1)


def test_a_frame_of_missing_values_is_one_of_nan() -> None:
    frame = pd.DataFrame(MATRIX).astype("Float64")
    assert repr(reality_check(frame, seed=1, reps=20)) == repr(reality_check(MATRIX, seed=1, reps=20))
    missing = frame.mask(frame > 0.03)
    assert reality_check(missing, seed=1, reps=20).n_bars == int(missing.notna().all(axis=1).sum())


def test_labels_that_stand_there_twice() -> None:
    frame, twice = pd.DataFrame(MATRIX), pd.concat([RETURNS, RETURNS])
    with pytest.raises(BacktestError, match=r"^benchmark: the label 0 stands there twice"):
        reality_check(frame, twice, seed=1)
    with pytest.raises(BacktestError, match=r"^returns: the label 0 stands there twice"):
        reality_check(pd.concat([frame, frame]), RETURNS, seed=1)
