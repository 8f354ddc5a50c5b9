"""Signals that get their ids, and a backtest that is written in one transaction."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from tests.integration.services.rows import ROWS
from workbench import Workbench
from workbench.errors import ValueRefused

SIGNALS = (
    ROWS["strategy_engine.strategy_signals"].drop(columns=["signal_id", "pending"]).assign(strategy_id="sma")
)
PERFORMANCE = ROWS["strategy_engine.strategy_performance"].assign(strategy_id="sma")


@pytest.fixture
def engine(wb: Workbench) -> Any:
    """The service, with one strategy in it."""
    wb.strategy_engine.write_strategies(
        pd.DataFrame({"strategy_id": ["sma"], "name": ["Crossing averages"], "parameters": [{"fast": 20}]})
    )
    return wb.strategy_engine


def test_signals_without_an_id_get_the_same_one_each_time(engine: Any) -> None:
    assert engine.write_strategy_signals(SIGNALS).inserted == 3
    assert engine.write_strategy_signals(SIGNALS).unchanged == 3
    assert engine.write_strategy_signals(SIGNALS.assign(strength=0.5)).updated == 3
    indexed = SIGNALS.assign(strength=0.5).set_index(["symbol", "timestamp"])
    assert engine.write_strategy_signals(indexed).unchanged == 3


def _backtest(**changes: Any) -> dict[str, Any]:
    facts = {
        "strategy_id": "sma",
        "name": "SMA",
        "parameters": {"fast": 20},
        "status": "inactive",
        "signals": SIGNALS.drop(columns="strategy_id"),
        "performance": PERFORMANCE.drop(columns="strategy_id"),
    }
    return facts | changes


def test_a_backtest_written_again_replaces_what_it_no_longer_has(engine: Any) -> None:
    written = engine.write_backtest(**_backtest())
    assert {table: rows.changed for table, rows in written.items()} == {
        "strategies": 1,
        "strategy_signals": 3,
        "strategy_performance": 2,
    }
    engine.write_strategies(pd.DataFrame({"strategy_id": ["other"], "name": ["O"]}))
    engine.write_strategy_signals(SIGNALS.assign(strategy_id="other"))
    fewer = _backtest()
    fewer |= {"signals": fewer["signals"].iloc[:1], "performance": fewer["performance"].iloc[1:]}
    engine.write_backtest(**fewer)
    assert engine.load_strategy_signals("sma")["signal"].tolist() == ["buy"]
    assert engine.load_strategy_performance("sma")["returns"].tolist() == [-0.02]
    assert len(engine.load_strategy_signals("other")) == 3


def test_a_backtest_without_signals_leaves_none(engine: Any) -> None:
    engine.write_backtest(**_backtest())
    nothing = _backtest()
    nothing |= {"signals": nothing["signals"].iloc[:0], "performance": nothing["performance"].iloc[:0]}
    engine.write_backtest(**nothing)
    assert engine.load_strategy_signals("sma").empty
    assert engine.load_strategy_performance("sma").empty


def test_a_backtest_is_written_whole_or_not_at_all(engine: Any) -> None:
    engine.write_backtest(**_backtest())
    bad = PERFORMANCE.drop(columns="strategy_id").assign(returns=[0.5, float("nan")])
    with pytest.raises(ValueRefused, match=r"strategy_performance.returns: row 1"):
        engine.write_backtest(**_backtest(name="New", signals=SIGNALS.iloc[:1, 1:], performance=bad))
    assert engine.load_strategies("sma")["name"].tolist() == ["SMA"]
    assert len(engine.load_strategy_signals("sma")) == 3
    assert engine.load_strategy_performance("sma")["returns"].tolist() == [-0.02, 0.01]
