"""A run that was declared dead can write nothing more, by any method and at any moment."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from tests.conftest import Connection
from tests.integration.conftest import MakeBars
from workbench import Workbench
from workbench.errors import RunFenced
from workbench.settings import Settings
from workbench.tables.strategy_engine import strategies

STRATEGY = pd.DataFrame({"strategy_id": ["s"], "name": ["S"]})


@pytest.fixture
def run_id(another_wb: Workbench) -> uuid.UUID:
    """A run that somebody else started and may declare dead."""
    return another_wb.runs.start(notebook="a.ipynb", trigger="command")


@pytest.fixture
def wb(
    database_settings: Settings, run_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workbench]:
    """The Workbench of that run's kernel."""
    monkeypatch.setenv("WORKBENCH_RUN_ID", str(run_id))
    with Workbench(database_settings) as workbench:
        yield workbench


def test_rows_carry_the_run_that_wrote_them(wb: Workbench, run_id: uuid.UUID) -> None:
    wb.strategy_engine.write_strategies(STRATEGY)
    day = pd.DataFrame({"strategy_id": ["s"], "date": [pd.Timestamp("2024-01-01")], "returns": [0.1]})
    wb.strategy_engine.write_strategy_performance(day)
    loaded = wb.strategy_engine.load_strategy_performance(run_id=run_id)
    assert loaded["run_id"].tolist() == [str(run_id)]


@pytest.mark.parametrize("status", ["crashed", "failed", "completed"])
def test_a_run_that_has_ended_writes_nothing_more(
    wb: Workbench,
    another_wb: Workbench,
    run_id: uuid.UUID,
    make_bars: MakeBars,
    admin: Connection,
    status: str,
) -> None:
    wb.strategy_engine.write_strategies(STRATEGY)
    another_wb.runs.finish(run_id, status)
    attempts = (
        lambda: wb.strategy_engine.write_strategies(STRATEGY.assign(name="T")),
        lambda: wb.data_ingestion.write_market_data(make_bars(), source="file"),
        lambda: wb.logging.write_system_logs(
            pd.DataFrame({"service": ["a"], "level": ["info"], "message": ["m"]})
        ),
        lambda: wb.strategy_engine.write_backtest(
            strategy_id="s", name="T", parameters={}, status="inactive",
            signals=pd.DataFrame(columns=["symbol", "timestamp", "signal"]),
            performance=pd.DataFrame(columns=["date", "returns"]),
        ),
        lambda: wb.runs.note_headline(run_id, {"sharpe_ratio": 9.9}),
    )  # fmt: skip
    for attempt in attempts:
        with pytest.raises(RunFenced, match=str(run_id)):
            attempt()
    assert another_wb.strategy_engine.load_strategies()["name"].tolist() == ["S"]
    assert admin.execute("SELECT count(*) FROM data_ingestion.market_data").fetchall() == [(0,)]
    assert admin.execute("SELECT count(*) FROM logging.system_logs").fetchall() == [(0,)]
    assert another_wb.runs.show(run_id)["headline"] == {}


def test_a_dead_run_may_read_but_its_record_stays_as_it_was(
    wb: Workbench, another_wb: Workbench, run_id: uuid.UUID, make_bars: MakeBars
) -> None:
    wb.data_ingestion.write_market_data(make_bars(), source="file")
    another_wb.runs.finish(run_id, "crashed")
    assert len(wb.data_ingestion.load_market_data("AAPL")) == 5
    assert another_wb.runs.show(run_id)["data_revisions"] == {}


def test_a_run_nobody_knows_writes_nothing(
    database_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_RUN_ID", str(uuid.uuid4()))
    with Workbench(database_settings) as stray, pytest.raises(RunFenced, match="is unknown"):
        stray.strategy_engine.write_strategies(STRATEGY)


def test_declared_dead_between_two_writes_the_second_is_refused(
    wb: Workbench, another_wb: Workbench, run_id: uuid.UUID
) -> None:
    """In many rounds of both at once, every row that is there was committed before the end was."""
    ids = [f"s{number}" for number in range(200)]
    started = threading.Event()

    def write() -> int:
        for number, name in enumerate(ids):
            try:
                wb.strategy_engine.write_strategies(STRATEGY.assign(strategy_id=name))
            except RunFenced:
                return number
            started.set()
        return len(ids)

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write)
        assert started.wait(60)
        another_wb.runs.finish(run_id, "crashed")
        stored_when_dead = len(another_wb.strategy_engine.load_strategies())
        written = writing.result(120)
    assert written == stored_when_dead == len(another_wb.strategy_engine.load_strategies())


def test_an_end_waits_for_the_write_that_is_under_way(
    wb: Workbench, another_wb: Workbench, run_id: uuid.UUID
) -> None:
    """The one that is second waits for the first: once the end is recorded, the row is there."""
    with ThreadPoolExecutor(1) as threads:
        with wb.strategy_engine.pool.begin() as connection:
            wb.strategy_engine._write_within(connection, strategies, STRATEGY, key=("strategy_id",))
            ending = threads.submit(another_wb.runs.finish, run_id, "crashed")
            assert not ending.done()
        ending.result(60)
    assert len(another_wb.strategy_engine.load_strategies()) == 1
    with pytest.raises(RunFenced):
        wb.strategy_engine.write_strategies(STRATEGY.assign(name="T"))
