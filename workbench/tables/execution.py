"""Schema `execution`: orders, the trades that filled them, positions, and a log of order processing."""

from __future__ import annotations

import sqlalchemy as sa

from workbench.tables.types import (
    JSON,
    METADATA,
    MONEY,
    PRICE,
    QUANTITY,
    TIMESTAMP,
    created_at,
    identity,
    run_id,
)

__all__ = ["ORDER_SIDE", "ORDER_STATUS", "ORDER_TYPE", "execution_logs", "orders", "positions", "trades"]

SCHEMA = "execution"

ORDER_SIDE = sa.Enum("buy", "sell", name="order_side", schema=SCHEMA)
ORDER_TYPE = sa.Enum("market", "limit", "stop", "stop_limit", name="order_type", schema=SCHEMA)
ORDER_STATUS = sa.Enum(
    "pending",
    "submitted",
    "filled",
    "partially_filled",
    "cancelled",
    "rejected",
    name="order_status",
    schema=SCHEMA,
)

orders = sa.Table(
    "orders",
    METADATA,
    identity(),
    sa.Column("order_id", sa.Text, nullable=False, unique=True),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("symbol", sa.Text, nullable=False),
    sa.Column("side", ORDER_SIDE, nullable=False),
    sa.Column("order_type", ORDER_TYPE, nullable=False),
    sa.Column("quantity", QUANTITY, nullable=False),
    sa.Column("price", PRICE),
    sa.Column("status", ORDER_STATUS, nullable=False, server_default="pending"),
    sa.Column("strategy", sa.Text),
    run_id(),
    created_at(),
    sa.Column("updated_at", TIMESTAMP, nullable=False, server_default=sa.func.now()),
    sa.Index("orders_created_at_idx", sa.text("created_at DESC")),
    sa.Index("orders_symbol_idx", "symbol", "created_at"),
    sa.Index("orders_account_idx", "account_id", "created_at"),
    sa.Index("orders_strategy_idx", "strategy", "created_at"),
    sa.Index("orders_run_idx", "run_id"),
    sa.Index(
        "orders_open_idx",
        "status",
        "created_at",
        postgresql_where=sa.text("status IN ('pending', 'submitted', 'partially_filled')"),
    ),
    schema=SCHEMA,
)

# A trade has no side of its own: it is the side of its order, hence order_id is required.
trades = sa.Table(
    "trades",
    METADATA,
    identity(),
    sa.Column("trade_id", sa.Text, nullable=False, unique=True),
    sa.Column("order_id", sa.Text, sa.ForeignKey("execution.orders.order_id"), nullable=False),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("symbol", sa.Text, nullable=False),
    sa.Column("quantity", QUANTITY, nullable=False),
    sa.Column("price", PRICE, nullable=False),
    sa.Column("commission", PRICE, nullable=False, server_default="0"),
    sa.Column("executed_at", TIMESTAMP, nullable=False),
    sa.Column("strategy", sa.Text),
    run_id(),
    created_at(),
    sa.Index("trades_executed_at_idx", sa.text("executed_at DESC")),
    sa.Index("trades_order_idx", "order_id"),
    sa.Index("trades_symbol_idx", "symbol", "executed_at"),
    sa.Index("trades_account_idx", "account_id", "executed_at"),
    sa.Index("trades_strategy_idx", "strategy", "executed_at"),
    sa.Index("trades_run_idx", "run_id"),
    schema=SCHEMA,
)

positions = sa.Table(
    "positions",
    METADATA,
    identity(),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("symbol", sa.Text, nullable=False),
    sa.Column("quantity", QUANTITY, nullable=False),
    sa.Column("avg_price", PRICE),
    sa.Column("market_value", MONEY),
    sa.Column("unrealized_pnl", MONEY),
    run_id(),
    sa.Column("last_updated", TIMESTAMP, nullable=False, server_default=sa.func.now()),
    created_at(),
    sa.UniqueConstraint("account_id", "symbol", name="positions_key"),
    sa.Index("positions_symbol_idx", "symbol"),
    schema=SCHEMA,
)

execution_logs = sa.Table(
    "execution_logs",
    METADATA,
    identity(),
    sa.Column("timestamp", TIMESTAMP, nullable=False, server_default=sa.func.now()),
    sa.Column("order_id", sa.Text),
    sa.Column("trade_id", sa.Text),
    sa.Column("account_id", sa.Text),
    sa.Column("symbol", sa.Text),
    sa.Column("level", sa.Text, nullable=False, server_default="info"),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False, server_default=""),
    sa.Column("correlation_id", sa.Text),
    sa.Column("metadata", JSON, nullable=False, server_default="{}"),
    run_id(),
    created_at(),
    sa.Index("execution_logs_timestamp_idx", sa.text("timestamp DESC")),
    sa.Index("execution_logs_order_idx", "order_id", "timestamp"),
    sa.Index("execution_logs_correlation_idx", "correlation_id"),
    sa.Index("execution_logs_run_idx", "run_id"),
    schema=SCHEMA,
)
