"""Schema `workbench`: run records, heartbeats, slots, trials, the event outbox and what was promoted."""

from __future__ import annotations

import sqlalchemy as sa

from workbench.tables.types import JSON, METADATA, TIMESTAMP, created_at, run_id

__all__ = [
    "bursts",
    "content_parts",
    "contents",
    "deployment_versions",
    "deployments",
    "events",
    "heartbeats",
    "runs",
    "slots",
    "trials",
    "versions",
]

SCHEMA = "workbench"

runs = sa.Table(
    "runs",
    METADATA,
    sa.Column("run_id", sa.Uuid, primary_key=True),
    sa.Column("notebook", sa.Text, nullable=False),
    sa.Column("notebook_sha256", sa.Text),
    sa.Column("parameters", JSON, nullable=False, server_default="{}"),
    sa.Column("trigger", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False, server_default="running"),
    sa.Column("code_version", sa.Text),
    sa.Column("data_revisions", JSON, nullable=False, server_default="{}"),
    sa.Column("headline", JSON, nullable=False, server_default="{}"),
    sa.Column("deployment", sa.Text),
    sa.Column("scheduled_for", TIMESTAMP),
    sa.Column("flow_run_id", sa.Uuid),
    sa.Column("output_path", sa.Text),
    sa.Column("html_path", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("started_at", TIMESTAMP, nullable=False, server_default=sa.func.now()),
    sa.Column("ended_at", TIMESTAMP),
    sa.Column("version_sha256", sa.Text),
    sa.Column("modules", JSON, nullable=False, server_default="{}"),
    sa.Column("files", JSON, nullable=False, server_default="{}"),
    sa.Column("purpose", sa.Text),
    sa.Column("slot", TIMESTAMP),
    sa.Column("member", sa.Text, nullable=False, server_default=""),
    sa.Column("attempt", sa.Integer),
    sa.Column("evidence", JSON, nullable=False, server_default="{}"),
    sa.Column("deployment_version", sa.Integer),
    sa.Column("outputs_removed_at", TIMESTAMP),
    sa.Index("runs_started_at_idx", sa.text("started_at DESC")),
    sa.Index("runs_slot_idx", "deployment", "slot"),
    sa.Index("runs_read_idx", "data_revisions", postgresql_using="gin"),
    sa.Index("runs_deployment_started_idx", "deployment", sa.text("started_at DESC")),
    sa.Index(
        "runs_live_slot_key",
        "deployment",
        "slot",
        "member",
        unique=True,
        postgresql_where=sa.text("purpose = 'live' AND status IN ('running', 'completed')"),
    ),
    schema=SCHEMA,
)

heartbeats = sa.Table(
    "heartbeats",
    METADATA,
    sa.Column("run_id", sa.Uuid, sa.ForeignKey("workbench.runs.run_id"), primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("boot", sa.Text, nullable=False),
    sa.Column("pid", sa.BigInteger, nullable=False),
    sa.Column("started", sa.BigInteger, nullable=False),
    sa.Column("process_group", sa.BigInteger),
    sa.Column("kernel_pid", sa.BigInteger),
    sa.Column("kernel_started", sa.BigInteger),
    sa.Column("cell", sa.Integer),
    sa.Column("cells", sa.Integer),
    sa.Column("doing", sa.Text),
    sa.Column("memory_bytes", sa.BigInteger),
    sa.Column("peak_bytes", sa.BigInteger),
    sa.Column("beat_at", TIMESTAMP, nullable=False, server_default=sa.func.clock_timestamp()),
    sa.Column("reaping_at", TIMESTAMP),
    schema=SCHEMA,
)

slots = sa.Table(
    "slots",
    METADATA,
    sa.Column("deployment", sa.Text, primary_key=True),
    sa.Column("slot", TIMESTAMP, primary_key=True),
    sa.Column("member", sa.Text, primary_key=True, server_default=""),
    sa.Column("state", sa.Text, nullable=False, server_default="due"),
    sa.Column("reason", sa.Text),
    run_id(),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", TIMESTAMP, nullable=False, server_default=sa.func.clock_timestamp()),
    sa.Column("updated_at", TIMESTAMP, nullable=False, server_default=sa.func.clock_timestamp()),
    sa.Index("slots_slot_idx", sa.text("slot DESC")),
    sa.Index("slots_run_idx", "run_id"),
    schema=SCHEMA,
)

events = sa.Table(
    "events",
    METADATA,
    sa.Column("event_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("service", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False, server_default=""),
    sa.Column("data", JSON, nullable=False, server_default="{}"),
    sa.Column("created_at", TIMESTAMP, nullable=False, server_default=sa.func.clock_timestamp()),
    sa.Column("published_at", TIMESTAMP),
    sa.Column("prefect_at", TIMESTAMP),
    sa.Column("awaited_at", TIMESTAMP),
    sa.Index("events_not_awaited_idx", "event_id", postgresql_where=sa.text("awaited_at IS NULL")),
    sa.Index("events_unpublished_idx", "event_id", postgresql_where=sa.text("published_at IS NULL")),
    sa.Index("events_not_in_prefect_idx", "event_id", postgresql_where=sa.text("prefect_at IS NULL")),
    schema=SCHEMA,
)

bursts = sa.Table(
    "bursts",
    METADATA,
    sa.Column("deployment", sa.Text, primary_key=True),
    sa.Column("settle", sa.Double, nullable=False),
    sa.Column("events", sa.BigInteger, nullable=False, server_default="1"),
    sa.Column("first_at", TIMESTAMP, nullable=False),
    sa.Column("last_at", TIMESTAMP, nullable=False),
    sa.Column("last_event", sa.BigInteger, nullable=False),
    schema=SCHEMA,
)

trials = sa.Table(
    "trials",
    METADATA,
    sa.Column("trial_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("strategy", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("variants", sa.BigInteger, nullable=False),
    sa.Column("sharpe_count", sa.BigInteger, nullable=False),
    sa.Column("sharpe_mean", sa.Double),
    sa.Column("sharpe_m2", sa.Double, nullable=False),
    sa.Column("best_sharpe", sa.Double),
    sa.Column("n_bars", sa.BigInteger, nullable=False),
    sa.Column("symbols", JSON, nullable=False, server_default="[]"),
    sa.Column("period_start", TIMESTAMP, nullable=False),
    sa.Column("period_end", TIMESTAMP, nullable=False),
    sa.Column("parameters", JSON, nullable=False, server_default="{}"),
    run_id(),
    created_at(),
    sa.UniqueConstraint("strategy", "key", name="trials_key"),
    sa.Index("trials_run_idx", "run_id"),
    schema=SCHEMA,
)

contents = sa.Table(
    "contents",
    METADATA,
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("created_at", TIMESTAMP, nullable=False, server_default=sa.func.clock_timestamp()),
    info={"kept_by_triggers": True},
    schema=SCHEMA,
)

content_parts = sa.Table(
    "content_parts",
    METADATA,
    sa.Column("sha256", sa.ForeignKey(contents.c.sha256, ondelete="CASCADE"), primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True),
    sa.Column("bytes", sa.LargeBinary, nullable=False),
    info={"kept_by_triggers": True},
    schema=SCHEMA,
)

versions = sa.Table(
    "versions",
    METADATA,
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("notebook", sa.Text, nullable=False),
    sa.Column("manifest", JSON),
    sa.Column("commit", sa.Text),
    sa.Column("created_at", TIMESTAMP, nullable=False, server_default=sa.func.clock_timestamp()),
    info={"kept_by_triggers": True},
    schema=SCHEMA,
)

deployment_versions = sa.Table(
    "deployment_versions",
    METADATA,
    sa.Column("deployment", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("made", sa.Text, nullable=False, server_default="promoted"),
    sa.Column("of_version", sa.Integer),
    sa.Column("content", sa.Text),
    sa.Column("notebook", sa.Text, nullable=False),
    sa.Column("parameters", JSON, nullable=False, server_default="{}"),
    sa.Column("options", JSON, nullable=False, server_default="{}"),
    sa.Column("schedule", JSON, nullable=False, server_default="{}"),
    sa.Column("code_version", sa.Text, nullable=False),
    sa.Column("packages", JSON, nullable=False, server_default="{}"),
    sa.Column("lock_sha256", sa.Text, nullable=False),
    sa.Column("evidence", JSON, nullable=False, server_default="[]"),
    sa.Column("forced", sa.Text),
    sa.Column("note", sa.Text),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Column("made_at", TIMESTAMP, nullable=False, server_default=sa.func.clock_timestamp()),
    info={"kept_by_triggers": True},
    schema=SCHEMA,
)

deployments = sa.Table(
    "deployments",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False, server_default="notebook"),
    sa.Column("state", sa.Text, nullable=False, server_default="active"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("shadow", sa.Integer),
    sa.Column("shadow_slots", sa.Integer),
    sa.Column("reason", sa.Text),
    sa.Column("changed_by", sa.Text, nullable=False),
    sa.Column("created_at", TIMESTAMP, nullable=False, server_default=sa.func.clock_timestamp()),
    sa.Column("updated_at", TIMESTAMP, nullable=False, server_default=sa.func.clock_timestamp()),
    sa.ForeignKeyConstraint(
        ["name", "version"], [deployment_versions.c.deployment, deployment_versions.c.version]
    ),
    sa.ForeignKeyConstraint(
        ["name", "shadow"], [deployment_versions.c.deployment, deployment_versions.c.version]
    ),
    schema=SCHEMA,
)

deployment_changes = sa.Table(
    "deployment_changes",
    METADATA,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("deployment", sa.Text, nullable=False),
    sa.Column("change", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("changed_by", sa.Text, nullable=False),
    sa.Column("changed_at", TIMESTAMP, nullable=False, server_default=sa.func.clock_timestamp()),
    sa.ForeignKeyConstraint(
        ["deployment", "version"], [deployment_versions.c.deployment, deployment_versions.c.version]
    ),
    sa.Index("deployment_changes_deployment_idx", "deployment", "id"),
    info={"kept_by_triggers": True},
    schema=SCHEMA,
)
