"""What a search chooses by is what a backtest's figures say."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from workbench import metrics
from workbench.errors import BacktestError
from workbench.validation.objectives import OBJECTIVES, check_objective, objective_of, objectives_of

FIGURES = {
    "sharpe_ratio": lambda returns: metrics.sharpe(returns, periods_per_year=260.0),
    "sortino": lambda returns: metrics.sortino(returns, periods_per_year=260.0),
    "calmar": lambda returns: metrics.calmar(returns, periods_per_year=260.0),
    "cagr": lambda returns: metrics.cagr(returns, periods_per_year=260.0),
    "total_return": metrics.total_return,
    "max_drawdown": metrics.max_drawdown,
}

RETURNS = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(1, 30)),
    # Where everything is lost (-1), and where nothing moves (0), figures have rules of their own.
    elements=st.one_of(st.sampled_from([0.0, -1.0, 0.01]), st.floats(-0.9, 0.9).map(lambda x: round(x, 4))),
)


@pytest.mark.parametrize("name", OBJECTIVES)
@given(returns=RETURNS)
def test_an_objective_is_the_figure_of_that_name(name: str, returns: np.ndarray) -> None:
    found = objectives_of(name, returns, 260.0)
    for value, row in zip(found, returns, strict=True):
        expected = FIGURES[name](pd.Series(row))
        assert value == pytest.approx(
            expected if math.isfinite(expected) else math.nan, rel=1e-9, nan_ok=True
        )


def test_every_objective_is_a_figure_of_a_backtest() -> None:
    assert set(OBJECTIVES) == set(FIGURES)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_variant_that_failed_has_no_objective(name: str) -> None:
    found = objectives_of(name, np.array([[0.1, -0.1], [math.nan, math.nan]]), 252.0)
    assert np.isnan(found).tolist() == [False, True]
    assert math.isnan(objective_of(name, pd.Series([math.nan]), 252.0))


def test_what_more_is_not_better_of_is_refused() -> None:
    with pytest.raises(
        BacktestError, match=r"'volatility' cannot be computed .* choose one of sharpe_ratio, sortino"
    ):
        check_objective("volatility")
