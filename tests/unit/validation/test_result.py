"""What a validation tells: figures of its records, tables for the database, and pictures."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from tests.unit.validation.rules import bars_of, crossing
from workbench.backtest import backtest
from workbench.fills.execution import Execution
from workbench.validation import (
    Splits,
    ValidationResult,
    combinatorial_purged,
    purged_kfold,
    validate,
    walk_forward,
)

GRID = {"fast": [5, 10], "slow": [20, 40]}


@pytest.fixture(scope="module")
def walked(aapl: pd.DataFrame) -> ValidationResult:
    bars = aapl.iloc[:900]
    return validate(crossing, bars, GRID, walk_forward(bars, train=300, test=150))


@pytest.fixture(scope="module")
def combined(aapl: pd.DataFrame) -> ValidationResult:
    bars = aapl.iloc[:600]
    return validate(crossing, bars, GRID, combinatorial_purged(bars, 6, 2, purge=5))


def made_of(inside: list[float], outside: list[float]) -> ValidationResult:
    """A result with these objectives and nothing else to it."""
    table = pd.DataFrame({"test_bars": 1, "in_sample": inside, "out_of_sample": outside})
    return ValidationResult(
        strategy="rule",
        kind="walk_forward",
        objective="sharpe_ratio",
        splits=Splits("walk_forward", 0, (), ()),
        table=table,
        paths=pd.DataFrame({0: [0.1, -0.5, 1.0]}, index=pd.date_range("2024-01-01", periods=3, tz="UTC")),
        trades=(pd.DataFrame({"status": [], "pnl": [], "exit_time": []}),),
        variants=1,
        periods_per_year=252.0,
        symbols=("A",),
        execution=Execution(),
    )


def test_degradation_is_what_is_left_of_the_mean_objective() -> None:
    assert made_of([2.0, 1.0], [0.5, 0.25]).degradation == pytest.approx(0.25)
    # A split without an objective outside is left out of both means.
    assert made_of([2.0, 1.0], [1.0, math.nan]).degradation == pytest.approx(0.5)
    # Of nothing, nothing can be left.
    assert math.isnan(made_of([-1.0, 0.5], [1.0, 1.0]).degradation)


def test_equity_is_what_one_came_to() -> None:
    made = made_of([1.0], [1.0])
    assert made.equity[0].tolist() == pytest.approx([1.1, 0.55, 1.1])
    assert made.metrics["total_return"] == pytest.approx(0.1)
    assert made.metrics["max_drawdown"] == pytest.approx(-0.5)


def test_the_figures_are_those_of_the_stitched_returns(walked: ValidationResult) -> None:
    returns = walked.returns.to_numpy()
    assert len(returns) == 600
    m = walked.metrics
    assert m["total_return"] == pytest.approx(np.prod(1 + returns) - 1)
    assert m["volatility"] == pytest.approx(returns.std(ddof=1) * math.sqrt(252))
    assert m["sharpe_ratio"] == pytest.approx(returns.mean() / returns.std(ddof=1) * math.sqrt(252))
    assert m["total_trades"] + m["open_trades"] == walked.table["trades"].sum() == len(walked.trades[0])
    assert m["degradation"] == pytest.approx(walked.degradation, nan_ok=True)
    assert {type(value) for value in m.values()} == {float}


def test_the_table_says_what_was_chosen_when(walked: ValidationResult, aapl: pd.DataFrame) -> None:
    times = aapl.index.get_level_values("timestamp")
    assert walked.table.columns.tolist() == [
        "train_start",
        "train_end",
        "train_bars",
        "test_start",
        "test_end",
        "test_bars",
        "fast",
        "slow",
        "in_sample",
        "out_of_sample",
        "degradation",
        "trades",
    ]
    assert walked.table.index.name == "split"
    row = walked.table.iloc[1]
    assert row["train_start"] == times[150]
    assert row["train_end"] == times[449]
    assert row["test_start"] == times[450]
    assert row["test_end"] == times[599]
    assert (row["train_bars"], row["test_bars"]) == (300, 150)
    assert row["degradation"] == pytest.approx(row["out_of_sample"] / row["in_sample"])


def test_performance_is_shaped_as_a_backtests(walked: ValidationResult, aapl: pd.DataFrame) -> None:
    performance = walked.performance()
    known = backtest(aapl.iloc[:600], crossing, count_trial=False).performance()
    pd.testing.assert_series_equal(performance.dtypes, known.dtypes)
    assert len(performance) == 600
    last, m = performance.iloc[-1], walked.metrics
    assert last["sharpe_ratio"] == pytest.approx(m["sharpe_ratio"])
    assert last["max_drawdown"] == pytest.approx(m["max_drawdown"])
    assert last["total_trades"] == m["total_trades"]
    assert last["win_rate"] == pytest.approx(m["win_rate"])
    np.testing.assert_allclose(performance["returns"], walked.returns, atol=1e-15)


def test_of_several_paths_the_median_one_stands_for_all(combined: ValidationResult) -> None:
    sharpes = combined.sharpe_ratios
    assert len(sharpes) == 5
    assert sharpes[combined.path] == sharpes.median()
    pd.testing.assert_series_equal(combined.returns, combined.paths[combined.path], check_names=False)
    assert combined.metrics["sharpe_ratio"] == pytest.approx(sharpes.median())


def test_it_says_in_one_line_what_came_of_it(walked: ValidationResult, combined: ValidationResult) -> None:
    assert repr(walked).startswith("<ValidationResult 'crossing', walk_forward: 4 splits, 2001-05-09 to ")
    assert "5 paths, median Sharpe" in repr(combined)


@pytest.mark.parametrize(("last", "gain"), [(1.0, "+10.0%"), (21.0, "+1,110%"), (0.5, "−17.5%")])
def test_card_picture_and_short_form_word_a_figure_alike(
    walked: ValidationResult, last: float, gain: str
) -> None:
    """1 grows to 1.1, falls to 0.55 and ends at 1.1, 12.1 or 0.825; of 1,201 trades one is open."""
    trades = pd.DataFrame({"status": ["closed"] * 1_200 + ["open"], "pnl": 1.0})
    paths = walked.paths * 0.0
    paths.iloc[:3, 0] = [0.1, -0.5, last]
    made = dataclasses.replace(walked, paths=paths, trades=(trades,))
    card = made._repr_html_()
    assert f"Return</span> <b>{gain}</b>" in card
    assert "Trades</span> <b>1,200 (+1 open)</b>" in card
    assert f"return {gain} " in made.plot().layout.title.subtitle.text
    assert f"return {gain}, max drawdown −50.0%" in repr(made)


def test_the_picture_marks_the_spans_and_joins_both_objectives(walked: ValidationResult) -> None:
    figure = walked.plot()
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
    drawn = {trace.name: trace for trace in figure.data if trace.name}
    np.testing.assert_allclose(drawn["out of sample"].y, walked.equity[0])
    np.testing.assert_allclose(drawn["split, in sample"].y, walked.table["in_sample"])
    np.testing.assert_allclose(drawn["split, out of sample"].y, walked.table["out_of_sample"])
    shaded = [(shape.x0, shape.x1) for shape in figure.layout.shapes if shape.type == "rect"]
    assert shaded == [
        (walked.table["test_start"].iloc[number], walked.table["test_end"].iloc[number]) for number in (1, 3)
    ]


def test_the_axis_of_a_wide_picture_names_round_levels_in_full(walked: ValidationResult) -> None:
    """0.55 to 12.1: Plotly alone writes 2, 5, 10, 2, the last of which is 20."""
    paths = walked.paths * 0.0
    paths.iloc[:3, 0] = [0.1, -0.5, 21.0]
    axis = dataclasses.replace(walked, paths=paths).plot().layout.yaxis
    assert axis.type == "log"
    assert (axis.tickmode, axis.tickformat) == ("array", "~g")
    np.testing.assert_allclose(axis.tickvals, [0.7, 1, 1.5, 2, 3, 5, 7, 10])


def test_the_picture_of_several_paths_shows_them_all(combined: ValidationResult) -> None:
    figure = combined.plot()
    lines = [trace for trace in figure.data if trace.mode != "markers"]
    assert len(lines) == 5
    assert lines[-1].name == "median path"
    dots = {trace.name: len(trace.x) for trace in figure.data if trace.mode == "markers"}
    assert dots == {"15 splits, in sample": 15, "15 splits, out of sample": 15, "5 paths, Sharpe": 5}


def test_spans_with_bars_between_them_are_marked_where_they_are(aapl: pd.DataFrame) -> None:
    bars = aapl.iloc[:900]
    made = validate(crossing, bars, GRID, walk_forward(bars, train=300, test=100, step=250))
    shaded = [(shape.x0, shape.x1) for shape in made.plot().layout.shapes if shape.type == "rect"]
    assert shaded == [(made.table["test_start"].iloc[1], made.table["test_end"].iloc[1])]
    assert len(made.returns) == 300


def test_the_notebook_shows_figures_and_splits(walked: ValidationResult, combined: ValidationResult) -> None:
    page = walked._repr_html_()
    assert page.count("<tr>") == 5
    assert "walk-forward, 4 splits, 4 variants" in page
    assert "2001-05-09 … " in page
    several = combined._repr_html_()
    assert "and 3 more" in several
    assert "Sharpe, median" in several
    assert several.count("<br>") == 12


def test_nothing_is_left_undefined_where_nothing_was_traded() -> None:
    bars = bars_of(A=[10.0, 11, 10, 12, 11, 13, 9, 9, 9, 9, 9, 9])
    made = validate(crossing, bars, {"fast": [1], "slow": [2]}, walk_forward(bars, train=6, test=3))
    assert "nan" not in made._repr_html_()
    assert made.plot().to_json()
    assert made.performance()["win_rate"].isna().all()
    pair = validate(
        crossing, bars, {"fast": [1], "slow": [2]}, purged_kfold(bars, 2), objective="total_return"
    )
    assert len(pair.table) == 2
