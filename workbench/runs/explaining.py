"""Finds where rows come from: their runs, the cells that saved them, and what became of the bars since."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import sqlalchemy as sa

from workbench.db.pool import ServiceConnectionPool
from workbench.db.series_changes import SeriesRead, series_changes
from workbench.errors import RunError
from workbench.runs.given_rows import GivenRow, given_rows, row_named
from workbench.runs.record import RunRecord
from workbench.runs.saved_in import SavedIn, saved_in
from workbench.runs.why import Why
from workbench.services.filters import beginning_with
from workbench.tables.workbench import deployment_versions, runs, versions

__all__ = ["explain", "rows_meant"]

_OF_VERSION = ("made", "of_version", "made_by", "made_at", "note", "forced")
_HEX = re.compile(r"[0-9a-f-]{1,36}")


def rows_meant(pool: ServiceConnectionPool, given: object) -> list[GivenRow]:
    """The rows that are to be explained; text is the id of a run, a signal, an order, a trade or a report.

    Raises
    ------
    QueryError
        As `given_rows` says.
    RunError
        There is no run, signal, order, trade or report of that id.
    """
    if not isinstance(given, str):
        return given_rows(given)
    with pool.begin("finding a row") as connection:
        if _HEX.fullmatch(given.lower()):
            found = connection.scalars(
                sa.select(runs.c.run_id).where(beginning_with(runs.c.run_id, given)).limit(2)
            )
            ids = found.all()
            if len(ids) > 1:
                raise RunError(f"several run ids begin with {given}; give more characters")
            if ids:
                return [GivenRow(ids[0])]
        row = row_named(connection, given)
    if row is None:
        raise RunError(
            f"there is no run, signal, order, trade or report {given!r}; `workbench runs list` shows runs, "
            "and a signal goes by its signal_id, an order by its order_id"
        )
    return [row]


def explain(pool: ServiceConnectionPool, rows: Sequence[GivenRow]) -> list[Why]:
    """Where each of the rows comes from, in their order."""
    ids = {row.run_id for row in rows} - {None}
    with pool.snapshot("finding where rows come from") as connection:
        records: dict[uuid.UUID, RunRecord] = {}
        for found in connection.execute(sa.select(runs).where(runs.c.run_id.in_(ids))).mappings():
            records[found["run_id"]] = RunRecord({**found, "run_id": str(found["run_id"])})
        promoted = _promoted(connection, records)
        reads = {run_id: _reads(record) for run_id, record in records.items()}
        # What many runs have read at one revision is looked up once.
        distinct = list(dict.fromkeys(read for each in reads.values() for read in each))
        changes = series_changes(connection, distinct)
    places = {read: place for place, read in enumerate(distinct)}
    nothing = changes.iloc[:0]
    series: dict[uuid.UUID | None, pd.DataFrame] = {
        run_id: changes.iloc[[places[read] for read in each]].reset_index(drop=True)
        for run_id, each in reads.items()
    }
    return [
        Why(
            row,
            record,
            promoted.get(row.run_id),
            () if record is None else _cells(row, record),
            series.get(row.run_id, nothing),
        )
        for row in rows
        for record in [None if row.run_id is None else records.get(row.run_id)]
    ]


def _promoted(
    connection: sa.Connection, records: Mapping[uuid.UUID, RunRecord]
) -> dict[uuid.UUID | None, dict[str, Any]]:
    """What was promoted of what each run ran, as `Why.version` has it."""
    hashes = {record["version_sha256"] for record in records.values()} - {None}
    query = sa.select(*(versions.c[name] for name in ("sha256", "name", "commit", "created_at")))
    contents = {
        found["sha256"]: dict(found)
        for found in connection.execute(query.where(versions.c.sha256.in_(hashes))).mappings()
    }
    table = deployment_versions
    key = sa.tuple_(table.c.deployment, table.c.version)
    wanted = {(record["deployment"], record["deployment_version"]) for record in records.values()}
    query = sa.select(*(table.c[name] for name in ("deployment", "version", *_OF_VERSION)))
    made = {
        (found["deployment"], found["version"]): {name: found[name] for name in ("version", *_OF_VERSION)}
        for found in connection.execute(
            query.where(key.in_([one for one in wanted if None not in one]))
        ).mappings()
    }
    told: dict[uuid.UUID | None, dict[str, Any]] = {}
    for run_id, record in records.items():
        content = contents.get(record["version_sha256"], {})
        version = made.get((record["deployment"], record["deployment_version"]), {})
        if content or version:
            told[run_id] = {**content, **version}
    return told


def _reads(record: RunRecord) -> list[SeriesRead]:
    revisions = sorted(record["data_revisions"].items())
    return [SeriesRead(series, revision, record["slot"]) for series, revision in revisions]


def _cells(row: GivenRow, record: RunRecord) -> tuple[SavedIn, ...]:
    """The cells that saved rows like it; of a run by itself each cell that saved anything, once."""
    found = saved_in(record["evidence"])
    if row.of is None:
        return tuple({one.cell: one for one in reversed(found)}.values())[::-1]
    owners = {str(row.facts[name]) for name in ("strategy_id", "strategy", "account_id") if name in row.facts}
    return tuple(
        one
        for one in found
        if one.table == row.table and (not one.owners or not owners.isdisjoint(one.owners))
    )
