"""`RecursionReport`: how much history a strategy needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.bias.page import panel_html

__all__ = ["Difference", "RecursionReport"]

_SHOWN = 16


@dataclass(frozen=True)
class Difference:
    """A probe date at which a shorter history gives another signal.

    Attributes
    ----------
    length : int
        Bars of history, the date's own included.
    timestamp : Timestamp
        The probe date, UTC.
    symbol, signal : str
        The symbol and signal that differ; empty if the strategy raised.
    """

    length: int
    timestamp: pd.Timestamp
    symbol: str
    signal: str


@dataclass(frozen=True)
class RecursionReport:
    """How many bars of history give a strategy the same signals as the full history.

    Attributes
    ----------
    strategy : str
    parameters : mapping
        The given parameters.
    symbols : tuple of str
    n_bars : int
    probes : DatetimeIndex
        The dates (UTC) at which signals were compared.
    needs : int, optional
        Bars of history, the date's own included, from which on all probe dates agree. None if they still
        differ with two thirds of the first date's history, or with `longest`: the strategy depends on the
        whole history, on where it begins, or needs more bars than were tried.
    longest : int
        The longest history tried.
    deterministic : bool
        Whether two calls on the same bars gave the same signals. If not, nothing else was checked.
    table : DataFrame
        Indexed `bars` (int64, the tried lengths): differ (int64, number of probe dates at which signals
        differ), share (float64, 0 to 1).
    last_difference : Difference, optional
        One at the longest length that has one.
    error : str
        The last error that the strategy raised on a short history; empty if none. An error counts as a
        difference.
    calls : int
        Number of calls of the strategy.
    seconds : float
        Time the check took.
    """

    strategy: str
    parameters: Mapping[str, Any]
    symbols: tuple[str, ...]
    n_bars: int
    probes: pd.DatetimeIndex
    needs: int | None
    longest: int
    deterministic: bool
    table: pd.DataFrame
    last_difference: Difference | None
    error: str
    calls: int
    seconds: float

    @property
    def settles(self) -> bool:
        """Whether there is a length from which on signals no longer change."""
        return self.needs is not None

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        if not self.deterministic:
            return (
                f"{self.strategy}: two calls on the same bars gave different signals, so its history cannot "
                "be checked; seed every generator inside the function."
            )
        last = self.last_difference
        if last is None:
            return f"{self.strategy} needs {_counted(self.needs or 1)} of history."
        differ = (
            f"its signals differ on {self._dates_that_differ(last.length)} of {len(self.probes)} probe dates"
        )
        if self.needs is None:
            return (
                f"{self.strategy} depends on the whole history, or on where it begins: with "
                f"{_counted(last.length)} {differ}."
            )
        return f"{self.strategy} needs {_counted(self.needs)} of history; with {last.length:,} {differ}."

    def _dates_that_differ(self, length: int) -> int:
        return int(self.table["differ"].to_numpy()[self.table.index == length][0])

    @property
    def note(self) -> str:
        """What was checked, and an example of a difference."""
        note = (
            f"{len(self.probes)} probe dates from {self.probes[0]:%Y-%m-%d} to {self.probes[-1]:%Y-%m-%d}, "
            f"histories up to {self.longest:,} bars; {self.calls} calls in {self.seconds:.1f} s."
        )
        last = self.last_difference
        if last is not None:
            what = f"{last.signal} of {last.symbol}" if last.signal else f"it raised ({self.error})"
            note += f" Last difference: {what} at {last.timestamp:%Y-%m-%d}, with {_counted(last.length)}."
        return note

    def __repr__(self) -> str:
        return f"<RecursionReport: {self.verdict} {self.note}>"

    def _repr_html_(self) -> str:
        rows = [
            (f"{bars:,}", f"{differ} of {len(self.probes)}", f"{share:.0%}")
            for bars, differ, share in self.table.iloc[_spread(len(self.table))].itertuples()
        ]
        if not self.deterministic:
            headline = "not deterministic"
        else:
            headline = f"needs {_counted(self.needs)}" if self.needs else "depends on the whole history"
        return panel_html(
            self.strategy,
            headline,
            good=self.settles,
            heads=("bars of history", "dates that differ", "share"),
            rows=rows,
            verdict=self.verdict,
            note=f"{self.verdict} {self.note}" if rows else self.note,
        )


def _spread(rows: int) -> npt.NDArray[np.int64]:
    """Positions of the rows to show, at most `_SHOWN`."""
    return np.unique(np.linspace(0, rows - 1, min(rows, _SHOWN)).astype(np.int64))


def _counted(bars: int) -> str:
    return "1 bar" if bars == 1 else f"{bars:,} bars"
