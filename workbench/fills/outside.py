"""What a backtest is given beside bars and signals, checked and laid out: dividends and a benchmark."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.arguments import as_series, named, real_numbers
from workbench.errors import BacktestError
from workbench.signals.inputs import LEAST_PRICE, MOST_PRICE, BarArrays, utc_index

__all__ = ["read_benchmark", "read_dividends"]


def read_dividends(dividends: pd.Series[float], market: BarArrays) -> npt.NDArray[np.float64]:
    """Check dividends and put each on the bar that goes ex.

    Parameters
    ----------
    dividends : Series of float64
        Cash per unit, indexed (symbol, timestamp of the ex-date).
    market : BarArrays
        The bars.

    Returns
    -------
    ndarray of float64, shape (n_bars, n_symbols)
        Cash per unit, 0 where none: on the symbol's first bar at or after the ex-date. What goes ex after
        its last bar is left out, and so are other symbols'.

    Raises
    ------
    BacktestError
        No Series of numbers, wrongly indexed, naive or missing timestamps, an amount that is not from 0 to
        1e15, no known symbol.
    """
    if not isinstance(dividends, pd.Series):
        raise BacktestError(
            f"dividends: {named(dividends)} is not a Series; give cash per unit by symbol and ex-date."
        )
    if not isinstance(dividends.index, pd.MultiIndex) or dividends.index.nlevels != 2:
        raise BacktestError(
            "dividends: the index is not (symbol, timestamp); "
            "give cash per unit as a Series indexed by symbol and ex-date."
        )
    paid = np.zeros(market.present.shape)
    if dividends.empty:
        return paid
    if not real_numbers(dividends.dtype):
        raise BacktestError(f"dividends: they are {dividends.dtype}, not numbers; convert them to float64.")
    amounts = dividends.to_numpy(dtype=np.float64, na_value=np.nan)
    right = (amounts >= 0.0) & (amounts <= MOST_PRICE)
    if not right.all():
        raise BacktestError(
            f"dividends: {amounts[~right][0]} is no cash per unit; give amounts from 0 to {MOST_PRICE:g}."
        )
    symbols = dividends.index.get_level_values(0).astype(str)
    times = utc_index(dividends.index.get_level_values(1), "dividends")
    columns = pd.Index(market.symbols).get_indexer(symbols)
    if (columns < 0).all():
        raise BacktestError(
            f"dividends: none is of a symbol of the bars (the first is of {symbols[0]!r}); "
            "index them by the bars' symbols."
        )
    for column in np.unique(columns[columns >= 0]):
        bars = np.flatnonzero(market.present[:, column])
        mine = columns == column
        ex = market.timestamps[bars].searchsorted(times[mine], side="left")
        known = ex < len(bars)
        np.add.at(paid, (bars[ex[known]], column), amounts[mine][known])
    return paid


def read_benchmark(benchmark: pd.Series[float], market: BarArrays, cash: float) -> pd.Series[float]:
    """Prices of something to compare with, as what `cash` invested in it would be worth at each bar.

    Parameters
    ----------
    benchmark : Series of float64
        Prices or values, indexed by tz-aware timestamps; NaN ones are left out.
    market : BarArrays
        The bars.
    cash : float
        What its value is at the first bar, in currency.

    Returns
    -------
    Series of float64, shape (n_bars,)
        At each bar the last value known by then; `cash` as long as there is none.

    Raises
    ------
    BacktestError
        No Series of numbers, no value within the span, one that is not from 1e-12 to 1e15, or naive,
        missing or duplicate timestamps.
    """
    as_series(benchmark, "benchmark")
    if not isinstance(benchmark.index, pd.DatetimeIndex) or benchmark.index.tz is None:
        raise BacktestError(
            "benchmark: the index holds no timestamps with a time zone; "
            "give it one, as in benchmark.tz_localize('UTC')."
        )
    if benchmark.index.hasnans:
        raise BacktestError("benchmark: a timestamp is missing (NaT); drop its row.")
    known = benchmark.astype(np.float64).tz_convert("UTC").dropna().sort_index()
    values = known.to_numpy()
    start, end = market.timestamps[0], market.timestamps[-1]
    if not ((known.index >= start) & (known.index <= end)).any():
        raise BacktestError(
            f"benchmark: it has no value from {start:%Y-%m-%d} to {end:%Y-%m-%d}; "
            "load its prices for the backtest's span."
        )
    if not known.index.is_unique or not ((values >= LEAST_PRICE) & (values <= MOST_PRICE)).all():
        raise BacktestError(
            f"benchmark: a value is not from {LEAST_PRICE:g} to {MOST_PRICE:g}, or a timestamp stands there "
            "twice; give prices, not returns, of one thing."
        )
    last = known.index.searchsorted(market.timestamps, side="right") - 1
    first = max(int(last[0]), 0)
    worth = np.where(last < 0, 1.0, values[np.maximum(last, 0)] / values[first]) * cash
    name = "benchmark" if benchmark.name is None else str(benchmark.name)
    return pd.Series(worth, index=market.timestamps, name=name)
