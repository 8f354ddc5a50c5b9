"""The tables' CHECK constraints as error texts and as checks of frames; the constraints are in `sql/`.

Frames are checked before anything is written, so that an error can name the rows; the database always
checks again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RULES", "Rule", "rules_of"]

Holds = Callable[["pd.DataFrame"], "pd.Series[bool]"]
"""Whether each row satisfies the rule; a comparison with a missing value counts as satisfied, as in SQL."""


@dataclass(frozen=True)
class Rule:
    """One CHECK constraint.

    Attributes
    ----------
    table : str
        The table's full name.
    columns : tuple of str
        The columns that the rule reads; an error names the first one.
    sentence : str
        The rule as text for an error.
    holds : callable
        The rule as a check of a frame that has those columns.
    """

    table: str
    columns: tuple[str, ...]
    sentence: str
    holds: Holds


def _one_of(table: str, column: str, *choices: str) -> Rule:
    def holds(frame: pd.DataFrame) -> pd.Series[bool]:
        return frame[column].isin(choices) | frame[column].isna()

    return Rule(table, (column,), f"{column} must be {_listed(choices, 'or')}", holds)


def _named(table: str, *columns: str) -> Rule:
    def holds(frame: pd.DataFrame) -> pd.Series[bool]:
        return ~(frame[list(columns)] == "").any(axis=1)

    return Rule(table, columns, f"{_listed(columns, 'and')} must not be empty", holds)


def _hash(table: str, column: str = "sha256") -> Rule:
    return Rule(
        table,
        (column,),
        f"{column} must be 64 hex digits",
        lambda frame: frame[column].isna() | frame[column].str.fullmatch("[0-9a-f]{64}").eq(True),
    )


def _finite(table: str, *columns: str) -> Rule:
    def holds(frame: pd.DataFrame) -> pd.Series[bool]:
        return ~frame[list(columns)].apply(_numbers).abs().eq(float("inf")).any(axis=1)

    return Rule(table, columns, f"{_listed(columns, 'and')} must be finite", holds)


def _above_zero(table: str, column: str) -> Rule:
    return Rule(
        table,
        (column,),
        f"{column} must be above zero and finite",
        lambda frame: ~(_numbers(frame[column]) <= 0),
    )


def _not_below_zero(table: str, column: str) -> Rule:
    return Rule(
        table,
        (column,),
        f"{column} must be finite and not below zero",
        lambda frame: ~(_numbers(frame[column]) < 0),
    )


def _at_least_one(table: str, column: str) -> Rule:
    return Rule(table, (column,), f"{column} must be 1 or more", lambda frame: ~(_numbers(frame[column]) < 1))


def _not_before(table: str, later: str, earlier: str) -> Rule:
    def holds(frame: pd.DataFrame) -> pd.Series[bool]:
        return ~(_moments(frame[later]) < _moments(frame[earlier]))

    return Rule(table, (later, earlier), f"{later} must not lie before {earlier}", holds)


def _listed(words: Sequence[str], joined_by: str) -> str:
    head = f"{', '.join(words[:-1])} {joined_by} " if len(words) > 1 else ""
    return f"{head}{words[-1]}"


def _numbers(values: pd.Series[Any]) -> pd.Series[float]:
    """As float64; a missing value of any dtype becomes NaN, which breaks no rule."""
    import pandas as pd

    return pd.to_numeric(values, errors="coerce").astype("float64")


def _moments(values: pd.Series[Any]) -> pd.Series[Any]:
    """As UTC timestamps; a missing value, or a whole column of them, becomes NaT, which breaks no rule."""
    import pandas as pd

    return pd.to_datetime(values, utc=True)


def _prices_in_order(frame: pd.DataFrame) -> pd.Series[bool]:
    prices = frame[["low", "open", "close", "high"]].astype("float64")
    # A missing price satisfies all of these; NOT NULL is checked elsewhere.
    outside = (prices["open"] < prices["low"]) | (prices["open"] > prices["high"])
    outside |= (prices["close"] < prices["low"]) | (prices["close"] > prices["high"])
    return ~(outside | (prices["low"] <= 0) | (prices["high"] < prices["low"]))


def _live_rows_alone(frame: pd.DataFrame) -> pd.Series[bool]:
    live = frame["kind"] == "live"
    complete = frame[["deployment", "slot", "said_at", "run_id"]].notna().all(axis=1)
    some = frame[["deployment", "version", "slot", "said_at", "target", "reason"]].notna().any(axis=1)
    return (live & complete) | ~(live | some)


RULES = {
    "runs_trigger_check": _one_of(
        "workbench.runs", "trigger", "interactive", "command", "deployment", "retry"
    ),
    "runs_status_check": _one_of(
        "workbench.runs", "status", "running", "completed", "failed", "crashed", "cancelled"
    ),
    "runs_purpose_check": _one_of(
        "workbench.runs", "purpose", "live", "rehearsal", "shadow", "backfill", "rerun"
    ),
    "runs_slot_check": Rule(
        "workbench.runs",
        ("slot", "deployment"),
        "a run for a slot is of a deployment",
        lambda frame: frame["slot"].isna() | frame["deployment"].notna(),
    ),
    "slots_deployment_check": _named("workbench.slots", "deployment"),
    "slots_state_check": _one_of(
        "workbench.slots",
        "state",
        "due",
        "running",
        "completed",
        "failed",
        "missed",
        "skipped",
        "cancelled",
    ),
    "slots_attempts_check": _not_below_zero("workbench.slots", "attempts"),
    "bursts_deployment_check": _named("workbench.bursts", "deployment"),
    "bursts_settle_check": _not_below_zero("workbench.bursts", "settle"),
    "bursts_events_check": _not_below_zero("workbench.bursts", "events"),
    "contents_sha256_check": _hash("workbench.contents"),
    "contents_size_check": _not_below_zero("workbench.contents", "size"),
    "content_parts_part_check": _not_below_zero("workbench.content_parts", "part"),
    "versions_sha256_check": _hash("workbench.versions"),
    "versions_name_check": _named("workbench.versions", "name"),
    "deployment_versions_deployment_check": _named("workbench.deployment_versions", "deployment"),
    "deployment_versions_version_check": _at_least_one("workbench.deployment_versions", "version"),
    "deployment_versions_made_check": _one_of(
        "workbench.deployment_versions", "made", "promoted", "rolled_back", "cut_over"
    ),
    "deployment_versions_content_check": _hash("workbench.deployment_versions", "content"),
    "deployment_versions_lock_sha256_check": _hash("workbench.deployment_versions", "lock_sha256"),
    "deployment_changes_change_check": _one_of(
        "workbench.deployment_changes",
        "change",
        *("used", "paused", "resumed", "retired", "shadowed", "shadow_dropped"),
    ),
    "deployments_kind_check": _one_of("workbench.deployments", "kind", "notebook", "ingest", "sweep"),
    "deployments_state_check": _one_of("workbench.deployments", "state", "active", "paused", "retired"),
    "deployments_shadow_slots_check": _not_below_zero("workbench.deployments", "shadow_slots"),
    "runs_ended_check": Rule(
        "workbench.runs",
        ("ended_at", "status"),
        "a run has an end exactly when it is no longer running",
        lambda frame: (frame["status"] == "running") == frame["ended_at"].isna(),
    ),
    "trials_names_check": _named("workbench.trials", "strategy", "key", "kind"),
    "trials_variants_check": Rule(
        "workbench.trials",
        ("variants", "sharpe_count"),
        "there is at least one variant, and no more Sharpe ratios than variants",
        lambda frame: (
            (frame["variants"] > 0)
            & (frame["sharpe_count"] >= 0)
            & (frame["variants"] >= frame["sharpe_count"])
        ),
    ),
    "trials_period_check": _not_before("workbench.trials", "period_end", "period_start"),
    "market_data_source_check": Rule(
        "data_ingestion.market_data",
        ("data_source",),
        "data_source must be polygon, yahoo, yahoo_adjusted, alpaca or file, or one of them followed by "
        "an underscore and more in lower case, such as polygon_1min",
        lambda frame: (
            frame["data_source"].isna()
            | frame["data_source"]
            .astype("str")
            .str.fullmatch("(?:polygon|yahoo|alpaca|file)(?:_[a-z0-9_]+)?")
        ),
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
    "ingestion_status_calendar_check": _named("data_ingestion.ingestion_status", "calendar"),
    "ingestion_status_interval_check": Rule(
        "data_ingestion.ingestion_status",
        ("bar_interval",),
        'bar_interval must be a whole number of s, min, h, d, w or mo, such as "1d" or "30min"',
        lambda frame: (
            frame["bar_interval"].isna()
            | frame["bar_interval"].astype("str").str.fullmatch("[1-9][0-9]{0,4}(?:s|min|h|d|w|mo)")
        ),
    ),
    "corporate_actions_kind_check": _one_of("data_ingestion.corporate_actions", "kind", "split", "dividend"),
    "corporate_actions_value_check": Rule(
        "data_ingestion.corporate_actions",
        ("value",),
        "value must be above zero and finite",
        lambda frame: ~(frame["value"].astype("float64") <= 0),
    ),
    "series_revisions_kind_check": _one_of(
        "data_ingestion.series_revisions", "kind", "before", "inserted", "updated", "deleted", "truncated"
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
    "strategy_signals_kind_check": _one_of("strategy_engine.strategy_signals", "kind", "backtest", "live"),
    "strategy_signals_bar_check": Rule(
        "strategy_engine.strategy_signals",
        ("timestamp", "kind", "signal", "reason"),
        "a signal is of a bar; only a live hold with its reason may have no timestamp",
        lambda frame: (
            frame["timestamp"].notna()
            | ((frame["kind"] == "live") & (frame["signal"] == "hold") & frame["reason"].notna())
        ),
    ),
    "strategy_signals_target_check": _finite("strategy_engine.strategy_signals", "target"),
    "strategy_signals_live_check": Rule(
        "strategy_engine.strategy_signals",
        ("kind", "deployment", "version", "slot", "said_at", "target", "reason", "run_id"),
        "a live signal, and no other, has a deployment, a slot, a run and the time at which it was said",
        _live_rows_alone,
    ),
    "signal_contradictions_said_check": _one_of(
        "strategy_engine.signal_contradictions", "said_signal", "buy", "sell", "hold"
    ),
    "signal_contradictions_signal_check": _one_of(
        "strategy_engine.signal_contradictions", "signal", "buy", "sell", "hold"
    ),
    "signal_contradictions_cause_check": _one_of(
        "strategy_engine.signal_contradictions",
        "cause",
        "bars_revised",
        "code",
        "parameters",
        "nondeterminism",
    ),
    "strategy_performance_kind_check": _one_of(
        "strategy_engine.strategy_performance", "kind", "backtest", "live"
    ),
    "strategy_performance_live_check": Rule(
        "strategy_engine.strategy_performance",
        ("kind", "deployment"),
        "the live performance, and no other, is of a deployment",
        lambda frame: (frame["kind"] == "live") == frame["deployment"].notna(),
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
    "orders_names_check": _named("execution.orders", "order_id", "account_id", "symbol"),
    "orders_quantity_check": _above_zero("execution.orders", "quantity"),
    "orders_price_check": _finite("execution.orders", "price"),
    "orders_limit_check": Rule(
        "execution.orders",
        ("price", "order_type"),
        "every order but a market order needs a price",
        lambda frame: (frame["order_type"] == "market") | frame["price"].notna(),
    ),
    "trades_names_check": _named("execution.trades", "trade_id", "account_id", "symbol"),
    "trades_quantity_check": _above_zero("execution.trades", "quantity"),
    "trades_amounts_check": _finite("execution.trades", "price", "commission"),
    "positions_names_check": _named("execution.positions", "account_id", "symbol"),
    "positions_quantity_check": _finite("execution.positions", "quantity"),
    "positions_avg_price_check": _finite("execution.positions", "avg_price"),
    "positions_market_value_check": _finite("execution.positions", "market_value"),
    "positions_unrealized_pnl_check": _finite("execution.positions", "unrealized_pnl"),
    "execution_logs_level_check": _one_of(
        "execution.execution_logs", "level", "debug", "info", "warning", "error", "critical"
    ),
    "risk_limits_names_check": _named("risk_management.risk_limits", "limit_id", "metric"),
    "risk_limits_breached_check": _one_of("risk_management.risk_limits", "breached", "above", "below"),
    "risk_limits_threshold_check": _finite("risk_management.risk_limits", "threshold"),
    "risk_limits_action_check": _one_of(
        "risk_management.risk_limits", "action", "alert", "block", "reduce", "halt"
    ),
    "risk_limits_status_check": _one_of(
        "risk_management.risk_limits", "status", "active", "inactive", "paused"
    ),
    "risk_events_names_check": _named("risk_management.risk_events", "event_id", "metric"),
    "risk_events_severity_check": _one_of(
        "risk_management.risk_events", "severity", "info", "warning", "error", "critical"
    ),
    "risk_events_resolved_check": _not_before("risk_management.risk_events", "resolved_at", "timestamp"),
    "position_limits_names_check": _named("risk_management.position_limits", "account_id", "symbol"),
    "position_limits_max_quantity_check": _not_below_zero("risk_management.position_limits", "max_quantity"),
    "position_limits_max_notional_check": _not_below_zero("risk_management.position_limits", "max_notional"),
    "position_limits_max_weight_check": _not_below_zero("risk_management.position_limits", "max_weight"),
    "position_limits_any_check": Rule(
        "risk_management.position_limits",
        ("max_quantity", "max_notional", "max_weight"),
        "a position limit needs a max_quantity, a max_notional or a max_weight",
        lambda frame: frame[["max_quantity", "max_notional", "max_weight"]].notna().any(axis=1),
    ),
    "position_limits_status_check": _one_of(
        "risk_management.position_limits", "status", "active", "inactive", "paused"
    ),
    "performance_metrics_names_check": _named("analytics.performance_metrics", "strategy", "metric"),
    "performance_metrics_period_check": _not_before(
        "analytics.performance_metrics", "period_end", "period_start"
    ),
    "reports_names_check": _named("analytics.reports", "report_id", "kind", "format"),
    "reports_content_check": Rule(
        "analytics.reports",
        ("content", "file"),
        "a report has either content (text) or a file (bytes)",
        lambda frame: frame["content"].notna() != frame["file"].notna(),
    ),
    "analytics_cache_key_check": _named("analytics.analytics_cache", "cache_key"),
    "alert_configs_names_check": _named(
        "notification.alert_configs", "alert_id", "event_type", "channel", "target"
    ),
    "alert_configs_severity_check": _one_of(
        "notification.alert_configs", "severity", "info", "warning", "error", "critical"
    ),
    "alert_configs_cooldown_check": _not_below_zero("notification.alert_configs", "cooldown_seconds"),
    "notification_logs_status_check": _one_of(
        "notification.notification_logs", "status", "sent", "failed", "suppressed"
    ),
}
"""Constraint name to rule; a test checks that every CHECK of the database is listed."""


def rules_of(table: str) -> list[Rule]:
    """The rules of one table, by its full name."""
    return [rule for rule in RULES.values() if rule.table == table]
