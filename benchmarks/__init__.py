"""Each headline speed against its peers, in one run; what every benchmark takes and hands back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["BenchmarkSize", "Report", "Timed", "WrongResult"]


@dataclass(frozen=True)
class BenchmarkSize:
    """How much is measured, and how often; the defaults are the quick form of every benchmark.

    Attributes
    ----------
    rounds : int
        How many turns count for each candidate; one more before them does not.
    symbols, bars : int
        How many symbols are loaded, and how many minute bars each of them has.
    written_bars : int
        How many minute bars of each of as many other symbols are written.
    tables : tuple of int
        How many bars the table holds at each step of its growth, in ascending order.
    year_bars : int
        How many minute bars a symbol has in a year of the growing table.
    day_symbols, day_bars : int
        For how many symbols a day is appended, and how many minute bars that is for each.
    swept_bars, swept_windows : int
        How many daily bars a sweep is over, and how many averages it pairs.
    swept_in_python : int
        How many variants of a strategy in plain pandas are swept on one machine.
    swept_for_memory : tuple of (int, int)
        How many variants the smaller and the larger sweep have whose memory is compared.
    swept_on_dask : int
        How many variants of a strategy in plain pandas are swept on Dask.
    traded_symbols : tuple of (int, int, int)
        How many symbols the backtests beside vectorbt trade: few, some, many.
    traded_days, traded_minutes : int
        How many bars each of them has; minutes are of one symbol alone.
    revised_bars : int
        How many minute bars the series has that is loaded as it was known.
    universe_symbols, universe_days : int
        How many symbols are loaded and traded in one process, and how many daily bars each of them has.
    explained_deployments, explained_runs, explained_signals : int
        How many of each there are where rows are explained.
    notebook_seconds : tuple of float
        How long the notebooks work that are run.
    slots : int
        How many slots of a schedule are watched, a minute each.
    """

    rounds: int = 9
    symbols: int = 50
    bars: int = 20_000
    written_bars: int = 10_000
    tables: tuple[int, ...] = (1_000_000, 10_000_000)
    year_bars: int = 98_000
    day_symbols: int = 500
    day_bars: int = 390
    swept_bars: int = 2_520
    swept_windows: int = 65
    swept_in_python: int = 200
    swept_for_memory: tuple[int, int] = (1_000, 100_000)
    swept_on_dask: int = 3_000
    traded_symbols: tuple[int, int, int] = (1, 50, 500)
    traded_days: int = 2_520
    traded_minutes: int = 100_000
    revised_bars: int = 98_000
    universe_symbols: int = 3_000
    universe_days: int = 2_520
    explained_deployments: int = 1_000
    explained_runs: int = 100_000
    explained_signals: int = 10_000_000
    notebook_seconds: tuple[float, ...] = (2.0, 20.0)
    slots: int = 3


@dataclass(frozen=True)
class Report:
    """What one benchmark measured.

    Attributes
    ----------
    columns : sequence of str
        The table's headings, with units.
    rows : sequence of sequence
        The table: text as it is, floats in the unit that their heading names; None where it says nothing.
    figures : mapping of str to float
        The headline figures by name; they are the last lines that are printed.
    untold : mapping of str to sequence of str
        By the name of a figure that cannot be told: the peers that it compares with and that are missing.
    notes : sequence of str
        How a figure came about, where its name does not say it; printed below the table.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str | float | int | None]]
    figures: Mapping[str, float]
    untold: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Timed:
    """What a candidate offers: the call that is timed, and, untimed, what happens before and after it.

    `tell` makes of what the call returned what is compared with the other candidates' results.
    """

    run: Callable[..., Any]
    before: Callable[[], object] = lambda: None
    tell: Callable[[Any], Any] = lambda result: result


class WrongResult(Exception):
    """A candidate did not return, or leave behind, what all of them have to; its time means nothing."""
