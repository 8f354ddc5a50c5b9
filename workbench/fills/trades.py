"""Round trips: from a symbol's first order out of nothing to the one after which nothing is left."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.extensions import ExtensionArray

from workbench.fills.lines import BUY, DIVIDEND, REASONS
from workbench.signals.inputs import BarArrays

__all__ = ["round_trips", "sums", "text"]

Floats = npt.NDArray[np.float64]


def round_trips(lines: npt.NDArray[np.void], market: BarArrays, last_close: Floats) -> pd.DataFrame:
    """Trades, by entry time; `BacktestRecord.trades` tells what the columns hold.

    Parameters
    ----------
    lines : structured ndarray of dtype LINE
        Each symbol's in the order in which they happened.
    market : BarArrays
    last_close : ndarray of float64, shape (n_symbols,)
        What an open trade is valued at.
    """
    lines = _split_where_sides_change(lines[np.argsort(lines["column"], kind="stable")])
    before = _units_before(lines)
    trade = np.cumsum((before == 0.0) & (lines["units"] != 0.0)) - 1
    count = int(trade[-1]) + 1 if len(trade) else 0
    first = np.searchsorted(trade, np.arange(count), side="left")
    last = np.searchsorted(trade, np.arange(count), side="right") - 1
    closed = lines["units"][last] == 0.0
    side = np.where(lines["side"][first] == BUY, 1.0, -1.0)

    paid = lines["side"] == DIVIDEND
    adding = ~paid & ((lines["side"] == BUY) == (side[trade] > 0.0))
    value = lines["size"] * lines["price"]

    def total(values: Floats, where: npt.NDArray[np.bool_]) -> Floats:
        return sums(trade, np.where(where, values, 0.0), count)

    def mean_price(where: npt.NDArray[np.bool_], one: npt.NDArray[np.int64]) -> Floats:
        several = total(np.ones(len(trade)), where) > 1
        mean = total(value, where) / np.where(several, total(lines["size"], where), 1.0)
        return np.where(several, mean, lines["price"][one])

    size, bought, sold = total(lines["size"], adding), total(value, adding), total(value, ~adding & ~paid)
    fees = sums(trade, lines["fees"], count)
    dividends = total(value * np.sign(lines["units"]), paid)
    # An open trade is valued at its symbol's last close, before the costs of closing it.
    left = np.where(closed, 0.0, np.abs(lines["units"][last]) * last_close[lines["column"][last]])
    pnl = side * (sold + left - bought) - fees + dividends
    order = np.lexsort((lines["column"][first], lines["row"][first]))
    times = market.timestamps
    frame = pd.DataFrame(
        {
            "symbol": text(np.array(market.symbols, dtype=object), lines["column"][first]),
            "direction": text(_DIRECTIONS, (side < 0.0).astype(np.int64)),
            "entry_time": times[lines["row"][first]],
            "exit_time": times[lines["row"][last]].where(closed),
            "entry_price": mean_price(adding, first),
            "exit_price": np.where(closed, mean_price(~adding & ~paid, last), np.nan),
            "size": size,
            "pnl": pnl,
            "return": pnl / np.where(bought > 0.0, bought, 1.0),
            "fees": fees,
            "dividends": dividends,
            "status": text(_STATES, closed.astype(np.int64)),
            "exit_reason": text(_EXITS, np.where(closed, lines["reason"][last] + 1, 0)),
        }
    )
    return frame.take(order).reset_index(drop=True)


def sums(places: npt.NDArray[np.int64], values: Floats, count: int) -> Floats:
    """The values of each place, added up: float64, shape (count,); 0 where there are none."""
    return np.bincount(places, weights=values, minlength=count).astype(np.float64)


def text(names: npt.NDArray[np.object_], places: npt.NDArray[np.int64]) -> ExtensionArray:
    """Text by its place in a list of names, as a column."""
    return pd.array(names[places], dtype="str")


_DIRECTIONS = np.array(["long", "short"], dtype=object)
_STATES = np.array(["open", "closed"], dtype=object)
_EXITS = np.array(["", *REASONS], dtype=object)


def _units_before(lines: npt.NDArray[np.void]) -> Floats:
    before = np.concatenate(([0.0], lines["units"][:-1])) if len(lines) else np.zeros(0)
    other = (
        np.concatenate(([True], lines["column"][1:] != lines["column"][:-1])) if len(lines) else before > 0
    )
    return np.where(other, 0.0, before)


def _split_where_sides_change(lines: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """An order from long to short, or back, as two: one that closes, one that opens; fees by their size."""
    before = _units_before(lines)
    crossing = before * lines["units"] < 0.0
    if not crossing.any():
        return lines
    closing = lines.copy()
    closing["units"][crossing] = 0.0
    closing["size"][crossing] = np.abs(before[crossing])
    closing["fees"][crossing] *= np.abs(before[crossing]) / lines["size"][crossing]
    opening = lines[crossing]
    opening["fees"] -= closing["fees"][crossing]
    opening["size"] = np.abs(opening["units"])
    return np.insert(closing, np.flatnonzero(crossing) + 1, opening)
