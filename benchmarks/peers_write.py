"""How people write bars into PostgreSQL today, into the same table, as the same role, past the same triggers.

Every function yields what is timed: from the frame in memory to the commit. All but `to_sql` are idempotent:
they stage the bars in a temporary table, insert them from there, and update those that differ.
"""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pandas as pd
import psycopg

from benchmarks import Timed
from benchmarks.data import FIELDS, Bars
from benchmarks.rows import binary_rows

__all__ = ["adbc", "copy_binary", "copy_csv", "to_sql"]

Task = Mapping[str, Any]

_TABLE = "data_ingestion.market_data"
_KEY = ("symbol", "timestamp", "data_source")
_COLUMNS = ", ".join(("symbol", "timestamp", *FIELDS, "data_source"))
_STAGE = f"CREATE TEMPORARY TABLE stage ON COMMIT DROP AS SELECT {_COLUMNS} FROM {_TABLE} WITH NO DATA"
_SOURCE = "polygon"


@contextlib.contextmanager
def copy_binary(task: Task) -> Iterator[Timed]:
    """Psycopg's COPY of PostgreSQL's binary format, encoded by numpy."""
    return _copied(task, "FORMAT BINARY", lambda frame: binary_rows(Bars.of_frame(frame), _SOURCE))


@contextlib.contextmanager
def copy_csv(task: Task) -> Iterator[Timed]:
    """Psycopg's COPY of CSV, written by pyarrow."""
    return _copied(task, "FORMAT CSV", _csv)


@contextlib.contextmanager
def adbc(task: Task) -> Iterator[Timed]:
    """ADBC's ingest into the temporary table, as float8, and the same statement from there."""
    dbapi: Any = importlib.import_module("adbc_driver_postgresql.dbapi")
    frames = _frames(task)
    casts = ", ".join(("symbol", "timestamp", *(f"{field}::numeric" for field in FIELDS), f"'{_SOURCE}'"))
    with dbapi.connect(task["service_url"]) as connection:

        def write(path: str) -> int:
            with connection.cursor() as cursor:
                cursor.adbc_ingest("stage", _arrow(frames[path]), mode="create", temporary=True)
                cursor.execute(_upsert(casts))
                written = int(cursor.rowcount)
                cursor.execute("DROP TABLE stage")
            connection.commit()
            return written

        yield Timed(write)


@contextlib.contextmanager
def to_sql(task: Task) -> Iterator[Timed]:
    """`DataFrame.to_sql`: it can only append, so the same bars twice would be refused."""
    import sqlalchemy as sa

    frames = _frames(task)
    engine = sa.create_engine(task["service_url"].replace("postgresql:", "postgresql+psycopg:", 1))

    def write(path: str) -> None:
        rows = frames[path].reset_index().assign(data_source=_SOURCE)
        rows.to_sql(
            "market_data",
            engine,
            schema="data_ingestion",
            if_exists="append",
            index=False,
            # The fastest for many rows: one row a statement (the default) fires the triggers for each.
            method="multi",
            chunksize=1_000,
        )

    yield Timed(write)
    engine.dispose()


def _copied(task: Task, how: str, encode: Callable[[pd.DataFrame], Iterable[bytes]]) -> Iterator[Timed]:
    frames = _frames(task)
    statement = f"COPY stage ({_COLUMNS}) FROM STDIN ({how})".encode()
    with psycopg.connect(task["service_url"]) as connection:

        def write(path: str) -> int:
            with connection.cursor() as cursor:
                cursor.execute(_STAGE.encode())
                with cursor.copy(statement) as copy:
                    for piece in encode(frames[path]):
                        copy.write(piece)
                cursor.execute(_upsert(_COLUMNS).encode())
                written = cursor.rowcount
            connection.commit()
            return written

        yield Timed(write)


def _upsert(selected: str) -> str:
    new, old = (", ".join(f"{of}.{field}" for field in FIELDS) for of in ("excluded", "m"))
    assignments = ", ".join(f"{field} = excluded.{field}" for field in FIELDS)
    return (
        f"INSERT INTO {_TABLE} AS m ({_COLUMNS}) SELECT {selected} FROM stage "
        f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET {assignments} "
        f"WHERE ({old}) IS DISTINCT FROM ({new})"
    )


def _frames(task: Task) -> dict[str, pd.DataFrame]:
    return {path: Bars.load(path).frame() for path in task["data"]}


def _arrow(frame: pd.DataFrame) -> Any:
    import pyarrow as pa

    return pa.Table.from_pandas(frame.reset_index(), preserve_index=False)


def _csv(frame: pd.DataFrame) -> Iterator[bytes]:
    import pyarrow as pa
    from pyarrow import csv

    table = _arrow(frame).append_column("data_source", pa.repeat(pa.scalar(_SOURCE), len(frame)))
    written = io.BytesIO()
    csv.write_csv(table, written, csv.WriteOptions(include_header=False))
    yield written.getvalue()
