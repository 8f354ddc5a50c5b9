"""Reads bars from `market_data` as arrays: few with one query, many in parallel with compiled code."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import psycopg
import sqlalchemy as sa
from psycopg import sql

from workbench.db.bar_range import BarRange, conditions
from workbench.marketdata.series import SeriesBars

__all__ = ["EPOCH", "VALUES", "elements", "read_bars"]

# From this many bars on the compiled code is faster, including its import; fewer if it is imported already.
_MANY, _MANY_WHEN_LOADED = 250_000, 20_000
# Maximum bars in one result if the compiled code cannot be used.
_AT_ONCE = 500_000
EPOCH = 946_684_800_000_000
"""PostgreSQL's own epoch, 2000-01-01, in microseconds since 1970."""
VALUES = ("open", "high", "low", "close", "volume")
"""The columns of a bar's values."""


def read_bars(connection: sa.Connection, source: str, ranges: Sequence[BarRange]) -> dict[str, SeriesBars]:
    """Read the bars of several symbols in the caller's snapshot.

    Parameters
    ----------
    connection : Connection
        In a transaction; many bars are read over additional connections that share its snapshot.
    source : str
        The data source.
    ranges : sequence of BarRange
        Each symbol once.

    Returns
    -------
    dict
        Symbol to its bars in time order; symbols without bars in their range are left out.
    """
    if not ranges:
        return {}
    total = sum(one.likely for one in ranges)
    if total >= (_MANY_WHEN_LOADED if "workbench.db.wire" in sys.modules else _MANY):
        from workbench.db.parallel import read_in_parallel

        found, left = read_in_parallel(connection, source, ranges)
    else:
        found, left = {}, list(ranges)
    for part in _portions(left):
        found.update(_read_arrays(connection, source, part))
    return found


def _portions(ranges: Sequence[BarRange]) -> Iterable[list[BarRange]]:
    portion: list[BarRange] = []
    for one in sorted(ranges, key=lambda one: (one.start, one.end)):
        bounds_differ = portion and (portion[0].start, portion[0].end) != (one.start, one.end)
        if portion and (bounds_differ or sum(each.likely for each in portion) + one.likely > _AT_ONCE):
            yield portion
            portion = []
        portion.append(one)
    if portion:
        yield portion


def _read_arrays(
    connection: sa.Connection, source: str, ranges: Sequence[BarRange]
) -> Mapping[str, SeriesBars]:
    """Read one array per column and symbol, built by the server: no object per bar, no compiled code."""
    query = sql.SQL(
        "SELECT symbol, array_agg(timestamp), {} FROM data_ingestion.market_data WHERE {} GROUP BY symbol"
    ).format(
        sql.SQL(", ").join(sql.SQL("array_agg({}::float8)").format(sql.Identifier(name)) for name in VALUES),
        conditions(source, [one.symbol for one in ranges], ranges[0].start, ranges[0].end),
    )
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    found = {}
    with driver.cursor(binary=True) as cursor:
        cursor.execute(query)
        result = cursor.pgresult
        assert result is not None
        for row in range(result.ntuples):
            symbol, *columns = (result.get_value(row, column) for column in range(result.nfields))
            assert symbol is not None
            times = elements(columns[0], ">i8").astype(np.int64) + EPOCH
            values = np.stack([elements(column, ">f8") for column in columns[1:]]).astype(np.float64)
            if not (np.diff(times) > 0).all():
                order = np.argsort(times, kind="stable")
                times, values = times[order], np.ascontiguousarray(values[:, order])
            found[symbol.decode()] = SeriesBars(symbol.decode(), times, values)
    return found


def elements(data: bytes | None, kind: str) -> npt.NDArray[np.generic]:
    """The elements of an array of eight-byte values without NULLs, in PostgreSQL's binary form.

    Five int32 come first (dimensions, whether there are NULLs, type, length, lower bound); then every
    element with its length before it. Source: `array_send`.
    """
    assert data is not None
    return np.frombuffer(data, dtype=np.dtype([("length", ">i4"), ("value", kind)]), offset=20)["value"]
