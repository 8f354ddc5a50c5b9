"""Which revision of each series was known at a moment, or read by a run; refuses what is not kept."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pandas as pd
import psycopg
import sqlalchemy as sa
from psycopg.rows import namedtuple_row

from workbench.errors import NotKnown, QueryError
from workbench.services.bar_store import SeriesState
from workbench.services.filters import Moment, beginning_with
from workbench.tables.workbench import runs

__all__ = ["AsKnown", "KnownTo", "RunRead", "as_known", "known_states", "run_read"]

AsKnown = Moment | uuid.UUID
"""A moment with its time zone, or a run's id, of which the first characters are enough."""

_RUN_ID = re.compile(
    r"[0-9a-f]{1,8}|[0-9a-f]{8}(-[0-9a-f]{4}){0,2}-[0-9a-f]{0,4}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{0,12}"
)
_SHOWN = 20

_OF_EACH = """
SELECT asked.symbol, known.revision, known.bars,
       (extract(epoch FROM known.first_bar) * 1000000)::bigint AS first,
       (extract(epoch FROM known.last_bar) * 1000000)::bigint AS last, clock_timestamp() AS now
FROM unnest(%(symbols)s::text[], %(revisions)s::bigint[]) AS asked (symbol, revision)
LEFT JOIN LATERAL (SELECT * FROM data_ingestion.series_revisions r
                   WHERE r.symbol = asked.symbol AND r.data_source = %(source)s AND {which}
                   ORDER BY r.revision DESC LIMIT 1) known ON true
"""
_BY_MOMENT = _OF_EACH.format(which="r.committed_at <= %(moment)s").encode()
_BY_REVISION = _OF_EACH.format(which="r.revision = asked.revision").encode()
# Of those that were not found, which are few.
_OLDEST = b"""
SELECT DISTINCT ON (r.symbol) r.symbol, r.revision, r.committed_at AS since,
       r.kind = 'before' OR r.trimmed_at IS NOT NULL AS had_earlier, r.trimmed_at IS NOT NULL AS was_trimmed
FROM data_ingestion.series_revisions r
WHERE r.symbol = ANY(%(missing)s) AND r.data_source = %(source)s
ORDER BY r.symbol, r.revision
"""


@dataclass(frozen=True)
class RunRead:
    """What a run read.

    Attributes
    ----------
    run_id : str
    revisions : dict of str to int
        The revision of each series ("yahoo/AAPL").
    """

    run_id: str
    revisions: Mapping[str, int]

    def source_of(self, symbols: Sequence[str] | None) -> str | None:
        """The only data source of which it read any of those symbols; None if there are several, or none."""
        read = (series.partition("/") for series in self.revisions)
        sources = {source for source, _, symbol in read if symbols is None or symbol in symbols}
        return sources.pop() if len(sources) == 1 else None


KnownTo = pd.Timestamp | RunRead
"""To whom bars were known: to everybody at a moment, or to a run."""


def as_known(value: AsKnown) -> pd.Timestamp | str:
    """The moment, UTC, or the first characters of the run's id, that `as_known=` means.

    Raises
    ------
    QueryError
        It is neither, or a moment without a time zone.
    """
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, str) and _RUN_ID.fullmatch(value.strip().lower()):
        return value.strip().lower()
    try:
        moment = pd.Timestamp(value)
    except (ValueError, TypeError) as error:
        raise _neither(value) from error
    if pd.isna(moment):
        raise _neither(value)
    if moment.tzinfo is None:
        raise QueryError(
            f"as_known={str(value)!r} has no time zone, and what was known goes by the moment: write "
            f"'{moment:%Y-%m-%d %H:%M}Z' for UTC, or give pd.Timestamp(…, tz='America/New_York')"
        )
    return moment.tz_convert("UTC")


def run_read(connection: sa.Connection, run_id: str) -> RunRead:
    """What the run read whose id begins so.

    Raises
    ------
    NotKnown
        There is no such run, or several, or it is still running.
    """
    query = sa.select(runs.c.run_id, runs.c.status, runs.c.data_revisions).where(
        beginning_with(runs.c.run_id, run_id)
    )
    found = connection.execute(query.limit(2)).all()
    if len(found) != 1:
        told = "several runs begin so, give more characters" if found else "there is no such run"
        raise NotKnown(f"as_known={run_id!r}: {told}; wb.runs.list() shows all runs")
    (run,) = found
    if run.status == "running":
        raise NotKnown(
            f"run {str(run.run_id)[:8]} is still running, so its record does not yet say all that it reads; "
            "wait for its end"
        )
    return RunRead(str(run.run_id), run.data_revisions)


def known_states(
    connection: sa.Connection,
    states: Sequence[SeriesState],
    source: str,
    known: KnownTo,
    *,
    named: Sequence[str] | None,
) -> list[SeriesState]:
    """The series as they were then: of one whose revision has not moved since, the state as it is.

    Parameters
    ----------
    connection : Connection
        In the snapshot that `states` were read in.
    states : sequence of SeriesState
        Of one source, as they are now.
    source : str
    known : Timestamp or RunRead
    named : sequence of str, optional
        The symbols that were asked for. None for all of the source: those that were not known are left out.

    Raises
    ------
    NotKnown
        A series of which nothing was known, or whose history does not reach back to it.
    QueryError
        The moment lies in the future.
    """
    revisions: list[int | None] = [None] * len(states)
    if isinstance(known, RunRead):
        read = {symbol: known.revisions.get(f"{source}/{symbol}") for symbol in (s.symbol for s in states)}
        unread = [state.symbol for state in states if read[state.symbol] is None]
        if (named is not None and unread) or (states and len(unread) == len(states)):
            raise _unread(known, source, unread)
        states = [state for state in states if read[state.symbol] is not None]
        revisions = [read[state.symbol] for state in states]
    if not states:
        return []
    given = {
        "symbols": [state.symbol for state in states],
        "revisions": revisions,
        "source": source,
        "moment": None if isinstance(known, RunRead) else known.to_pydatetime(),
    }
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with driver.cursor(row_factory=namedtuple_row) as cursor:
        cursor.execute(_BY_REVISION if isinstance(known, RunRead) else _BY_MOMENT, given)
        rows: dict[str, Any] = {row[0]: row for row in cursor.fetchall()}
        given["missing"] = [symbol for symbol, row in rows.items() if row.revision is None]
        oldest: dict[str, Any] = {}
        if given["missing"]:
            oldest = {row[0]: row for row in cursor.execute(_OLDEST, given)}
    if not isinstance(known, RunRead) and known > pd.Timestamp(next(iter(rows.values())).now):
        raise QueryError(f"as_known='{_told(known)}' lies in the future: what will be known then is not yet")
    found, before = [], []
    for state, asked in zip(states, revisions, strict=True):
        row = rows[state.symbol]
        if row.revision is not None:
            found.append(_as_then(state, row))
            continue
        first = oldest.get(state.symbol)
        if first is None or (asked == 0 and not first.had_earlier):
            # It was ingested, and no good bar of it was there.
            found.append(SeriesState(state.symbol, source, 0, 0, 0, 0, ()))
        elif first.had_earlier or asked is not None:
            raise _not_kept(f"{source}/{state.symbol}", first, asked)
        else:
            before.append(first)
    if before and (named is not None or not found):
        first = min(before, key=lambda row: row.since)
        raise NotKnown(
            f"nothing was known of {source}/{first.symbol} before {_told(first.since)}, when its first bars "
            "were stored; ask for a later moment",
            series=[f"{source}/{row.symbol}" for row in before],
        )
    return found


def _as_then(state: SeriesState, row: Any) -> SeriesState:
    if row.revision == state.revision:
        return state
    # Without lineage: what is put together from several versions belongs under no tag of the cache.
    return replace(
        state, bars=row.bars, revision=row.revision, first=row.first or 0, last=row.last or 0, lineage=()
    )


def _neither(value: object) -> QueryError:
    return QueryError(f"as_known={value!r} is neither a moment, such as '2026-11-20 22:00Z', nor a run's id")


def _unread(run: RunRead, source: str, symbols: Sequence[str]) -> NotKnown:
    read = sorted(run.revisions)
    told = ", ".join(read[:_SHOWN]) or "no series"
    more = f" and {len(read) - _SHOWN:,} more" if len(read) > _SHOWN else ""
    what = [f"{source}/{symbol}" for symbol in symbols]
    others = " and others" if len(what) > 5 else ""
    return NotKnown(
        f"run {run.run_id[:8]} did not read {', '.join(what[:5])}{others}, so "
        f"what it knew of it is not recorded; it read {told}{more}",
        series=what,
    )


def _not_kept(series: str, oldest: Any, asked: int | None) -> NotKnown:
    wanted = "" if asked is None else f", revision {asked} among them,"
    if asked is not None and asked >= oldest.revision:
        text = (
            f"the database has no revision {asked} of {series}: it was restored from a backup, or is another "
            "one than the run's"
        )
    elif oldest.was_trimmed:
        text = (
            f"the history of {series} is whole since {_told(oldest.since)} (revision {oldest.revision}); "
            f"earlier versions{wanted} were removed by the setting history_keep_days"
        )
    else:
        text = (
            f"the history of {series} begins on {_told(oldest.since)} (revision {oldest.revision}), before "
            f"which no versions were kept; earlier ones{wanted} are not there"
        )
    return NotKnown(text, series=[series])


def _told(moment: datetime | pd.Timestamp) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}".rstrip("0").rstrip(".") + "Z"
