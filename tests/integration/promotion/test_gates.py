"""A notebook is promoted only if it passes its gates: what each of them finds, in real runs of notebooks."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pandas as pd
import psutil
import pytest

from tests.conftest import Connection
from tests.integration.promotion.conftest import Project
from workbench import Workbench
from workbench.errors import GateFailed
from workbench.headless.notebook_file import NotebookFile
from workbench.promotion.gates.floors import Floors
from workbench.promotion.gates.result import GATES
from workbench.promotion.keeping import Kept, keep
from workbench.settings import Settings
from workbench.stack.environment import settings_environment

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

BEGIN = """import numpy as np
import pandas as pd
from workbench import Workbench, panel
from workbench.backtest import Weights, backtest
wb = Workbench()"""
LOAD = """bars = wb.data_ingestion.load_market_data(['AAPL', 'IBM'], '2008-01-01', source='yahoo_adjusted')
close = panel(bars, 'close')"""
SAVE = "wb.save(backtest(bars, entries=above, exits=~above), strategy_id='study', report=False)"
HONEST = "above = close.rolling(20).mean() > close.rolling(50).mean()"
SIGNALS = ("future_cut", "future_changed")


@pytest.fixture
def stocked(wb: Workbench) -> Workbench:
    wb.ingest(["AAPL", "IBM"])
    return wb


class Promotion:
    """Promotes notebooks as far as that needs no Prefect."""

    def __init__(self, settings: Settings, project: Project) -> None:
        self.settings = settings
        self.project = project
        self.told: list[str] = []
        self.tell: Callable[[str], None] = self.told.append

    def keep(self, *cells: str, force: bool = False, floors: Floors | None = None) -> Kept:
        return keep(
            self.settings,
            NotebookFile.read(self.project.notebook(*cells)),
            {},
            files=(),
            environment=settings_environment(self.settings),
            timeout_seconds=None,
            floors=floors,
            progress=self.tell,
            force=force,
        )

    def refusal(self, *cells: str, **options: Any) -> GateFailed:
        with pytest.raises(GateFailed) as refused:
            self.keep(*cells, **options)
        assert not self.settings.store_folder.exists()
        return refused.value


@pytest.fixture
def promotion(database_settings: Settings, project: Project) -> Promotion:
    return Promotion(database_settings, project)


def outcomes(kept: Kept) -> dict[str, str]:
    return {gate.gate: gate.outcome for gate in kept.gates}


def offender(refused: GateFailed) -> dict[str, Any]:
    first: dict[str, Any] = refused.gates[-1]["details"]["offenders"][0]
    return first


def test_an_honest_notebook_passes_with_progress_and_leaves_nothing(
    stocked: Workbench, promotion: Promotion, admin: Connection
) -> None:
    floors = Floors(min_dsr=0.01, min_trades=5, max_drawdown=0.9)
    save = SAVE.replace("False", "True").replace("report", "bars=bars, report")
    kept = promotion.keep(BEGIN, LOAD, HONEST, save, floors=floors)
    assert outcomes(kept) == dict.fromkeys(GATES, "passed")
    assert kept.doubts == []
    cut = kept.gates[2]
    assert len(cut.details["moments"]) == 3
    for words in ("gate 1 of 6 (headless)", "3 of 6 (future_cut), cut 2 of 3", "(future_changed), change 3"):
        assert [line for line in promotion.told if words in line and "cell 4" in line], words
    assert _count(admin, "strategy_engine.strategies") == 0


LOOKS_AHEAD = {
    "a centred window": "above = close > close.rolling(21, center=True).mean()",
    "the mean of all bars": "above = close > close.mean()",
    "tomorrow's close": "above = close.shift(-1) > close",
    "values filled back": "month = close.resample('MS').first()\n"
    "above = month.shift(-1).reindex(close.index).bfill() > close.rolling(20).mean()",
    "a month labelled by its first day": "month = close.resample('MS').last()\n"
    "above = month.reindex(close.index, method='ffill') > close.rolling(20).mean()",
}


# A window of the latest bars, of prices adjusted as they are read.
LATEST = """late = wb.data_ingestion.load_market_data('IBM', source='yahoo', latest=400, adjust='yahoo')
up = panel(late, 'close') > panel(late, 'close').rolling(30).mean()
wb.save(backtest(late, entries=up, exits=~up), strategy_id='latest', report=False)"""
WEIGHTS = """risk = close.pct_change().rolling(60).std()
weights = (0.9 / risk).div((1 / risk).sum(axis=1, min_count=2), axis=0).iloc[::21].reindex(close.index)
wb.save(backtest(bars, Weights(weights)), strategy_id='weights', report=False)"""
BY_HAND = """side = np.where(close['IBM'] > close['IBM'].shift(20), 'buy', 'hold')
rows = pd.DataFrame({'timestamp': close.index, 'symbol': 'IBM', 'signal': side})
wb.strategy_engine.write_strategy_signals(rows.assign(strategy_id='by hand'))"""


def test_each_kind_of_look_ahead_is_found_by_its_cell_and_honest_ones_are_not(
    stocked: Workbench, promotion: Promotion
) -> None:
    stocked.strategy_engine.write_strategies(pd.DataFrame({"strategy_id": ["by hand"], "name": ["x"]}))
    rules = {"an honest rule": HONEST, **LOOKS_AHEAD}
    save = SAVE.replace("'study'", "kind")
    cells = [f"kind = {kind!r}\n{rule}\n{save}" for kind, rule in rules.items()]
    kept = promotion.keep(BEGIN, LOAD, LATEST, WEIGHTS, BY_HAND, *cells, force=True)
    gates = {gate.gate: gate for gate in kept.gates}
    assert {gate: one.outcome for gate, one in gates.items()} == {
        **dict.fromkeys(("headless", "repeatable", "own_writes"), "passed"),
        **dict.fromkeys(SIGNALS, "failed"),
        "floors": "not applicable",
    }
    assert [why.split(":")[0] for why in kept.overruled] == [
        f"it does not pass the gate {gate}" for gate in SIGNALS
    ]
    # A label on a month's first day is the last day's value, or, cut off, one that may say the same.
    found = [set(gates[gate].details["by_cell"]) for gate in SIGNALS]
    assert {cell.split(" (")[1] for cells in found for cell in cells} == {
        f"`kind = {kind!r}`)" for kind in LOOKS_AHEAD
    }


def test_a_look_ahead_is_refused_with_its_cell_symbol_and_bar(
    stocked: Workbench, promotion: Promotion
) -> None:
    refused = promotion.refusal(BEGIN, LOAD, LOOKS_AHEAD["tomorrow's close"], SAVE)
    assert refused.gate == "future_cut"
    assert [gate["outcome"] for gate in refused.gates] == ["passed", "passed", "failed"]
    found = offender(refused)
    assert (found["cell"], found["symbol"]) in {(4, "AAPL"), (4, "IBM")}
    where = f"{found['symbol']} at the bar {found['bar']} (strategy study)"
    assert "cell 4 (`wb.save(backtest(" in str(refused)
    assert f"{where} was {found['was']} and became {found['became']}" in str(refused)
    assert 'with --force "why"' in str(refused)


def test_rows_by_hand_that_chance_decides_are_refused_by_a_second_run(
    stocked: Workbench, promotion: Promotion
) -> None:
    rows = (
        "days = close.index[-3:]\nside = np.random.default_rng().choice(['buy', 'sell'], 40)\n"
        "rows = pd.DataFrame({'strategy_id': 'mine', 'symbol': [f'S{n}' for n in range(40)],\n"
        "                     'timestamp': days[0], 'signal': side})"
    )
    # A foreign key holds within the transaction that is undone: the strategy has to be there before.
    stocked.strategy_engine.write_strategies(pd.DataFrame({"strategy_id": ["mine"], "name": ["x"]}))
    refused = promotion.refusal(BEGIN, LOAD, rows, "wb.strategy_engine.write_strategy_signals(rows)")
    assert refused.gate == "repeatable"
    assert (offender(refused)["cell"], offender(refused)["bar"]) == (4, "2013-02-27")
    assert {offender(refused)["was"], offender(refused)["became"]} == {"buy", "sell"}


def test_bars_that_come_while_it_runs_are_no_difference(stocked: Workbench, promotion: Promotion) -> None:
    stocked.strategy_engine.write_strategies(pd.DataFrame({"strategy_id": ["mine"], "name": ["x"]}))
    row = (
        "row = {'strategy_id': 'mine', 'symbol': 'AAPL', 'timestamp': close.index[-1], 'signal': 'buy'}\n"
        "wb.strategy_engine.write_strategy_signals(pd.DataFrame([row]).assign(pending=True))"
    )

    def write(told: str) -> None:
        if "(headless)" in told and "cell 3" in told:
            bar = {"symbol": "AAPL", "timestamp": pd.Timestamp("2013-03-04", tz="UTC"), "volume": 1.0}
            prices = dict.fromkeys(("open", "high", "low", "close"), 60.0)
            stocked.data_ingestion.write_market_data(pd.DataFrame([bar | prices]), source="yahoo_adjusted")

    promotion.tell = write
    kept = promotion.keep(BEGIN, LOAD, row)
    assert kept.gates[1].summary == "a second run saved the same 1 rows, 1 of them signals"
    assert kept.gates[2].summary.startswith("it saves no signal but at its newest bar")


OWN = """import psycopg
url = wb.session.pool('strategy_engine').engine.url.set(drivername='postgresql')
with psycopg.connect(url.render_as_string(hide_password=False)) as own:
    own.execute("INSERT INTO strategy_engine.strategies (strategy_id, name) VALUES ('own', 'own')")"""
POOL = """import sqlalchemy as sa
insert = sa.text("INSERT INTO strategy_engine.strategies (strategy_id, name) VALUES ('own', 'own')")
with wb.session.pool('strategy_engine').begin('by hand') as connection:
    connection.execute(insert)"""
ENGINE = POOL.replace("begin('by hand')", "engine.begin()")


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (OWN, "writes to the database over a connection of its own"),
        (ENGINE, "writes to the database over a connection of its own"),
        (POOL, r"writes over the connections of strategy_engine by no method of it \(by hand\)"),
    ],
    ids=["psycopg", "engine", "pool"],
)
def test_a_write_by_other_ways_than_its_services_is_refused(
    wb: Workbench, promotion: Promotion, admin: Connection, cell: str, said: str
) -> None:
    wb.strategy_engine.load_strategies()
    refused = promotion.refusal(BEGIN, cell)
    assert refused.gate == "own_writes"
    assert re.search(rf"cell 2 \(`import .*`\) {said}", str(refused))
    assert _count(admin, "strategy_engine.strategies") == 0


def test_market_data_that_comes_from_the_strategy_itself_is_refused(
    wb: Workbench, promotion: Promotion
) -> None:
    wb.strategy_engine.write_strategies(pd.DataFrame({"strategy_id": ["mine"], "name": ["x"]}))
    row = "{'strategy_id': ['mine'], 'symbol': ['AAPL'], 'timestamp': [day], 'signal': ['buy']}"
    say = f"day = pd.Timestamp('2024-01-02', tz='UTC')\nrow = pd.DataFrame({row})"
    refused = promotion.refusal(
        BEGIN, "wb.ingest('AAPL')", f"{say}\nwb.strategy_engine.write_strategy_signals(row)"
    )
    assert refused.gate == "own_writes"
    assert "cell 2 (`wb.ingest('AAPL')`) writes data_ingestion.market_data, and the notebook" in str(refused)
    # It loads no bars: nothing could be hidden from it, which is said.
    assert [gate["outcome"] for gate in refused.gates[2:4]] == ["not applicable"] * 2


def test_without_signals_it_is_run_once_and_a_floor_without_its_figure_is_refused(
    wb: Workbench, promotion: Promotion
) -> None:
    wb.strategy_engine.load_strategies()
    kept = promotion.keep("print('a report')")
    assert {one.split(",")[0] for one in promotion.told} == {"gate 1 of 6 (headless)"}
    assert outcomes(kept) == {
        "headless": "passed",
        "repeatable": "not applicable",
        "future_cut": "not applicable",
        "future_changed": "not applicable",
        "own_writes": "passed",
        "floors": "not applicable",
    }
    promotion.settings = promotion.settings.model_copy(update={"home": promotion.settings.home / "other"})
    refused = promotion.refusal("print('a report')", floors=Floors(max_pbo=0.4))
    assert refused.gate == "floors", refused
    assert "max_pbo=0.4: the notebook saves no probability_of_overfitting; pass it on: wb.res" in str(refused)


def test_interrupted_it_ends_its_kernels_and_leaves_nothing(stocked: Workbench, promotion: Promotion) -> None:
    before = set(psutil.Process().children(recursive=True))

    def interrupt(told: str) -> None:
        if "(future_cut)" in told and "time.sleep" in told:
            raise KeyboardInterrupt

    promotion.tell = interrupt
    slow = "import os, time\nif os.environ.get('WORKBENCH_FUTURE'):\n    time.sleep(600)"
    with pytest.raises(KeyboardInterrupt):
        promotion.keep(BEGIN, LOAD, HONEST, f"# time.sleep\n{slow}", SAVE)
    assert not promotion.settings.store_folder.exists()
    assert set(psutil.Process().children(recursive=True)) <= before
    assert [one for one in threading.enumerate() if one.name.startswith("gate")] == []


def _count(admin: Connection, table: str) -> int:
    found = admin.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert found is not None
    return int(found[0])
