"""One chunk of a sweep: from parameters to signals to rows of metrics; runs in any process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import StrategyError
from workbench.fills.accounts import by_account, frozen
from workbench.fills.execution import Execution
from workbench.fills.simulation import settle_rules
from workbench.signals.decisions import Decisions, Targets, read_decisions, without_contradictions
from workbench.signals.inputs import BarArrays
from workbench.signals.signals import SignalArrays
from workbench.signals.strategy import Strategy
from workbench.sweep.axes import DTYPES
from workbench.sweep.cells import CellBars, SymbolPeriod, prepare_bars
from workbench.sweep.space import Space
from workbench.sweep.store import METRICS, Rows

__all__ = [
    "Plan",
    "Task",
    "Variants",
    "arrays_of",
    "call_batch",
    "compute",
    "curves_of",
    "decide",
    "trade_signals",
    "values_of",
]

Variants = Mapping[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float64]

_NEVER = frozen(np.zeros((0, 0, 0, 0), dtype=np.bool_))

_KEPT_CELLS = 4
"""Cells whose prepared bars are kept; tasks come cell by cell."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What all chunks of one sweep share; sent to each worker once.

    Attributes
    ----------
    strategy : Strategy
    space : Space, optional
        The variants; None if tasks carry their own.
    size : int
        Variants per cell: the row of a variant is ``cell * size + variant``.
    bars : DataFrame
        All the bars, tidy.
    cells : sequence of SymbolPeriod
    execution : Execution
    dividends : Series of float64, optional
    batched : bool
        Whether the strategy's batch form is used.
    """

    strategy: Strategy
    space: Space | None
    size: int
    bars: pd.DataFrame
    cells: Sequence[SymbolPeriod]
    execution: Execution
    dividends: pd.Series[float] | None
    batched: bool
    _prepared: dict[int, CellBars] = field(default_factory=dict, init=False, repr=False)

    def bars_of(self, cell: int) -> CellBars:
        """The prepared bars of a cell; kept for later tasks."""
        prepared = self._prepared.get(cell)
        if prepared is None:
            prepared = prepare_bars(self.bars, self.cells[cell], self.execution, self.dividends)
            for old in list(self._prepared)[: 1 - _KEPT_CELLS]:
                self._prepared.pop(old, None)
            self._prepared[cell] = prepared
        return prepared

    def variants(self, start: int, stop: int) -> Variants:
        """The parameters of variants `start` to `stop` (exclusive)."""
        assert self.space is not None, "tasks of an adaptive search carry their variants"
        return self.space.variants(start, stop)

    def __getstate__(self) -> dict[str, Any]:
        # Each worker prepares the bars itself, so that its arrays are its own and writable.
        return {**self.__dict__, "_prepared": {}}


@dataclass(frozen=True, eq=False)
class Task:
    """Variants `start` to `stop` (exclusive) of one cell.

    Attributes
    ----------
    cell, start, stop : int
    variants : mapping of str to ndarray, optional
        Their parameters, if the plan has no space.
    """

    cell: int
    start: int
    stop: int
    variants: Variants | None = None


def compute(plan: Plan, task: Task) -> Rows:
    """The metrics of a task's variants.

    An exception of the strategy goes into its row; signals that the rules cannot trade at all raise.

    Raises
    ------
    BacktestError
        The execution rules do not fit what the strategy returns.
    StrategyError
        The strategy's batch form did not return signals for each variant.
    """
    variants = plan.variants(task.start, task.stop) if task.variants is None else task.variants
    metrics = np.full((task.stop - task.start, len(METRICS)), np.nan)
    errors = _trade_all(plan, plan.bars_of(task.cell), variants, metrics, np.empty((0, 0)))
    return Rows(task.cell * plan.size + task.start, variants, metrics, errors)


def curves_of(plan: Plan, cell: int, variants: Variants) -> Floats:
    """Equity at each bar's close: float64, shape (n_variants, n_bars); NaN where the strategy failed."""
    count, prepared = _count(variants), plan.bars_of(cell)
    curves = np.full((count, len(prepared.traded.timestamps)), np.nan)
    _trade_all(plan, prepared, variants, np.empty((count, len(METRICS))), curves)
    return curves


def values_of(variants: Variants, position: int) -> dict[str, Any]:
    """One variant's parameters as plain Python values."""
    return {name: values[position].item() for name, values in variants.items()}


def arrays_of(strategy: Strategy, variants: pd.DataFrame) -> Variants:
    """Variants, one per row, as one array per parameter."""
    return {
        name: np.array(variants[name].tolist(), dtype=DTYPES[parameter.kind])
        for name, parameter in strategy.parameters.items()
    }


def decide(plan: Plan, prepared: CellBars, parameters: Mapping[str, Any]) -> Decisions | Targets:
    """The decisions of the plain strategy on the prepared bars (raises what the strategy raises)."""
    # A strategy may write into its frame: each variant gets a new one.
    return read_decisions(plan.strategy(prepared.bars.copy(deep=False), **parameters), prepared.market)


def call_batch(plan: Plan, market: BarArrays, variants: Variants) -> SignalArrays:
    """The signals of the strategy's batch form, checked (raises `StrategyError`, or what the form raises)."""
    assert plan.strategy.batched is not None
    signals = plan.strategy.batched(market, **variants)
    name, shape = plan.strategy.name, (_count(variants), *market.close.shape)
    if not isinstance(signals, SignalArrays):
        raise StrategyError(
            f"{name}: its batch form returned a {type(signals).__name__}; return SignalArrays."
        )
    for role, flags in vars(signals).items():
        if flags is not None and (flags.shape != shape or flags.dtype != np.bool_):
            raise StrategyError(
                f"{name}: its batch form returned {role} of {flags.dtype} {flags.shape}; "
                f"return bool of shape (n_variants, n_bars, n_symbols), here {shape}."
            )
    return signals


def _trade_all(
    plan: Plan, prepared: CellBars, variants: Variants, metrics: Floats, curves: Floats
) -> dict[int, str]:
    """Fill `metrics`, and `curves` unless empty; returns what was raised, by position."""
    if plan.batched:
        try:
            signals = call_batch(plan, prepared.market, variants)
        except StrategyError:
            raise
        except Exception:  # noqa: BLE001 - calling one by one finds the variant that fails, and keeps the others
            signals = None
        if signals is not None:
            flags = (signals.entries, signals.exits, signals.short_entries, signals.short_exits)
            trade_signals(prepared, flags, metrics, curves)
            return {}
    errors = {}
    for position in range(_count(variants)):
        try:
            decided = decide(plan, prepared, values_of(variants, position))
        except Exception as error:  # noqa: BLE001 - a strategy may raise anything; the sweep goes on
            errors[position] = f"{type(error).__name__}: {error}"
            continue
        one = slice(position, position + 1)
        _trade(plan, prepared, decided, metrics[one], curves[one])
    return errors


def _trade(
    plan: Plan, prepared: CellBars, decided: Decisions | Targets, metrics: Floats, curves: Floats
) -> None:
    """Trade one variant's decisions."""
    from workbench.fills import loop

    settle_rules(plan.execution, decided)
    if isinstance(decided, Targets):
        weights = _cut(prepared, decided.weights[np.newaxis])
        layout = prepared.layout
        loop.run_weights(*layout.common, frozen(weights), layout.rules, metrics, curves)
        return
    short = decided.enter < 0
    shorts = (short[np.newaxis], decided.leave_short[np.newaxis]) if short.any() else (None, None)
    long = decided.enter > 0
    trade_signals(prepared, (long[np.newaxis], decided.leave_long[np.newaxis], *shorts), metrics, curves)


def trade_signals(
    prepared: CellBars,
    flags: Sequence[npt.NDArray[np.bool_] | None],
    metrics: Floats,
    curves: Floats,
) -> None:
    """Trade signals with the fastest loop that supports the rules.

    Parameters
    ----------
    prepared : CellBars
    flags : sequence of ndarray of bool, shape (n_variants, n_bars, n_symbols), or None
        Entries, exits, short entries and short exits, laid out as `prepared.market`.
    metrics : ndarray of float64, shape (n_variants, n_metrics)
        Filled.
    curves : ndarray of float64, shape (n_variants, n_bars) or (0, 0)
        Filled with equity.
    """
    from workbench.fills import loop

    entries, exits, short_entries, short_exits = (None if of is None else _cut(prepared, of) for of in flags)
    assert entries is not None
    assert exits is not None
    layout = prepared.layout
    if layout.plain and short_entries is None:
        enter, leave, *_ = without_contradictions(_bits(entries), _bits(exits))
        loop.run_long_only(
            layout.open.reshape(-1),
            layout.close.reshape(-1),
            frozen(enter),
            frozen(leave),
            layout.rules,
            metrics,
            curves,
        )
        return
    resolved = without_contradictions(entries, exits, short_entries, short_exits)
    loop.run_signals(
        layout.open,
        layout.high,
        layout.low,
        layout.close,
        layout.present,
        layout.dividends,
        *(by_account(said, shared=layout.shared) if len(said) else _NEVER for said in resolved),
        layout.fractions,
        layout.rules,
        metrics,
        curves,
    )


def _cut(prepared: CellBars, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The traded part of an array of shape (n_variants, n_bars, n_symbols), as the compiled loops need it."""
    if not prepared.is_whole:
        values = values[:, prepared.first :][:, :, prepared.columns]
        if values.dtype == np.bool_ and not prepared.traded.present.all():
            # Before a symbol's first bar in the period it has no signals.
            values &= prepared.traded.started
    return values


def _bits(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """Flags packed into 64-bit words, lowest bit first: the loop then checks 64 of them at once."""
    packed = np.packbits(flags.reshape(-1), bitorder="little")
    # Words in this machine's byte order; bits stay little-endian.
    padded = np.zeros(-(-len(packed) // 8) * 8, dtype=np.uint8)
    padded[: len(packed)] = packed
    return padded.view("<u8").astype(np.uint64, copy=False)


def _count(variants: Variants) -> int:
    return len(next(iter(variants.values()))) if variants else 1
