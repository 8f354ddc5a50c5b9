"""Products of adjustment factors, keyed by symbol and day in one sortable number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.marketdata.calendar import timezone_of

__all__ = ["SECONDS", "Closes", "Factors", "day_of", "has_earlier", "key_of", "keys_of_bars"]

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

SECONDS = 86_400
"""Seconds in a day."""
# A key is symbol * SPAN + day, with days counted from an epoch long before any market.
SPAN = 1 << 24
EPOCH = 1 << 23


@dataclass(frozen=True)
class Factors:
    """Factors of events, as cumulative products.

    Attributes
    ----------
    keys : ndarray of int64
        Ascending.
    products : ndarray of float64
        The product of the event's factor and those of all later events of its symbol.
    """

    keys: Whole
    products: Floats

    @classmethod
    def of(cls, keys: Whole, values: Floats) -> Factors:
        """Build from each event's key and factor, in any order."""
        order = np.argsort(keys, kind="stable")[::-1]
        later = pd.Series(values[order]).groupby(keys[order] // SPAN).cumprod()
        return cls(keys[order][::-1], np.asarray(later, dtype=np.float64)[::-1])

    def after(self, keys: Whole) -> Floats:
        """For each key, the product of the factors of its symbol's later events; 1 if there are none."""
        place = np.searchsorted(self.keys, keys, side="right")
        found = _same_symbol(self.keys, place, keys)
        result = np.ones(len(keys))
        result[found] = self.products[place[found]]
        return result


@dataclass(frozen=True)
class Closes:
    """The last close of each day of each symbol.

    Attributes
    ----------
    keys : ndarray of int64
        Ascending, unique.
    values : ndarray of float64
        No NaN: a day without a close is left out.
    priced : bool
        False if the bars had no column close: `keys` are then the days of the bars, `values` is meaningless.
    """

    keys: Whole
    values: Floats
    priced: bool

    @classmethod
    def of(cls, bars: pd.DataFrame, symbols: pd.Index[Any], calendar: str) -> Closes:
        """The closes of some symbols' bars."""
        priced = "close" in bars.columns
        keys = keys_of_bars(bars.index, symbols, calendar)
        values = bars["close"].to_numpy(np.float64) if priced else np.ones(len(bars))
        chosen = np.flatnonzero((keys >= 0) & ~np.isnan(values))
        moments = pd.DatetimeIndex(bars.index.get_level_values("timestamp")).asi8[chosen]
        chosen = chosen[np.lexsort((moments, keys[chosen]))]
        keys = keys[chosen]
        last = np.append(keys[1:] != keys[:-1], True)[: len(keys)]
        return cls(keys[last], values[chosen][last], priced)

    def last_day(self, symbols: Whole) -> Whole:
        """The day of each symbol's last close; a day before all others if it has none."""
        place = np.searchsorted(self.keys, (symbols + 1) * SPAN) - 1
        found = _same_symbol(self.keys, place, symbols * SPAN)
        return np.where(found, np.append(self.keys, 0)[place] % SPAN, 0) - EPOCH

    def around(self, keys: Whole, until: Whole) -> tuple[Whole, Whole]:
        """Positions of the last close before each key and of the first in [key, until]; -1 for none."""
        place = np.searchsorted(self.keys, keys, side="left")
        before = np.where(_same_symbol(self.keys, place - 1, keys), place - 1, -1)
        in_time = _same_symbol(self.keys, place, keys) & (np.append(self.keys, 0)[place] <= until)
        return before.astype(np.int64), np.where(in_time, place, -1).astype(np.int64)


def day_of(moment: Any) -> int:
    """Days since 1970 of a date; a timestamp with a time zone is converted to its UTC date."""
    stamp = pd.Timestamp(moment)
    return int(
        (stamp if stamp.tz is None else stamp.tz_convert("UTC").tz_localize(None)).timestamp() // SECONDS
    )


def key_of(symbols: Whole, days: Whole) -> Whole:
    """Keys of symbols' numbers and days since 1970."""
    return symbols * SPAN + days + EPOCH


def has_earlier(bars: Whole, keys: Whole) -> npt.NDArray[np.bool_]:
    """Whether there are bars of each key's symbol before it; the bars' keys in any order."""
    # A stable sort is fast for bars, which are mostly in order already.
    ordered = np.sort(bars, kind="stable")
    return _same_symbol(ordered, np.searchsorted(ordered, keys, side="left") - 1, keys)


def keys_of_bars(index: pd.Index[Any], symbols: pd.Index[Any], calendar: str) -> Whole:
    """The key of each bar: its symbol's position in `symbols` and its date; -1 for other symbols.

    The date of a daily bar is that of its timestamp; of an intraday bar, that in the exchange's time zone.
    """
    assert isinstance(index, pd.MultiIndex)
    numbers = np.append(symbols.get_indexer(index.levels[0]), -1).astype(np.int64)[index.codes[0]]
    moments = pd.DatetimeIndex(index.levels[1]).tz_convert("UTC")
    days, within = np.divmod(moments.as_unit("s").asi8, SECONDS)
    place = np.asarray(index.codes[1])
    # Decided by symbol: daily and minute bars may be in one frame.
    intraday = np.bincount(numbers[within[place] != 0] + 1, minlength=len(symbols) + 1)[numbers + 1] > 0
    own = days[place]
    if (intraday & (numbers >= 0)).any():
        local = moments.tz_convert(timezone_of(calendar)).tz_localize(None)
        own = np.where(intraday, (local.as_unit("s").asi8 // SECONDS)[place], own)
    return np.where(numbers >= 0, key_of(numbers, own), -1)


def _same_symbol(keys: Whole, place: Whole, wanted: Whole) -> npt.NDArray[np.bool_]:
    """Whether each position holds a key of the same symbol as the wanted key."""
    inside = (place >= 0) & (place < len(keys))
    if not inside.any():
        return inside
    same: npt.NDArray[np.bool_] = keys[place.clip(0, len(keys) - 1)] // SPAN == wanted // SPAN
    return inside & same
