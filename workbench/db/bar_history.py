"""Reads the replaced versions of bars from `market_data_history` as arrays, and removes old ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import psycopg
import sqlalchemy as sa
from psycopg import sql

from workbench.db.bar_range import conditions
from workbench.db.bars import EPOCH, VALUES, elements

__all__ = ["ReplacedBars", "count_trimmed", "read_replaced", "trim_bar_history"]

_ALL_OF_TIME = -(2**62), 2**62
# For each bar the first version that was replaced after the revision that is asked for.
_QUERY = """
SELECT symbol, array_agg(timestamp), array_agg(until_revision), {arrays}
FROM (SELECT DISTINCT ON (symbol, timestamp) symbol, timestamp, until_revision, {values}
      FROM unnest({symbols}::text[], {revisions}::bigint[]) AS asked (asked_symbol, asked_revision)
      JOIN data_ingestion.market_data_history ON symbol = asked_symbol AND until_revision > asked_revision
      WHERE {conditions}
      ORDER BY symbol, timestamp, until_revision) first_replaced
GROUP BY symbol
"""


@dataclass(frozen=True)
class ReplacedBars:
    """Versions of one series' bars that are no longer the newest, ascending in time, each time once.

    Attributes
    ----------
    times : ndarray of int64, shape (n,)
        Microseconds since 1970, UTC.
    until : ndarray of int64, shape (n,)
        The series' revision that replaced each.
    values : ndarray of float64, shape (5, n)
        open, high, low, close, volume; NaN where there was no bar before that revision.
    """

    times: npt.NDArray[np.int64]
    until: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.times)


def read_replaced(
    connection: sa.Connection,
    source: str,
    revisions: Mapping[str, int],
    start: int | None = None,
    end: int | None = None,
) -> dict[str, ReplacedBars]:
    """What was replaced after a revision: of each bar in `[start, end)` the first such version.

    Parameters
    ----------
    connection : Connection
    source : str
    revisions : mapping of str to int
        The revision by symbol.
    start, end : int, optional
        Microseconds since 1970, UTC.

    Returns
    -------
    dict
        By symbol; those of which nothing was replaced are left out.
    """
    first, last = _ALL_OF_TIME
    query = sql.SQL(_QUERY).format(
        arrays=sql.SQL(", ").join(
            sql.SQL("array_agg(coalesce({}::float8, 'NaN'))").format(sql.Identifier(name)) for name in VALUES
        ),
        values=sql.SQL(", ").join(map(sql.Identifier, VALUES)),
        symbols=sql.Literal(list(revisions)),
        revisions=sql.Literal(list(revisions.values())),
        conditions=conditions(
            source, revisions, first if start is None else start, last if end is None else end
        ),
    )
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    found = {}
    with driver.cursor(binary=True) as cursor:
        cursor.execute(query)
        result = cursor.pgresult
        assert result is not None
        for row in range(result.ntuples):
            symbol, times, until, *values = (result.get_value(row, n) for n in range(result.nfields))
            assert symbol is not None
            moments = elements(times, ">i8").astype(np.int64) + EPOCH
            revisions_then = elements(until, ">i8").astype(np.int64)
            numbers = np.stack([elements(column, ">f8") for column in values]).astype(np.float64)
            if not (np.diff(moments) > 0).all():
                order = np.argsort(moments)
                moments, revisions_then, numbers = moments[order], revisions_then[order], numbers[:, order]
            found[symbol.decode()] = ReplacedBars(moments, revisions_then, numbers)
    return found


def count_trimmed(connection: sa.Connection, *, keep_days: int) -> tuple[int, int]:
    """How many versions of bars `trim_bar_history` would remove, and about how many bytes these take."""
    query = sa.text("""
        SELECT count(*),
               coalesce(count(*) * pg_total_relation_size('data_ingestion.market_data_history')
                        / (SELECT nullif(greatest(reltuples, 0), 0) FROM pg_class
                           WHERE oid = 'data_ingestion.market_data_history'::regclass),
                        count(*) * 150)::bigint
        FROM (SELECT r.symbol, r.data_source, max(r.revision) AS revision
              FROM data_ingestion.series_revisions r
              WHERE r.committed_at < clock_timestamp() - make_interval(days => :days)
              GROUP BY r.symbol, r.data_source HAVING count(*) > 1) f
        JOIN data_ingestion.market_data_history h
            ON h.symbol = f.symbol AND h.data_source = f.data_source AND h.until_revision <= f.revision
    """)
    count, size = connection.execute(query, {"days": keep_days}).one()
    return int(count), int(size)


def trim_bar_history(connection: sa.Connection, *, keep_days: int) -> int:
    """Remove the versions that were replaced longer ago than that, in the caller's transaction.

    Of each series whole revisions go, and its oldest row of `series_revisions` says so: reads of what was
    known before are refused from then on.

    Parameters
    ----------
    connection : Connection
        Of the role `workbench_runs`.
    keep_days : int
        One or more.

    Returns
    -------
    int
        How many versions of bars were removed.
    """
    keep = sa.func.make_interval(0, 0, 0, keep_days)
    return int(connection.execute(sa.select(sa.func.workbench.trim_bar_history(keep))).scalar_one())
