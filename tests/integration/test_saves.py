"""A save is one whole: its rows name the run that saved them last, and tell enough to be made again."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pandas as pd
import psycopg
import pytest

from tests.conftest import Connection
from tests.servers import wait_for
from workbench import Workbench
from workbench.backtest import BacktestResult, Percent, VolatilityTarget, backtest, rules_from_json
from workbench.errors import RunFenced, WorkbenchError
from workbench.settings import Settings
from workbench.strategies import LIBRARY, donchian_breakout, sma_cross
from workbench.validation import validate, walk_forward

Kernels = Callable[[], tuple[str, Workbench]]

# Everything on 18; on 15 what rests on the statements of a save, and nothing that is drawn.
only_18 = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

ID = "breakout"
GRID = {"fast": [5, 10], "slow": [30, 60]}


@pytest.fixture
def bars(wb: Workbench) -> pd.DataFrame:
    """Real adjusted prices of two shares, 2008 to 2012, as loaded from the database."""
    wb.ingest(["AAPL", "IBM"], source="sample", start="2008-01-01", end="2013-01-01")
    return wb.data_ingestion.load_market_data(["AAPL", "IBM"], source="yahoo_adjusted")


@pytest.fixture
def kernel(wb: Workbench, database_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernels]:
    """`kernel()`: a run that began just now, and the Workbench of its kernel."""
    with contextlib.ExitStack() as opened:

        def begin() -> tuple[str, Workbench]:
            run_id = wb.runs.start(notebook="breakout.ipynb", trigger="deployment")
            with monkeypatch.context() as environment:
                environment.setenv("WORKBENCH_RUN_ID", str(run_id))
                kernel = opened.enter_context(Workbench(database_settings))
                assert kernel.run_id == run_id
            return str(run_id), kernel

        yield begin


def _breakout(bars: pd.DataFrame, breakout: int) -> BacktestResult:
    return backtest(bars, donchian_breakout, parameters={"entry": breakout, "exit": 20})


def _rows(wb: Workbench) -> dict[str, pd.DataFrame]:
    """What there is of a saved backtest, but its figures, of which each run has its own."""
    return {
        "strategies": wb.strategy_engine.load_strategies(ID),
        "signals": wb.strategy_engine.load_strategy_signals(ID),
        "performance": wb.strategy_engine.load_strategy_performance(ID),
        "reports": wb.analytics.load_reports(strategy_id=ID, content=False),
    }


def _runs(wb: Workbench) -> dict[str, set[Any]]:
    """By table, the runs that its rows name; None for a row that names none."""
    return {
        table: set(rows["run_id"].astype(object).where(rows["run_id"].notna(), None))
        for table, rows in _rows(wb).items()
        if len(rows)
    }


@only_18
def test_all_rows_of_a_save_name_the_run_that_saved_them_last(
    wb: Workbench, bars: pd.DataFrame, kernel: Kernels, admin: Connection
) -> None:
    first, by_hand = kernel()
    by_hand.save_backtest(_breakout(bars, 60), strategy_id=ID, bars=bars)
    before = wb.strategy_engine.load_strategy_signals(ID)
    second, scheduled = kernel()
    changed = scheduled.save_backtest(_breakout(bars, 80), strategy_id=ID, bars=bars)
    after = wb.strategy_engine.load_strategy_signals(ID)
    stayed = set(before["signal_id"]) & set(after["signal_id"])
    assert stayed, "or there is nothing to be named anew"
    assert len(stayed) + changed["strategy_signals"] >= len(after) > changed["strategy_signals"]
    assert _runs(wb) == {table: {second} for table in ("strategies", "signals", "performance", "reports")}
    pd.testing.assert_frame_equal(wb.strategy_engine.load_strategy_signals(ID, run_id=second), after)
    assert wb.strategy_engine.load_strategy_signals(run_id=first).empty
    assert wb.strategy_engine.load_strategies(run_id=second)["strategy_id"].tolist() == [ID]
    # Figures are kept by run: those of a run are whole, and another run's stay its own.
    counts = {run: len(wb.analytics.load_performance_metrics(ID, run_id=run)) for run in (first, second)}
    assert counts == dict.fromkeys((first, second), len(_breakout(bars, 60).metrics))


def test_the_same_save_by_another_run_names_it_and_is_otherwise_no_news(
    wb: Workbench, bars: pd.DataFrame, kernel: Kernels, admin: Connection
) -> None:
    """Nothing of it counts as changed, is announced, or looks younger than it is."""
    _, by_hand = kernel()
    by_hand.save_backtest(_breakout(bars, 60), strategy_id=ID, report=False)
    before = _rows(wb)
    told = _written(admin)
    second, scheduled = kernel()
    changed = scheduled.save_backtest(_breakout(bars, 60), strategy_id=ID, report=False)
    figures = changed.pop("performance_metrics")
    assert set(changed.values()) == {0}
    assert figures == len(_breakout(bars, 60).metrics)
    assert {table for table, _ in _written(admin) - told} == {"analytics.performance_metrics"}
    for table, rows in _rows(wb).items():
        pd.testing.assert_frame_equal(rows.drop(columns="run_id"), before[table].drop(columns="run_id"))
        assert rows["run_id"].eq(second).all()


@only_18
def test_saved_outside_of_any_run_no_row_names_one(
    wb: Workbench, bars: pd.DataFrame, kernel: Kernels
) -> None:
    _, by_hand = kernel()
    by_hand.save_backtest(_breakout(bars, 60), strategy_id=ID, bars=bars)
    figures = wb.save_backtest(_breakout(bars, 60), strategy_id=ID, bars=bars)["performance_metrics"]
    assert _runs(wb) == {table: {None} for table in ("strategies", "signals", "performance", "reports")}
    assert wb.analytics.load_performance_metrics(ID)["run_id"].isna().sum() == figures


@only_18
def test_a_run_that_has_ended_takes_no_row_over(wb: Workbench, bars: pd.DataFrame, kernel: Kernels) -> None:
    first, by_hand = kernel()
    by_hand.save_backtest(_breakout(bars, 60), strategy_id=ID, report=False)
    dead, late = kernel()
    wb.runs.finish(uuid.UUID(dead), "crashed")
    with pytest.raises(RunFenced):
        late.save_backtest(_breakout(bars, 60), strategy_id=ID, report=False)
    assert _runs(wb) == {table: {first} for table in ("strategies", "signals", "performance")}


@only_18
def test_a_sweep_and_a_validation_name_the_run_that_saved_them_last(
    wb: Workbench, bars: pd.DataFrame, kernel: Kernels
) -> None:
    aapl = bars.loc[["AAPL"]]
    rules: Any = {"fees": 0.002, "size": VolatilityTarget(0.2)}
    found = wb.sweep(sma_cross, aapl, GRID, progress=False, **rules)
    walked = validate(sma_cross, aapl, GRID, walk_forward(aapl, train=400, test=200), **rules)
    for run_id, workbench in (kernel(), kernel()):
        saved = workbench.save_sweep(found, strategy_id="swept") | workbench.save_validation(walked)
        assert set(
            wb.analytics.load_analytics_cache("sweep/swept")["run_id"].tolist()
            + wb.analytics.load_reports(strategy_id="swept", content=False)["run_id"].tolist()
            + wb.strategy_engine.load_strategies("sma_cross-walk_forward")["run_id"].tolist()
            + wb.strategy_engine.load_strategy_performance("sma_cross-walk_forward")["run_id"].tolist()
        ) == {run_id}
    assert saved["analytics_cache"] == saved["strategies"] == saved["strategy_performance"] == 0
    swept: Any = wb.analytics.load_analytics_cache("sweep/swept")["value"].iloc[0]
    assert rules_from_json(swept["rules"])["size"] == VolatilityTarget(0.2)
    row: Any = wb.strategy_engine.load_strategies("sma_cross-walk_forward").iloc[0]
    again = validate(
        sma_cross, aapl, GRID, walk_forward(aapl, train=400, test=200), **rules_from_json(row["rules"])
    )
    pd.testing.assert_series_equal(again.returns, walked.returns)
    assert row["inputs"]["symbols"] == ["AAPL"]


@only_18
def test_of_two_saves_at_once_all_rows_are_of_one(wb: Workbench, bars: pd.DataFrame, kernel: Kernels) -> None:
    results = [_breakout(bars, 60), _breakout(bars, 80)]
    kernels = [kernel(), kernel()]
    barrier = threading.Barrier(2)

    def save(place: int) -> None:
        barrier.wait(60)
        kernels[place][1].save_backtest(results[place], strategy_id=ID, report=False)

    for _ in range(3):
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(save, range(2)))
        (named,) = {run for runs in _runs(wb).values() for run in runs}
        last = results[[run_id for run_id, _ in kernels].index(str(named))]
        stored = wb.strategy_engine.load_strategy_signals(ID)
        assert stored["timestamp"].tolist() == last.signals(pending=True)["timestamp"].tolist()


@only_18
def test_a_save_that_breaks_off_in_the_middle_leaves_all_rows_to_the_run_before(
    wb: Workbench, bars: pd.DataFrame, kernel: Kernels, admin: Connection, database_url: str
) -> None:
    first, by_hand = kernel()
    by_hand.save_backtest(_breakout(bars, 60), strategy_id=ID, report=False)
    before = _rows(wb)
    _, scheduled = kernel()
    with ThreadPoolExecutor(1) as threads, psycopg.connect(database_url) as holder:
        holder.execute("LOCK TABLE strategy_engine.strategy_performance IN SHARE ROW EXCLUSIVE MODE")
        saving = threads.submit(scheduled.save_backtest, _breakout(bars, 80), strategy_id=ID, report=False)
        waits = "SELECT pid FROM pg_locks WHERE NOT granted AND relation IS NOT NULL"
        ((pid,),) = wait_for(lambda: admin.execute(waits).fetchall(), "the save waits for its third table")
        admin.execute("SELECT pg_terminate_backend(%s)", (pid,))
        with pytest.raises(WorkbenchError, match="went away"):
            saving.result(60)
    for table, rows in _rows(wb).items():
        pd.testing.assert_frame_equal(rows, before[table])
    scheduled.save_backtest(_breakout(bars, 80), strategy_id=ID, report=False)
    assert first not in {run for runs in _runs(wb).values() for run in runs}


def test_the_decision_of_the_newest_bar_is_stored_until_the_next_save_knows_more(
    wb: Workbench, bars: pd.DataFrame
) -> None:
    load = wb.strategy_engine.load_strategy_signals
    aapl = bars.loc[["AAPL"]]
    whole = _breakout(aapl, 60)
    decided = whole.orders["signal_time"].iloc[2]
    times = aapl.index.get_level_values("timestamp")
    today, tomorrow = (_breakout(aapl[times <= day], 60) for day in (decided, times[times > decided][0]))

    assert wb.save_backtest(today, strategy_id=ID, report=False)["strategy_signals"] == 3
    left = load(ID, pending=True)
    (waiting,) = left.to_dict("records")
    assert (waiting["timestamp"], waiting["signal"]) == (decided, today.pending["signal"].iloc[0])
    filled = load(ID, pending=False)
    assert filled["timestamp"].tolist() == today.signals()["timestamp"].tolist()
    assert len(load(ID)) == len(filled) + 1

    # The bar came: the decision has been filled.
    assert wb.save_backtest(tomorrow, strategy_id=ID, report=False)["strategy_signals"] == 1
    assert load(ID, pending=True).empty
    pd.testing.assert_frame_equal(load(ID, start=decided), left.assign(pending=False))

    # Bars were corrected, and it was never decided.
    wb.save_backtest(today, strategy_id=ID, report=False)
    assert len(load(ID, pending=True)) == 1
    wb.save_backtest(_breakout(aapl[times < decided], 60), strategy_id=ID, report=False)
    assert load(ID, start=decided).empty


@only_18
def test_a_backtest_is_made_again_from_its_stored_row(
    wb: Workbench, bars: pd.DataFrame, kernel: Kernels
) -> None:
    """Strategy, parameters and rules from the row, the source and its revision from the run's record."""
    run_id, by_hand = kernel()
    read = by_hand.data_ingestion.load_market_data(
        ["AAPL", "IBM"], start="2008-06-02", end="2012-06-01", source="yahoo_adjusted"
    )
    result = backtest(
        read, donchian_breakout, parameters={"entry": 40},
        size=VolatilityTarget(0.15, window=30, max_fraction=0.8), fees=0.0007, fixed_fees=1.5,
        slippage=0.0003, cash=54_321.5, cash_sharing=True, fill="next_close", trailing_stop=0.12,
        take_profit=0.5, whole_units=True, periods_per_year=250,
    )  # fmt: skip
    # What is told for people does not replace what it was run with.
    by_hand.save_backtest(result, strategy_id=ID, report=False, parameters={"note": "with care"})

    row: Any = wb.strategy_engine.load_strategies(ID).iloc[0]
    assert (row["run_id"], row["parameters"]) == (run_id, {"note": "with care"})
    inputs = row["inputs"]
    revisions = wb.runs.show(row["run_id"])["data_revisions"]
    (source,) = {series.split("/")[0] for series in revisions}
    now = wb.data_ingestion.load_ingestion_status(inputs["symbols"], source=source)
    assert dict(zip(now["symbol"], now["revision"], strict=True)) == {
        symbol: revisions[f"{source}/{symbol}"] for symbol in inputs["symbols"]
    }
    end = pd.Timestamp(inputs["last_bar"]) + pd.Timedelta("1us")
    loaded = wb.data_ingestion.load_market_data(inputs["symbols"], inputs["first_bar"], end, source=source)
    again = backtest(
        loaded, LIBRARY[inputs["strategy"]], parameters=inputs["parameters"], **rules_from_json(row["rules"])
    )
    assert again.execution == result.execution
    assert len(again.equity) == inputs["n_bars"]
    pd.testing.assert_series_equal(again.equity, result.equity)
    pd.testing.assert_frame_equal(again.signals(pending=True), result.signals(pending=True))
    stored = wb.strategy_engine.load_strategy_signals(ID)
    pd.testing.assert_frame_equal(
        stored[["symbol", "timestamp", "signal", "strength"]].sort_values(["timestamp", "symbol"]),
        again.signals(pending=True), check_dtype=False,
    )  # fmt: skip


def _written(admin: Connection) -> set[tuple[str, int]]:
    """By table, how many writes have been announced."""
    rows = admin.execute(
        "SELECT data ->> 'table', count(*) FROM workbench.events WHERE type LIKE '%.written' GROUP BY 1"
    ).fetchall()
    return {(str(table), int(count)) for table, count in rows}


@only_18
def test_a_size_that_is_a_frame_is_stored_by_what_it_is_known_by(wb: Workbench, bars: pd.DataFrame) -> None:
    close = bars["close"].unstack("symbol")
    size = Percent((0.1 / close.pct_change().rolling(20).std() / 16).clip(0, 1))
    result = backtest(bars, donchian_breakout, size=size)
    wb.save_backtest(result, strategy_id=ID, report=False)
    rules: Any = wb.strategy_engine.load_strategies(ID)["rules"].iloc[0]
    stored = rules["size"]
    assert stored["kind"] == "Percent"
    assert stored["per_bar"]["sha256"] == size.sha256
    with pytest.raises(WorkbenchError, match="only a fingerprint is kept"):
        rules_from_json({"size": stored})
