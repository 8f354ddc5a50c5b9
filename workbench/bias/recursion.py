"""`check_recursive`: how many bars of history a strategy needs until more no longer change its signals."""

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

_STEP = 1.5
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
    """Find how many bars of warm-up a strategy needs.

    At each probe date the strategy is run on histories of several lengths that end there, and its signals on
    that date are compared with those on the full history up to there, symbol by symbol. The result is the
    shortest length from which on all dates agree: searched on a list of lengths, each 1.5 times the one
    before, then by bisection between the last that differs and the next. A rule on the mean of 50 bars needs
    50; one that compares it with the day before, for a crossing, 51; an exponential mean needs as many as it
    takes until its starting value no longer changes a signal on these dates.

    Half of the probe dates are those at which a signal changes, in the second half of the bars, because small
    differences show there. The result is a lower bound; more `probes` improve it.

    Parameters
    ----------
    strategy : Strategy or callable
        Or a plain function from bars (and parameters) to `Signals` or `Weights`. It always gets a copy.
    bars : DataFrame
        Tidy bars as in `backtest`; 20 bars or more.
    parameters : mapping, optional
        The strategy's; missing ones take their defaults.
    lengths : sequence of int, optional
        Lengths to try, in bars, the probe date's own included. Default: from 1 to the length of the first
        probe date's history, about half of the bars.
    probes : int or sequence of Timestamp
        Number of probe dates, or the dates.
    tolerance : float
        Weights may differ by this fraction of the larger one; flags must be equal.
    seed : int
        For the choice among the dates at which signals change.

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
    with 3,000 bars and 5 ms per call take two to four seconds.

    Examples
    --------
    >>> check_recursive(sma_cross, bars).needs                      # doctest: +SKIP
    50
    """
    begun = time.perf_counter()
    market = read_bars(bars)
    n_bars = len(market.timestamps)
    if n_bars < _FEWEST_BARS:
        raise BacktestError(f"bars: {n_bars} are too few; pass {_FEWEST_BARS} or more.")
    if not tolerance >= 0:
        raise BacktestError(f"tolerance: {tolerance} is not a fraction; use 0 or more.")
    slices = BarSlices(bars, market)
    subject = Subject(strategy, parameters, slices)
    full = subject.on_all()
    repeated = differing(full, subject.on_all(), 0, n_bars, market.present, 0.0)
    if isinstance(probes, int | np.integer):
        rows = _probe_rows(full, n_bars, int(probes), np.random.default_rng(seed))
    else:
        rows = _rows_at(market.timestamps, probes)
    history = _History(subject, slices, rows, tolerance)
    tried = _default_lengths(int(rows[0]) + 1) if lengths is None else _checked(lengths, int(rows[0]) + 1)
    deterministic = not any(cells.any() for cells in repeated.values())
    needs = history.need(tried) if deterministic else None
    return RecursionReport(
        strategy=subject.name,
        parameters=dict(parameters or {}),
        symbols=market.symbols,
        n_bars=n_bars,
        probes=market.timestamps[rows],
        needs=needs,
        longest=int(tried[-1]),
        deterministic=deterministic,
        table=history.table(),
        last_difference=history.last_difference(),
        error=subject.error,
        calls=subject.calls,
        seconds=time.perf_counter() - begun,
    )


class _History:
    """The strategy's signals at the probe dates, by length of history."""

    def __init__(self, subject: Subject, slices: BarSlices, rows: Rows, tolerance: float) -> None:
        self._subject, self._slices, self._rows, self._tolerance = subject, slices, rows, tolerance
        # Up to the probe date only: look-ahead is checked elsewhere.
        self._whole = {row: subject.on_window(0, row + 1) for row in rows.tolist()}
        self._found: dict[int, list[Difference]] = {}

    def need(self, lengths: Rows) -> int | None:
        """The length from which on all dates agree; None if only the longest agree, or none."""
        bad = [length for length in lengths.tolist() if self._differs(length)]
        if not bad:
            return int(lengths[0])
        if bad[-1] == lengths[-1]:
            return None
        low, high = bad[-1], int(lengths[np.searchsorted(lengths, bad[-1]) + 1])
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._differs(middle) else (low, middle)
        # If only the few longest lengths agree, that may be chance.
        return high if high * _STEP <= self._rows[0] + 1 else None

    def table(self) -> pd.DataFrame:
        """For each tried length, the number of dates at which signals differ."""
        lengths = sorted(self._found)
        dates = [len({difference.timestamp for difference in self._found[length]}) for length in lengths]
        return pd.DataFrame(
            {"differ": dates, "share": np.array(dates, dtype=np.float64) / len(self._rows)},
            index=pd.Index(lengths, name="bars", dtype=np.int64),
        )

    def last_difference(self) -> Difference | None:
        """The first difference at the longest length that has one."""
        bad = [length for length in self._found if self._found[length]]
        return self._found[max(bad)][0] if bad else None

    def _differs(self, length: int) -> bool:
        if length not in self._found:
            self._found[length] = [
                difference for row in self._rows.tolist() if (difference := self._at(row, length)) is not None
            ]
        return bool(self._found[length])

    def _at(self, row: int, length: int) -> Difference | None:
        """The first signal that differs at this date; None if none does."""
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
    """Probe rows in the second half of the bars: half evenly spaced, half where a symbol's signal changes."""
    if count < 1:
        raise BacktestError(f"probes: {count} is too few; use 1 or more.")
    first = n_bars // 2
    spread = np.linspace(first, n_bars - 1, count - count // 2).astype(np.int64)
    turns: list[Rows] = []
    for signal, values in full.items():
        for column in range(values.shape[1]):
            found = turning_points({signal: values[:, [column]]})
            turns.append(generator.permutation(found[found >= first]))
    # One of each signal and symbol in turn, so that one with many changes does not take all places.
    queue = [int(rows[place]) for place in range(count) for rows in turns if place < rows.size]
    chosen = list(dict.fromkeys(row for row in queue if row not in set(spread.tolist())))[: count // 2]
    return np.unique(np.concatenate([spread, np.array(chosen, dtype=np.int64)]))


def _rows_at(timestamps: pd.DatetimeIndex, dates: Dates) -> Rows:
    rows = bars_until(timestamps, dates, "probes") - 1
    if not rows.size or rows[0] < 1:
        raise BacktestError(
            f"probes: there is no bar before the first date; use dates after {timestamps[0]}."
        )
    return rows


def _default_lengths(longest: int) -> Rows:
    lengths = [1]
    while lengths[-1] * _STEP < longest:
        lengths.append(max(int(lengths[-1] * _STEP), lengths[-1] + 1))
    # A rule that counts from the first bar agrees by chance at some lengths, but not at these last three.
    return np.unique([*lengths, *(length for length in (longest - 3, longest - 1, longest) if length > 0)])


def _checked(lengths: Sequence[int], longest: int) -> Rows:
    checked = np.unique(np.asarray(lengths, dtype=np.int64))
    if checked.size < 2 or checked[0] < 1 or checked[-1] > longest:
        raise BacktestError(
            f"lengths: {list(lengths)} cannot be used; pass two or more from 1 to {longest}, "
            "the number of bars up to the first probe date."
        )
    return checked
