"""Round trips: from a symbol's first order out of nothing to the one after which nothing is left."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.extensions import ExtensionArray

from workbench.fills.accounts import frozen
from workbench.fills.lines import REASONS, Codes, Lines, Rows

__all__ = ["RoundTrips", "round_trips", "sums", "text", "trades_frame"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RoundTrips:
    """Trades, by entry time and then by symbol; a field each: arrays of shape (n_trades,).

    Attributes
    ----------
    column, entry_row, exit_row : ndarray of int32
        The symbol, the bar of the first fill, and that of the last one; -1 while it is open.
    closed, short : ndarray of bool
    entry_price, exit_price, size, pnl, change, fees, dividends : ndarray of float64
        As `BacktestRecord.trades` tells, where `change` is called return.
    reason : ndarray of int8
        The place of the last fill's reason in REASONS; -1 while it is open.
    """

    column: Rows
    entry_row: Rows
    exit_row: Rows
    closed: npt.NDArray[np.bool_]
    short: npt.NDArray[np.bool_]
    entry_price: Floats
    exit_price: Floats
    size: Floats
    pnl: Floats
    change: Floats
    fees: Floats
    dividends: Floats
    reason: Codes

    def __len__(self) -> int:
        return len(self.column)


def trades_frame(trips: RoundTrips, timestamps: pd.DatetimeIndex, symbols: tuple[str, ...]) -> pd.DataFrame:
    """Trades as a frame: `BacktestRecord.trades` tells what the columns hold."""
    return pd.DataFrame(
        {
            "symbol": text(symbols, trips.column),
            "direction": text(_DIRECTIONS, trips.short.astype(np.int8)),
            "entry_time": timestamps[trips.entry_row],
            "exit_time": timestamps.take(trips.exit_row, allow_fill=True, fill_value=cast(Any, pd.NaT)),
            "entry_price": trips.entry_price,
            "exit_price": trips.exit_price,
            "size": trips.size,
            "pnl": trips.pnl,
            "return": trips.change,
            "fees": trips.fees,
            "dividends": trips.dividends,
            "status": text(_STATES, trips.closed.astype(np.int8)),
            "exit_reason": text(_EXITS, trips.reason + 1),
        },
        copy=False,
    )


def round_trips(lines: Lines, last_close: Floats) -> RoundTrips:
    """The trades that lines make up.

    Parameters
    ----------
    lines : Lines
        Each symbol's in the order in which they happened. An order from long to short, or back, is two: one
        that closes a trade and one that opens the next, the fees by their sizes.
    last_close : ndarray of float64, shape (n_symbols,)
        What an open trade is valued at, before the costs of closing it.
    """
    from workbench.fills.pairing import NUMBERS, pair

    # Memory that is not written to costs nothing: there are seldom as many.
    room = 2 * len(lines)
    places, flags = np.empty((3, room), dtype=np.int32), np.empty((2, room), dtype=np.bool_)
    numbers, reasons = np.empty((len(NUMBERS), room)), np.empty(room, dtype=np.int8)
    given = (
        frozen(values)
        for values in (
            lines.row.astype(np.int32, copy=False), lines.column.astype(np.int32, copy=False),
            lines.side.astype(np.int8, copy=False), lines.size, lines.price, lines.fees, lines.units,
            lines.reason.astype(np.int8, copy=False), last_close,
        )
    )  # fmt: skip
    count = pair(*given, places, flags, numbers, reasons)
    column, entry_row, exit_row = places[:, :count]
    kept = np.lexsort((column, entry_row))
    closed, short = flags[:, :count]
    return RoundTrips(
        column=column[kept],
        entry_row=entry_row[kept],
        exit_row=exit_row[kept],
        closed=closed[kept],
        short=short[kept],
        **{name: values[:count][kept] for name, values in zip(NUMBERS, numbers, strict=True)},
        reason=reasons[:count][kept],
    )


def sums(places: Rows, values: Floats, count: int) -> Floats:
    """The values of each place, added up: float64, shape (count,); 0 where there are none."""
    return np.bincount(places, weights=values, minlength=count).astype(np.float64)


def text(names: tuple[str, ...], places: npt.NDArray[np.signedinteger[Any]]) -> ExtensionArray:
    """Text by its place in a list of names, as a column."""
    return _as_column(names).take(places)


@functools.lru_cache(maxsize=32)
def _as_column(names: tuple[str, ...]) -> ExtensionArray:
    return pd.array(list(names), dtype="str")


_DIRECTIONS = ("long", "short")
_STATES = ("open", "closed")
_EXITS = ("", *REASONS)
