"""One symbol's bars as plain arrays, and the tidy frame assembled from many of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.marketdata.bars import BAR_COLUMNS

__all__ = ["Assembled", "SeriesBars", "assemble"]

Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.signedinteger]

# A lookup table of all steps from the first time to the last is used if it has at most this many per bar.
_STEPS_PER_BAR = 8


@dataclass(frozen=True)
class SeriesBars:
    """The bars of one symbol, ascending in time.

    Attributes
    ----------
    symbol : str
    times : ndarray of int64, shape (n,)
        Microseconds since 1970-01-01 UTC, strictly ascending.
    values : ndarray of float64, shape (5, n)
        open, high, low, close, volume; no NaN.
    """

    symbol: str
    times: Integers
    values: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.times)

    def between(self, start: int | None, end: int | None) -> SeriesBars:
        """The bars in `[start, end)`, microseconds, None for no bound; views, not copies."""
        first = 0 if start is None else int(np.searchsorted(self.times, start))
        last = len(self.times) if end is None else int(np.searchsorted(self.times, end))
        if first == 0 and last == len(self.times):
            return self
        return SeriesBars(self.symbol, self.times[first:last], self.values[:, first:last])

    def last(self, count: int) -> SeriesBars:
        """The last `count` bars, or all if there are fewer."""
        first = max(0, len(self.times) - count)
        return SeriesBars(self.symbol, self.times[first:], self.values[:, first:])


@dataclass(frozen=True)
class Assembled:
    """The bars of many symbols, sorted by symbol and time, as the parts of a tidy frame.

    Attributes
    ----------
    symbols : list of str
    moments : ndarray of int64
        Every time at which any symbol has a bar, microseconds since 1970 UTC, ascending.
    numbers, codes : ndarray of signed integers, shape (n,)
        Each bar's position in `symbols` and in `moments`.
    block : ndarray of float64, shape (5, n)
        open, high, low, close, volume; becomes the frame's memory.
    """

    symbols: list[str]
    moments: Integers
    numbers: Codes
    codes: Codes
    block: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.numbers)

    def frame(self, fields: Sequence[str] = BAR_COLUMNS) -> pd.DataFrame:
        """The bars as a frame, which shares the block's memory if it has all fields.

        Returns
        -------
        DataFrame
            Indexed (symbol, timestamp), sorted; timestamps `datetime64[us, UTC]`; float64.
        """
        rows = [BAR_COLUMNS.index(name) for name in fields]
        symbols = pd.Index(self.symbols, dtype="str")
        timestamps = pd.DatetimeIndex(self.moments.view("M8[us]")).tz_localize("UTC")
        index = pd.MultiIndex(
            levels=[symbols, timestamps],  # type: ignore[list-item]
            codes=[self.numbers, self.codes],  # type: ignore[list-item]
            names=["symbol", "timestamp"],
            verify_integrity=False,
        )
        whole = rows == list(range(len(BAR_COLUMNS)))
        return pd.DataFrame(
            (self.block if whole else self.block[rows]).T,
            index=index,
            columns=pd.Index(list(fields), dtype="str"),
            copy=False,
        )


def assemble(series: Sequence[SeriesBars]) -> Assembled:
    """Assemble the bars of many symbols.

    Parameters
    ----------
    series : sequence of SeriesBars
        Each symbol once, in any order.
    """
    # Strings compare by code point, as in every Python sort.
    ordered = sorted((one for one in series if len(one)), key=lambda one: one.symbol)
    moments, codes = _codes([one.times for one in ordered])
    kind = np.int8 if len(ordered) < 128 else np.int32
    return Assembled(
        symbols=[one.symbol for one in ordered],
        moments=moments,
        numbers=np.repeat(np.arange(len(ordered), dtype=kind), [len(one) for one in ordered]),
        codes=codes,
        block=_block(ordered),
    )


def _block(series: Sequence[SeriesBars]) -> npt.NDArray[np.float64]:
    whole = _whole(series)
    if whole is not None:
        return whole
    block = np.empty((len(BAR_COLUMNS), sum(len(one) for one in series)))
    for row, target in enumerate(block):
        np.concatenate([one.values[row] for one in series], out=target)
    return block


def _whole(series: Sequence[SeriesBars]) -> npt.NDArray[np.float64] | None:
    """The block whose adjacent parts the series are, in order, to save a copy; None if they are not."""
    if not series:
        return np.empty((len(BAR_COLUMNS), 0))
    if not series[0].values.flags.writeable:
        # Pages of a cache file: a frame must be writable, so it gets a copy.
        return None
    if len(series) == 1:
        return series[0].values
    base = series[0].values.base
    if not isinstance(base, np.ndarray) or base.ndim != 2 or base.dtype != np.float64:
        return None
    start = place = (series[0].values.ctypes.data - base.ctypes.data) // 8
    for one in series:
        if one.values.base is not base or one.values.ctypes.data != base.ctypes.data + 8 * place:
            return None
        place += len(one)
    return base[:, start:place] if place <= base.shape[1] else None


def _codes(times: list[Integers]) -> tuple[Integers, Codes]:
    """All times, ascending, and the position of each bar's time in them."""
    if not times:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32)
    longest = max(times, key=len)
    # Usually every symbol's times are one stretch of the longest symbol's: then no search is needed.
    stretches = [start for one in times if (start := _stretch(longest, one)) is not None]
    if len(stretches) < len(times):
        return _codes_by_steps(times) or _codes_by_search(times)
    kind = _smallest(len(longest))
    everywhere = np.arange(len(longest), dtype=kind)
    # A copy: the levels of an index must not keep a file mapped.
    return longest.copy(), np.concatenate(
        [everywhere[start : start + len(one)] for start, one in zip(stretches, times, strict=True)]
    )


def _stretch(moments: Integers, part: Integers) -> int | None:
    """The position of `part` as one stretch of `moments`; None if it is not one."""
    start = int(np.searchsorted(moments, part[0]))
    if start + len(part) > len(moments) or not np.array_equal(moments[start : start + len(part)], part):
        return None
    return start


def _codes_by_steps(times: list[Integers]) -> tuple[Integers, Codes] | None:
    """By a table of all steps from the first time to the last; None if that would be too large.

    Bars are on a grid of days, minutes or seconds, so a lookup is one access instead of a search.
    """
    first, last = min(int(one[0]) for one in times), max(int(one[-1]) for one in times)
    longest = max(times, key=len)
    step = int(np.diff(longest).min()) if len(longest) > 1 else 0
    total = sum(map(len, times))
    if step == 0 or (last - first) // step >= _STEPS_PER_BAR * total:
        return None
    steps = np.empty(total, dtype=np.int32 if (last - first) // step < 2**31 else np.int64)
    place = 0
    for one in times:
        since = one - first
        taken = since // step
        if not np.array_equal(taken * step, since):
            return None
        steps[place : place + len(one)] = taken
        place += len(one)
    there = np.zeros((last - first) // step + 1, dtype=bool)
    there[steps] = True
    found = np.flatnonzero(there)
    ranks = np.empty(len(there), dtype=_smallest(len(found)))
    ranks[found] = np.arange(len(found))
    return first + found * step, ranks[steps]


def _codes_by_search(times: list[Integers]) -> tuple[Integers, Codes]:
    moments = np.sort(np.concatenate(times))
    moments = moments[np.concatenate([[True], moments[1:] != moments[:-1]])]
    kind = _smallest(len(moments))
    return moments, np.concatenate([np.searchsorted(moments, one).astype(kind) for one in times])


def _smallest(count: int) -> type[np.signedinteger]:
    return np.int16 if count <= np.iinfo(np.int16).max else np.int32
