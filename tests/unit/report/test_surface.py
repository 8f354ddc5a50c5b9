"""The sweep's surface: its two most varied parameters, with the backtest's own place on it."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import pandas as pd
import pytest

from workbench.backtest import Signals, Strategy, backtest, between, strategy
from workbench.drawing.blocks import Chart, Note
from workbench.report.surface import surface_section
from workbench.sweep import sweep


@strategy(where=lambda fast, slow, **_: fast < slow)
def crossing(
    bars: pd.DataFrame,
    fast: Annotated[int, between(2, 200)] = 10,
    slow: Annotated[int, between(3, 400)] = 40,
    side: Literal["long", "none"] = "long",
) -> Signals:
    """Long while the fast average is above the slow one."""
    close = bars["close"].unstack("symbol")
    above = close.rolling(fast).mean() > close.rolling(slow).mean()
    return Signals(above & (side == "long"), ~above)


@pytest.fixture(scope="module")
def bars(aapl: pd.DataFrame) -> pd.DataFrame:
    return aapl.iloc[:400]


def _section(bars: pd.DataFrame, made: Strategy, grid: dict[str, list[object]]) -> tuple[Chart | Note, str]:
    found = sweep(made, bars, grid, progress=False)
    section = surface_section(backtest(bars, made), found)
    block = section.blocks[0]
    assert isinstance(block, Chart | Note)
    return block, section.note


def test_the_two_most_varied_parameters_span_the_surface(bars: pd.DataFrame) -> None:
    grid: dict[str, list[object]] = {"side": ["long"], "slow": [30, 40, 50], "fast": [5, 10]}
    block, note = _section(bars, crossing, grid)
    assert isinstance(block, Chart)
    cells = block.figure.data[0]
    assert (list(cells.x), list(cells.y)) == (["5", "10"], ["30", "40", "50"])
    assert "Sharpe ratio of 6 variants" in note
    assert "median" not in note
    expected = backtest(bars, crossing, parameters={"fast": 5, "slow": 50}).metrics["sharpe_ratio"]
    assert cells.z[2][0] == pytest.approx(expected)
    ring = next(trace for trace in block.figure.data if trace.name == "this backtest")
    assert (ring.x[0], ring.y[0]) == ("10", "40"), "the defaults, which the backtest was made with"


def test_what_is_not_on_the_axes_is_told(bars: pd.DataFrame) -> None:
    grid: dict[str, list[object]] = {"side": ["long", "none"], "slow": [30, 40, 50], "fast": [5, 10, 15]}
    _, note = _section(bars, crossing, grid)
    assert "shows the median" in note


def test_a_backtest_beside_the_grid_has_no_ring(bars: pd.DataFrame) -> None:
    block, _ = _section(bars, crossing, {"slow": [30, 50], "fast": [5, 10]})
    assert isinstance(block, Chart)
    assert "this backtest" not in [trace.name for trace in block.figure.data]


def test_one_parameter_is_a_line(bars: pd.DataFrame) -> None:
    block, _ = _section(bars, crossing, {"slow": [30, 40, 50]})
    assert isinstance(block, Chart)
    line = block.figure.data[0]
    assert list(line.x) == [30, 40, 50]
    expected = [
        backtest(bars, crossing, parameters={"slow": slow}).metrics["sharpe_ratio"] for slow in line.x
    ]
    np.testing.assert_allclose(line.y, expected)


def test_a_sweep_of_nothing_has_a_sentence_and_no_surface(bars: pd.DataFrame) -> None:
    block, _ = _section(bars, crossing, {"slow": [40]})
    assert isinstance(block, Note)
    assert block.text == "The sweep varied no parameter."
    block, _ = _section(bars, crossing, {"side": ["none"], "slow": [30, 40]})
    assert isinstance(block, Note)
    assert "No variant has a value of sharpe_ratio" in block.text


def test_the_page_holds_the_surface(bars: pd.DataFrame) -> None:
    found = sweep(crossing, bars, {"slow": [30, 40], "fast": [5, 10]}, progress=False)
    sheet = found.backtest(0).report(sweep=found)
    assert "surface" in sheet.figures
    assert [section.key for section in sheet.sections][-2:] == ["surface", "rules"]
