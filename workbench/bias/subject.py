"""The strategy under test: always called on a copy of the bars, and what it says laid out as arrays."""

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
"""By signal ("entries", …, "weights"): bool or float64, shape (n_rows, n_symbols)."""

Cells = Mapping[str, npt.NDArray[np.bool_]]
"""By signal: which cells differ, shape (n_rows, n_symbols)."""

_FLAGS = ("entries", "exits", "short_entries", "short_exits")
_NOTHING = 1e-12
"""Weights nearer than this are the same: what floats leave of zero."""


class Subject:
    """A strategy with its parameters, called many times.

    Attributes
    ----------
    name : str
    calls : int
        How often it was called.
    mutates_bars : bool
        Whether any call left its bars other than it found them. Columns that it added do not count.
    error : str
        What it raised last; empty where it never did.
    seconds : float
        Processor time that the quickest call on all bars took.
    """

    def __init__(
        self,
        strategy: Strategy | Callable[..., Signals | Weights],
        parameters: Mapping[str, Any] | None,
        slices: BarSlices,
    ) -> None:
        if not callable(strategy):
            raise StrategyError(
                f"{strategy!r} is no strategy; give a function of the bars, or one made with @strategy."
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
        """What it says on all bars; whatever it raises is raised."""
        begun = time.process_time()
        bars = self._slices.window(0, len(self._slices))
        made = self._call(bars)
        self.seconds = min(self.seconds, time.process_time() - begun)
        # Refused here as a backtest would refuse it; on fewer bars, alignment is made where it lacks.
        read_decisions(made, self._slices.market)
        return self._laid_out(made, 0, len(self._slices))

    def on(self, bars: pd.DataFrame, begin: int, end: int) -> SignalTable | None:
        """What it says on bars of the rows from `begin` to before `end`; None where it raises."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # The bars are too few, or absurd on purpose: what a strategy warns of there is no news.
            warnings.simplefilter("ignore")
            try:
                return self._laid_out(self._call(bars), begin, end)
            except Exception as error:  # noqa: BLE001 - it is the strategy's, and the report tells of it
                self.error = f"{type(error).__name__}: {error}"
                return None

    def on_window(self, begin: int, end: int) -> SignalTable | None:
        """What it says when these rows are all there is; None where it raises."""
        before = self.error
        made = self.on(self._slices.window(begin, end), begin, end)
        if made is None and not self._slices.market.present[begin:end].any(axis=0).all():
            # It may be the empty rows of absent symbols that it cannot take.
            made = self.on(self._slices.window(begin, end, absent=False), begin, end)
            self.error = self.error if made is None else before
        return made

    def fewest_bars(self) -> int:
        """With how few it does not raise; the number of all bars where it does with one bar less."""
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

    def _laid_out(self, made: Signals | Weights, begin: int, end: int) -> dict[str, npt.NDArray[Any]]:
        if isinstance(made, Weights):
            return {"weights": self._aligned(made.weights, begin, end, np.nan)}
        given = {role: getattr(made, role) for role in _FLAGS}
        return {
            role: self._aligned(flags, begin, end, False)
            for role, flags in given.items()
            if flags is not None
        }

    def _aligned(self, said: Flags, begin: int, end: int, absent: Any) -> npt.NDArray[Any]:
        """The values in the rows and columns of the market; `absent` where there are none."""
        symbols = self._slices.market.symbols
        if isinstance(said, pd.Series):
            tidy = isinstance(said.index, pd.MultiIndex)
            said = said.unstack("symbol") if tidy else said.to_frame(symbols[0])
        values = said.to_numpy()
        dtype = np.float64 if absent is not False else np.bool_
        if dtype is np.bool_ and values.dtype != np.bool_:
            values = said.fillna(False).to_numpy(dtype=np.bool_)
        columns = {str(name): position for position, name in enumerate(said.columns)}
        if tuple(columns) == symbols and said.index.equals(self._slices.market.timestamps[begin:end]):
            return values.astype(dtype)
        rows = self._slices.market.timestamps.get_indexer(pd.DatetimeIndex(said.index)) - begin
        there = (rows >= 0) & (rows < end - begin)
        laid: npt.NDArray[Any] = np.full((end - begin, len(symbols)), absent, dtype=dtype)
        for position, symbol in enumerate(symbols):
            if symbol in columns:
                laid[rows[there], position] = values[there, columns[symbol]]
        return laid


def differing(
    full: SignalTable,
    other: SignalTable,
    begin: int,
    end: int,
    present: npt.NDArray[np.bool_],
    tolerance: float,
) -> dict[str, npt.NDArray[np.bool_]]:
    """Where two tables differ in the rows from `begin` to before `end`, among cells that have a bar.

    Parameters
    ----------
    full, other : SignalTable
        The first row of `full` is row 0, that of `other` is row `begin`.
    begin, end : int
    present : ndarray of bool, shape (n_bars, n_symbols)
    tolerance : float
        Weights may differ by this fraction of the larger one; flags may not differ at all.

    Returns
    -------
    dict of str to ndarray of bool, shape (end - begin, n_symbols)
        A signal that one of them lacks is False throughout.
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
            near = np.abs(one - two) <= _NOTHING + tolerance * np.fmax(np.abs(one), np.abs(two))
            same = near | (one == two) | (np.isnan(one) & np.isnan(two))
        else:
            same = one == two
        found[name] = ~same & there
    return found


def _name_of(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
