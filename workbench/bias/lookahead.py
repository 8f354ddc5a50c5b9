"""`check_lookahead`: whether signals change when later bars are removed or replaced."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, get_args

import numpy as np
import pandas as pd

from workbench.bias.cuts import Dates, Rows, bars_until, choose_cuts, choose_perturbed
from workbench.bias.evidence import Evidence, Run
from workbench.bias.findings import LookaheadFinding, LookaheadReport
from workbench.bias.horizon import Horizon, measure_horizon
from workbench.bias.own_close import own_close_findings
from workbench.bias.slices import PERTURBATIONS, BarSlices
from workbench.bias.subject import Subject, differing
from workbench.errors import BacktestError
from workbench.signals.decisions import Fill
from workbench.signals.inputs import read_bars
from workbench.signals.signals import Signals, Weights
from workbench.signals.strategy import Strategy

__all__ = ["check_lookahead"]

_FEWEST_CUTS, _FEWEST_PERTURBED = 12, 4
_ALONE = 3
"""Number of cuts after which bars are also replaced for single symbols, up to `_MOST_ALONE` of them."""
_MOST_ALONE = 8
_FEWEST_MEASURED, _MEASURED = 6, 9
"""Cells per signal that are bisected to measure the horizon."""


def check_lookahead(
    strategy: Strategy | Callable[..., Signals | Weights],
    bars: pd.DataFrame,
    *,
    parameters: Mapping[str, Any] | None = None,
    fill: Fill = "next_open",
    cuts: int | Dates = 100,
    perturbations: int = 16,
    seed: int = 0,
    budget: float = 20.0,
) -> LookaheadReport:
    """Look for signals that use bars after their own.

    The bars are cut at many places, and the signals up to each cut are compared with those on all bars, cell
    by cell, the newest bar included: that is what a live run would have acted on. At some of the cuts later
    bars are also replaced: scaled up and down by 100, made noisy, shuffled, and for one symbol alone. Flags
    must be equal; weights may differ by 1e-9 of the larger one. For each signal that differs, bisection then
    measures how many bars ahead it looks.

    Cuts are at the last bars, at and just before the ends of weeks and months (and days, for intraday bars),
    a third of them right after a bar where a signal turns on, and the rest evenly spaced and at random.

    It cannot detect information from outside the call (parameters fitted on later bars, a table in a
    closure, a cache kept between calls), nor symbols chosen with hindsight: the universe is the same at
    every cut, and a symbol without a bar yet is a row of NaN. A leak at a few bars only is found if a cut is
    at one of them: use more `cuts` to find more.

    Parameters
    ----------
    strategy : Strategy or callable
        Or a plain function from bars (and parameters) to `Signals` or `Weights`. It always gets a copy.
    bars : DataFrame
        Tidy bars as in `backtest`. Integers are passed as floats.
    parameters : mapping, optional
        The strategy's; missing ones take their defaults.
    fill : {"next_open", "next_close", "same_close"}
        With "same_close" a signal may not even use its own bar's close: high, low, close and volume of single
        bars are replaced as well, and signals that change at that bar are reported.
    cuts : int or sequence of Timestamp
        Maximum number of cuts, or the last known bar of each.
    perturbations : int
        Number of cuts at which bars are replaced; each costs four calls.
    seed : int
        For random cuts and noise.
    budget : float
        Approximate processor time of all calls, in seconds; a slow strategy gets fewer cuts (at least 12) and
        perturbations (4). Five symbols with 3,000 bars and 5 ms per call take about two seconds, and as much
        again to measure findings.

    Returns
    -------
    LookaheadReport

    Raises
    ------
    BacktestError
        The bars cannot be used, there are fewer than three, or an argument is invalid.
    StrategyError
        The strategy's return value is not aligned with the bars. Errors that it raises on all bars are not
        caught.

    Examples
    --------
    >>> check_lookahead(sma_cross, bars).raise_if_found()           # doctest: +SKIP
    """
    begun = time.perf_counter()
    _check_numbers(fill, cuts, perturbations, budget)
    market = read_bars(bars)
    n_bars = len(market.timestamps)
    if n_bars < 3:
        raise BacktestError(f"bars: {n_bars} are too few to cut; pass three or more.")
    slices = BarSlices(bars, market)
    subject = Subject(strategy, parameters, slices)
    full = subject.on_all()
    repeated = differing(full, subject.on_all(), 0, n_bars, market.present, 0.0)
    deterministic = not any(cells.any() for cells in repeated.values())
    evidence = Evidence(subject, slices, full, seed)
    first = 1
    chosen = np.array([], dtype=np.int64)
    perturbed, findings = chosen, list[LookaheadFinding]()
    if deterministic:
        generator = np.random.default_rng(seed)
        first = subject.fewest_bars()
        calls = int(budget / max(subject.seconds, 1e-6))
        if isinstance(cuts, int | np.integer):
            # Half of the calls are for cuts and perturbations, the other half for measuring.
            most = int(np.clip(calls // 4, _FEWEST_CUTS, max(cuts, 1)))
            chosen = choose_cuts(market.timestamps, full, first, most, generator)
        else:
            chosen = _kept_at(market.timestamps, cuts, first)
        fewer = int(np.clip(calls // 24, min(_FEWEST_PERTURBED, perturbations), perturbations))
        anywhere = chosen if chosen.size else np.arange(1, n_bars)
        perturbed = choose_perturbed(anywhere, full, fewer, generator)
        _gather(evidence, chosen, perturbed, len(market.symbols))
        measured = int(np.clip(calls // 120, _FEWEST_MEASURED, _MEASURED))
        findings = _findings(evidence, slices, first, measured)
        if fill == "same_close":
            findings += own_close_findings(subject, slices, full, chosen[:: max(chosen.size // 24, 1)])
    return LookaheadReport(
        strategy=subject.name,
        parameters=dict(parameters or {}),
        fill=fill,
        symbols=market.symbols,
        n_bars=n_bars,
        findings=tuple(findings),
        deterministic=deterministic,
        mutates_bars=subject.mutates_bars,
        cuts=market.timestamps[chosen - 1],
        perturbed=market.timestamps[perturbed - 1],
        first_bars=first,
        error=subject.error,
        raised=evidence.raised,
        compared=len(evidence.found) - evidence.raised,
        calls=subject.calls,
        seconds=time.perf_counter() - begun,
    )


def _gather(evidence: Evidence, cuts: Rows, perturbed: Rows, n_symbols: int) -> None:
    for start in cuts.tolist():
        evidence.of(Run(start))
    for start in perturbed.tolist():
        # A single last bar cannot be shuffled.
        for kind in PERTURBATIONS if start < len(evidence) - 1 else PERTURBATIONS[:-1]:
            evidence.of(Run(start, kind))
    if n_symbols > 1:
        for start in perturbed[:: max(perturbed.size // _ALONE, 1)].tolist():
            for symbol in range(min(n_symbols, _MOST_ALONE)):
                evidence.of(Run(start, "made noisy", symbol))


def _findings(evidence: Evidence, slices: BarSlices, first: int, measured: int) -> list[LookaheadFinding]:
    market = slices.market
    findings: list[LookaheadFinding] = []
    alike: dict[bytes, tuple[Horizon, tuple[str, ...]]] = {}
    for signal in evidence.signals():
        _move_forward(evidence, signal, first)
        seen = evidence.cells(signal)
        row, column = (int(place) for place in np.argwhere(seen)[0])
        shown = next(
            run
            for run in evidence.against(signal)
            if run.start > row and evidence.found[run][signal][row, column]
        )
        # Signals that differ in the same cells (such as exits = ~entries) share one measurement.
        if seen.tobytes() not in alike:
            horizon = measure_horizon(evidence, signal, column, market.timestamps, measured)
            sources = _sources(evidence, signal, market.symbols)
            alike[evidence.cells(signal).tobytes()] = alike[seen.tobytes()] = horizon, sources
        horizon, sources = alike[seen.tobytes()]
        findings.append(
            LookaheadFinding(
                signal=signal,
                timestamp=market.timestamps[row],
                symbol=market.symbols[column],
                symbols=tuple(market.symbols[place] for place in np.flatnonzero(seen.any(axis=0))),
                shown_by=shown.describe(market.timestamps, market.symbols),
                horizon=horizon.bars,
                pattern=horizon.pattern,
                sources=sources,
                bars=int(seen.any(axis=1).sum()),
                cells=int(seen.sum()),
                hint=horizon.hint,
            )
        )
    return findings


def _sources(evidence: Evidence, signal: str, symbols: tuple[str, ...]) -> tuple[str, ...]:
    """The symbols whose later bars alone change a signal, tried one at a time where all together did."""
    shown = [run for run in evidence.against(signal) if run.kind is not None and run.symbol is None]
    if len(symbols) > 1:
        for run in shown[:: max(len(shown) // _ALONE, 1)][:_ALONE]:
            for symbol in range(min(len(symbols), _MOST_ALONE)):
                evidence.of(Run(run.start, run.kind, symbol))
    alone = {run.symbol for run in evidence.against(signal) if run.symbol is not None}
    return tuple(symbols[symbol] for symbol in sorted(alone))


def _move_forward(evidence: Evidence, signal: str, first: int) -> None:
    """Bisect for a difference earlier than the earliest one that the cuts found."""
    low, high = first - 1, int(np.flatnonzero(evidence.cells(signal).any(axis=1))[0]) + 1
    while high - low > 1:
        middle = (low + high) // 2
        if evidence.differs(middle, signal):
            high = middle
        else:
            low = middle


def _kept_at(timestamps: pd.DatetimeIndex, cuts: Dates, first: int) -> Rows:
    """The number of known bars at each given cut."""
    kept = bars_until(timestamps, cuts, "cuts")
    inside = kept[(kept >= first) & (kept < len(timestamps))]
    if not inside.size:
        raise BacktestError(
            "cuts: none of them both leaves out a bar and keeps as many as the strategy needs; "
            f"use dates from {timestamps[first - 1]} to before {timestamps[-1]}."
        )
    return inside


def _check_numbers(fill: str, cuts: int | Dates, perturbations: int, budget: float) -> None:
    if fill not in get_args(Fill):
        raise BacktestError(f"fill: {fill!r} must be one of {', '.join(get_args(Fill))}.")
    if isinstance(cuts, int | np.integer) and cuts < 1:
        raise BacktestError(f"cuts: {cuts} is too few; use 1 or more, or the timestamps of the cuts.")
    if perturbations < 0:
        raise BacktestError(f"perturbations: {perturbations} is below 0; use 0 or more.")
    if not budget > 0:
        raise BacktestError(f"budget: {budget} is not above 0; use a positive number of seconds.")
