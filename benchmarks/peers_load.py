"""How people load bars out of PostgreSQL today: each peer in the fastest honest ways that we found.

Every function opens what may stay open between two loads, and yields what is timed: symbols in, final frame
out. The numerics are cast on the server, to float8 or to text, whichever serves the peer better; the order is
the primary key's, so asking for it costs nothing.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import psycopg

from benchmarks import Timed
from benchmarks.data import FIELDS, tidy

__all__ = ["adbc", "connectorx", "psycopg_copy", "read_sql"]

Task = Mapping[str, Any]

_TABLE = "data_ingestion.market_data"
# Of PostgreSQL's binary COPY: what comes before and after the rows, in bytes, and 2000-01-01 in microseconds.
_HEADER, _TRAILER = 19, 2
_EPOCH = 946_684_800_000_000


def _address(task: Task) -> str:
    """The server's, for sessions that compile no queries: for these it costs more than it saves."""
    return f"{task['service_url']}?options=-c%20jit%3Doff"


def _columns_as(kind: str) -> str:
    """The fields cast by the server: to float8, or to text, which costs it half as much."""
    return ", ".join(f"{field}::{kind} AS {field}" for field in FIELDS)


def _query(symbols: Sequence[str], columns: str) -> str:
    """The statement for those symbols; their names are the benchmark's own, so they need no quoting."""
    names = ", ".join(f"'{symbol}'" for symbol in symbols)
    return (
        f"SELECT {columns} FROM {_TABLE} WHERE data_source = 'polygon' AND symbol IN ({names}) "
        "ORDER BY symbol, timestamp"
    )


@contextlib.contextmanager
def adbc(task: Task, *, parts: int = 1, cast: str = "float8") -> Iterator[Timed]:
    """ADBC's PostgreSQL driver over `parts` connections, each for its share of the symbols."""
    dbapi: Any = importlib.import_module("adbc_driver_postgresql.dbapi")
    columns = f"symbol, timestamp, {_columns_as(cast)}"
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(dbapi.connect(_address(task))) for _ in range(parts)]
        threads = stack.enter_context(ThreadPoolExecutor(parts))

        def fetch(connection: Any, symbols: Sequence[str]) -> Any:
            with connection.cursor() as cursor:
                cursor.execute(_query(symbols, columns))
                return cursor.fetch_arrow_table()

        def load(symbols: Sequence[str]) -> pd.DataFrame:
            return _from_arrow(list(threads.map(fetch, connections, _shares(symbols, parts))))

        yield Timed(load)


@contextlib.contextmanager
def connectorx(task: Task, *, parts: int = 1, cast: str = "float8") -> Iterator[Timed]:
    """ConnectorX over TCP, one query or several at once; it connects anew each time."""
    cx: Any = importlib.import_module("connectorx")
    url = f"{_address(task)}&sslmode=disable"
    columns = f"symbol, timestamp, {_columns_as(cast)}"

    def load(symbols: Sequence[str]) -> pd.DataFrame:
        queries = [_query(share, columns) for share in _shares(symbols, parts)]
        return _from_arrow([cx.read_sql(url, queries if parts > 1 else queries[0], return_type="arrow")])

    yield Timed(load)


@contextlib.contextmanager
def read_sql(task: Task) -> Iterator[Timed]:
    """`pandas.read_sql` by SQLAlchemy and psycopg."""
    import sqlalchemy as sa

    engine = sa.create_engine(_address(task).replace("postgresql:", "postgresql+psycopg:", 1))
    columns = f"symbol, timestamp, {_columns_as('float8')}"

    def load(symbols: Sequence[str]) -> pd.DataFrame:
        with engine.connect() as connection:
            rows = pd.read_sql(sa.text(_query(symbols, columns).replace("::", r"\:\:")), connection)
        return rows.set_index(["symbol", "timestamp"])

    yield Timed(load)
    engine.dispose()


@contextlib.contextmanager
def psycopg_copy(task: Task) -> Iterator[Timed]:
    """Binary COPY of casts to float8, one a symbol, so that all its rows are equally long, for numpy."""
    row = np.dtype(
        [
            ("columns", ">i2"),
            ("stamp_length", ">i4"),
            ("stamp", ">i8"),
            *(part for field in FIELDS for part in ((f"{field}_length", ">i4"), (field, ">f8"))),
        ]
    )
    columns = f"timestamp, {_columns_as('float8')}"
    with psycopg.connect(_address(task), autocommit=True) as connection:
        # Beneath psycopg's own Copy object, which costs as much again for each row.
        wire = connection.pgconn

        def fetch(symbol: str) -> Any:
            wire.exec_(f"COPY ({_query([symbol], columns)}) TO STDOUT (FORMAT BINARY)".encode())
            pieces = []
            while (piece := wire.get_copy_data(0))[0] > 0:
                pieces.append(piece[1])
            while (result := wire.get_result()) is not None:
                if result.error_message:
                    raise psycopg.DatabaseError(result.error_message.decode())
            data = b"".join(pieces)
            return np.frombuffer(data, row, (len(data) - _HEADER - _TRAILER) // row.itemsize, _HEADER)

        def load(symbols: Sequence[str]) -> pd.DataFrame:
            parts = [fetch(symbol) for symbol in symbols]
            counts = [len(part) for part in parts]
            values = np.empty((len(FIELDS), sum(counts)))
            for position, field in enumerate(FIELDS):
                np.concatenate([part[field] for part in parts], out=values[position])
            stamps = np.concatenate([part["stamp"] for part in parts]).astype(np.int64) + _EPOCH
            return tidy(symbols, np.repeat(np.arange(len(symbols)), counts), stamps, values)

        yield Timed(load)


def _shares(symbols: Sequence[str], parts: int) -> list[list[str]]:
    """The symbols in `parts` runs of about the same length."""
    return [list(share) for share in np.array_split(np.array(symbols, dtype=object), parts) if len(share)]


def _from_arrow(tables: Sequence[Any]) -> pd.DataFrame:
    """The final frame of Arrow tables of symbol, timestamp and the fields."""
    import pyarrow as pa

    table = pa.concat_tables(tables)
    symbols = table["symbol"]
    if not pa.types.is_dictionary(symbols.type):
        symbols = symbols.dictionary_encode()
    symbols = symbols.unify_dictionaries().combine_chunks()
    stamps = table["timestamp"]
    if pa.types.is_timestamp(stamps.type):
        stamps = stamps.cast(pa.timestamp("us", stamps.type.tz)).cast(pa.int64())
    values = np.empty((len(FIELDS), len(table)))
    for position, field in enumerate(FIELDS):
        column = table[field]
        values[position] = (
            column if pa.types.is_floating(column.type) else column.cast(pa.float64())
        ).to_numpy()
    return tidy(symbols.dictionary.to_pylist(), symbols.indices.to_numpy(), stamps.to_numpy(), values)
