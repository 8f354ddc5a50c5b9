"""What a backtest is given, checked and laid out as arrays (timestamp × symbol); no simulation."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.arguments import named, real_numbers
from workbench.errors import BacktestError
from workbench.marketdata.bars import whole_shape

__all__ = [
    "LEAST_PRICE",
    "MOST_PRICE",
    "BarArrays",
    "check_columns",
    "in_order",
    "moment",
    "read_bars",
    "read_signals",
    "utc_index",
]

_COLUMNS = ("open", "high", "low", "close", "volume")
_INDEX_NAMES = ["symbol", "timestamp"]
LEAST_PRICE, MOST_PRICE = 1e-12, 1e15
"""Prices in currency per unit: below, units overflow; above, a float holds no cents."""
_FEW = 100_000
"""Rows up to which a frame may be copied to look at it; one that was made in one piece is not copied."""
_LOCALISE = "give them their zone, as in .tz_localize('America/New_York').tz_convert('UTC')"


@dataclass(frozen=True, eq=False)
class BarArrays:
    """Bars as arrays of one shape.

    Attributes
    ----------
    timestamps : DatetimeIndex of shape (n_bars,)
        UTC, ascending: every time at which any of the symbols has a bar.
    symbols : tuple of str, length n_symbols
        In ascending order.
    open, high, low, close, volume : ndarray of float64, shape (n_bars, n_symbols)
        Prices and volume; NaN where the symbol has no bar, and everywhere in a column that was not given
        (high, low and volume may be left out).
    present : ndarray of bool, shape (n_bars, n_symbols)
        Where the symbol has a bar.
    """

    timestamps: pd.DatetimeIndex
    symbols: tuple[str, ...]
    open: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    close: npt.NDArray[np.float64]
    volume: npt.NDArray[np.float64]
    present: npt.NDArray[np.bool_]

    @cached_property
    def started(self) -> npt.NDArray[np.bool_]:
        """From each symbol's first bar on: bool, shape (n_bars, n_symbols)."""
        if self.present[0].all():
            return np.ones_like(self.present)
        return np.maximum.accumulate(self.present, axis=0)

    @cached_property
    def last_rows(self) -> npt.NDArray[np.int64]:
        """Row of each symbol's newest bar so far: int64, shape (n_bars, n_symbols); 0 before its first."""
        rows = np.arange(len(self.present))[:, np.newaxis]
        return np.maximum.accumulate(np.where(self.present, rows, 0), axis=0)


def read_bars(bars: pd.DataFrame) -> BarArrays:
    """Check tidy bars and lay them out.

    Parameters
    ----------
    bars : DataFrame
        Indexed (symbol, timestamp), with float columns open and close at least. A row whose open or
        close is NaN counts as no bar.

    Raises
    ------
    BacktestError
        No frame, empty, wrongly indexed, naive or duplicate timestamps, a column that is missing, there
        twice or not numeric, a price that is not from 1e-12 to 1e15, a high below its low, a symbol without
        any bar.
    """
    index = _checked_index(bars)
    given = _columns_of(bars)
    every_time = utc_index(index.levels[1], "bars")
    whole = _whole_panel(index, every_time, given)
    if whole is not None:
        return whole
    symbol_codes, time_codes = (np.asarray(codes, dtype=np.int64) for codes in index.codes)
    if min(symbol_codes.min(), time_codes.min()) < 0:
        raise BacktestError("bars: a row has no symbol or no timestamp; drop it.")
    labels = index.levels[0].to_numpy(dtype=object).astype(str)
    places, symbols = _ranks(symbol_codes, labels)
    rows, times = _ranks(time_codes, every_time.asi8)
    timestamps = pd.DatetimeIndex(every_time[times], name="timestamp")
    names = tuple(str(label) for label in labels[symbols])
    if len(set(names)) < len(names):
        raise BacktestError(
            f"bars: two symbols are {next(name for name in names if names.count(name) > 1)!r}, as a number "
            "and as text; give each symbol one label, a str."
        )
    cells = rows * len(symbols) + places
    if np.bincount(cells).max() > 1:
        row = int(np.flatnonzero(index.duplicated())[0])
        raise BacktestError(
            f"bars: {names[places[row]]} has two rows at {timestamps[rows[row]]}; drop one, as in "
            "bars[~bars.index.duplicated()], or load a single data source."
        )
    for column in [column for column in given if column != "volume"]:
        _check_prices(column, given[column], lambda row: f"{names[places[row]]} at {timestamps[rows[row]]}")

    shape = (len(timestamps), len(symbols))
    laid_out = {column: np.full(shape, np.nan) for column in given}
    for column, values in given.items():
        laid_out[column].reshape(-1)[cells] = values
    present = ~np.isnan(laid_out["open"]) & ~np.isnan(laid_out["close"])
    for column in given:
        laid_out[column][~present] = np.nan
    _check_ranges(laid_out, names, timestamps)
    if not present.any(axis=0).all():
        raise BacktestError(
            f"bars: {names[int(np.argmin(present.any(axis=0)))]} has no row with both an open and a close; "
            "leave it out or load other bars."
        )
    return _arrays(timestamps, names, laid_out, present)


def _whole_panel(
    index: pd.MultiIndex, times: pd.DatetimeIndex, given: Mapping[str, npt.NDArray[np.float64]]
) -> BarArrays | None:
    """The arrays where `whole_shape` tells that every symbol has every bar; else None."""
    shape = whole_shape(index)
    if shape is None:
        return None
    names = tuple(str(symbol) for symbol in index.levels[0])
    if any(one >= other for one, other in itertools.pairwise(names)):
        return None
    if np.isnan(given["open"]).any() or np.isnan(given["close"]).any():
        return None
    timestamps = times if times.name == "timestamp" else times.rename("timestamp")
    for column in [column for column in given if column != "volume"]:
        _check_prices(
            column, given[column], lambda row: f"{names[row // shape[1]]} at {timestamps[row % shape[1]]}"
        )
    laid_out = {column: values.reshape(shape).T for column, values in given.items()}
    _check_ranges(laid_out, names, timestamps)
    return _arrays(timestamps, names, laid_out, np.ones(shape[::-1], dtype=np.bool_))


def _arrays(
    timestamps: pd.DatetimeIndex,
    symbols: tuple[str, ...],
    laid_out: Mapping[str, npt.NDArray[np.float64]],
    present: npt.NDArray[np.bool_],
) -> BarArrays:
    nothing = np.broadcast_to(np.float64(np.nan), present.shape)
    columns = {column: laid_out.get(column, nothing) for column in _COLUMNS}
    return BarArrays(timestamps=timestamps, symbols=symbols, **columns, present=present)


def _check_ranges(
    laid_out: Mapping[str, npt.NDArray[np.float64]], names: Sequence[str], timestamps: pd.DatetimeIndex
) -> None:
    """Refuse a bar whose high is below its low."""
    if "high" not in laid_out or "low" not in laid_out:
        return
    crossed = laid_out["high"] < laid_out["low"]
    if crossed.any():
        time, symbol = (int(place[0]) for place in np.nonzero(crossed))
        raise BacktestError(
            f"bars: the high of {names[symbol]} at {timestamps[time]} is below its low; correct the row, or "
            "set its prices to NaN, which counts as no bar."
        )


def read_signals(
    signals: pd.Series[bool] | pd.DataFrame, bars: BarArrays, role: str
) -> npt.NDArray[np.bool_]:
    """Check signals and lay them out as the bars are.

    Parameters
    ----------
    signals : Series or DataFrame of bool
        A wide frame (timestamp × symbol, columns in any order), a Series by timestamp for a single
        symbol, or a tidy Series indexed (symbol, timestamp).
    bars : BarArrays
        The bars that the signals were computed on.
    role : str
        "entries" or "exits", for the messages.

    Returns
    -------
    ndarray of bool, shape (n_bars, n_symbols)
        False before the symbol's first bar.

    Raises
    ------
    BacktestError
        Not bool, naive timestamps, or not aligned with the bars.
    """
    if not isinstance(signals, pd.Series | pd.DataFrame):
        raise BacktestError(
            f"{role}: {named(signals)} has no timestamps to match with the bars'; give a Series or a "
            f"frame of bool, as in pd.DataFrame({role}, index=panel.index, columns=panel.columns)."
        )
    if isinstance(signals.index, pd.MultiIndex) and isinstance(signals, pd.Series):
        _check_bool(signals.to_frame(role), role)
        if list(signals.index.names) != _INDEX_NAMES or not signals.index.is_unique:
            raise BacktestError(
                f"{role}: a tidy Series needs a unique index ['symbol', 'timestamp'] like the bars' own, "
                f"not {list(signals.index.names)}; compute it from the bars' columns."
            )
        wide = signals.unstack("symbol", fill_value=False)
    elif isinstance(signals, pd.Series):
        if len(bars.symbols) != 1:
            raise BacktestError(
                f"{role}: one Series cannot say which of {len(bars.symbols)} symbols it means; "
                "pass a frame with a column for each symbol."
            )
        if signals.dtype == np.bool_ and bars.timestamps.equals(signals.index):
            flags = signals.to_numpy().reshape(-1, 1)
            return flags if bars.present.all() else flags & bars.started
        wide = signals.to_frame(bars.symbols[0])
    else:
        wide = signals
    _check_bool(wide, role)
    index = utc_index(wide.index, role)
    check_columns(wide, bars, role)
    if not index.equals(bars.timestamps):
        odd_times = index.symmetric_difference(bars.timestamps)
        where = f"first difference: {odd_times[0]}" if len(odd_times) else "another order, or duplicates"
        raise BacktestError(
            f"{role}: the {len(index)} timestamps are not the bars' {len(bars.timestamps)} ({where}); "
            f"align them, as in {role}.reindex(panel.index, fill_value=False)."
        )
    flags = in_order(wide, bars).to_numpy(dtype=np.bool_)
    return flags if bars.present.all() else flags & bars.started


def utc_index(index: pd.Index, role: str) -> pd.DatetimeIndex:
    """Timestamps in UTC; naive and missing ones, and what is no timestamps, are refused (`BacktestError`)."""
    if not isinstance(index, pd.DatetimeIndex):
        raise BacktestError(
            f"{role}: the index holds no timestamps, but {index.dtype}; index it as the bars are, "
            "or convert it with pd.to_datetime(…, utc=True)."
        )
    if index.tz is None:
        raise BacktestError(f"{role}: the timestamps have no time zone; {_LOCALISE}.")
    if index.hasnans:
        raise BacktestError(f"{role}: a timestamp is missing (NaT); drop its row.")
    return index if str(index.tz) == "UTC" else index.tz_convert("UTC")


def moment(time: pd.Timestamp) -> str:
    """A bar's timestamp in a sentence: the date alone where it is midnight, as that of a daily bar is."""
    return f"{time:%Y-%m-%d}" if time == time.normalize() else str(time)


def check_columns(wide: pd.DataFrame, bars: BarArrays, role: str) -> None:
    """Refuse a wide frame whose columns are not the bars' symbols (`BacktestError`)."""
    names = _names(wide)
    if names != list(bars.symbols) and sorted(names) != list(bars.symbols):
        odd = sorted(set(names) ^ set(bars.symbols)) or names
        raise BacktestError(
            f"{role}: the columns are not the bars' symbols (first difference: {odd[0]!r}); "
            f"compute the {role} on the panel of the same bars."
        )


def in_order(wide: pd.DataFrame, bars: BarArrays) -> pd.DataFrame:
    """The frame with its columns in the order of the bars' symbols."""
    names = _names(wide)
    if names == list(bars.symbols):
        return wide
    place = {name: number for number, name in enumerate(names)}
    return wide.iloc[:, [place[symbol] for symbol in bars.symbols]]


def _names(wide: pd.DataFrame) -> list[str]:
    return [str(column) for column in wide.columns.to_numpy(dtype=object)]


def _ranks(
    codes: npt.NDArray[np.int64], values: npt.NDArray[np.generic]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Each code's rank by its value among those that occur, and the codes that occur, in that order."""
    used = np.flatnonzero(np.bincount(codes, minlength=len(values)))
    used = used[np.argsort(values[used], kind="stable")]
    rank = np.zeros(len(values), dtype=np.int64)
    rank[used] = np.arange(len(used))
    return rank[codes], used


def _columns_of(bars: pd.DataFrame) -> dict[str, npt.NDArray[np.float64]]:
    """The numbers of each of the columns that there are."""
    names = [column for column in _COLUMNS if column in bars.columns]
    if len(bars) <= _FEW and len(names) == len(bars.columns):
        # To take five columns out of a frame costs more than to look at a thousand numbers.
        values = bars.to_numpy()
        if values.dtype == np.float64:
            return {column: values[:, bars.columns.get_loc(column)] for column in names}
    # Each column would take a copy of the index along.
    columns = bars.set_axis(pd.RangeIndex(len(bars)), axis=0)
    return {column: _numbers(columns[column], column) for column in names}


def _numbers(values: pd.Series[float], column: str) -> npt.NDArray[np.float64]:
    if not real_numbers(values.dtype):
        raise BacktestError(
            f"bars: the column {column!r} is {values.dtype}, not numbers; convert it to float64."
        )
    return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def _check_bool(signals: pd.DataFrame, role: str) -> None:
    if set(signals.dtypes.tolist()) == {np.dtype(np.bool_)}:
        return
    for column, dtype in zip(signals.columns, signals.dtypes, strict=True):
        if dtype != np.bool_:
            raise BacktestError(
                f"{role}: the column {column!r} is {dtype}, not bool; compare (fast > slow) rather than "
                "subtract, and shift with .shift(1, fill_value=False)."
            )


def _checked_index(bars: pd.DataFrame) -> pd.MultiIndex:
    """The index of a frame that has what bars need; `BacktestError` of one that has not."""
    if not isinstance(bars, pd.DataFrame):
        raise BacktestError(
            f"bars: {named(bars)} is not a DataFrame; pass bars as load_market_data returns them."
        )
    index = bars.index
    if list(index.names) != _INDEX_NAMES or not isinstance(index, pd.MultiIndex):
        raise BacktestError(
            f"bars: the index is {list(index.names)}, not ['symbol', 'timestamp']; "
            "pass bars as load_market_data returns them, or call set_index(['symbol', 'timestamp'])."
        )
    if bars.empty:
        raise BacktestError("bars: there is not one row; load a range that holds bars.")
    missing = [column for column in ("open", "close") if column not in bars.columns]
    if missing:
        raise BacktestError(
            f"bars: the column {missing[0]!r} is missing (there are {list(bars.columns)}); "
            "a backtest fills at the open and values at the close."
        )
    if not bars.columns.is_unique:
        twice = bars.columns[bars.columns.duplicated()][0]
        raise BacktestError(f"bars: the column {twice!r} is there twice; drop one of them.")
    return index


def _check_prices(column: str, values: npt.NDArray[np.float64], place: Callable[[int], str]) -> None:
    """Refuse prices out of the range that can be traded; `place` says what stands in a row."""
    lowest, highest = np.fmin.reduce(values, initial=np.inf), np.fmax.reduce(values, initial=-np.inf)
    if lowest >= LEAST_PRICE and highest <= MOST_PRICE:
        return
    wrong = ~((values >= LEAST_PRICE) & (values <= MOST_PRICE)) & ~np.isnan(values)
    if not wrong.any():
        return
    row = int(np.argmax(wrong))
    price = values[row]
    if 0.0 < price < np.inf:
        raise BacktestError(
            f"bars: the {column} of {place(row)} is {price}, and prices are from {LEAST_PRICE:g} to "
            f"{MOST_PRICE:g}; quote the symbol in another unit, or leave the row out."
        )
    raise BacktestError(
        f"bars: the {column} of {place(row)} is {price}, and nothing trades at that price; leave the row out "
        "or set it to NaN, which counts as no bar."
    )
