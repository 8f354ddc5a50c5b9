"""The tidy frame of bars, indexed (symbol, timestamp), and the wide panel made from it."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import QueryError

__all__ = ["BAR_COLUMNS", "panel", "validate_bars", "validate_index", "whole_shape", "wide"]

BAR_COLUMNS = ("open", "high", "low", "close", "volume")
"""The columns of a bar, float64: prices in the quote currency, volume in units traded."""

INDEX = ("symbol", "timestamp")


def validate_bars(bars: pd.DataFrame) -> None:
    """Raise if a frame is not tidy bars.

    Parameters
    ----------
    bars : DataFrame
        Indexed by (symbol, timestamp), unique, timestamps time-zone-aware, with the columns
        `BAR_COLUMNS` of numbers; other columns are allowed. NaN is allowed.

    Raises
    ------
    QueryError
        Something is missing or wrong; the message says what, and how to correct it.
    """
    validate_index(bars)
    missing = [column for column in BAR_COLUMNS if column not in bars.columns]
    if missing:
        raise QueryError(f"these bars have no {', '.join(missing)}; their columns are {_listed(bars)}")
    for column in BAR_COLUMNS:
        if not pd.api.types.is_numeric_dtype(bars[column].dtype):
            raise QueryError(f"the bars' column {column} holds {bars[column].dtype}, not numbers")


def panel(bars: pd.DataFrame, field: str = "close") -> pd.DataFrame:
    """One column of tidy bars as a wide frame, timestamp by symbol, as vectorbt expects.

    Parameters
    ----------
    bars : DataFrame
        Indexed by (symbol, timestamp), as `load_market_data` returns them.
    field : str
        The column: open, high, low, close, volume, or any other in the frame.

    Returns
    -------
    DataFrame of shape (n_timestamps, n_symbols)
        Timestamps ascending, symbols in alphabetical order, NaN where a symbol has no bar.

    Raises
    ------
    QueryError
        The frame is not indexed like this, has a bar twice, or has no such column.
    """
    shape = validate_index(bars)
    if field not in bars.columns:
        raise QueryError(f'these bars have no column "{field}"; they have {_listed(bars)}')
    column = bars[field]
    if shape is None or not isinstance(column.dtype, np.dtype):
        return column.unstack("symbol").sort_index().sort_index(axis=1)
    return _shaped(column.to_numpy(), cast(pd.MultiIndex, bars.index), shape)


def wide(values: npt.NDArray[Any], bars: pd.DataFrame) -> pd.DataFrame:
    """A value of each bar as a wide frame, as `panel` makes it of a column.

    Raises
    ------
    QueryError
        The frame is not indexed as bars are, or has a bar twice.
    """
    shape = validate_index(bars)
    if shape is None:
        return panel(pd.DataFrame({"value": values}, index=bars.index), "value")
    return _shaped(values, cast(pd.MultiIndex, bars.index), shape)


def _shaped(values: npt.NDArray[Any], index: pd.MultiIndex, shape: tuple[int, int]) -> pd.DataFrame:
    symbols, timestamps = index.levels
    return pd.DataFrame(values.reshape(shape).T, index=timestamps, columns=symbols)


def whole_shape(index: pd.MultiIndex) -> tuple[int, int] | None:
    """How many symbols and timestamps, where each symbol has a bar at each timestamp; else None.

    Both ascending, one symbol after the other: that is how whole series are loaded, and then a column needs
    only be looked at in another shape.
    """
    symbols, timestamps = index.levels
    shape = (len(symbols), len(timestamps))
    if len(index) != shape[0] * shape[1] or not len(index):
        return None
    if not (symbols.is_monotonic_increasing and timestamps.is_monotonic_increasing):
        return None
    by_symbol, by_time = (np.asarray(codes).reshape(shape) for codes in index.codes)
    if not (by_symbol == np.arange(shape[0])[:, np.newaxis]).all():
        return None
    return shape if (by_time == np.arange(shape[1])).all() else None


def validate_index(bars: pd.DataFrame) -> tuple[int, int] | None:
    """Raise if a frame is not indexed as bars are; its columns are not looked at.

    Returns
    -------
    tuple of int or None
        The answer of `whole_shape`.

    Raises
    ------
    QueryError
        The index is not (symbol, timestamp), has no time zone, or has a bar twice.
    """
    names = tuple(bars.index.names)
    if names != INDEX:
        columns_have_them = set(INDEX) <= set(bars.columns)
        advice = (
            "set them with bars.set_index(['symbol', 'timestamp'])"
            if columns_have_them
            else ("load them with load_market_data")
        )
        shown = ", ".join(str(name) for name in names)
        raise QueryError(f"bars are indexed (symbol, timestamp), these ({shown}); {advice}")
    index = cast(pd.MultiIndex, bars.index)
    kind = index.levels[1].dtype
    if not isinstance(kind, pd.DatetimeTZDtype):
        raise QueryError(
            f"the bars' timestamps are {kind}, without a time zone; localise them, e.g. "
            "with .dt.tz_localize('UTC') before they become the index"
        )
    shape = whole_shape(index)
    if shape is None and not bars.index.is_unique:
        symbol, timestamp = bars.index[bars.index.duplicated()][0]
        raise QueryError(
            f"the bar of {symbol} at {timestamp} is there more than once; load one data source at a time, "
            "or drop duplicates"
        )
    return shape


def _listed(bars: pd.DataFrame) -> str:
    return ", ".join(str(column) for column in bars.columns) or "none"
