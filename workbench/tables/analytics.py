"""Schema `analytics`: figures over periods, reports, and results that were expensive to compute."""

from __future__ import annotations

import sqlalchemy as sa

from workbench.tables.types import JSON, METADATA, TIMESTAMP, created_at, identity, run_id

__all__ = ["analytics_cache", "performance_metrics", "reports"]

SCHEMA = "analytics"

performance_metrics = sa.Table(
    "performance_metrics",
    METADATA,
    identity(),
    sa.Column("strategy", sa.Text, nullable=False),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("value", sa.Double),
    sa.Column("period_start", TIMESTAMP, nullable=False),
    sa.Column("period_end", TIMESTAMP, nullable=False),
    sa.Column("metadata", JSON, nullable=False, server_default="{}"),
    run_id(),
    created_at(),
    sa.UniqueConstraint(
        "strategy",
        "metric",
        "period_start",
        "period_end",
        "run_id",
        name="performance_metrics_key",
        postgresql_nulls_not_distinct=True,
    ),
    sa.Index("performance_metrics_metric_idx", "metric", "period_end"),
    sa.Index("performance_metrics_period_idx", sa.text("period_end DESC")),
    sa.Index("performance_metrics_run_idx", "run_id"),
    schema=SCHEMA,
)

reports = sa.Table(
    "reports",
    METADATA,
    identity(),
    sa.Column("report_id", sa.Text, nullable=False, unique=True),
    sa.Column("strategy", sa.Text),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("format", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("content", sa.Text),
    sa.Column("file", sa.LargeBinary),
    sa.Column("metadata", JSON, nullable=False, server_default="{}"),
    run_id(),
    created_at(),
    sa.Column("updated_at", TIMESTAMP, nullable=False, server_default=sa.func.now()),
    sa.Index("reports_created_at_idx", sa.text("created_at DESC")),
    sa.Index("reports_strategy_idx", "strategy", "created_at"),
    sa.Index("reports_kind_idx", "kind", "created_at"),
    sa.Index("reports_run_idx", "run_id"),
    schema=SCHEMA,
)

analytics_cache = sa.Table(
    "analytics_cache",
    METADATA,
    identity(),
    sa.Column("cache_key", sa.Text, nullable=False, unique=True),
    sa.Column("value", JSON, nullable=False),
    sa.Column("expires_at", TIMESTAMP),
    run_id(),
    created_at(),
    sa.Column("updated_at", TIMESTAMP, nullable=False, server_default=sa.func.now()),
    sa.Index("analytics_cache_expires_at_idx", "expires_at"),
    schema=SCHEMA,
)
