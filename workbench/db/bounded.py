"""A user's query, rewritten so that PostgreSQL itself stops before it sends more bytes than are allowed.

The driver receives several whole rows at once: counting here would be too late, in the client's memory.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence

import psycopg

from workbench.errors import QueryError

__all__ = ["ROWS_SHARE", "BoundedQuery"]

ROWS_SHARE = 4
"""One row may have 1/4 of the limit: it is received at once, and is then in memory three times."""

# Bytes of a number, a time or a flag in a frame.
_FIXED = 8
_DIGITS = 38
_TEXTS = {"text", "varchar", "bpchar"}
# As int4, because the sum of int4 is int8 and not numeric; PostgreSQL cannot send a larger row anyway.
_MOST = 2_000_000_000


class BoundedQuery:
    """The statement to run instead of the user's, with the same rows and types.

    Its columns are called `c1`, `c2`, …

    Parameters
    ----------
    sent : str
        The user's statement, one that can be used as a subquery.
    columns : sequence of psycopg.Column
        The statement's columns.
    max_bytes : int
        Limit for all rows together; one row may have a quarter.
    """

    def __init__(
        self, cursor: psycopg.Cursor[object], sent: str, columns: Sequence[psycopg.Column], max_bytes: int
    ) -> None:
        self._max_bytes = max_bytes
        # SQL has no function that raises; casting a text to int does, and the error quotes the text.
        self._mark = f"bytes-{uuid.uuid4().hex}"
        names = [f"c{number}" for number in range(1, len(columns) + 1)]
        listed = ", ".join(names)
        sizes = [_size(cursor, column, name) for column, name in zip(columns, names, strict=True)]
        # OFFSET 0 prevents the planner from merging the subqueries, which would compute each value again.
        self.text = f"""
            SELECT {listed} FROM (
                SELECT *, sum(octets) OVER (ROWS UNBOUNDED PRECEDING) AS total FROM (
                    SELECT *, least({" + ".join(sizes)}, {_MOST})::int4 AS octets
                    FROM (SELECT * FROM ({sent}\n) AS asked ({listed}) OFFSET 0) AS apart OFFSET 0
                ) AS weighed
            ) AS counted
            WHERE CASE WHEN octets <= {max_bytes // ROWS_SHARE} AND total <= {max_bytes} THEN true
                       ELSE ('{self._mark} ' || octets)::int4 > 0 END"""

    def refusal(self, error: psycopg.Error) -> QueryError | None:
        """The `QueryError` to raise if the error is that of too many bytes; None for any other."""
        found = re.search(rf"{self._mark} (\d+)", error.diag.message_primary or "")
        if found is None:
            return None
        octets = int(found[1])
        if octets > self._max_bytes // ROWS_SHARE:
            more = max(ROWS_SHARE * octets, self._max_bytes + 1)
            return QueryError(
                f"a row of the statement has {octets:,} bytes, and one row may have "
                f"{self._max_bytes // ROWS_SHARE:,} (a quarter of max_bytes): cut its values on the server, "
                f"as in left(text, 1000), or allow more: {_more(more)}"
            )
        return QueryError(
            f"the statement returns more than {self._max_bytes:,} bytes: select fewer columns, add LIMIT, "
            f"aggregate on the server, or allow more: {_more(2 * self._max_bytes)}"
        )


def _more(allowed: int) -> str:
    return f"wb.sql(…, max_bytes={allowed:_}), %%sql --max-bytes {allowed}"


def _size(cursor: psycopg.Cursor[object], column: psycopg.Column, name: str) -> str:
    """SQL for the bytes of a value as text, or 8 for types of a fixed length."""
    kind = cursor.connection.adapters.types.get(column.type_code)
    written = kind.name if kind is not None and kind.array_oid != column.type_code else ""
    if column.internal_size is not None or (written == "numeric" and _is_short(column)):
        return str(_FIXED)
    # The length of a text is known without decompressing it.
    size = f"octet_length({name})" if written in _TEXTS else f"octet_length({name}::text)"
    return f"coalesce({size}, 0)::int8"


def _is_short(column: psycopg.Column) -> bool:
    """Whether a numeric has a small declared precision; without one it may have 147,456 digits."""
    return (
        column.precision is not None
        and column.precision <= _DIGITS
        and column.scale is not None
        and 0 <= column.scale <= _DIGITS
    )
