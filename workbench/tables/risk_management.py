"""Schema `risk_management`: risk limits, position limits, and breaches of limits."""

from __future__ import annotations

import sqlalchemy as sa

from workbench.tables.types import JSON, METADATA, MONEY, QUANTITY, TIMESTAMP, created_at, identity, run_id

__all__ = ["position_limits", "risk_events", "risk_limits"]

SCHEMA = "risk_management"

# NULL as account_id, strategy or symbol: the limit applies to all of them.
risk_limits = sa.Table(
    "risk_limits",
    METADATA,
    identity(),
    sa.Column("limit_id", sa.Text, nullable=False, unique=True),
    sa.Column("account_id", sa.Text),
    sa.Column("strategy", sa.Text),
    sa.Column("symbol", sa.Text),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("breached", sa.Text, nullable=False, server_default="above"),
    sa.Column("threshold", sa.Double, nullable=False),
    sa.Column("action", sa.Text, nullable=False, server_default="alert"),
    sa.Column("status", sa.Text, nullable=False, server_default="active"),
    sa.Column("description", sa.Text, nullable=False, server_default=""),
    run_id(),
    created_at(),
    sa.Column("updated_at", TIMESTAMP, nullable=False, server_default=sa.func.now()),
    schema=SCHEMA,
)

risk_events = sa.Table(
    "risk_events",
    METADATA,
    identity(),
    sa.Column("event_id", sa.Text, nullable=False, unique=True),
    sa.Column("limit_id", sa.Text, sa.ForeignKey("risk_management.risk_limits.limit_id")),
    sa.Column("timestamp", TIMESTAMP, nullable=False, server_default=sa.func.now()),
    sa.Column("account_id", sa.Text),
    sa.Column("strategy", sa.Text),
    sa.Column("symbol", sa.Text),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("observed", sa.Double),
    sa.Column("threshold", sa.Double),
    sa.Column("severity", sa.Text, nullable=False, server_default="warning"),
    sa.Column("message", sa.Text, nullable=False, server_default=""),
    sa.Column("metadata", JSON, nullable=False, server_default="{}"),
    sa.Column("resolved_at", TIMESTAMP),
    sa.Column("resolution", sa.Text),
    run_id(),
    created_at(),
    sa.Index("risk_events_timestamp_idx", sa.text("timestamp DESC")),
    sa.Index("risk_events_limit_idx", "limit_id", "timestamp"),
    sa.Index("risk_events_account_idx", "account_id", "timestamp"),
    sa.Index("risk_events_strategy_idx", "strategy", "timestamp"),
    sa.Index("risk_events_run_idx", "run_id"),
    sa.Index("risk_events_open_idx", "timestamp", postgresql_where=sa.text("resolved_at IS NULL")),
    schema=SCHEMA,
)

position_limits = sa.Table(
    "position_limits",
    METADATA,
    identity(),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("symbol", sa.Text, nullable=False),
    sa.Column("max_quantity", QUANTITY),
    sa.Column("max_notional", MONEY),
    sa.Column("max_weight", sa.Double),
    sa.Column("status", sa.Text, nullable=False, server_default="active"),
    run_id(),
    created_at(),
    sa.Column("updated_at", TIMESTAMP, nullable=False, server_default=sa.func.now()),
    sa.UniqueConstraint("account_id", "symbol", name="position_limits_key"),
    sa.Index("position_limits_symbol_idx", "symbol"),
    schema=SCHEMA,
)
