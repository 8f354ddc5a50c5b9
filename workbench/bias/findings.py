"""The result of a look-ahead check: `LookaheadReport`, with one `LookaheadFinding` per signal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from workbench.bias.horizon import Pattern
from workbench.bias.page import panel_html
from workbench.errors import BacktestError

__all__ = ["LookaheadFinding", "LookaheadReport"]


@dataclass(frozen=True)
class LookaheadFinding:
    """A signal that changes when later bars change.

    Attributes
    ----------
    signal : str
        "entries", "exits", "short_entries", "short_exits" or "weights".
    timestamp : Timestamp
        The first bar (UTC) at which the signal differed.
    symbol : str
        The symbol whose signal differed there.
    symbols : tuple of str
        All symbols whose signal differs at any bar.
    shown_by : str
        The first run that showed the difference there, as text.
    horizon : int
        How many bars ahead it looks: the largest distance at which a changed bar changed the signal. 0 for
        the close at which it is filled.
    pattern : str
        "constant distance", "whole sample", "period end", "next value", "number of bars", "own close" or
        "varying".
    sources : tuple of str
        Symbols whose later bars, changed alone, change it; empty if none were found.
    bars, cells : int
        Number of bars, and of cells (bar × symbol), that differ in any run.
    hint : str
        The usual cause of this pattern, and what to write instead.
    """

    signal: str
    timestamp: pd.Timestamp
    symbol: str
    symbols: tuple[str, ...]
    shown_by: str
    horizon: int
    pattern: Pattern
    sources: tuple[str, ...]
    bars: int
    cells: int
    hint: str

    def __str__(self) -> str:
        when = f"{self.timestamp:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
        if self.pattern == "own close":
            used = "use the close at which they are filled"
            return f"{self.signal} of {self.symbol} at {when} {used}. {self.hint}"
        return (
            f"{self.signal} of {self.symbol} at {when} change with {self.shown_by}; in total, {self.cells:,} "
            f"cells at {self.bars:,} bars change. {self.hint}"
        )


@dataclass(frozen=True)
class LookaheadReport:
    """Whether a strategy's signals change when later bars are removed or replaced.

    Attributes
    ----------
    strategy : str
    parameters : mapping
        The given parameters.
    fill : str
        The fill rule that was checked.
    symbols : tuple of str
    n_bars : int
    findings : tuple of LookaheadFinding
        One per signal and, for fills at the deciding bar's own close, one more; empty if nothing was found.
    deterministic : bool
        Whether two calls on the same bars gave the same signals. If not, nothing else was checked.
    mutates_bars : bool
        Whether it wrote into its bars; columns that it added do not count.
    cuts : DatetimeIndex
        The last known bar (UTC) at each cut.
    perturbed : DatetimeIndex
        The last unchanged bar (UTC) where later ones were replaced.
    first_bars : int
        The fewest bars with which the strategy does not raise; there are no cuts with fewer.
    error : str
        What it raised with fewer, or on replaced bars; empty if it never did.
    raised : int
        How many runs with enough bars raised anyway, and could not be compared.
    compared : int
        How many runs were compared. With 0, the check has no result.
    calls : int
        Number of calls of the strategy.
    seconds : float
        Time the check took.
    """

    strategy: str
    parameters: Mapping[str, Any]
    fill: str
    symbols: tuple[str, ...]
    n_bars: int
    findings: tuple[LookaheadFinding, ...]
    deterministic: bool
    mutates_bars: bool
    cuts: pd.DatetimeIndex
    perturbed: pd.DatetimeIndex
    first_bars: int
    error: str
    raised: int
    compared: int
    calls: int
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether runs were compared, and are deterministic, without look-ahead and without changed bars."""
        return self.compared > 0 and self.deterministic and not self.mutates_bars and not self.findings

    @property
    def verdict(self) -> str:
        """The result in one sentence, or one sentence per problem."""
        problems = [f"{finding}" for finding in self.findings]
        if not self.deterministic:
            problems.append(
                "Two calls on the same bars gave different signals, so look-ahead cannot be checked; seed "
                "every generator inside the function."
            )
        elif not self.compared:
            problems.append(f"It raised in every run ({self.error}), so look-ahead cannot be checked.")
        if self.mutates_bars:
            problems.append("It changes its bars, and so trades at other prices; copy them first.")
        if problems:
            return f"{self.strategy}: " + " ".join(problems)
        return (
            f"{self.strategy}: no signal changed at {len(self.cuts)} cuts, or with bars replaced after "
            f"{len(self.perturbed)} bars."
        )

    @property
    def table(self) -> pd.DataFrame:
        """The findings, one per row, indexed `signal`."""
        columns = ["timestamp", "symbol", "pattern", "horizon", "bars", "cells", "shown_by", "hint"]
        rows = [[getattr(finding, column) for column in columns] for finding in self.findings]
        index = pd.Index([finding.signal for finding in self.findings], name="signal", dtype="str")
        return pd.DataFrame(rows, index=index, columns=columns)

    def raise_if_found(self) -> None:
        """Raise if the report is not `ok`.

        Raises
        ------
        BacktestError
            With the verdict as its message.
        """
        if not self.ok:
            raise BacktestError(self.verdict)

    @property
    def note(self) -> str:
        """What was checked, and what could not be."""
        note = (
            f"{self.n_bars:,} bars, {len(self.symbols)} symbols, fill {self.fill}: {len(self.cuts)} cuts, "
            f"bars replaced at {len(self.perturbed)}; {self.calls} calls in {self.seconds:.1f} s."
        )
        if 1 < self.first_bars < self.n_bars:
            note += f" It raises with fewer than {self.first_bars} bars ({self.error}); cuts begin there."
        elif self.first_bars == self.n_bars:
            note += f" It raises with one bar less ({self.error}); later bars were replaced, not cut off."
        if self.raised:
            note += f" {self.raised} later runs raised ({self.error}) and were not compared."
        return note

    def __repr__(self) -> str:
        state = "ok" if self.ok else "not ok"
        return f"<LookaheadReport {state}: {self.verdict} {self.note}>"

    def _repr_html_(self) -> str:
        rows = [
            (
                finding.signal,
                f"{finding.timestamp:%Y-%m-%d %H:%M}".removesuffix(" 00:00"),
                finding.symbol,
                finding.pattern,
                "to the end" if finding.pattern == "whole sample" else str(finding.horizon),
                f"{finding.cells:,}",
                finding.hint,
            )
            for finding in self.findings
        ]
        heads = ("signal", "first at", "symbol", "pattern", "bars ahead", "cells", "likely cause")
        if self.ok:
            headline = "no look-ahead found"
        elif self.findings:
            headline = "looks ahead"
        elif self.mutates_bars:
            headline = "changes its bars"
        else:
            headline = "nothing compared" if self.deterministic else "not deterministic"
        return panel_html(
            self.strategy,
            headline,
            good=self.ok,
            heads=heads,
            rows=rows,
            verdict=self.verdict,
            note=self.note,
        )
