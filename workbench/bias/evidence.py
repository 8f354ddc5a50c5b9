"""`Evidence`: runs of a strategy with later bars removed or replaced, and where its signals differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.bias.slices import PERTURBATIONS, BarSlices, Perturbation
from workbench.bias.subject import Cells, SignalTable, Subject, differing

__all__ = ["WEIGHT_TOLERANCE", "Evidence", "Run"]

WEIGHT_TOLERANCE = 1e-9
"""Weights are different beyond this fraction: smaller differences come from the order of additions."""
_TRIED: tuple[Perturbation | None, ...] = (None, "scaled", "scaled the other way", "made noisy")


@dataclass(frozen=True)
class Run:
    """One call of the strategy with the original bars before row `start`, and others from there on.

    Attributes
    ----------
    start : int
        Number of original bars.
    kind : Perturbation, optional
        How later bars were replaced; None: they were removed.
    symbol : int, optional
        Column of the only symbol whose later bars were replaced; None: all symbols.
    """

    start: int
    kind: Perturbation | None = None
    symbol: int | None = None

    def describe(self, timestamps: pd.DatetimeIndex, symbols: tuple[str, ...]) -> str:
        """The run as text, with its date."""
        if self.kind is None:
            return f"a cut after {timestamps[self.start - 1]:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
        whose = "bars" if self.symbol is None else f"bars of {symbols[self.symbol]}"
        when = f"{timestamps[self.start]:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
        return f"{whose} {self.kind} from {when} on"


class Evidence:
    """Runs compared with the signals on all bars; each run is made once.

    Attributes
    ----------
    found : dict of Run to Cells
        By run: which cells before its start differ; empty if the run raised.
    raised : int
        Number of runs that raised.
    """

    def __init__(self, subject: Subject, slices: BarSlices, full: SignalTable, seed: int) -> None:
        self._subject, self._slices, self._full, self._seed = subject, slices, full, seed
        self.found: dict[Run, Cells] = {}
        self.raised = 0

    def __len__(self) -> int:
        return len(self._slices)

    def of(self, run: Run) -> Cells:
        """Which cells before `run.start` differ; empty if the strategy raises."""
        if run not in self.found:
            table = self._made(run)
            if table is None:
                self.raised += 1
                self.found[run] = {}
            else:
                self.found[run] = differing(
                    self._full, table, 0, run.start, self._slices.market.present, WEIGHT_TOLERANCE
                )
        return self.found[run]

    def differs(self, start: int, signal: str, *, row: int | None = None, symbol: int | None = None) -> bool:
        """Whether a signal before `start`, or one cell of it, changes when bars from `start` on change.

        They are removed, then replaced in one way after another, until the signal differs. They are not
        shuffled: noise shows the same differences.
        """
        for kind in _TRIED:
            cells = self.of(Run(start, kind)).get(signal)
            if cells is not None and bool((cells if row is None else cells[row, symbol]).any()):
                return True
        return False

    def signals(self) -> list[str]:
        """The names of signals in which any run shows a difference."""
        return [
            signal
            for signal in dict.fromkeys(name for cells in self.found.values() for name in cells)
            if self.against(signal)
        ]

    def against(self, signal: str) -> list[Run]:
        """The runs that show a difference in this signal, in the order they were made."""
        return [run for run, cells in self.found.items() if signal in cells and cells[signal].any()]

    def cells(self, signal: str) -> np.ndarray:
        """Where any run shows a difference: bool, shape (n_bars, n_symbols)."""
        seen = np.zeros_like(self._slices.market.present)
        for run in self.against(signal):
            seen[: run.start] |= self.found[run][signal]
        return seen

    def _made(self, run: Run) -> SignalTable | None:
        if run.kind is None:
            return self._subject.on_window(0, run.start)
        generator = np.random.default_rng(
            [
                self._seed,
                run.start,
                PERTURBATIONS.index(run.kind),
                0 if run.symbol is None else run.symbol + 1,
            ]
        )
        bars = self._slices.perturbed(run.kind, run.start, len(self._slices), generator, symbol=run.symbol)
        return self._subject.on(bars, 0, len(self._slices))
