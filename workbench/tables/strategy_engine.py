"""Schema `strategy_engine`: strategies, their configurations, signals and daily performance."""

from __future__ import annotations

import sqlalchemy as sa

from workbench.tables.types import JSON, METADATA, TIMESTAMP, created_at, identity, run_id

__all__ = ["strategies", "strategy_configs", "strategy_performance", "strategy_signals"]

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
    sa.Column("timestamp", TIMESTAMP, nullable=False),
    sa.Column("signal", sa.Text, nullable=False),
    sa.Column("strength", sa.Double, nullable=False, server_default="1"),
    run_id(),
    created_at(),
    sa.Column("pending", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("strategy_signals_strategy_idx", "strategy_id", "symbol", "timestamp"),
    sa.Index("strategy_signals_pending_idx", "strategy_id", "symbol", postgresql_where=sa.text("pending")),
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
    sa.UniqueConstraint("strategy_id", "date", name="strategy_performance_key"),
    schema=SCHEMA,
)
