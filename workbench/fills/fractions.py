"""The share of equity of an entry where it differs by bar: `Percent` of a frame, `VolatilityTarget`."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import BacktestError
from workbench.fills.sizing import Percent, Size, VolatilityTarget
from workbench.signals.inputs import BarArrays, moment

__all__ = ["fractions_of", "read_fractions"]

_NO_VOLATILITY = 1e-12


def fractions_of(
    size: Size | None, market: BarArrays, periods_per_year: float
) -> npt.NDArray[np.float64] | None:
    """The share of equity of an entry that is decided in each row; None where all have the same.

    Parameters
    ----------
    size : Size, optional
    market : BarArrays
    periods_per_year : float
        For the volatility of a `VolatilityTarget`.

    Returns
    -------
    ndarray of float64, shape (n_bars, n_symbols), or None
        NaN where it is not defined, and nothing is entered. In a row in which the symbol has no bar, that of
        its last bar, unless a frame has one for the row.
    """
    if isinstance(size, VolatilityTarget):
        decided = _by_volatility(market, size, periods_per_year)
    else:
        given = read_fractions(size, market)
        if given is None:
            return None
        decided = given
    if market.present.all():
        return decided
    carried = np.take_along_axis(decided, market.last_rows, axis=0)
    return np.where(market.present | ~np.isnan(decided) | ~market.started, decided, carried)


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
        NaN where the frame has none. None of any other size.

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
    laid_out: npt.NDArray[np.float64] = given.to_numpy(dtype=np.float64)[rows][:, columns]
    return laid_out


def _by_volatility(
    market: BarArrays, size: VolatilityTarget, periods_per_year: float
) -> npt.NDArray[np.float64]:
    decided = np.full(market.close.shape, np.nan)
    for column in range(len(market.symbols)):
        # Rows without a bar are skipped: a return is from one of the symbol's closes to its next.
        rows = np.flatnonzero(market.present[:, column])
        closes = market.close[rows, column]
        if len(closes) <= size.window:
            continue
        returns = closes[1:] / closes[:-1] - 1.0
        windows = np.lib.stride_tricks.sliding_window_view(returns, size.window)
        volatility = np.std(windows, axis=1, ddof=1) * math.sqrt(periods_per_year)
        share = np.full(len(volatility), np.nan)
        # Steady growth has no volatility but that of rounding.
        moved = volatility > _NO_VOLATILITY * math.sqrt(periods_per_year)
        share[moved] = np.minimum(size.max_fraction, size.annual / volatility[moved])
        decided[rows[size.window :], column] = share
    return decided
