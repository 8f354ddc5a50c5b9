"""Floors: which figures are held against them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from tests.unit.promotion.gates.saved import CELLS, captured
from workbench.errors import PromotionRefused
from workbench.promotion.gates.capture import Captured
from workbench.promotion.gates.floors import Floors


def saved(figures: dict[str, list[str | None]], computed: list[dict[str, float]] | None = None) -> Captured:
    rows = [
        {"cell": 1, "strategy": f"s{number}", "metric": name, "value": value}
        for name, values in figures.items()
        for number, value in enumerate(values)
    ]
    columns = ["cell", "strategy", "metric", "value"]
    side = captured()
    tables = {**side.rows, "analytics.performance_metrics": pd.DataFrame(rows, columns=columns)}
    return Captured(tables, {}, (), 1, [], [], computed or [])


@pytest.mark.parametrize(
    ("floors", "outcome", "said"),
    [
        (Floors(), "not applicable", "no floor was given"),
        (
            Floors(min_trades=10),
            "passed",
            "total_trades is 10 (strategy s1, cell 1 (`save()`))",
        ),
        (
            Floors(min_trades=11),
            "failed",
            "(`save()`)), and at least 11 was asked for",
        ),
        (Floors(max_drawdown=0.3), "passed", "max_drawdown is 0.3"),
        (Floors(max_drawdown=0.29), "failed", "max_drawdown is 0.3"),
        (Floors(min_dsr=0.9), "failed", "deflated_sharpe_ratio is 0.8 (as computed), and at least 0.9"),
        (Floors(max_pbo=0.5), "failed", "max_pbo=0.5: the notebook saves no probability_of_overfitting"),
    ],
)
def test_the_worst_figure_of_its_kind_counts(floors: Floors, outcome: str, said: str) -> None:
    figures: dict[str, list[str | None]] = {"total_trades": ["12", "10"], "max_drawdown": ["-0.3", "-0.1"]}
    computed = [{"deflated_sharpe_ratio": 0.95}, {"deflated_sharpe_ratio": 0.8}]
    result = floors.passed(saved(figures, computed), CELLS)
    assert (result.outcome, said in result.summary) == (outcome, True), result.summary


def test_a_figure_that_is_not_defined_reaches_no_floor() -> None:
    assert Floors(min_trades=0).passed(saved({"total_trades": ["12", None]}), CELLS).outcome == "failed"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"min_dsr": 95}, "min_dsr=95: give a probability from 0 to 1"),
        ({"max_pbo": -0.1}, "max_pbo=-0.1: give a probability"),
        ({"min_trades": -1}, "min_trades=-1: give a number of trades"),
        ({"max_drawdown": 0.0}, "max_drawdown=0.0: give a fraction above 0"),
        ({"max_drawdown": float("nan")}, "max_drawdown=nan: give a fraction"),
        ({"min_dsr": "0.9"}, "min_dsr='0.9' is no number"),
    ],
)
def test_a_floor_that_no_figure_can_be_held_against_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(PromotionRefused) as refused:
        Floors(**given).check()
    assert said in str(refused.value)
