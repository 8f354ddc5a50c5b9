"""What every figure of returns says where there is next to nothing to compute it from."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from workbench import metrics

NAN = math.nan

CASES = {
    "no bar": [],
    "nothing observed": [NAN, NAN],
    "one gain": [0.01],
    "one loss": [-0.01],
    "all equal": [0.1] * 10,
    "all zero": [0.0] * 10,
    "all losses": [-0.1, -0.2],
    "ruin": [0.1, -1.0, 0.2],
    "ruin at once": [-1.0],
}

# In the order of the cases; computed by hand from the definitions.
EXPECTED = {
    metrics.total_return: [NAN, NAN, 0.01, -0.01, 1.1**10 - 1, 0.0, -0.28, -1.0, -1.0],
    metrics.cagr: [NAN, NAN, 1.01**252 - 1, 0.99**252 - 1, 1.1**252 - 1, 0.0, 0.72**126 - 1, -1.0, -1.0],
    metrics.volatility: [
        *(NAN, NAN, NAN, NAN, 0.0, 0.0),
        math.sqrt(0.005 * 252),
        # 0.1, -1, 0.2: mean -0.7 / 3, squares about it 1.05 - 0.49 / 3.
        math.sqrt((1.05 - 0.49 / 3) / 2 * 252),
        NAN,
    ],
    metrics.sharpe: [
        *(NAN, NAN, NAN, NAN, NAN, NAN),
        -0.15 / math.sqrt(0.005) * math.sqrt(252),
        -0.7 / 3 / math.sqrt((1.05 - 0.49 / 3) / 2) * math.sqrt(252),
        NAN,
    ],
    metrics.sortino: [
        *(NAN, NAN, NAN, -math.sqrt(252), NAN, NAN),
        -0.15 / math.sqrt(0.025) * math.sqrt(252),
        -0.7 / 3 / math.sqrt(1 / 3) * math.sqrt(252),
        -math.sqrt(252),
    ],
    metrics.omega: [NAN, NAN, NAN, 0.0, NAN, NAN, 0.0, 0.3, 0.0],
    metrics.stability: [NAN, NAN, NAN, NAN, 1.0, NAN, 1.0, NAN, NAN],
    metrics.max_drawdown: [NAN, NAN, 0.0, -0.01, 0.0, 0.0, -0.28, -1.0, -1.0],
    metrics.max_drawdown_length: [NAN, NAN, 0.0, 1.0, 0.0, 0.0, 2.0, 2.0, 1.0],
    metrics.calmar: [NAN, NAN, NAN, (0.99**252 - 1) / 0.01, NAN, NAN, (0.72**126 - 1) / 0.28, -1.0, -1.0],
    metrics.value_at_risk: [NAN, NAN, 0.01, -0.01, 0.1, 0.0, -0.195, -0.89, -1.0],
    metrics.conditional_value_at_risk: [NAN, NAN, 0.01, -0.01, 0.1, 0.0, -0.2, -1.0, -1.0],
    metrics.tail_ratio: [NAN, NAN, 1.0, 1.0, 1.0, NAN, 0.105 / 0.195, 0.19 / 0.89, 1.0],
    metrics.skewness: [
        *(NAN, NAN, NAN, NAN, NAN, NAN, 0.0),
        # 1/3, -23/30, 13/30 from the mean.
        ((1 / 3) ** 3 - (23 / 30) ** 3 + (13 / 30) ** 3) / 3 / ((1.05 - 0.49 / 3) / 3) ** 1.5,
        NAN,
    ],
    metrics.kurtosis: [NAN, NAN, NAN, NAN, NAN, NAN, 1.0, 1.5, NAN],
}


@pytest.mark.parametrize("figure", EXPECTED, ids=lambda figure: str(figure.__name__))
@pytest.mark.parametrize("case", CASES)
def test_a_figure_of_next_to_nothing(figure: object, case: str) -> None:
    assert callable(figure)
    expected = EXPECTED[figure][list(CASES).index(case)]
    observed = figure(pd.Series(CASES[case], dtype="float64"))
    assert observed == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True)


def test_without_volatility_the_expanding_sharpe_ratio_is_never_there() -> None:
    """0.1 has no exact binary form: a naive standard deviation of ten of them is not 0."""
    assert metrics.expanding_sharpe(pd.Series([0.1] * 10)).isna().all()
    assert metrics.expanding_sharpe(pd.Series(np.empty(0))).empty


def test_every_figure_is_exported_by_name() -> None:
    assert set(metrics.__all__) == {
        *("total_return", "cagr", "volatility", "sharpe", "expanding_sharpe", "sortino", "omega"),
        *("stability", "drawdown", "max_drawdown", "max_drawdown_length", "calmar", "value_at_risk"),
        *("conditional_value_at_risk", "tail_ratio", "skewness", "kurtosis", "alpha", "beta"),
        *("information_ratio", "up_capture", "down_capture", "win_rate", "profit_factor", "expectancy"),
        *("sqn", "exposure", "turnover"),
    }
    assert all(callable(getattr(metrics, name)) for name in metrics.__all__)
