"""The strategy under test: always called on a copy of the bars; its signals as aligned arrays."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.bias.slices import BarSlices
from workbench.errors import StrategyError
from workbench.signals.decisions import read_decisions
from workbench.signals.signals import Flags, Signals, Weights
from workbench.signals.strategy import Strategy

__all__ = ["Cells", "SignalTable", "Subject", "differing"]

SignalTable = Mapping[str, npt.NDArray[Any]]
"""Arrays by signal name ("entries", …, "weights"): bool or float64, shape (n_rows, n_symbols)."""

Cells = Mapping[str, npt.NDArray[np.bool_]]
"""Arrays by signal name: which cells differ, shape (n_rows, n_symbols)."""

_FLAGS = ("entries", "exits", "short_entries", "short_exits")
_ROUNDING = 1e-12
"""Weights that differ by less than this are equal: rounding errors near zero."""


class Subject:
    """A strategy with its parameters, to be called many times.

    Attributes
    ----------
    name : str
    calls : int
        Number of calls so far.
    mutates_bars : bool
        Whether any call changed its bars. Columns that it added do not count.
    error : str
        The last error that it raised; empty if none.
    seconds : float
        Processor time of the fastest call on all bars.
    """

    def __init__(
        self,
        strategy: Strategy | Callable[..., Signals | Weights],
        parameters: Mapping[str, Any] | None,
        slices: BarSlices,
    ) -> None:
        if not callable(strategy):
            raise StrategyError(
                f"{strategy!r} is not a strategy; pass a function of the bars, or one made with @strategy."
            )
        self.name = strategy.name if isinstance(strategy, Strategy) else _name_of(strategy)
        self.calls = 0
        self.mutates_bars = False
        self.error = ""
        self.seconds = np.inf
        self._strategy = strategy
        self._parameters = dict(parameters or {})
        self._slices = slices

    def on_all(self) -> SignalTable:
        """Its signals on all bars; its errors are not caught."""
        begun = time.process_time()
        bars = self._slices.window(0, len(self._slices))
        made = self._call(bars)
        self.seconds = min(self.seconds, time.process_time() - begun)
        # Raises if a backtest would. On fewer bars, missing rows and columns are filled instead.
        read_decisions(made, self._slices.market)
        return self._as_arrays(made, 0, len(self._slices))

    def on(self, bars: pd.DataFrame, begin: int, end: int) -> SignalTable | None:
        """Its signals on `bars`, which hold the rows `begin` to `end` (exclusive); None if it raises."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # The bars are too few, or unrealistic on purpose: ignore the strategy's warnings.
            warnings.simplefilter("ignore")
            try:
                return self._as_arrays(self._call(bars), begin, end)
            except Exception as error:  # noqa: BLE001 - the strategy's error; shown in the report
                self.error = f"{type(error).__name__}: {error}"
                return None

    def on_window(self, begin: int, end: int) -> SignalTable | None:
        """Its signals when it is given these rows only; None if it raises."""
        before = self.error
        made = self.on(self._slices.window(begin, end), begin, end)
        if made is None and not self._slices.market.present[begin:end].any(axis=0).all():
            # Perhaps it raises on the NaN rows of absent symbols: try without them.
            made = self.on(self._slices.window(begin, end, absent=False), begin, end)
            self.error = self.error if made is None else before
        return made

    def fewest_bars(self) -> int:
        """The fewest bars with which it does not raise; all bars if it raises with one bar less."""
        if self.on_window(0, 1) is not None:
            return 1
        low, high = 1, len(self._slices)
        while high - low > 1:
            middle = (low + high) // 2
            if self.on_window(0, middle) is None:
                low = middle
            else:
                high = middle
        return high

    def _call(self, bars: pd.DataFrame) -> Signals | Weights:
        before = bars.copy()
        made = self._strategy(bars, **self._parameters)
        self.calls += 1
        if not bars.equals(before):
            columns = list(before.columns)
            kept = all(column in bars.columns for column in columns)
            self.mutates_bars |= not (kept and bars[columns].equals(before))
        if not isinstance(made, Signals | Weights):
            raise StrategyError(
                f"{self.name} returned a {type(made).__name__}; "
                "return Signals(entries, exits) or Weights(frame)."
            )
        return made

    def _as_arrays(self, made: Signals | Weights, begin: int, end: int) -> dict[str, npt.NDArray[Any]]:
        if isinstance(made, Weights):
            return {"weights": self._aligned(made.weights, begin, end, np.nan)}
        given = {role: getattr(made, role) for role in _FLAGS}
        return {
            role: self._aligned(flags, begin, end, False)
            for role, flags in given.items()
            if flags is not None
        }

    def _aligned(self, signal: Flags, begin: int, end: int, absent: Any) -> npt.NDArray[Any]:
        """The values, in the rows and columns of the market; `absent` where there is none."""
        symbols = self._slices.market.symbols
        if isinstance(signal, pd.Series):
            tidy = isinstance(signal.index, pd.MultiIndex)
            signal = signal.unstack("symbol") if tidy else signal.to_frame(symbols[0])
        values = signal.to_numpy()
        dtype = np.float64 if absent is not False else np.bool_
        if dtype is np.bool_ and values.dtype != np.bool_:
            values = signal.fillna(False).to_numpy(dtype=np.bool_)
        columns = {str(name): position for position, name in enumerate(signal.columns)}
        if tuple(columns) == symbols and signal.index.equals(self._slices.market.timestamps[begin:end]):
            return values.astype(dtype)
        rows = self._slices.market.timestamps.get_indexer(pd.DatetimeIndex(signal.index)) - begin
        there = (rows >= 0) & (rows < end - begin)
        aligned: npt.NDArray[Any] = np.full((end - begin, len(symbols)), absent, dtype=dtype)
        for position, symbol in enumerate(symbols):
            if symbol in columns:
                aligned[rows[there], position] = values[there, columns[symbol]]
        return aligned


def differing(
    full: SignalTable,
    other: SignalTable,
    begin: int,
    end: int,
    present: npt.NDArray[np.bool_],
    tolerance: float,
) -> dict[str, npt.NDArray[np.bool_]]:
    """Where two tables differ in the rows `begin` to `end` (exclusive), in cells that have a bar.

    Parameters
    ----------
    full, other : SignalTable
        The first row of `full` is row 0, that of `other` is row `begin`.
    begin, end : int
    present : ndarray of bool, shape (n_bars, n_symbols)
    tolerance : float
        Weights may differ by this fraction of the larger one; flags must be equal.

    Returns
    -------
    dict of str to ndarray of bool, shape (end - begin, n_symbols)
        A signal that is missing in one table counts as all False (weights: NaN).
    """
    there = present[begin:end]
    found = {}
    for name in {**full, **other}:
        nothing = np.nan if name == "weights" else False
        one, two = (
            table[name][rows] if name in table else np.full(there.shape, nothing)
            for table, rows in ((full, slice(begin, end)), (other, slice(0, end - begin)))
        )
        if name == "weights":
            near = np.abs(one - two) <= _ROUNDING + tolerance * np.fmax(np.abs(one), np.abs(two))
            same = near | (one == two) | (np.isnan(one) & np.isnan(two))
        else:
            same = one == two
        found[name] = ~same & there
    return found


def _name_of(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
