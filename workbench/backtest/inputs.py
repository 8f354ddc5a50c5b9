"""What a backtest is given, checked and laid out as arrays (timestamp × symbol); no simulation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import BacktestError

__all__ = ["BarArrays", "check_costs", "read_bars", "read_signals"]

_COLUMNS = ("open", "high", "low", "close", "volume")
_INDEX_NAMES = ["symbol", "timestamp"]
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
        Empty, wrongly indexed, naive or duplicate timestamps, a column that is missing or not
        numeric, a price that is not positive and finite, a symbol without any bar.
    """
    if list(bars.index.names) != _INDEX_NAMES or not isinstance(bars.index, pd.MultiIndex):
        raise BacktestError(
            f"bars: the index is {list(bars.index.names)}, not ['symbol', 'timestamp']; "
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
    given = bars[[column for column in _COLUMNS if column in bars.columns]]
    for column in given.columns:
        if not pd.api.types.is_numeric_dtype(given[column]):
            raise BacktestError(
                f"bars: the column {column!r} is {given[column].dtype}, not numbers; convert it to float64."
            )
    times = _utc(bars.index.get_level_values(1), "bars")
    index = pd.MultiIndex.from_arrays([bars.index.get_level_values(0), times], names=_INDEX_NAMES)
    given = given.astype(np.float64).set_axis(index, axis=0)
    if not index.is_unique:
        symbol, timestamp = index[index.duplicated()][0]
        raise BacktestError(
            f"bars: {symbol} has two rows at {timestamp}; drop one, as in "
            "bars[~bars.index.duplicated()], or load a single data source."
        )
    _check_prices(given.drop(columns="volume", errors="ignore"))

    wide = given.unstack("symbol").sort_index()
    opens, closes = wide["open"].sort_index(axis=1), wide["close"].sort_index(axis=1)
    present = opens.notna().to_numpy() & closes.notna().to_numpy()
    symbols = tuple(str(symbol) for symbol in opens.columns)
    for symbol, bars_of_symbol in zip(symbols, present.T, strict=True):
        if not bars_of_symbol.any():
            raise BacktestError(
                f"bars: {symbol} has no row with both an open and a close; leave it out or load other bars."
            )

    def laid_out(column: str) -> npt.NDArray[np.float64]:
        if column not in given.columns:
            return np.full(present.shape, np.nan)
        return np.where(present, wide[column].sort_index(axis=1).to_numpy(), np.nan)

    return BarArrays(
        timestamps=pd.DatetimeIndex(opens.index, name="timestamp"),
        symbols=symbols,
        **{column: laid_out(column) for column in _COLUMNS},
        present=present,
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
        False where the symbol has no bar: nobody saw a close there.

    Raises
    ------
    BacktestError
        Not bool, naive timestamps, or not aligned with the bars.
    """
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
        wide = signals.to_frame(bars.symbols[0])
    else:
        wide = signals
    _check_bool(wide, role)

    if not isinstance(wide.index, pd.DatetimeIndex):
        raise BacktestError(f"{role}: the index holds no timestamps; index the signals as the bars are.")
    index = pd.DatetimeIndex(_utc(wide.index, role))
    if sorted(map(str, wide.columns)) != list(bars.symbols):
        odd = sorted({str(column) for column in wide.columns} ^ set(bars.symbols)) or list(wide.columns)
        raise BacktestError(
            f"{role}: the columns are not the bars' symbols (first difference: {odd[0]!r}); "
            "compute the signals on the panel of the same bars."
        )
    if not index.equals(bars.timestamps):
        odd_times = index.symmetric_difference(bars.timestamps)
        where = f"first difference: {odd_times[0]}" if len(odd_times) else "another order, or duplicates"
        raise BacktestError(
            f"{role}: the {len(index)} timestamps are not the bars' {len(bars.timestamps)} ({where}); "
            f"align them, as in {role}.reindex(panel.index, fill_value=False)."
        )
    aligned = wide.rename(columns=str)[list(bars.symbols)].to_numpy(dtype=np.bool_)
    return aligned & bars.present


def check_costs(*, cash: float, fees: float, slippage: float, periods_per_year: float) -> None:
    """Refuse capital, costs or a year's length that no account could have (`BacktestError`)."""
    if not (math.isfinite(cash) and cash > 0):
        raise BacktestError(f"cash: {cash} is no starting capital; give a positive amount.")
    for name, value in (("fees", fees), ("slippage", slippage)):
        if not 0.0 <= value < 1.0:
            raise BacktestError(
                f"{name}: {value} is no fraction of the traded value; "
                "give one from 0 to below 1 (0.001 is 0.1 %)."
            )
    if not (math.isfinite(periods_per_year) and periods_per_year > 0):
        raise BacktestError(
            f"periods_per_year: {periods_per_year} is no number of bars; "
            "give a positive one (252 for daily bars)."
        )


def _utc(index: pd.Index, where: str) -> pd.DatetimeIndex:
    if not isinstance(index, pd.DatetimeIndex):
        raise BacktestError(
            f"{where}: the timestamps are {index.dtype}; convert them with pd.to_datetime(…, utc=True)."
        )
    if index.tz is None:
        raise BacktestError(f"{where}: the timestamps have no time zone; {_LOCALISE}.")
    return index.tz_convert("UTC")


def _check_prices(prices: pd.DataFrame) -> None:
    for column in prices.columns:
        values = prices[column]
        bad = values[~(np.isfinite(values) & (values > 0.0)) & values.notna()]
        if len(bad):
            symbol, timestamp = bad.index[0]
            raise BacktestError(
                f"bars: the {column} of {symbol} at {timestamp} is {bad.iloc[0]}, and nothing trades "
                "at that price; leave the row out or set it to NaN, which counts as no bar."
            )


def _check_bool(signals: pd.DataFrame, role: str) -> None:
    for column, dtype in signals.dtypes.items():
        if dtype != np.bool_:
            raise BacktestError(
                f"{role}: the column {column!r} is {dtype}, not bool; compare (fast > slow) rather than "
                "subtract, and shift with .shift(1, fill_value=False)."
            )
