"""Runs one user-written statement as the read-only role: bound parameters, limits of time, rows and bytes."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date, timedelta
from datetime import time as clock
from decimal import Decimal
from typing import Any, cast

import numpy as np
import pandas as pd
import psycopg
import sqlalchemy as sa
from psycopg.types.json import Jsonb
from psycopg.types.string import StrDumper

from workbench.db.bounded import BoundedQuery
from workbench.db.pool import ServiceConnectionPool
from workbench.db.query_errors import explained, only_reads
from workbench.db.results import columns_of, frame_of, register_loaders
from workbench.db.statement import Statement, parse
from workbench.db.translate import translated
from workbench.errors import QueryError

__all__ = ["MAX_BYTES", "MAX_ROWS", "TIMEOUT_SECONDS", "query"]

TIMEOUT_SECONDS = 60.0
MAX_ROWS = 1_000_000
# A million rows of eight numbers and a symbol have 70 MB. While a frame is built, its values are in memory
# two or three times; a laptop can still take this much.
MAX_BYTES = 500_000_000

# Statements that can be used as a subquery.
_QUERIES = {"select", "with", "table", "values"}
_READS = _QUERIES | {"explain", "show"}
# Rows received at once, and a limit of their values, because a row may have 1,600.
_CHUNK, _CHUNK_VALUES = 10_000, 200_000
# PostgreSQL counts milliseconds in 32 bits.
_LONGEST = 2_000_000
_MOST_BYTES = 10**15
_PLAIN = (str, bool, int, float, Decimal, date, clock, timedelta, uuid.UUID, bytes)


class _Text(str):
    """Text in a list, bound with the type text, so that a list is never taken for a string.

    `symbol IN (:symbols)` then raises instead of returning no rows.
    """

    __slots__ = ()


def query(
    pool: ServiceConnectionPool,
    text: str,
    parameters: Mapping[str, Any],
    *,
    timeout: float = TIMEOUT_SECONDS,
    max_rows: int = MAX_ROWS,
    max_bytes: int = MAX_BYTES,
) -> pd.DataFrame:
    """Run one statement that reads, in a read-only transaction that is rolled back.

    Parameters
    ----------
    pool : ServiceConnectionPool
        Of the read-only role.
    text : str
        One statement; `:name` is replaced by a value of `parameters`.
    parameters : mapping
        Bound on the server, never inserted into the text. Use a list with `= ANY(:name)`; None is NULL, a
        dict is jsonb, and a time without a time zone counts as UTC.
    timeout : float
        Seconds after which the server cancels it.
    max_rows : int
        Maximum rows; more raise.
    max_bytes : int
        Maximum bytes; more raise before they are sent, and so does a row with more than a quarter of it.
        Text counts with its bytes in UTF-8, as do JSON, arrays and other types without a fixed length, bytes
        count twice; a number, a time and a flag count 8. The output of EXPLAIN and SHOW is not counted.

    Returns
    -------
    DataFrame
        RangeIndex; dtypes by PostgreSQL's types: `datetime64[us, UTC]` for timestamptz, `datetime64[us]`
        for timestamp, `datetime64[s]` for date, `timedelta64[us]` for interval, float64 for numeric and
        floats (NaN for NULL), Int64 for whole numbers, boolean, `str`; JSON, arrays, bytes and times of day
        as Python objects, all else as PostgreSQL's text. A second column with the same name is `name_1`.

    Raises
    ------
    QueryError
        The statement (the position is marked) or a parameter is wrong, or there are too many rows or bytes.
    PermissionRefused
        It would write, or the role may not read a table.
    DatabaseError, ServerUnreachable
        It ran too long, or the server does not answer.
    """
    _check_limits(timeout, max_rows, max_bytes)
    statement = parse(text)
    if statement.first_word not in _READS:
        # The role and the transaction would refuse it too; this error gives advice.
        raise only_reads(statement)
    missing = [name for name in statement.names if name not in parameters]
    if missing:
        given = f"; given: {', '.join(parameters)}" if parameters else ""
        raise QueryError(f"the statement uses the parameter :{missing[0]}, which has no value{given}")
    unused = [name for name in parameters if name not in statement.names]
    if unused:
        raise QueryError(f"a value is given for :{unused[0]}, which the statement does not use")
    values = {name: _value(name, parameters[name]) for name in statement.names}
    with translated("asking the database"), pool.engine.connect() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        started = time.monotonic()
        try:
            with _read_only(connection, timeout) as cursor:
                return _fetched(cursor, statement, list(values.values()), max_rows, max_bytes)
        except psycopg.Error as error:
            late = time.monotonic() - started >= timeout
            own = explained(error, statement, values, late=late, timeout=timeout)
            if own is None:
                raise
            raise own from error
        except UnicodeEncodeError as error:
            raise QueryError(f"the statement or a parameter is not valid Unicode: {error.reason}") from error
        except OverflowError as error:
            raise QueryError(
                "the result has a number beyond float64, whose largest is 1.8e308: cast it to text, e.g. "
                "column::text"
            ) from error


def _check_limits(timeout: float, max_rows: int, max_bytes: int) -> None:
    if not (_is_number(timeout, int | float) and 0 < timeout <= _LONGEST):
        raise QueryError(f"timeout={timeout!r}: expected seconds, more than 0 and at most {_LONGEST:,}")
    if not (_is_number(max_rows, int) and max_rows >= 1):
        raise QueryError(f"max_rows={max_rows!r}: expected a number of rows, at least 1")
    if not (_is_number(max_bytes, int) and 1 <= max_bytes <= _MOST_BYTES):
        raise QueryError(f"max_bytes={max_bytes!r}: expected a number of bytes, 1 to {_MOST_BYTES:,}")


def _is_number(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


@contextmanager
def _read_only(connection: sa.Connection, timeout: float) -> Iterator[psycopg.Cursor[Any]]:
    """A cursor in a read-only transaction; afterwards the session is unchanged, or closed on an error."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    milliseconds = max(1, round(timeout * 1000))
    try:
        driver.execute(f"BEGIN READ ONLY; SET LOCAL statement_timeout = {milliseconds}".encode())
        with psycopg.RawCursor(driver) as cursor:
            register_loaders(cursor)
            cursor.adapters.register_dumper(_Text, StrDumper)
            yield cursor
        # Settings end with the transaction; a session's advisory locks do not, and would block writers.
        driver.execute("ROLLBACK", prepare=False)
        driver.execute("SELECT pg_advisory_unlock_all()", prepare=False)
    except BaseException:
        # Also on KeyboardInterrupt: psycopg has then cancelled the statement on the server.
        connection.invalidate()
        raise


def _fetched(
    cursor: psycopg.Cursor[Any], statement: Statement, arguments: Sequence[Any], max_rows: int, max_bytes: int
) -> pd.DataFrame:
    if statement.first_word not in _QUERIES:
        # EXPLAIN and SHOW return only a few lines.
        cursor.execute(statement.sent.encode(), arguments, prepare=False)
        return frame_of(columns_of(cursor), _chunks(cursor, max_rows))
    _describe(cursor, statement.sent, arguments)
    columns, described = columns_of(cursor), cursor.description or []
    if not described:
        return frame_of(columns, _chunks(_stream(cursor, statement.sent, arguments), max_rows))
    bounded = BoundedQuery(cursor, statement.sent, described, max_bytes)
    chunk = max(1, min(_CHUNK, _CHUNK_VALUES // len(columns)))
    try:
        with closing(_stream(cursor, bounded.text, arguments, chunk)) as rows:
            return frame_of(columns, _chunks(rows, max_rows, chunk))
    except psycopg.DataError as error:
        refusal = bounded.refusal(error)
        if refusal is None:
            raise
        raise refusal from error


def _describe(cursor: psycopg.Cursor[Any], sent: str, arguments: Sequence[Any]) -> None:
    """Get the columns of a query into `cursor.description`, without running it."""
    cursor.execute("SAVEPOINT asked")
    try:
        cursor.execute(f"SELECT * FROM ({sent}\n) AS asked LIMIT 0".encode(), arguments, prepare=False)
    except psycopg.OperationalError:
        raise
    except psycopg.Error:
        # As a subquery its message and position may differ, so the original is run to get its error.
        cursor.execute("ROLLBACK TO SAVEPOINT asked")
        with closing(_stream(cursor, sent, arguments, 1)) as rows:
            next(rows, None)
        raise


def _stream(
    cursor: psycopg.Cursor[Any], sent: str, arguments: Sequence[Any], size: int = _CHUNK
) -> Generator[Any, None, None]:
    size = size if psycopg.capabilities.has_stream_chunked() else 1
    return cast(Generator[Any, None, None], cursor.stream(sent.encode(), arguments, size=size))


def _chunks(
    rows: Iterable[tuple[Any, ...]], max_rows: int, size: int = _CHUNK
) -> Iterator[list[tuple[Any, ...]]]:
    fetched, left = 0, iter(rows)
    while chunk := list(itertools.islice(left, size)):
        fetched += len(chunk)
        if fetched > max_rows:
            raise QueryError(
                f"the statement returns more than {max_rows:,} rows: add LIMIT, aggregate on the server, or "
                "allow more: wb.sql(…, max_rows=5_000_000), %%sql --max-rows 5000000"
            )
        yield chunk


def _value(name: str, value: Any) -> Any:
    """The value as psycopg can bind it; pandas and numpy types are converted to plain Python."""
    if isinstance(value, pd.Series | pd.Index | np.ndarray) and value.ndim == 1:
        # Through an Index: numpy's tolist converts nanosecond timestamps to integers.
        value = pd.Index(value).tolist()
    if isinstance(value, list | tuple | set | frozenset | range):
        return _list(name, [_value(name, one) for one in value])
    if isinstance(value, np.datetime64 | np.timedelta64):
        value = pd.Timestamp(value) if isinstance(value, np.datetime64) else pd.Timedelta(value)
    elif isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, pd.Timestamp | pd.Timedelta) and _nanoseconds(value):
        raise QueryError(f":{name} is finer than a microsecond, PostgreSQL's resolution: use floor('us')")
    if isinstance(value, dict):
        return Jsonb(value)
    if not isinstance(value, _PLAIN):
        kind = type(value).__name__
        raise QueryError(f":{name} is of type {kind}: use a number, text, time, list or dict")
    return value


def _list(name: str, values: list[Any]) -> list[Any]:
    """The values as a PostgreSQL array, whose elements must be of one type."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        try:
            return [None if value is None else float(value) for value in values]
        except OverflowError as error:
            raise QueryError(
                f":{name} is a list with a number beyond float64, whose largest is 1.8e308: give whole "
                "numbers only, or text"
            ) from error
    if len(kinds) > 1:
        mixed = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise QueryError(f":{name} is a list of mixed types ({mixed}): its values must be of one type")
    return [_Text(value) if isinstance(value, str) else value for value in values]


def _nanoseconds(value: pd.Timestamp | pd.Timedelta) -> int:
    return value.nanosecond if isinstance(value, pd.Timestamp) else value.nanoseconds
