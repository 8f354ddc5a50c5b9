"""The range of bars to read, and its condition in SQL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from psycopg import sql

__all__ = ["READERS", "BarRange", "conditions"]

READERS = 3
"""How many connections one large load opens in addition to the caller's."""

_YEAR_1, _YEAR_10000 = -62_135_596_800_000_000, 253_402_300_800_000_000


@dataclass(frozen=True)
class BarRange:
    """The bars of one symbol to read.

    Attributes
    ----------
    symbol : str
    start, end : int
        Microseconds since 1970, UTC: `[start, end)`.
    likely : int
        Estimated number of bars in the range.
    room : int
        Number of bars to allocate memory for; if there are more, they are read another way.
    """

    symbol: str
    start: int
    end: int
    likely: int
    room: int


def conditions(source: str, symbols: Iterable[str], start: int, end: int) -> sql.Composed:
    """The WHERE condition for bars, with literal values: COPY does not take parameters."""
    return sql.SQL("data_source = {} AND symbol = ANY({}) AND timestamp >= {} AND timestamp < {}").format(
        sql.Literal(source), sql.Literal(list(symbols)), _moment(start), _moment(end)
    )


def _moment(microseconds: int) -> sql.Literal:
    # A constant, so that the planner can exclude partitions.
    if not _YEAR_1 <= microseconds < _YEAR_10000:
        return sql.Literal("-infinity" if microseconds < 0 else "infinity")
    return sql.Literal(f"{np.datetime64(microseconds, 'us')}+00")
