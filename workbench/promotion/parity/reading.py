"""What parity reads of the database: slots, what was said, by which runs, and whether their bars changed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from workbench.db import frames
from workbench.tables.data_ingestion import ingestion_status
from workbench.tables.strategy_engine import strategy_signals
from workbench.tables.workbench import runs, slots

__all__ = ["decided_before", "read_runs", "read_said", "read_series", "read_slots", "revised_since"]

SETTLED = ("completed", "failed", "missed", "skipped", "cancelled")
"""The states of slots of which nothing more is expected."""

_LIVE = strategy_signals.c.kind == "live"
# Of each run the series of which a bar up to a moment was written or removed after the revision that it read.
_REVISED = """
SELECT asked.run_id, string_agg(read.series, ', ' ORDER BY read.series)
FROM unnest(CAST(:run_ids AS uuid[]), CAST(:untils AS timestamptz[])) AS asked (run_id, until)
JOIN workbench.runs r ON r.run_id = asked.run_id
CROSS JOIN LATERAL jsonb_each_text(r.data_revisions) AS read (series, revision)
WHERE EXISTS (SELECT FROM data_ingestion.series_revisions s
              WHERE s.data_source = split_part(read.series, '/', 1)
                AND s.symbol = substr(read.series, strpos(read.series, '/') + 1)
                AND s.revision > read.revision::bigint AND s.first_changed <= asked.until)
GROUP BY asked.run_id
"""


def read_slots(
    connection: sa.Connection,
    deployment: str,
    since: datetime | None,
    most: int,
    *,
    member: str | None = None,
) -> pd.DataFrame:
    """The newest settled slots, of one member or of all: slot (UTC), member, state, reason; oldest first."""
    query = (
        sa.select(slots.c.slot, slots.c.member, slots.c.state, slots.c.reason)
        .where(slots.c.deployment == deployment, slots.c.state.in_(SETTLED))
        .order_by(slots.c.slot.desc(), slots.c.member)
        .limit(most)
    )
    if since is not None:
        query = query.where(slots.c.slot >= since)
    if member is not None:
        query = query.where(slots.c.member == member)
    return frames.read(connection, query).iloc[::-1].reset_index(drop=True)


def read_said(connection: sa.Connection, deployment: str, since: datetime) -> pd.DataFrame:
    """What was said live from a slot on, oldest first, as rows of `strategy_signals`."""
    table = strategy_signals
    names = ("slot", "member", "strategy_id", "symbol", "timestamp", "signal", "strength", "target")
    query = (
        sa.select(*(table.c[name] for name in (*names, "reason", "said_at", "version", "run_id")))
        .where(_LIVE, table.c.deployment == deployment, table.c.slot >= since)
        .order_by(table.c.slot, table.c.member, table.c.symbol)
    )
    return frames.read(connection, query)


def decided_before(
    connection: sa.Connection, deployment: str, since: datetime
) -> dict[tuple[str, str], pd.Timestamp]:
    """The newest bar that was decided about before a slot, by member and symbol."""
    table = strategy_signals
    query = (
        sa.select(table.c.member, table.c.symbol, sa.func.max(table.c.timestamp))
        .where(_LIVE, table.c.deployment == deployment, table.c.slot < since, table.c.reason.is_(None))
        .group_by(table.c.member, table.c.symbol)
    )
    return {
        (str(member), str(symbol)): pd.Timestamp(time) for member, symbol, time in connection.execute(query)
    }


def read_runs(connection: sa.Connection, run_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Of runs: deployment_version, version_sha256, parameters."""
    names = ("run_id", "deployment_version", "version_sha256", "parameters")
    query = sa.select(*(runs.c[name] for name in names)).where(
        runs.c.run_id.in_([uuid.UUID(run_id) for run_id in run_ids])
    )
    return {str(row["run_id"]): dict(row) for row in connection.execute(query).mappings()}


def revised_since(connection: sa.Connection, untils: Mapping[str, pd.Timestamp]) -> dict[str, str]:
    """Of runs the series whose bars, up to a moment, have changed since: "yahoo/AAPL, yahoo/IBM".

    Parameters
    ----------
    connection : Connection
    untils : mapping
        The moment by run.

    Returns
    -------
    dict
        Without the runs of which none has.
    """
    if not untils:
        return {}
    facts = {"run_ids": list(untils), "untils": [moment.to_pydatetime() for moment in untils.values()]}
    return {str(run_id): str(series) for run_id, series in connection.execute(sa.text(_REVISED), facts)}


def read_series(connection: sa.Connection, run_id: str) -> dict[str, tuple[str | None, str | None]]:
    """Calendar and length of the bars of each symbol that a run has read; None where it is not known."""
    status = ingestion_status
    query = (
        sa.select(status.c.symbol, status.c.calendar, status.c.bar_interval)
        .join(runs, runs.c.data_revisions.has_key(status.c.data_source + "/" + status.c.symbol))
        .where(runs.c.run_id == uuid.UUID(run_id))
    )
    return {str(symbol): (calendar, interval) for symbol, calendar, interval in connection.execute(query)}
