"""A share of equity for each bar and symbol (`Percent` of a frame), laid out as the bars are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.backtest.inputs import BarArrays, moment
from workbench.backtest.sizing import Percent, Size
from workbench.errors import BacktestError

__all__ = ["read_fractions"]


def read_fractions(size: Size | None, market: BarArrays) -> npt.NDArray[np.float64] | None:
    """The fractions of a `Percent` of a frame, at the bars at whose close they are known.

    Parameters
    ----------
    size : Size, optional
    market : BarArrays
        The bars; rows and columns of the frame that they do not have are left out.

    Returns
    -------
    ndarray of float64, shape (n_bars, n_symbols), or None
        NaN where the symbol has no bar, or the frame has none. None of any other size.

    Raises
    ------
    BacktestError
        The frame lacks a symbol or a timestamp of the bars.
    """
    if not isinstance(size, Percent) or isinstance(size.fraction, float):
        return None
    given = size.fraction
    if isinstance(given, pd.Series):
        if len(market.symbols) != 1:
            raise BacktestError(
                f"size: one Series of fractions cannot say which of {len(market.symbols)} symbols it means; "
                "give Percent a frame with a column for each symbol."
            )
        given = given.to_frame(market.symbols[0])
    columns = given.columns.get_indexer(pd.Index(market.symbols))
    if (columns < 0).any():
        lacking = market.symbols[int(np.argmin(columns))]
        raise BacktestError(
            f"size: the frame of Percent has no column for {lacking!r} (it has {', '.join(given.columns[:5])}"
            f"{', …' * (len(given.columns) > 5)}); compute it on the panel of the same bars."
        )
    rows = given.index.get_indexer(market.timestamps)
    if (rows < 0).any():
        lacking_time = market.timestamps[int(np.argmin(rows))]
        raise BacktestError(
            f"size: the fractions of Percent have no row for the bar at {moment(lacking_time)}; "
            "compute it on the panel of the same bars, and leave NaN where nothing is to be entered."
        )
    laid_out = given.to_numpy(dtype=np.float64)[rows][:, columns]
    laid_out[~market.present] = np.nan
    return laid_out
