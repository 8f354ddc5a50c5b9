"""Which bars to read, and the condition that says so in SQL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from psycopg import sql

__all__ = ["READERS", "BarRange", "conditions"]

READERS = 3
"""How many connections, beside the caller's own, one large load opens and closes."""

_YEAR_1, _YEAR_10000 = -62_135_596_800_000_000, 253_402_300_800_000_000


@dataclass(frozen=True)
class BarRange:
    """Which bars of one symbol to read.

    Attributes
    ----------
    symbol : str
    start, end : int
        Microseconds since 1970, UTC: `[start, end)`.
    likely : int
        About how many bars there are in it.
    room : int
        How many there is to be room for; where more come, they are read another way.
    """

    symbol: str
    start: int
    end: int
    likely: int
    room: int


def conditions(source: str, symbols: Iterable[str], start: int, end: int) -> sql.Composed:
    """The WHERE of a query of bars, with its values in it: COPY takes no parameters."""
    return sql.SQL("data_source = {} AND symbol = ANY({}) AND timestamp >= {} AND timestamp < {}").format(
        sql.Literal(source), sql.Literal(list(symbols)), _moment(start), _moment(end)
    )


def _moment(microseconds: int) -> sql.Literal:
    # A constant, or the planner would look into the partitions of every year.
    if not _YEAR_1 <= microseconds < _YEAR_10000:
        return sql.Literal("-infinity" if microseconds < 0 else "infinity")
    return sql.Literal(f"{np.datetime64(microseconds, 'us')}+00")
