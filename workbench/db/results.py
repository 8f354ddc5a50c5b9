"""The rows of any statement as a DataFrame, typed by PostgreSQL's own types."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import pandas as pd
import psycopg
from psycopg.types.datetime import IntervalLoader
from psycopg.types.numeric import FloatLoader
from psycopg.types.string import TextLoader

__all__ = ["columns_of", "frame_of", "register_loaders"]

_DTYPES = {
    "bool": "boolean",
    "int2": "Int64",
    "int4": "Int64",
    "int8": "Int64",
    "oid": "Int64",
    "float4": "float64",
    "float8": "float64",
    "numeric": "float64",
    "date": "datetime64[s]",
    "timestamp": "datetime64[us]",
    "timestamptz": "datetime64[us, UTC]",
    "interval": "timedelta64[us]",
    "json": "object",
    "jsonb": "object",
    "bytea": "object",
    "time": "object",
    "timetz": "object",
    "record": "object",
}
Column = tuple[str, str]
"""A column's name and its dtype in a frame."""


class _ExactInterval(IntervalLoader):
    """Loads intervals of a fixed length; raises for months, which psycopg would load as 30 days."""

    def load(self, data: Any) -> timedelta:
        if any(unit in bytes(data) for unit in (b"mon", b"year")):
            raise psycopg.DataError(
                f"the interval {bytes(data).decode()!r} has no fixed length: cast it to text, or use days"
            )
        return super().load(data)


def register_loaders(cursor: psycopg.Cursor[Any]) -> None:
    """Make the cursor return numbers as float, and types without a pandas equivalent as PostgreSQL's text."""
    for kind in cursor.connection.adapters.types:
        if kind.name not in _DTYPES:
            cursor.adapters.register_loader(kind.oid, TextLoader)
    cursor.adapters.register_loader("numeric", FloatLoader)
    cursor.adapters.register_loader("interval", _ExactInterval)


def frame_of(columns: Sequence[Column], chunks: Iterable[Sequence[tuple[Any, ...]]]) -> pd.DataFrame:
    """The chunks' rows in these columns; an empty frame if there are none."""
    frames = [_frame(columns, zip(*rows, strict=True), len(rows)) for rows in chunks]
    if not frames:
        return _frame(columns, ([] for _ in columns), 0)
    return pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]


def _frame(columns: Sequence[Column], values: Iterable[Sequence[Any]], rows: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            name: pd.Series(list(series), dtype=dtype)
            for (name, dtype), series in zip(columns, values, strict=True)
        },
        index=pd.RangeIndex(rows),
    )


def columns_of(cursor: psycopg.Cursor[Any]) -> list[Column]:
    """The columns of the cursor's result; a repeated name gets a number: `symbol_1`."""
    taken: list[str] = []
    columns = []
    for column in cursor.description or ():
        name, number = column.name, 0
        while name in taken:
            number += 1
            name = f"{column.name}_{number}"
        taken.append(name)
        columns.append((name, _dtype(cursor, column.type_code)))
    return columns


def _dtype(cursor: psycopg.Cursor[Any], oid: int) -> str:
    kind = cursor.connection.adapters.types.get(oid)
    if kind is None:
        # An enum or an extension's type.
        return "str"
    return "object" if kind.array_oid == oid else _DTYPES.get(kind.name, "str")
