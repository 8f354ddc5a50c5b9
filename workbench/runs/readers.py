"""Which runs have read a series of bars, and at which revision."""

from __future__ import annotations

import pandas as pd
import sqlalchemy as sa

from workbench.db import frames
from workbench.db.pool import ServiceConnectionPool
from workbench.db.series_changes import SeriesRead, series_changes
from workbench.errors import QueryError
from workbench.services.filters import Moment, as_moment
from workbench.spelling import did_you_mean, near_names
from workbench.tables.data_ingestion import ingestion_status
from workbench.tables.workbench import runs

__all__ = ["readers_of"]

_LISTED = ("run_id", "notebook", "status", "trigger", "deployment", "slot", "purpose", "started_at")


def readers_of(
    pool: ServiceConnectionPool, series: str, *, since: Moment | None, latest: int
) -> pd.DataFrame:
    """The runs that read the series, newest first; `wb.runs.of` has the help."""
    if latest < 1:
        raise QueryError(f"latest={latest}: expected 1 or more")
    source, _, symbol = series.partition("/")
    if not source or not symbol:
        raise QueryError(f'series={series!r}: write the data source and the symbol, as "yahoo/AAPL"')
    moment = as_moment(since, "since")
    # By the index of what was read: the newest of few readers would else be looked for among all runs.
    read = sa.select(runs.c.run_id, runs.c.started_at).where(runs.c.data_revisions.has_key(series))
    found = read.cte("found").prefix_with("MATERIALIZED")
    newest = sa.select(found).order_by(found.c.started_at.desc()).limit(latest)
    if moment is not None:
        newest = newest.where(found.c.started_at >= moment.to_pydatetime())
    chosen = newest.subquery()
    query = (
        sa.select(
            *(runs.c[name] for name in _LISTED),
            runs.c.data_revisions,
        )
        .join(chosen, chosen.c.run_id == runs.c.run_id)
        .order_by(runs.c.started_at.desc())
    )
    with pool.begin("listing the runs that read a series") as connection:
        listed = frames.read(connection, query)
        if listed.empty:
            _require_series(connection, source, symbol)
        slots = [None if pd.isna(slot) else slot.to_pydatetime() for slot in listed["slot"]]
        reads = [
            SeriesRead(series, read_by_it[series], slot)
            for read_by_it, slot in zip(listed["data_revisions"], slots, strict=True)
        ]
        changes = series_changes(connection, reads)
    told = {name: changes[name] for name in ("revision", "revision_now", "changed", "is_whole")}
    return listed.drop(columns="data_revisions").assign(**told)


def _require_series(connection: sa.Connection, source: str, symbol: str) -> None:
    """Refuse a series that there never was: nobody can have read it.

    Raises
    ------
    QueryError
        With names that are like it.
    """
    status = ingestion_status
    of_symbol = connection.scalars(sa.select(status.c.data_source).where(status.c.symbol == symbol)).all()
    if source in of_symbol:
        return
    near = [f"{one}/{symbol}" for one in sorted(of_symbol)]
    if not near:
        symbols = connection.scalars(sa.select(status.c.symbol).where(status.c.data_source == source))
        near = [f"{source}/{name}" for name in near_names(symbol, symbols.all(), n=3)]
    raise QueryError(
        f"no bars of {source}/{symbol} were ever stored{did_you_mean(near)}; "
        "wb.data_ingestion.load_ingestion_status() lists the series"
    )
