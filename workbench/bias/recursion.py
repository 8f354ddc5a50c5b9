"""`check_recursive`: how many bars of history a strategy needs before its signals are what they will be."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from workbench.bias.cuts import Dates, Rows, bars_until, turning_points
from workbench.bias.history import Difference, RecursionReport
from workbench.bias.slices import BarSlices
from workbench.bias.subject import SignalTable, Subject, differing
from workbench.errors import BacktestError
from workbench.signals.inputs import read_bars
from workbench.signals.signals import Signals, Weights
from workbench.signals.strategy import Strategy

__all__ = ["check_recursive"]

_RUNG = 1.5
_FEWEST_BARS = 20


def check_recursive(
    strategy: Strategy | Callable[..., Signals | Weights],
    bars: pd.DataFrame,
    *,
    parameters: Mapping[str, Any] | None = None,
    lengths: Sequence[int] | None = None,
    probes: int | Dates = 20,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> RecursionReport:
    """Find how many bars of warm-up a strategy truly needs.

    At each probe date the strategy is run on shorter and shorter histories that end there, and what it says
    of that date is compared with what it says on all the history up to there, symbol by symbol. The need is
    the length from which on all dates agree: found on a ladder of lengths, each half as long again as the
    one before, then by bisection between the two rungs where that changes. A rule on the mean of 50 bars
    needs 50; one that compares it with the day before, for a crossing, 51; an exponential mean as many as
    its beginning takes to fade below what turns a signal at these dates.

    Half of the probe dates are those at which a signal turns, spread over the second half of the bars: there
    the least difference shows. The need is therefore a lower bound; more `probes` make it a better one.

    Parameters
    ----------
    strategy : Strategy or callable
        Or a plain function from bars (and parameters) to `Signals` or `Weights`. It is always given a copy.
    bars : DataFrame
        Tidy bars as `backtest` takes them; 20 bars or more.
    parameters : mapping, optional
        The strategy's; the defaults where they are left out.
    lengths : sequence of int, optional
        The ladder, in bars with the probe date's own. Default: from 1 to what the first probe date has
        behind it, about half of the bars.
    probes : int or sequence of Timestamp
        How many dates are looked at, or which.
    tolerance : float
        Weights may differ by this fraction of the larger one; flags may not differ.
    seed : int
        Of the choice among the dates at which signals turn.

    Returns
    -------
    RecursionReport

    Raises
    ------
    BacktestError
        The bars cannot be used or are too few, or a probe date has no history.

    Notes
    -----
    About ``probes * 20`` calls on short histories, and up to ``probes * 8`` for the bisection. Five symbols
    with 3,000 bars and 5 ms a call take two to four seconds.

    Examples
    --------
    >>> check_recursive(sma_cross, bars).needs                      # doctest: +SKIP
    50
    """
    begun = time.perf_counter()
    market = read_bars(bars)
    n_bars = len(market.timestamps)
    if n_bars < _FEWEST_BARS:
        raise BacktestError(f"bars: {n_bars} are no history to shorten; give {_FEWEST_BARS} or more.")
    if not tolerance >= 0:
        raise BacktestError(f"tolerance: {tolerance} is no fraction; give 0 or more.")
    slices = BarSlices(bars, market)
    subject = Subject(strategy, parameters, slices)
    full = subject.on_all()
    repeated = differing(full, subject.on_all(), 0, n_bars, market.present, 0.0)
    if isinstance(probes, int | np.integer):
        rows = _probe_rows(full, n_bars, int(probes), np.random.default_rng(seed))
    else:
        rows = _rows_at(market.timestamps, probes)
    history = _History(subject, slices, rows, tolerance)
    rungs = _ladder(int(rows[0]) + 1) if lengths is None else _checked(lengths, int(rows[0]) + 1)
    deterministic = not any(cells.any() for cells in repeated.values())
    needs = history.need(rungs) if deterministic else None
    return RecursionReport(
        strategy=subject.name,
        parameters=dict(parameters or {}),
        symbols=market.symbols,
        n_bars=n_bars,
        probes=market.timestamps[rows],
        needs=needs,
        longest=int(rungs[-1]),
        deterministic=deterministic,
        table=history.table(),
        last_difference=history.last_difference(),
        error=subject.error,
        calls=subject.calls,
        seconds=time.perf_counter() - begun,
    )


class _History:
    """What the strategy says at the probe dates with histories of each length."""

    def __init__(self, subject: Subject, slices: BarSlices, rows: Rows, tolerance: float) -> None:
        self._subject, self._slices, self._rows, self._tolerance = subject, slices, rows, tolerance
        # Up to the probe date alone: what a strategy takes from the future is not this check's to tell.
        self._whole = {row: subject.on_window(0, row + 1) for row in rows.tolist()}
        self._found: dict[int, list[Difference]] = {}

    def need(self, rungs: Rows) -> int | None:
        """The length from which on all agree; None where only the longest ones do, or none."""
        bad = [length for length in rungs.tolist() if self._differs(length)]
        if not bad:
            return int(rungs[0])
        if bad[-1] == rungs[-1]:
            return None
        low, high = bad[-1], int(rungs[np.searchsorted(rungs, bad[-1]) + 1])
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._differs(middle) else (low, middle)
        # Where only the few longest lengths agree, that may be chance.
        return high if high * _RUNG <= self._rows[0] + 1 else None

    def table(self) -> pd.DataFrame:
        """Of each length that was tried, at how many of the dates the signals differ."""
        lengths = sorted(self._found)
        dates = [len({difference.timestamp for difference in self._found[length]}) for length in lengths]
        return pd.DataFrame(
            {"differ": dates, "share": np.array(dates, dtype=np.float64) / len(self._rows)},
            index=pd.Index(lengths, name="bars", dtype=np.int64),
        )

    def last_difference(self) -> Difference | None:
        """The first difference at the greatest length that has one."""
        bad = [length for length in self._found if self._found[length]]
        return self._found[max(bad)][0] if bad else None

    def _differs(self, length: int) -> bool:
        if length not in self._found:
            self._found[length] = [
                difference for row in self._rows.tolist() if (difference := self._at(row, length)) is not None
            ]
        return bool(self._found[length])

    def _at(self, row: int, length: int) -> Difference | None:
        """The first signal that differs at this date; None where none does."""
        market = self._slices.market
        whole = self._whole[row]
        if whole is None:
            return None
        made = self._subject.on_window(row + 1 - length, row + 1)
        if made is None:
            return Difference(length, market.timestamps[row], "", "")
        now, then = _last(whole), _last(made)
        for signal, cells in differing(now, then, 0, 1, market.present[[row]], self._tolerance).items():
            if cells.any():
                symbol = market.symbols[int(np.flatnonzero(cells[0])[0])]
                return Difference(length, market.timestamps[row], symbol, signal)
        return None


def _last(table: SignalTable) -> SignalTable:
    return {signal: values[-1:] for signal, values in table.items()}


def _probe_rows(full: SignalTable, n_bars: int, count: int, generator: np.random.Generator) -> Rows:
    """Half spread over the second half of the bars, half where any symbol's signals turn there."""
    if count < 1:
        raise BacktestError(f"probes: {count} dates show nothing; give 1 or more.")
    first = n_bars // 2
    spread = np.linspace(first, n_bars - 1, count - count // 2).astype(np.int64)
    turns: list[Rows] = []
    for signal, values in full.items():
        for column in range(values.shape[1]):
            found = turning_points({signal: values[:, [column]]})
            turns.append(generator.permutation(found[found >= first]))
    # One of each signal and symbol in turn, so that a busy one does not crowd out the others.
    queue = [int(rows[place]) for place in range(count) for rows in turns if place < rows.size]
    chosen = list(dict.fromkeys(row for row in queue if row not in set(spread.tolist())))[: count // 2]
    return np.unique(np.concatenate([spread, np.array(chosen, dtype=np.int64)]))


def _rows_at(timestamps: pd.DatetimeIndex, dates: Dates) -> Rows:
    rows = bars_until(timestamps, dates, "probes") - 1
    if not rows.size or rows[0] < 1:
        raise BacktestError(
            f"probes: there is no bar before the first date; give dates after {timestamps[0]}."
        )
    return rows


def _ladder(longest: int) -> Rows:
    lengths = [1]
    while lengths[-1] * _RUNG < longest:
        lengths.append(max(int(lengths[-1] * _RUNG), lengths[-1] + 1))
    # A rule that counts from the first bar agrees by chance at some lengths; not at three on end.
    return np.unique([*lengths, *(length for length in (longest - 3, longest - 1, longest) if length > 0)])


def _checked(lengths: Sequence[int], longest: int) -> Rows:
    rungs = np.unique(np.asarray(lengths, dtype=np.int64))
    if rungs.size < 2 or rungs[0] < 1 or rungs[-1] > longest:
        raise BacktestError(
            f"lengths: {list(lengths)} is no ladder; give two or more from 1 to {longest}, "
            "the bars that the first probe date has."
        )
    return rungs
