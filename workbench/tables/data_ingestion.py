"""Schema `data_ingestion`: bars and old versions, corporate actions, refused rows, each series' extent."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from workbench.tables.types import JSON, METADATA, PRICE, QUANTITY, TIMESTAMP, created_at, identity, run_id

__all__ = [
    "corporate_actions",
    "data_quality_logs",
    "ingestion_status",
    "market_data",
    "market_data_history",
    "series_revisions",
]

SCHEMA = "data_ingestion"

# Partitioned by year of `timestamp`, so the primary key must include it and cannot be `id`.
market_data = sa.Table(
    "market_data",
    METADATA,
    sa.Column(
        "id",
        sa.BigInteger,
        nullable=False,
        server_default=sa.text("nextval('data_ingestion.market_data_id_seq')"),
        info={"server_made": True},
    ),
    sa.Column("symbol", sa.Text, primary_key=True),
    sa.Column("timestamp", TIMESTAMP, primary_key=True),
    sa.Column("open", PRICE, nullable=False),
    sa.Column("high", PRICE, nullable=False),
    sa.Column("low", PRICE, nullable=False),
    sa.Column("close", PRICE, nullable=False),
    sa.Column("volume", QUANTITY, nullable=False),
    created_at(),
    sa.Column("data_source", sa.Text, primary_key=True, server_default="polygon"),
    schema=SCHEMA,
)

data_quality_logs = sa.Table(
    "data_quality_logs",
    METADATA,
    identity(),
    sa.Column("symbol", sa.Text, nullable=False),
    sa.Column("data_source", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False, server_default=""),
    sa.Column("row_number", sa.BigInteger, nullable=False),
    sa.Column("timestamp", TIMESTAMP),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False, server_default="error"),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("raw", JSON, nullable=False, server_default="{}"),
    run_id(),
    created_at(),
    sa.UniqueConstraint(
        "symbol", "data_source", "origin", "row_number", "rule", name="data_quality_logs_key"
    ),
    schema=SCHEMA,
)

# Maintained by the triggers of `market_data`; frames must not set these columns.
_COUNTED = {"server_made": True}

ingestion_status = sa.Table(
    "ingestion_status",
    METADATA,
    identity(),
    sa.Column("symbol", sa.Text, nullable=False),
    sa.Column("data_source", sa.Text, nullable=False),
    sa.Column("first_bar", TIMESTAMP, info=_COUNTED),
    sa.Column("last_bar", TIMESTAMP, info=_COUNTED),
    sa.Column("bars", sa.BigInteger, nullable=False, server_default="0", info=_COUNTED),
    sa.Column("revision", sa.BigInteger, nullable=False, server_default="0", info=_COUNTED),
    sa.Column("last_success_at", TIMESTAMP),
    sa.Column("last_error_at", TIMESTAMP),
    sa.Column("last_error", sa.Text),
    sa.Column("updated_at", TIMESTAMP, nullable=False, server_default=sa.func.now()),
    sa.Column("lineage", postgresql.ARRAY(sa.Uuid), nullable=False, server_default="{}", info=_COUNTED),
    # When its bars are complete, see `marketdata.completeness`; NULL: unknown.
    sa.Column("calendar", sa.Text),
    sa.Column("bar_interval", sa.Text),
    sa.UniqueConstraint("symbol", "data_source", name="ingestion_status_key"),
    schema=SCHEMA,
)

# A split's value is new shares per old one, a dividend's is cash per share. `applied`: the source's prices
# are already adjusted for it.
corporate_actions = sa.Table(
    "corporate_actions",
    METADATA,
    identity(),
    sa.Column("symbol", sa.Text, nullable=False),
    sa.Column("data_source", sa.Text, nullable=False),
    sa.Column("ex_date", sa.Date, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("value", sa.Double, nullable=False),
    sa.Column("applied", sa.Boolean, nullable=False, server_default=sa.false()),
    run_id(),
    created_at(),
    sa.UniqueConstraint("symbol", "data_source", "ex_date", "kind", name="corporate_actions_key"),
    schema=SCHEMA,
)

# Both are written by the triggers of `market_data` alone, so a service has no method that writes them.
_KEPT = {"kept_by_triggers": True}

series_revisions = sa.Table(
    "series_revisions",
    METADATA,
    sa.Column("symbol", sa.Text, primary_key=True),
    sa.Column("data_source", sa.Text, primary_key=True),
    sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("first_changed", TIMESTAMP),
    sa.Column("last_changed", TIMESTAMP),
    sa.Column("changed", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("first_bar", TIMESTAMP),
    sa.Column("last_bar", TIMESTAMP),
    sa.Column("bars", sa.BigInteger, nullable=False),
    sa.Column("committed_at", TIMESTAMP),
    sa.Column("trimmed_at", TIMESTAMP),
    sa.Index("series_revisions_uncommitted_idx", "symbol", postgresql_where=sa.text("committed_at IS NULL")),
    info=_KEPT,
    schema=SCHEMA,
)

market_data_history = sa.Table(
    "market_data_history",
    METADATA,
    sa.Column("symbol", sa.Text, primary_key=True),
    sa.Column("data_source", sa.Text, primary_key=True),
    sa.Column("until_revision", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("timestamp", TIMESTAMP, primary_key=True),
    sa.Column("open", PRICE),
    sa.Column("high", PRICE),
    sa.Column("low", PRICE),
    sa.Column("close", PRICE),
    sa.Column("volume", QUANTITY),
    sa.Column("created_at", TIMESTAMP),
    info=_KEPT,
    schema=SCHEMA,
)
