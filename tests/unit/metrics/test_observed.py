"""Values that were looked at once give every figure that the Series itself gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench import metrics as figures
from workbench.errors import BacktestError
from workbench.metrics.observations import Observed, observed, paired

OF_TWO = ["alpha", "beta", "down_capture", "information_ratio", "up_capture"]
# The others give a Series, and so take one.
OF_ONE = sorted(set(figures.__all__) - {*OF_TWO, "drawdown", "expanding_sharpe"})


@pytest.fixture(scope="module")
def returns() -> pd.Series[float]:
    drawn = np.random.default_rng(3).normal(0.0005, 0.01, 500)
    drawn[[0, 7, 499]] = np.nan
    return pd.Series(drawn)


@pytest.mark.parametrize("name", OF_ONE)
def test_a_figure_of_values_is_the_figure_of_their_series(name: str, returns: pd.Series[float]) -> None:
    figure: Any = getattr(figures, name)
    for given in (returns, returns.iloc[:1], returns.iloc[:0]):
        np.testing.assert_equal(figure(observed(given)), figure(given))


@pytest.mark.parametrize("name", OF_TWO)
def test_so_is_one_of_two_whose_periods_were_matched(name: str, returns: pd.Series[float]) -> None:
    figure: Any = getattr(figures, name)
    rival = (returns.shift(3) + 0.001).iloc[::-1]
    np.testing.assert_equal(figure(*paired(returns, rival)), figure(returns, rival))


def test_a_series_and_values_without_labels_cannot_be_matched(returns: pd.Series[float]) -> None:
    values = observed(returns)
    with pytest.raises(BacktestError, match=r"^returns: an Observed has no labels to match with the bench"):
        figures.beta(values, returns)
    with pytest.raises(BacktestError, match=r"^benchmark: an Observed has no labels to match with the ret"):
        figures.beta(returns, values)
    with pytest.raises(BacktestError, match="benchmark: it has 3 values and the returns have 497; give both"):
        figures.beta(values, Observed(values.values[:3]))
