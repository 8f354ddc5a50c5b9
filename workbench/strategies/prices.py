"""Prices as a backtest trades on them, and monthly rebalancing; shared by the strategies here."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.marketdata.bars import panel, wide
from workbench.signals.signals import Weights

__all__ = ["carried", "closes", "month_starts", "rebalanced", "traded"]

_ENDED_AFTER = 31
"""Days without a bar after which a symbol counts as ended."""


def traded(bars: pd.DataFrame, field: str) -> pd.DataFrame:
    """One column of the bars that a backtest trades on.

    Parameters
    ----------
    bars : DataFrame
        Indexed (symbol, timestamp), as returned by `load_market_data`.
    field : str
        open, high, low, close or volume.

    Returns
    -------
    DataFrame of float64, shape (n_bars, n_symbols)
        As `panel`, with NaN also where the open or the close is missing: such a row is no bar.

    Raises
    ------
    QueryError
        The index is different, or the column is missing.
    """
    missing = [name for name in ("open", "close", field) if name not in bars.columns]
    if missing:
        return panel(bars, missing[0])  # raises: no such column
    columns = {name: bars[name].to_numpy(np.float64, na_value=np.nan) for name in {"open", "close", field}}
    absent = np.isnan(columns["open"]) | np.isnan(columns["close"])
    values = columns[field]
    return wide(np.where(absent, np.nan, values) if absent.any() else values, bars)


def closes(bars: pd.DataFrame) -> pd.DataFrame:
    """The closes of the bars that a backtest trades on: ``traded(bars, "close")``."""
    return traded(bars, "close")


def month_starts(index: pd.Index) -> npt.NDArray[np.bool_]:
    """Which rows are the first of their month.

    Not the last ones: whether a row is the last of its month is known only when the next row arrives.

    Parameters
    ----------
    index : DatetimeIndex of shape (n_bars,)
        Ascending; months are those of its time zone.

    Returns
    -------
    ndarray of bool, shape (n_bars,)
        False in the first row, since the row before it is unknown.
    """
    times = pd.DatetimeIndex(index)
    month = (times.year * 12 + times.month).to_numpy()
    return np.concatenate([[False], month[1:] != month[:-1]])


def carried(values: pd.DataFrame, close: pd.DataFrame) -> pd.DataFrame:
    """Fill rows in which a symbol has no bar with the value at its last bar.

    On a Sunday on which coins trade, a share has its Friday's value. A symbol without a bar for a month
    counts as ended.

    Parameters
    ----------
    values : DataFrame of float64, shape (n_bars, n_symbols)
        An indicator of the closes; NaN where unknown.
    close : DataFrame of float64, shape (n_bars, n_symbols)
        The closes; NaN where there is no bar.

    Returns
    -------
    DataFrame of float64, shape (n_bars, n_symbols)
        NaN before a symbol's first bar, and from a month after its last bar on.
    """
    present = close.notna().to_numpy()
    if present.all():
        return values
    rows = np.maximum.accumulate(np.where(present, np.arange(len(close))[:, None], 0), axis=0)
    times = pd.DatetimeIndex(close.index).as_unit("ns").asi8
    recent = times[:, None] - times[rows] <= pd.Timedelta(days=_ENDED_AFTER).value
    known = np.take_along_axis(values.to_numpy(), rows, axis=0)
    return pd.DataFrame(np.where(recent, known, np.nan), index=values.index, columns=values.columns)


def rebalanced(weights: pd.DataFrame) -> Weights:
    """Weights at the first bar of each month, NaN between.

    Parameters
    ----------
    weights : DataFrame of float64, shape (n_bars, n_symbols)
        Target weights at every bar; NaN where a symbol's weight is unknown.

    Returns
    -------
    Weights
        At a month's first bar the weight, 0 where it is unknown; at every other bar NaN. NaN also while all
        symbols' weights are unknown.
    """
    due = month_starts(weights.index) & weights.notna().any(axis=1).to_numpy()
    return Weights(weights.fillna(0.0).where(np.broadcast_to(due[:, None], weights.shape)))
