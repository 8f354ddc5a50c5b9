"""What the search for look-ahead found: `LookaheadReport`, and one `LookaheadFinding` a signal."""

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
    """A signal that changes when bars that it cannot know do.

    Attributes
    ----------
    signal : str
        "entries", "exits", "short_entries", "short_exits" or "weights".
    timestamp : Timestamp
        The first bar (UTC) at which it was seen to differ.
    symbol : str
        Whose signal that was.
    symbols : tuple of str
        All the symbols whose signal differs somewhere.
    shown_by : str
        The first run that showed it there, in words.
    horizon : int
        How many bars ahead it looks: the most at which another bar still made another signal. 0 for the
        close at which it is filled.
    pattern : str
        "constant distance", "whole sample", "period end", "next value", "number of bars", "own close" or
        "varying".
    sources : tuple of str
        Symbols whose later bars alone change it; empty where that did not show.
    bars, cells : int
        At how many bars, and in how many cells (bar × symbol), any of the runs saw it differ.
    hint : str
        What usually looks like that, and what to write instead.
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
            f"{self.signal} of {self.symbol} at {when} change with {self.shown_by}; in all, {self.cells:,} "
            f"cells at {self.bars:,} bars do. {self.hint}"
        )


@dataclass(frozen=True)
class LookaheadReport:
    """Whether a strategy's signals change when the future is cut off, or another.

    Attributes
    ----------
    strategy : str
    parameters : mapping
        Those that were given.
    fill : str
        The fill that it was checked for.
    symbols : tuple of str
    n_bars : int
    findings : tuple of LookaheadFinding
        One a signal and, for fills at the deciding bar's own close, one more; empty where nothing was found.
    deterministic : bool
        Whether two calls on the same bars said the same. Where they did not, nothing else was looked at.
    mutates_bars : bool
        Whether it wrote into the bars that it was given; columns that it added do not count.
    cuts : DatetimeIndex
        The last bar (UTC) that was known at each cut.
    perturbed : DatetimeIndex
        The last bar (UTC) that was left as it is where later ones were replaced.
    first_bars : int
        How many bars the strategy can be given at the fewest; with fewer it raises, and there is no cut.
    error : str
        What it raised with fewer, or on perturbed bars; empty where it never did.
    raised : int
        How many of the runs after that raised all the same, and compare nothing.
    compared : int
        How many runs did compare something. Where it is 0, nothing can be told.
    calls : int
        How often the strategy was called.
    seconds : float
        What the check took.
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
        """Whether it was compared and nothing was found: no look-ahead, no chance, no bars written into."""
        return self.compared > 0 and self.deterministic and not self.mutates_bars and not self.findings

    @property
    def verdict(self) -> str:
        """The outcome in one plain sentence, or one for each thing that is wrong."""
        said = [f"{finding}" for finding in self.findings]
        if not self.deterministic:
            said.append(
                "Two calls on the same bars gave different signals, so nothing can be told of the future; "
                "seed every generator inside the function."
            )
        elif not self.compared:
            said.append(f"It raised in every run ({self.error}), so nothing can be told of the future.")
        if self.mutates_bars:
            said.append(
                "It writes into the bars that it is given, and so trades at other prices; copy first."
            )
        if said:
            return f"{self.strategy}: " + " ".join(said)
        return (
            f"{self.strategy}: no signal changed at {len(self.cuts)} cuts, nor with other bars from "
            f"{len(self.perturbed)} on."
        )

    @property
    def table(self) -> pd.DataFrame:
        """The findings, one a row, indexed `signal`."""
        columns = ["timestamp", "symbol", "pattern", "horizon", "bars", "cells", "shown_by", "hint"]
        rows = [[getattr(finding, column) for column in columns] for finding in self.findings]
        index = pd.Index([finding.signal for finding in self.findings], name="signal", dtype="str")
        return pd.DataFrame(rows, index=index, columns=columns)

    def raise_if_found(self) -> None:
        """Raise what was found.

        Raises
        ------
        BacktestError
            With the verdict, where the report is not `ok`.
        """
        if not self.ok:
            raise BacktestError(self.verdict)

    @property
    def note(self) -> str:
        """What was looked at, and what could not be."""
        told = (
            f"{self.n_bars:,} bars, {len(self.symbols)} symbols, fill {self.fill}: {len(self.cuts)} cuts, "
            f"other bars from {len(self.perturbed)} on; {self.calls} calls in {self.seconds:.1f} s."
        )
        if 1 < self.first_bars < self.n_bars:
            told += f" It raises with fewer than {self.first_bars} bars ({self.error}); cuts begin there."
        elif self.first_bars == self.n_bars:
            told += f" It raises with any bar less ({self.error}); later bars were replaced, not cut off."
        if self.raised:
            told += f" {self.raised} later runs raised ({self.error}) and compare nothing."
        return told

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
        heads = ("signal", "first at", "symbol", "pattern", "bars ahead", "cells", "what to look for")
        if self.ok:
            headline = "no look-ahead found"
        elif self.findings:
            headline = "looks ahead"
        elif self.mutates_bars:
            headline = "writes into its bars"
        else:
            headline = "nothing compared" if self.deterministic else "not the same twice"
        return panel_html(
            self.strategy,
            headline,
            good=self.ok,
            heads=heads,
            rows=rows,
            verdict=self.verdict,
            note=self.note,
        )
