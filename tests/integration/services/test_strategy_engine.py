"""Strategies, signals, configurations, performance: round trips, and a backtest as one transaction."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from workbench import Workbench
from workbench.errors import FrameRefused, MissingReference, QueryError, ValueRefused

SIGNALS = pd.DataFrame(
    {
        "strategy_id": "sma",
        "symbol": ["AAPL", "AAPL", "IBM"],
        "timestamp": pd.to_datetime(["2024-01-02", "2024-01-05", "2024-01-03"], utc=True),
        "signal": ["buy", "sell", "hold"],
        "strength": [1.0, 0.25, 0.0],
    }
)
PERFORMANCE = pd.DataFrame(
    {
        "strategy_id": "sma",
        "date": pd.to_datetime(["2024-01-02", "2024-01-03"]),
        "returns": [0.01, -0.02],
        "sharpe_ratio": [None, -1.5],
        "max_drawdown": [0.0, -0.02],
        "total_trades": pd.array([None, 1], dtype="Int64"),
        "win_rate": [float("nan"), 0.0],
    }
)


@pytest.fixture
def engine(wb: Workbench) -> Any:
    """The service, with one strategy in it."""
    wb.strategy_engine.write_strategies(
        pd.DataFrame({"strategy_id": ["sma"], "name": ["Crossing averages"], "parameters": [{"fast": 20}]})
    )
    return wb.strategy_engine


def test_strategies_come_back(engine: Any) -> None:
    (row,) = engine.load_strategies("sma").to_dict("records")
    assert (row["name"], row["parameters"], row["status"]) == (
        "Crossing averages",
        {"fast": 20},
        "inactive",
    )
    assert engine.load_strategies(status="active").empty


def test_a_strategys_status_can_be_switched_by_its_id_and_an_unknown_id_is_refused(engine: Any) -> None:
    switched = pd.DataFrame({"strategy_id": ["sma"], "status": ["active"]})
    assert engine.write_strategies(switched).updated == 1
    assert engine.load_strategies(status="active")["name"].tolist() == ["Crossing averages"]
    with pytest.raises(FrameRefused, match=r"needs the column 'name'.*strategy_id=other"):
        engine.write_strategies(pd.concat([switched, switched.assign(strategy_id="other")]))


def test_signals_come_back_oldest_first_and_by_filter(engine: Any) -> None:
    assert engine.write_strategy_signals(SIGNALS).inserted == 3
    loaded = engine.load_strategy_signals("sma")
    expected = SIGNALS.sort_values("timestamp", ignore_index=True)
    pd.testing.assert_frame_equal(
        loaded[list(SIGNALS.columns)], expected, check_dtype=False, check_column_type=False
    )
    assert engine.load_strategy_signals("sma", "IBM")["signal"].tolist() == ["hold"]
    assert len(engine.load_strategy_signals("sma", start="2024-01-03", end="2024-01-05")) == 1
    assert engine.load_strategy_signals(latest=1)["signal"].tolist() == ["sell"]
    assert engine.load_strategy_signals("other").empty
    with pytest.raises(QueryError, match="latest=0: ask for at least one row"):
        engine.load_strategy_signals(latest=0)
    with pytest.raises(QueryError, match=r"run_id='x' is not a run's id; see wb.runs.list\(\)"):
        engine.load_strategy_signals(run_id="x")


def test_signals_without_an_id_get_the_same_one_each_time(engine: Any) -> None:
    assert engine.write_strategy_signals(SIGNALS).inserted == 3
    assert engine.write_strategy_signals(SIGNALS).unchanged == 3
    assert engine.write_strategy_signals(SIGNALS.assign(strength=0.5)).updated == 3
    indexed = SIGNALS.assign(strength=0.5).set_index(["symbol", "timestamp"])
    assert engine.write_strategy_signals(indexed).unchanged == 3


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"strength": 1.5}, ValueRefused, "strength must lie between 0 and 1"),
        ({"strength": -0.1}, ValueRefused, "strength must lie between 0 and 1"),
        ({"signal": "foo"}, ValueRefused, "signal must be buy, sell or hold"),
        ({"strategy_id": "ghost"}, MissingReference, "ghost.*write that one first"),
    ],
)
def test_a_signal_that_cannot_be_is_refused_in_one_clear_sentence(
    engine: Any, change: dict[str, Any], kind: type[FrameRefused], said: str
) -> None:
    with pytest.raises(kind, match=f"strategy_engine.strategy_signals: .*{said}") as caught:
        engine.write_strategy_signals(SIGNALS.assign(**change))
    assert "\n" not in str(caught.value)
    assert engine.load_strategy_signals().empty


def test_performance_comes_back(engine: Any) -> None:
    assert engine.write_strategy_performance(PERFORMANCE).inserted == 2
    loaded = engine.load_strategy_performance("sma")
    pd.testing.assert_frame_equal(loaded[list(PERFORMANCE.columns)], PERFORMANCE, check_dtype=False)
    assert engine.load_strategy_performance(start="2024-01-03")["returns"].tolist() == [-0.02]
    assert engine.load_strategy_performance(end="2024-01-03")["returns"].tolist() == [0.01]
    assert engine.write_strategy_performance(PERFORMANCE).unchanged == 2


def test_configurations_come_back(engine: Any) -> None:
    configs = pd.DataFrame(
        {"strategy_id": "sma", "version": [1, 2], "config": [{"a": 1}, {}], "active": [False, True]}
    )
    assert engine.write_strategy_configs(configs).inserted == 2
    assert engine.load_strategy_configs("sma")["config"].tolist() == [{"a": 1}, {}]
    assert engine.load_strategy_configs(active=True)["version"].tolist() == [2]
    with pytest.raises(ValueRefused, match="version must be 1 or more"):
        engine.write_strategy_configs(configs.assign(version=[0, 3]))


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
    assert engine.load_strategy_performance("sma")["returns"].tolist() == [0.01, -0.02]
