"""Schema `logging`: what the system did, what was traded, and how long operations took."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from workbench.tables.types import JSON, METADATA, PRICE, QUANTITY, TIMESTAMP, created_at, identity

__all__ = ["performance_logs", "system_logs", "trading_logs"]

SCHEMA = "logging"


def _timestamp() -> sa.Column[Any]:
    return sa.Column("timestamp", TIMESTAMP, nullable=False, server_default=sa.func.now())


system_logs = sa.Table(
    "system_logs",
    METADATA,
    identity(),
    _timestamp(),
    sa.Column("service", sa.Text, nullable=False),
    sa.Column("level", sa.Text, nullable=False),
    sa.Column("event_type", sa.Text, nullable=False, server_default="log"),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("correlation_id", sa.Text),
    sa.Column("metadata", JSON, nullable=False, server_default="{}"),
    created_at(),
    sa.Index("system_logs_timestamp_idx", sa.text("timestamp DESC")),
    schema=SCHEMA,
)

trading_logs = sa.Table(
    "trading_logs",
    METADATA,
    identity(),
    _timestamp(),
    sa.Column("trade_id", sa.Text),
    sa.Column("symbol", sa.Text, nullable=False),
    sa.Column("side", sa.Text, nullable=False),
    sa.Column("quantity", QUANTITY, nullable=False),
    sa.Column("price", PRICE),
    sa.Column("strategy", sa.Text),
    sa.Column("execution_time_ms", sa.Double),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("error_message", sa.Text),
    sa.Column("correlation_id", sa.Text),
    created_at(),
    sa.Index("trading_logs_timestamp_idx", sa.text("timestamp DESC")),
    schema=SCHEMA,
)

performance_logs = sa.Table(
    "performance_logs",
    METADATA,
    identity(),
    _timestamp(),
    sa.Column("service", sa.Text, nullable=False),
    sa.Column("operation", sa.Text, nullable=False),
    sa.Column("execution_time_ms", sa.Double, nullable=False),
    sa.Column("memory_usage_mb", sa.Double),
    sa.Column("cpu_usage_percent", sa.Double),
    sa.Column("metadata", JSON, nullable=False, server_default="{}"),
    created_at(),
    sa.Index("performance_logs_timestamp_idx", sa.text("timestamp DESC")),
    schema=SCHEMA,
)
