"""What a notebook would do when it runs by schedule, judged without running it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.promotion.readiness import reservations
from workbench.promotion.refusals import refused_by_strategies
from workbench.runs.notebook import read_notebook

MakeNotebook = Callable[..., Path]
CLONE = Path(__file__).resolve().parents[3]

CELL = "fast: int = 20\nslow: int = 50\nname: str = 'x'"
IMPORTS = "from workbench.backtest import backtest\nfrom workbench.strategies import sma_cross\n"


def skipped(source: str) -> dict[str, Any]:
    metadata = {"tags": ["skip-execution"]}
    return {"cell_type": "code", "metadata": metadata, "source": source, "outputs": []}


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (
            ["from workbench import Workbench\nwb = Workbench()", "wb.promote('x')"],
            "`wb.promote('x')`) promotes",
        ),
        (["import workbench", "wb = workbench.Workbench()\nwb.trigger('x')"], "triggers"),
        (["from workbench import Workbench as W\nW().promote('x')"], "promotes"),
        (["from workbench import Workbench\nwith Workbench() as w:\n    w.trigger('x')"], "triggers"),
        (
            ["wb = Workbench()\ndef f():\n    if 1:\n        wb.trigger(wb.promote('x'))"],
            "promotes and triggers",
        ),
        (["wb = Workbench()", "%%time\nwb.trigger('x')"], "triggers"),
        (["wb = Workbench()", "%load_ext workbench\nwb.trigger('x')"], "triggers"),
        (["wb = Workbench()", "wb.deployments.trigger('x')"], "triggers"),
        (["wb = Workbench()", "mine = wb.deployments", "mine.trigger('x')"], "triggers"),
        (["!workbench promote x.ipynb --name x"], "promotes"),
        (["%%bash\npython -m workbench.cli promote x.ipynb"], "promotes"),
    ],
)
def test_a_notebook_that_promotes_or_triggers_says_where(
    make_notebook: MakeNotebook, cells: list[str], said: str
) -> None:
    (found,) = reservations(read_notebook(make_notebook(CELL, *cells)))
    assert said in found
    assert 'tag that cell "skip-execution"' in found
    advised = [skipped(cell) if any(w in cell for w in ("promote", "trigger")) else cell for cell in cells]
    assert reservations(read_notebook(make_notebook(CELL, *advised))) == []


@pytest.mark.parametrize(
    "cells",
    [
        ["registry.promote('model')", "alarm.trigger()"],
        ["# wb.promote('x')\nprint('wb.trigger(x)')"],
        ["wb = Workbench()\nwb.promote"],
        ["wb = Workbench()\nbars = wb.data_ingestion", "bars.trigger('x')"],
        ["%%sql\nSELECT 'wb.promote()'"],
        ["wb = Workbench()\nthis is no Python: wb.promote()"],
    ],
)
def test_what_neither_promotes_nor_triggers_is_let_pass(
    make_notebook: MakeNotebook, cells: list[str]
) -> None:
    assert reservations(read_notebook(make_notebook(CELL, *cells))) == []


def test_a_notebook_without_a_parameters_cell_says_how_to_make_one(make_notebook: MakeNotebook) -> None:
    (found,) = reservations(read_notebook(make_notebook(None, "1 + 1")))
    assert 'no cell tagged "parameters"' in found
    assert "Cell tags" in found
    assert reservations(read_notebook(make_notebook("", "1 + 1"))) == [], "the advice: it may be empty"


def test_the_notebooks_that_come_with_the_project() -> None:
    found = {
        path.name: reservations(read_notebook(path))
        for path in sorted((CLONE / "notebooks").rglob("*.ipynb"))
        if ".ipynb_checkpoints" not in path.parts
    }
    start = found.pop("00_start_here.ipynb")
    assert len(start) == 2
    assert "promotes" in start[1]
    assert "triggers" in start[1]
    assert all(reasons == [] for reasons in found.values()), found


@pytest.mark.parametrize(
    "cell",
    [
        'chosen = sma_cross.check({"fast": fast, "slow": slow})',
        "sma_cross.check(dict(fast=fast, slow=slow))",
        "signals = sma_cross(bars, fast=fast, slow=slow)",
        'print(backtest(bars, sma_cross, parameters={"fast": fast, "slow": slow}, fees=fees).metrics)',
        "%matplotlib inline\nsma_cross(bars, fast=fast, slow=slow).entries.sum()",
        "sma_cross(bars, fast=fast)",
    ],
)
def test_values_that_the_strategy_would_refuse_are_told(make_notebook: MakeNotebook, cell: str) -> None:
    notebook = read_notebook(make_notebook(CELL, IMPORTS, cell))
    (found,) = refused_by_strategies(notebook, {"fast": 50, "slow": 50, "name": "x"})
    assert "sma_cross does not allow fast=50, slow=50 together" in found
    assert found.startswith("cell 3 (`")
    assert refused_by_strategies(notebook, {"fast": 20, "slow": 50, "name": "x"}) == []


def test_a_value_out_of_range_is_told_also_where_others_are_computed(make_notebook: MakeNotebook) -> None:
    cells = (IMPORTS, "sma_cross(bars, fast=fast, slow=fast * 2)")
    notebook = read_notebook(make_notebook(CELL, *cells))
    (found,) = refused_by_strategies(notebook, {"fast": 201, "slow": 50, "name": "x"})
    assert "fast=201 is not a whole number from 1 to 200" in found
    # Whether `where` refuses, nobody can tell without running the cell.
    assert refused_by_strategies(notebook, {"fast": 200, "slow": 50, "name": "x"}) == []


@pytest.mark.parametrize(
    "cells",
    [
        [IMPORTS, "try:\n    sma_cross(bars, fast=fast, slow=slow)\nexcept Exception:\n    pass"],
        [IMPORTS, "if fast < slow:\n    sma_cross(bars, fast=fast, slow=slow)"],
        [IMPORTS, "fast < slow and sma_cross(bars, fast=fast, slow=slow)"],
        [IMPORTS, "sma_cross(bars, fast=fast, slow=slow) if fast < slow else None"],
        [IMPORTS, "[sma_cross(bars, fast=fast, slow=slow) for _ in range(0)]"],
        [IMPORTS, "later = lambda: sma_cross(bars, fast=fast, slow=slow)"],
        [IMPORTS, "def later():\n    return sma_cross(bars, fast=fast, slow=slow)"],
        [IMPORTS, "with suppress(Exception):\n    sma_cross(bars, fast=fast, slow=slow)"],
        [IMPORTS, "fast = min(fast, slow - 1)", "sma_cross(bars, fast=fast, slow=slow)"],
        [IMPORTS, "for fast in (1, 2): pass", "sma_cross(bars, fast=fast, slow=slow)"],
        [IMPORTS, "sma_cross(bars, fast=fast // 2, slow=slow)"],
        [IMPORTS, "sma_cross(bars, **chosen)"],
        [IMPORTS, 'sma_cross.check({**chosen, "fast": fast, "slow": slow})'],
        [IMPORTS, "def sma_cross(bars, fast, slow): ...", "sma_cross(bars, fast=fast, slow=slow)"],
        [IMPORTS, "from mine import *", "sma_cross(bars, fast=fast, slow=slow)"],
        [IMPORTS, "%run settings.py", "sma_cross(bars, fast=fast, slow=slow)"],
        [IMPORTS, "fast = !echo 3", "sma_cross(bars, fast=fast, slow=slow)"],
        [IMPORTS, "%%sql fast\nSELECT 1", "sma_cross(bars, fast=fast, slow=slow)"],
        [IMPORTS, "globals().update(fast=3)", "sma_cross(bars, fast=fast, slow=slow)"],
        [IMPORTS, skipped("sma_cross(bars, fast=fast, slow=slow)")],
        [
            IMPORTS,
            skipped("sma_cross(bars, fast=fast, slow=slow)") | {"metadata": {"tags": ["raises-exception"]}},
        ],
        ["from mine import sma_cross", "sma_cross(bars, fast=fast, slow=slow)"],
        ["from workbench.strategies import LIBRARY", "LIBRARY(bars, fast=fast, slow=slow)"],
        ["from workbench.strategies import no_such", "no_such(bars, fast=fast, slow=slow)"],
        [
            "from mine import backtest\nfrom workbench.strategies import sma_cross",
            'backtest(bars, sma_cross, parameters={"fast": fast, "slow": slow})',
        ],
        [IMPORTS, 'wb.sweep(sma_cross, bars, {"fast": [fast], "slow": [slow]})'],
        ["this is no Python"],
    ],
)
def test_what_the_code_does_not_say_for_certain_is_let_pass(
    make_notebook: MakeNotebook, cells: list[Any]
) -> None:
    notebook = read_notebook(make_notebook(CELL, *cells))
    assert refused_by_strategies(notebook, {"fast": 90, "slow": 50, "name": "x"}) == []
