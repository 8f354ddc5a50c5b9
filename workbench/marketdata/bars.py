"""The tidy frame of bars, indexed (symbol, timestamp), and the wide panel made from it."""

from __future__ import annotations

import pandas as pd

from workbench.errors import QueryError

__all__ = ["BAR_COLUMNS", "panel", "validate_bars", "validate_index"]

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
    validate_index(bars)
    if field not in bars.columns:
        raise QueryError(f'these bars have no column "{field}"; they have {_listed(bars)}')
    return bars[field].unstack("symbol").sort_index().sort_index(axis=1)


def validate_index(bars: pd.DataFrame) -> None:
    """Raise if a frame is not indexed as bars are, whatever its columns.

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
    kind = bars.index.get_level_values("timestamp").dtype
    if not isinstance(kind, pd.DatetimeTZDtype):
        raise QueryError(
            f"the bars' timestamps are {kind}, without a time zone; localise them, e.g. "
            "with .dt.tz_localize('UTC') before they become the index"
        )
    if not bars.index.is_unique:
        symbol, timestamp = bars.index[bars.index.duplicated()][0]
        raise QueryError(
            f"the bar of {symbol} at {timestamp} is there more than once; load one data source at a time, "
            "or drop duplicates"
        )


def _listed(bars: pd.DataFrame) -> str:
    return ", ".join(str(column) for column in bars.columns) or "none"
