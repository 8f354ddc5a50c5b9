"""Schema `strategy_engine`: strategies, their configurations, signals, contradictions and performance."""

from __future__ import annotations

import sqlalchemy as sa

from workbench.tables.types import JSON, METADATA, TIMESTAMP, created_at, identity, run_id

__all__ = [
    "signal_contradictions",
    "strategies",
    "strategy_configs",
    "strategy_performance",
    "strategy_signals",
]

SCHEMA = "strategy_engine"


def _strategy_id() -> sa.Column[str]:
    return sa.Column(
        "strategy_id", sa.Text, sa.ForeignKey("strategy_engine.strategies.strategy_id"), nullable=False
    )


strategies = sa.Table(
    "strategies",
    METADATA,
    identity(),
    sa.Column("strategy_id", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("parameters", JSON, nullable=False, server_default="{}"),
    sa.Column("status", sa.Text, nullable=False, server_default="inactive"),
    created_at(),
    sa.Column("updated_at", TIMESTAMP, nullable=False, server_default=sa.func.now()),
    sa.Column("rules", JSON, nullable=False, server_default="{}"),
    sa.Column("inputs", JSON, nullable=False, server_default="{}"),
    run_id(),
    schema=SCHEMA,
)

strategy_signals = sa.Table(
    "strategy_signals",
    METADATA,
    identity(),
    sa.Column("signal_id", sa.Text, nullable=False, unique=True),
    _strategy_id(),
    sa.Column("symbol", sa.Text, nullable=False),
    sa.Column("timestamp", TIMESTAMP),
    sa.Column("signal", sa.Text, nullable=False),
    sa.Column("strength", sa.Double, nullable=False, server_default="1"),
    run_id(),
    created_at(),
    sa.Column("pending", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("kind", sa.Text, nullable=False, server_default="backtest"),
    sa.Column("deployment", sa.Text),
    sa.Column("version", sa.Text),
    sa.Column("slot", TIMESTAMP),
    sa.Column("member", sa.Text, nullable=False, server_default=""),
    sa.Column("said_at", TIMESTAMP),
    sa.Column("target", sa.Double),
    sa.Column("reason", sa.Text),
    sa.Index("strategy_signals_strategy_idx", "strategy_id", "symbol", "timestamp"),
    sa.Index("strategy_signals_pending_idx", "strategy_id", "symbol", postgresql_where=sa.text("pending")),
    sa.Index(
        "strategy_signals_live_key",
        "deployment",
        "slot",
        "member",
        "symbol",
        unique=True,
        postgresql_where=sa.text("kind = 'live'"),
    ),
    schema=SCHEMA,
)

signal_contradictions = sa.Table(
    "signal_contradictions",
    METADATA,
    identity(),
    sa.Column("deployment", sa.Text, nullable=False),
    sa.Column("slot", TIMESTAMP, nullable=False),
    sa.Column("member", sa.Text, nullable=False, server_default=""),
    sa.Column("symbol", sa.Text, nullable=False),
    sa.Column("said_timestamp", TIMESTAMP),
    sa.Column("said_signal", sa.Text, nullable=False),
    sa.Column("said_strength", sa.Double, nullable=False),
    sa.Column("said_target", sa.Double),
    sa.Column("said_run_id", sa.Uuid, sa.ForeignKey("workbench.runs.run_id")),
    sa.Column("timestamp", TIMESTAMP),
    sa.Column("signal", sa.Text, nullable=False),
    sa.Column("strength", sa.Double, nullable=False),
    sa.Column("target", sa.Double),
    run_id(),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("details", JSON, nullable=False, server_default="{}"),
    created_at(),
    sa.Index("signal_contradictions_slot_idx", "deployment", "slot"),
    sa.Index("signal_contradictions_run_idx", "run_id"),
    sa.Index("signal_contradictions_said_idx", "said_run_id"),
    schema=SCHEMA,
)

strategy_configs = sa.Table(
    "strategy_configs",
    METADATA,
    identity(),
    _strategy_id(),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("config", JSON, nullable=False, server_default="{}"),
    sa.Column("active", sa.Boolean, nullable=False, server_default=sa.false()),
    run_id(),
    created_at(),
    sa.UniqueConstraint("strategy_id", "version", name="strategy_configs_key"),
    schema=SCHEMA,
)

strategy_performance = sa.Table(
    "strategy_performance",
    METADATA,
    identity(),
    _strategy_id(),
    sa.Column("date", sa.Date, nullable=False),
    sa.Column("returns", sa.Double, nullable=False),
    sa.Column("sharpe_ratio", sa.Double),
    sa.Column("max_drawdown", sa.Double),
    sa.Column("total_trades", sa.BigInteger),
    sa.Column("win_rate", sa.Double),
    run_id(),
    created_at(),
    sa.Column("kind", sa.Text, nullable=False, server_default="backtest"),
    sa.Column("deployment", sa.Text),
    sa.Column("member", sa.Text, nullable=False, server_default=""),
    sa.Index(
        "strategy_performance_key",
        "strategy_id",
        "date",
        unique=True,
        postgresql_where=sa.text("kind = 'backtest'"),
    ),
    sa.Index(
        "strategy_performance_live_key",
        "deployment",
        "member",
        "strategy_id",
        "date",
        unique=True,
        postgresql_where=sa.text("kind = 'live'"),
    ),
    schema=SCHEMA,
)
