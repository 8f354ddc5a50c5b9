"""Round trips: from a symbol's first order out of nothing to the one after which nothing is left."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.extensions import ExtensionArray

from workbench.fills.lines import BUY, DIVIDEND, REASONS, Lines

__all__ = ["RoundTrips", "round_trips", "sums", "text", "trades_frame"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RoundTrips:
    """Trades, by entry time and then by symbol; a field each: arrays of shape (n_trades,).

    Attributes
    ----------
    column, entry_row, exit_row : ndarray of int64
        The symbol, the bar of the first fill, and that of the last one; -1 while it is open.
    closed, short : ndarray of bool
    entry_price, exit_price, size, pnl, change, fees, dividends : ndarray of float64
        As `BacktestRecord.trades` tells, where `change` is called return.
    reason : ndarray of int64
        The place of the last fill's reason in REASONS; -1 while it is open.
    """

    column: Integers
    entry_row: Integers
    exit_row: Integers
    closed: npt.NDArray[np.bool_]
    short: npt.NDArray[np.bool_]
    entry_price: Floats
    exit_price: Floats
    size: Floats
    pnl: Floats
    change: Floats
    fees: Floats
    dividends: Floats
    reason: Integers

    def __len__(self) -> int:
        return len(self.column)


def trades_frame(trips: RoundTrips, timestamps: pd.DatetimeIndex, symbols: tuple[str, ...]) -> pd.DataFrame:
    """Trades as a frame: `BacktestRecord.trades` tells what the columns hold."""
    return pd.DataFrame(
        {
            "symbol": text(symbols, trips.column),
            "direction": text(_DIRECTIONS, trips.short.astype(np.int64)),
            "entry_time": timestamps[trips.entry_row],
            "exit_time": timestamps.take(trips.exit_row, allow_fill=True, fill_value=cast(Any, pd.NaT)),
            "entry_price": trips.entry_price,
            "exit_price": trips.exit_price,
            "size": trips.size,
            "pnl": trips.pnl,
            "return": trips.change,
            "fees": trips.fees,
            "dividends": trips.dividends,
            "status": text(_STATES, trips.closed.astype(np.int64)),
            "exit_reason": text(_EXITS, trips.reason + 1),
        },
        copy=False,
    )


def round_trips(lines: Lines, last_close: Floats) -> RoundTrips:
    """The trades that lines make up.

    Parameters
    ----------
    lines : Lines
        Each symbol's in the order in which they happened.
    last_close : ndarray of float64, shape (n_symbols,)
        What an open trade is valued at.
    """
    if (np.diff(lines.column) < 0).any():
        lines = lines.take(np.argsort(lines.column, kind="stable"))
    lines = _split_where_sides_change(lines)
    before = _units_before(lines)
    # A symbol's lines from one that finds nothing held to the one before the next such line are a trade.
    first = np.flatnonzero(before == 0.0)
    lengths = np.diff(first, append=len(lines))
    last = first + lengths - 1
    closed = lines.units[last] == 0.0
    side = np.where(lines.side[first] == BUY, 1.0, -1.0)

    adding = (lines.side == BUY) == np.repeat(side > 0.0, lengths)
    value = lines.size * lines.price
    paid = lines.side == DIVIDEND
    dividends = np.zeros(len(first))
    leaving = ~adding
    if paid.any():
        adding, leaving = adding & ~paid, leaving & ~paid
        dividends = _sums(np.where(paid, value * np.sign(lines.units), 0.0), first)

    def mean_price(where: npt.NDArray[np.bool_], one: npt.NDArray[np.int64], value: Floats) -> Floats:
        several = _sums(where.astype(np.float64), first) > 1
        if not several.any():
            return lines.price[one]
        units = _sums(np.where(where, lines.size, 0.0), first)
        return np.where(several, value / np.where(several, units, 1.0), lines.price[one])

    size = _sums(np.where(adding, lines.size, 0.0), first)
    bought = _sums(np.where(adding, value, 0.0), first)
    sold = _sums(np.where(leaving, value, 0.0), first)
    fees = _sums(lines.fees, first)
    # An open trade is valued at its symbol's last close, before the costs of closing it.
    left = np.where(closed, 0.0, np.abs(lines.units[last]) * last_close[lines.column[last]])
    pnl = side * (sold + left - bought) - fees + dividends
    by_entry = np.lexsort((lines.column[first], lines.row[first]))
    entry_price = mean_price(adding, first, bought)
    exit_price = np.where(closed, mean_price(leaving, last, sold), np.nan)
    first, last, closed, side = first[by_entry], last[by_entry], closed[by_entry], side[by_entry]
    return RoundTrips(
        column=lines.column[first],
        entry_row=lines.row[first],
        exit_row=np.where(closed, lines.row[last], -1),
        closed=closed,
        short=side < 0.0,
        entry_price=entry_price[by_entry],
        exit_price=exit_price[by_entry],
        size=size[by_entry],
        pnl=pnl[by_entry],
        change=(pnl / np.where(bought > 0.0, bought, 1.0))[by_entry],
        fees=fees[by_entry],
        dividends=dividends[by_entry],
        reason=np.where(closed, lines.reason[last], -1),
    )


def sums(places: npt.NDArray[np.int64], values: Floats, count: int) -> Floats:
    """The values of each place, added up: float64, shape (count,); 0 where there are none."""
    return np.bincount(places, weights=values, minlength=count).astype(np.float64)


def _sums(values: Floats, first: npt.NDArray[np.int64]) -> Floats:
    """The values of each trade, added up; `first` is where each begins."""
    return np.add.reduceat(values, first) if len(first) else np.zeros(0)


def text(names: tuple[str, ...], places: npt.NDArray[np.int64]) -> ExtensionArray:
    """Text by its place in a list of names, as a column."""
    return _as_column(names).take(places)


@functools.lru_cache(maxsize=32)
def _as_column(names: tuple[str, ...]) -> ExtensionArray:
    return pd.array(list(names), dtype="str")


_DIRECTIONS = ("long", "short")
_STATES = ("open", "closed")
_EXITS = ("", *REASONS)


def _units_before(lines: Lines) -> Floats:
    before = np.zeros(len(lines))
    same = lines.column[1:] == lines.column[:-1]
    before[1:] = np.where(same, lines.units[:-1], 0.0)
    return before


def _split_where_sides_change(lines: Lines) -> Lines:
    """An order from long to short, or back, as two: one that closes, one that opens; fees by their size."""
    before = _units_before(lines)
    crossing = before * lines.units < 0.0
    if not crossing.any():
        return lines
    # Each of these stands there twice: what closes, then what opens.
    split = lines.take(np.repeat(np.arange(len(lines)), np.where(crossing, 2, 1)))
    closing = np.flatnonzero(crossing) + np.arange(int(crossing.sum()))
    ended = np.abs(before[crossing])
    fees = lines.fees[crossing] * ended / lines.size[crossing]
    units, size, paid = split.units.copy(), split.size.copy(), split.fees.copy()
    size[closing + 1] = np.abs(units[closing + 1])
    paid[closing + 1] -= fees
    units[closing], size[closing], paid[closing] = 0.0, ended, fees
    return replace(split, units=units, size=size, fees=paid)
