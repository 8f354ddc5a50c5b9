"""What the tables' CHECK constraints demand, in words and on frames; the constraints are in `sql/`.

Frames are checked before anything is written, so that a refusal can name the rows; the database checks
again, whoever writes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RULES", "Rule", "rules_of"]

Holds = Callable[["pd.DataFrame"], "pd.Series[bool]"]
"""Whether each row keeps the rule; a comparison with a missing value counts as kept, as in SQL."""


@dataclass(frozen=True)
class Rule:
    """One CHECK constraint.

    Attributes
    ----------
    table : str
        The table's full name.
    columns : tuple of str
        What the rule looks at; the first one is named when it is broken.
    sentence : str
        What it demands, for people.
    holds : callable
        The same, on a frame that has those columns.
    """

    table: str
    columns: tuple[str, ...]
    sentence: str
    holds: Holds


def _one_of(table: str, column: str, *choices: str) -> Rule:
    def holds(frame: pd.DataFrame) -> pd.Series[bool]:
        return frame[column].isin(choices) | frame[column].isna()

    listed = f"{', '.join(choices[:-1])} or {choices[-1]}"
    return Rule(table, (column,), f"{column} must be {listed}", holds)


def _prices_in_order(frame: pd.DataFrame) -> pd.Series[bool]:
    prices = frame[["low", "open", "close", "high"]].astype("float64")
    # Written so that a missing price breaks nothing: whether it may be missing is another question.
    outside = (prices["open"] < prices["low"]) | (prices["open"] > prices["high"])
    outside |= (prices["close"] < prices["low"]) | (prices["close"] > prices["high"])
    return ~(outside | (prices["low"] <= 0) | (prices["high"] < prices["low"]))


RULES = {
    "runs_trigger_check": _one_of("workbench.runs", "trigger", "interactive", "command", "deployment"),
    "runs_status_check": _one_of("workbench.runs", "status", "running", "completed", "failed", "crashed"),
    "runs_ended_check": Rule(
        "workbench.runs",
        ("ended_at", "status"),
        "a run has an end exactly when it is no longer running",
        lambda frame: (frame["status"] == "running") == frame["ended_at"].isna(),
    ),
    "market_data_source_check": _one_of(
        "data_ingestion.market_data", "data_source", "polygon", "yahoo", "yahoo_adjusted", "alpaca", "file"
    ),
    "market_data_symbol_check": Rule(
        "data_ingestion.market_data",
        ("symbol",),
        "symbol must not be empty",
        lambda frame: frame["symbol"] != "",
    ),
    "market_data_prices_check": Rule(
        "data_ingestion.market_data",
        ("low", "open", "high", "close"),
        "prices must be above zero, with open and close between low and high",
        _prices_in_order,
    ),
    "market_data_volume_check": Rule(
        "data_ingestion.market_data",
        ("volume",),
        "volume must be finite and not below zero",
        lambda frame: ~(frame["volume"].astype("float64") < 0),
    ),
    "data_quality_logs_severity_check": _one_of(
        "data_ingestion.data_quality_logs", "severity", "info", "warning", "error"
    ),
    "strategies_status_check": _one_of(
        "strategy_engine.strategies", "status", "active", "inactive", "paused"
    ),
    "strategy_signals_signal_check": _one_of(
        "strategy_engine.strategy_signals", "signal", "buy", "sell", "hold"
    ),
    "strategy_signals_strength_check": Rule(
        "strategy_engine.strategy_signals",
        ("strength",),
        "strength must lie between 0 and 1",
        lambda frame: frame["strength"].astype("float64").between(0, 1) | frame["strength"].isna(),
    ),
    "strategy_configs_version_check": Rule(
        "strategy_engine.strategy_configs",
        ("version",),
        "version must be 1 or more",
        lambda frame: ~(frame["version"].astype("float64") < 1),
    ),
    "system_logs_level_check": _one_of(
        "logging.system_logs", "level", "debug", "info", "warning", "error", "critical"
    ),
    "trading_logs_side_check": _one_of("logging.trading_logs", "side", "buy", "sell"),
}
"""Constraint name to rule; a test proves that every CHECK of the database stands here."""


def rules_of(table: str) -> list[Rule]:
    """The rules of one table, by its full name."""
    return [rule for rule in RULES.values() if rule.table == table]
