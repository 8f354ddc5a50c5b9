"""Which differences between two runs' signals count, and how they are told."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pytest

from tests.unit.promotion.gates.saved import CELLS, Row, captured
from workbench.promotion.gates.capture import Captured
from workbench.promotion.gates.compare import differing_rows, differing_signals, told

BAR = pd.Timestamp("2024-01-10", tz="UTC")
BEFORE: Row = ("A", "2024-01-05", "buy", "1.0", "f")
AT: Row = ("A", "2024-01-10", "sell", "1.0", "f")
AFTER: Row = ("A", "2024-01-11", "buy", "1.0", "f")
WEIGHT: Row = ("A", "2024-01-10", "buy", "0.25", "f")


def to(
    row: Row, *, signal: str | None = None, strength: str | None = None, pending: str | None = None
) -> Row:
    return (row[0], row[1], signal or row[2], strength or row[3], pending or row[4])


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize(
    ("full", "other", "count"),
    [
        pytest.param([BEFORE, AT, AFTER], [BEFORE, to(AT, pending="t")], 0, id="it waits"),
        pytest.param([BEFORE, AT], [BEFORE], 1, id="nothing is decided at the bar"),
        pytest.param([BEFORE, AT], [BEFORE, to(AT, signal="buy", pending="t")], 1, id="the other side"),
        pytest.param([BEFORE], [BEFORE, to(AT, pending="t")], 0, id="it waits, and was never filled"),
        pytest.param([BEFORE], [BEFORE, AT], 1, id="a row more at the bar"),
        pytest.param([BEFORE, AT], [AT], 1, id="a row less before"),
        pytest.param([AT], [BEFORE, AT], 1, id="a row more before"),
        pytest.param([BEFORE], [to(BEFORE, strength="0.5")], 1, id="another strength"),
        pytest.param([BEFORE], [to(BEFORE, strength="0.9999999999")], 0, id="rounding"),
        pytest.param([WEIGHT], [to(WEIGHT, signal="sell")], 0, id="a weight on the other side"),
        pytest.param([WEIGHT], [to(WEIGHT, strength="0.5")], 1, id="another weight"),
        pytest.param([BEFORE], [BEFORE, AFTER], 0, id="a row after the bar"),
    ],
)
def test_signals_up_to_the_bar_must_be_the_same(
    full: Sequence[Row], other: Sequence[Row], count: int, *, changed: bool
) -> None:
    assert len(differing_signals(captured(*full), captured(*other), BAR, changed=changed)) == count


@pytest.mark.parametrize(("full", "other"), [([WEIGHT], []), ([], [WEIGHT])])
def test_whether_a_weight_is_traded_depends_on_a_changed_price(full: list[Row], other: list[Row]) -> None:
    sides = captured(BEFORE, *full), captured(BEFORE, *other)
    assert differing_signals(*sides, BAR, changed=True) == []
    assert len(differing_signals(*sides, BAR, changed=False)) == 1


def test_a_run_that_failed_lacks_nothing_from_its_failing_cell_on() -> None:
    full, other = captured(BEFORE, cell=3), captured()
    assert len(differing_signals(full, other, BAR, changed=False)) == 1
    assert len(differing_signals(full, other, BAR, changed=False, failed_in=4)) == 1
    assert differing_signals(full, other, BAR, changed=False, failed_in=2) == []


def test_two_runs_are_the_same_but_for_rounding_in_every_table() -> None:
    table = "analytics.performance_metrics"
    sides = []
    for value in ("1.5", "1.5000000001", "1.6"):
        side = captured(BEFORE)
        rows = pd.DataFrame({"cell": [1], "strategy": ["mine"], "metric": ["sharpe"], "value": [value]})
        sides.append(Captured({**side.rows, table: rows}, {}, (), 1, [], [], []))
    assert differing_rows(sides[0], sides[1]) == []
    (found,) = differing_rows(sides[0], sides[2])
    assert told([found], CELLS) == (
        f"cell 1 (`save()`): {table}, strategy mine, metric sharpe was value 1.5 and became value 1.6"
    )


def test_at_most_five_are_told_the_first_of_each_symbol_before_others() -> None:
    rows = [(symbol, f"2024-01-0{day}", "buy", "1.0", "f") for symbol in "AB" for day in range(1, 6)]
    found = differing_signals(captured(*rows), captured(), BAR, changed=False)
    assert len(found) == 10
    said = told(found, CELLS)
    assert said.startswith(
        "cell 1 (`save()`): A at the bar 2024-01-01 (strategy mine) was buy and became nothing"
    )
    assert "B at the bar 2024-01-01" in said
    assert said.endswith("; and 5 more")
