"""A live run says one row for each symbol and slot, of the newest complete bar and of no other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.conftest import Connection
from tests.integration.live.conftest import DEPLOYMENT, Kernel, bars_of, rising, say, slot
from workbench import Workbench
from workbench.backtest import Signals, Weights, backtest
from workbench.errors import SaveRefused, WriteRefused
from workbench.strategies import sma_cross
from workbench.sweep import sweep

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

RISES = {"AAPL": [100.0, 101.0, 102.0], "IBM": [50.0, 51.0, 49.0], "MSFT": [30.0, 30.0, 30.0]}


def told(wb: Workbench) -> list[tuple[Any, ...]]:
    rows = wb.strategy_engine.load_strategy_signals(kind="live")
    days = rows["timestamp"].dt.strftime("%m-%d")
    columns = (rows["symbol"], days, rows["signal"], rows["strength"], rows["target"].round(9))
    return list(zip(*columns, strict=True))


def test_each_symbol_has_a_row_with_signal_strength_target_and_provenance(
    wb: Workbench, kernel: Kernel, admin: Connection
) -> None:
    before = pd.Timestamp.now("UTC")
    run = kernel("2026-11-25", version_sha256="a" * 64)
    written = say(run, bars_of(RISES))
    # AAPL is held since Wednesday's open; IBM was bought at 49 and is to be left; MSFT never moved.
    assert told(wb) == [
        ("AAPL", "11-25", "hold", 0.0, pytest.approx(1 / 3, abs=1e-3)),
        ("IBM", "11-25", "sell", 1.0, 0.0),
        ("MSFT", "11-25", "hold", 0.0, 0.0),
    ]
    rows = wb.strategy_engine.load_strategy_signals(deployment=DEPLOYMENT, slot="2026-11-25 22:00")
    assert len(rows) == 3
    assert set(rows["kind"]) == {"live"}
    assert rows["run_id"].tolist() == [str(run.run_id)] * 3
    assert set(rows["version"]) == {"a" * 64}
    assert (rows["slot"] == slot("2026-11-25")).all()
    assert rows["said_at"].between(before - pd.Timedelta(minutes=5), before + pd.Timedelta(minutes=5)).all()
    assert rows["reason"].isna().all()
    assert rows["signal_id"].iloc[0] == f"live/{DEPLOYMENT}/2026-11-25T22:00:00+00:00/AAPL"
    backtests = wb.strategy_engine.load_strategy_signals("rising")
    assert written["strategy_signals"] == 3 + len(backtests)
    assert set(backtests["kind"]) == {"backtest"}
    assert backtests["pending"].sum() == 1
    events = admin.execute("SELECT data FROM workbench.events WHERE type = 'signals.said'").fetchall()
    assert [event["symbols"] for (event,) in events] == [["AAPL", "IBM", "MSFT"]]
    assert events[0][0]["deployment"] == DEPLOYMENT
    assert pd.Timestamp(events[0][0]["slot"]) == slot("2026-11-25")


def test_the_newest_bar_alone_gets_a_row_after_nights_that_were_missed(wb: Workbench, kernel: Kernel) -> None:
    bars = bars_of({"AAPL": [100.0, 101.0, 102.0, 99.0, 103.0]})
    say(kernel("2026-11-24"), bars.iloc[:2])
    say(kernel("2026-11-27"), bars)
    assert [(signal, day) for _, day, signal, *_ in told(wb)] == [("buy", "11-24"), ("buy", "11-27")]


def test_a_slot_without_a_new_bar_says_hold_and_why(wb: Workbench, kernel: Kernel) -> None:
    bars = bars_of({"AAPL": [100.0, 101.0], "IBM": [50.0, 51.0]})
    say(kernel("2026-11-24"), bars)
    more = pd.concat([bars, bars_of({"IBM": [49.0]}, "2026-11-25")]).sort_index()
    for day in ("2026-11-25", "2026-11-26"):
        say(kernel(day), more)
    rows = wb.strategy_engine.load_strategy_signals(deployment=DEPLOYMENT, symbols="AAPL")
    assert rows["signal"].tolist() == ["buy", "hold", "hold"]
    assert rows["strength"].tolist() == [1.0, 0.0, 0.0]
    why = (
        "no new bar since 2026-11-24: the newest complete one was said about in the slot 2026-11-24 22:00 UTC"
    )
    assert rows["reason"].tolist()[1:] == [why, why]
    rows = wb.strategy_engine.load_strategy_signals(deployment=DEPLOYMENT, symbols="IBM")
    assert rows["signal"].tolist() == ["buy", "sell", "hold"]
    assert rows["reason"].tolist()[2].endswith("in the slot 2026-11-25 22:00 UTC")


def test_a_symbol_without_any_bar_says_hold_and_why(wb: Workbench, kernel: Kernel) -> None:
    say(kernel("2026-11-24"), bars_of({"AAPL": [100.0, 101.0]}), parameters={"symbols": ["NEW", "AAPL"]})
    rows = wb.strategy_engine.load_strategy_signals(deployment=DEPLOYMENT)
    assert rows["symbol"].tolist() == ["AAPL", "NEW"]
    assert rows["signal"].tolist() == ["buy", "hold"]
    assert rows["timestamp"].isna().tolist() == [False, True]
    assert rows["reason"].tolist()[1] == "no bar: there was none that was complete at the slot"


def test_weights_are_said_as_targets(wb: Workbench, kernel: Kernel) -> None:
    bars = bars_of({"AAPL": [100.0, 101.0], "IBM": [50.0, 51.0], "MSFT": [30.0, 31.0]})
    times = bars.index.get_level_values("timestamp").unique()
    weights = pd.DataFrame({"AAPL": [0.5, 0.25], "IBM": [0.0, -0.3], "MSFT": [np.nan, np.nan]}, index=times)
    kernel("2026-11-24").save(backtest(bars, Weights(weights)), strategy_id="weighted", report=False)
    assert told(wb) == [
        ("AAPL", "11-24", "sell", 0.25, 0.25),
        ("IBM", "11-24", "sell", 0.3, -0.3),
        ("MSFT", "11-24", "hold", 0.0, 0.0),
    ]


def test_the_same_again_is_nothing_new_and_something_else_is_refused(wb: Workbench, kernel: Kernel) -> None:
    bars = bars_of(RISES)
    run = kernel("2026-11-25")
    say(run, bars, end="")
    before = told(wb)
    assert say(run, bars, end="")["strategy_signals"] == 0
    words = (
        "this run has said something else of AAPL for the slot 2026-11-25 22:00 UTC, when it saved "
        '"rising"; one run says one thing of a symbol: save one of the two results with live=False'
    )
    other = backtest(bars, Signals(bars["close"] < 1.0, bars["close"] > 1.0))
    with pytest.raises(SaveRefused, match=words):
        run.save(other, strategy_id="rising", bars=bars, report=False)
    with pytest.raises(SaveRefused, match=words):
        run.save(rising(bars), strategy_id="another", bars=bars, report=False)
    assert wb.strategy_engine.load_strategies("another").empty, "nothing of a refused save is stored"
    run.save(other, strategy_id="another", bars=bars, report=False, live=False)
    assert told(wb) == before
    assert len(wb.strategy_engine.load_strategies("another")) == 1


def test_only_live_runs_say_and_only_of_backtests(wb: Workbench, kernel: Kernel) -> None:
    bars = bars_of(RISES)
    wb.save(rising(bars), strategy_id="rising", report=False)
    for purpose in ("rehearsal", "shadow", "backfill", "rerun"):
        say(kernel("2026-11-25", purpose=purpose), bars)
    run = kernel("2026-11-25")
    long = bars_of({"AAPL": [100.0 + day % 7 for day in range(60)]}, "2026-09-01")
    run.save(sweep(sma_cross, long, {"fast": [2, 3], "slow": [5, 8]}), report=False)
    with pytest.raises(SaveRefused, match="the save of a sweep takes no live="):
        run.save(sweep(sma_cross, long, {"fast": [2, 3], "slow": [5, 8]}), live=False)
    assert told(wb) == []


def test_a_bar_after_the_slot_is_refused(wb: Workbench, kernel: Kernel) -> None:
    with pytest.raises(
        SaveRefused, match="newest bar of AAPL, 2026-11-25, lies after the slot 2026-11-24 22:00"
    ):
        say(kernel("2026-11-24"), bars_of(RISES), end="")
    assert wb.strategy_engine.load_strategies().empty


def test_each_kind_is_replaced_and_loaded_by_itself(wb: Workbench, kernel: Kernel) -> None:
    bars = bars_of({"AAPL": [100.0, 101.0, 99.0, 103.0, 102.0]})
    for count, day in ((2, "2026-11-24"), (3, "2026-11-25"), (4, "2026-11-26")):
        part = bars.iloc[:count]
        say(kernel(day), part)
    before = wb.strategy_engine.load_strategy_signals(kind="live")
    days = wb.strategy_engine.load_strategy_performance(kind="live")
    # A save by hand, of another history: what live runs said stays.
    wb.save(rising(bars_of({"AAPL": [10.0, 9.0]}, "2020-01-06")), strategy_id="rising", report=False)
    assert wb.strategy_engine.load_strategy_signals().empty
    assert len(wb.strategy_engine.load_strategy_performance()) == 2
    pd.testing.assert_frame_equal(wb.strategy_engine.load_strategy_signals(kind="live"), before)
    pd.testing.assert_frame_equal(wb.strategy_engine.load_strategy_performance(kind="live"), days)
    assert len(before) == 3
    load = wb.strategy_engine.load_strategy_signals
    assert len(load(slot="2026-11-25 22:00")) == 1
    assert load(slot="2026-11-25").empty
    assert load(deployment="other").empty
    assert len(load(kind=["live", "backtest"])) == 3


def test_a_frame_of_live_rows_is_refused_with_a_sentence(wb: Workbench, kernel: Kernel) -> None:
    say(kernel("2026-11-25"), bars_of(RISES))
    rows = wb.strategy_engine.load_strategy_signals(kind="live").drop(columns=["id"])
    with pytest.raises(WriteRefused, match="only a live run says live rows, when it saves a result"):
        wb.strategy_engine.write_strategy_signals(rows)
    day = pd.DataFrame({"strategy_id": ["rising"], "date": ["2026-11-25"], "returns": [0.5], "kind": "live"})
    with pytest.raises(WriteRefused, match="strategy_performance: only a live run says live rows"):
        wb.strategy_engine.write_strategy_performance(day.assign(deployment=DEPLOYMENT))
