"""What is noted of a cell that saved rows."""

from __future__ import annotations

import pandas as pd

from workbench.runs.cell import RunningCell, first_lines, running_cell
from workbench.runs.saved_in import SAVED_IN, SavedIn, saved_in
from workbench.tables.analytics import reports
from workbench.tables.strategy_engine import strategy_performance

CELL = RunningCell(7, "wb.save(result)")


def test_outside_of_ipython_no_cell_runs() -> None:
    assert running_cell() is None


def test_the_first_lines_are_short_whatever_the_cell_holds() -> None:
    assert first_lines("\n\nx = 1  \n") == "x = 1"
    assert first_lines("a\nb\n\nc\nd") == "a\nb\nc\n..."
    assert len(first_lines("x" * 1_000_000)) == 240
    assert first_lines("  \n") == ""


def test_a_line_names_the_table_and_whose_rows_they_are() -> None:
    frame = pd.DataFrame({"strategy_id": ["b", "a", "b"], "date": "2024-01-01", "returns": 0.1})
    saved = SavedIn.of(CELL, strategy_performance, frame)
    assert saved == SavedIn(7, "strategy_engine.strategy_performance", ("a", "b"), "wb.save(result)")
    assert SavedIn.of(CELL, strategy_performance, frame.set_index(["strategy_id", "date"])) == saved
    many = pd.DataFrame({"strategy_id": [f"s{n}" for n in range(21)]})
    assert SavedIn.of(CELL, strategy_performance, many).owners == ()
    assert SavedIn.of(CELL, reports, pd.DataFrame({"report_id": ["r"], "strategy": [None]})).owners == ()
    assert saved.told() == "cell 7 (`wb.save(result)`)"


def test_lines_are_read_back_in_the_order_of_the_cells() -> None:
    lines = [SavedIn(number, "a.b", ("x",), "y\nz").to_line() for number in (11, 2)]
    assert [one.cell for one in saved_in({SAVED_IN: lines, "written": ["{}"]})] == [2, 11]
    assert saved_in({}) == []
