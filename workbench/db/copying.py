"""COPY to the server that raises the server's own error, even if the server goes away right after it."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import errors, generators, waiting
from psycopg.copy import LibpqWriter

__all__ = ["copying"]


def copying(cursor: psycopg.Cursor[Any], statement: str) -> Any:
    """`cursor.copy(statement)`, as a context manager whose `write` takes the data.

    psycopg expects one result at the end of a COPY. A server that reports an error, such as a full disk, and
    then goes away sends two, and psycopg raises a ValueError about unpacking.
    """
    return cursor.copy(statement.encode(), writer=_Writer(cursor))


class _Writer(LibpqWriter):
    def finish(self, exc: BaseException | None = None) -> None:
        why = None if exc is None else f"error from Python: {type(exc).__qualname__}".encode()
        try:
            result = self.connection.wait(_end(self._pgconn, why))
        except psycopg.Error as error:
            # The caller's exception takes precedence, unless it is a lost connection and this is its cause.
            if exc is None or (isinstance(exc, psycopg.OperationalError) and error.sqlstate is not None):
                raise
        else:
            self.cursor._results = [result]


def _end(pgconn: psycopg.pq.abc.PGconn, why: bytes | None) -> Any:
    """As `psycopg.generators.copy_end`, but raises the first error of several results."""
    while pgconn.put_copy_end(why) == 0:
        while not (yield waiting.WAIT_W):
            continue
    while True:
        while not (yield waiting.WAIT_W):
            continue
        if pgconn.flush() == 0:
            break
    results = yield from generators.fetch_many(pgconn)
    for result in results:
        if result.status != psycopg.pq.ExecStatus.COMMAND_OK:
            raise errors.error_from_result(result)
    return results[-1]
