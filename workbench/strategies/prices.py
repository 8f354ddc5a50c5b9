"""Prices as a backtest trades on them, and monthly rebalancing; shared by the strategies here."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.marketdata import panel
from workbench.signals.signals import Weights

__all__ = ["closes", "month_starts", "rebalanced", "traded"]


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
    present = bars["open"].notna() & bars["close"].notna()
    prices = bars[field].astype(np.float64).where(present)
    return panel(prices.to_frame(field), field)


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


def rebalanced(weights: pd.DataFrame, close: pd.DataFrame) -> Weights:
    """Weights at the first bar of each month, none between.

    Parameters
    ----------
    weights : DataFrame of float64, shape (n_bars, n_symbols)
        What would be held if every bar were a rebalancing; NaN where nothing is known of a symbol.
    close : DataFrame of float64, shape (n_bars, n_symbols)
        The closes; NaN where there is no bar.

    Returns
    -------
    Weights
        At a month's first bar the weight, 0 where nothing is known, NaN where the symbol has no bar that
        day; at every other bar NaN. Before anything is known of any symbol there is no order at all.
    """
    due = month_starts(close.index) & weights.notna().any(axis=1).to_numpy()
    return Weights(weights.fillna(0.0).where(close.notna() & due[:, None]))
