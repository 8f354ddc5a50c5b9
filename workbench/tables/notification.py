"""Schema `notification`: alert rules, and the log of sent notifications."""

from __future__ import annotations

import sqlalchemy as sa

from workbench.tables.types import JSON, METADATA, TIMESTAMP, created_at, identity, run_id

__all__ = ["alert_configs", "notification_logs"]

SCHEMA = "notification"

alert_configs = sa.Table(
    "alert_configs",
    METADATA,
    identity(),
    sa.Column("alert_id", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("event_type", sa.Text, nullable=False),
    sa.Column("condition", JSON, nullable=False, server_default="{}"),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False, server_default="warning"),
    sa.Column("cooldown_seconds", sa.Integer, nullable=False, server_default="0"),
    sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.true()),
    created_at(),
    sa.Column("updated_at", TIMESTAMP, nullable=False, server_default=sa.func.now()),
    sa.Index("alert_configs_event_type_idx", "event_type"),
    schema=SCHEMA,
)

notification_logs = sa.Table(
    "notification_logs",
    METADATA,
    identity(),
    sa.Column("sent_at", TIMESTAMP, nullable=False, server_default=sa.func.now()),
    sa.Column("alert_id", sa.Text, sa.ForeignKey("notification.alert_configs.alert_id")),
    sa.Column("event_id", sa.BigInteger),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("recipient", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("correlation_id", sa.Text),
    sa.Column("metadata", JSON, nullable=False, server_default="{}"),
    run_id(),
    created_at(),
    sa.Index("notification_logs_sent_at_idx", sa.text("sent_at DESC")),
    sa.Index("notification_logs_alert_idx", "alert_id", "sent_at"),
    sa.Index("notification_logs_run_idx", "run_id"),
    schema=SCHEMA,
)
