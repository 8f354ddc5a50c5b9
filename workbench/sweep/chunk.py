"""One chunk of a sweep: from parameters by way of signals to rows of figures, in whatever process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import StrategyError
from workbench.fills.execution import Execution
from workbench.fills.simulation import settle_rules
from workbench.signals.decisions import Decisions, Targets, read_decisions, without_contradictions
from workbench.signals.inputs import BarArrays
from workbench.signals.signals import SignalArrays
from workbench.signals.strategy import Strategy
from workbench.sweep.axes import DTYPES
from workbench.sweep.space import Space
from workbench.sweep.stage import Cell, Stage, set_stage
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

_STAGES = 4
"""So many cells' bars are kept laid out: tasks come cell by cell."""


@dataclass(frozen=True, eq=False)
class Plan:
    """All that the chunks of one sweep have in common; it goes to each worker once.

    Attributes
    ----------
    strategy : Strategy
    space : Space, optional
        The variants; None where tasks bring their own.
    size : int
        How many variants each cell has: row ``cell * size + variant`` is that variant's.
    bars : DataFrame
        All the bars, tidy.
    cells : sequence of Cell
    execution : Execution
    dividends : Series of float64, optional
    batched : bool
        Whether the strategy's form for many variants is used.
    """

    strategy: Strategy
    space: Space | None
    size: int
    bars: pd.DataFrame
    cells: Sequence[Cell]
    execution: Execution
    dividends: pd.Series[float] | None
    batched: bool
    _stages: dict[int, Stage] = field(default_factory=dict, init=False, repr=False)

    def stage(self, cell: int) -> Stage:
        """The bars of a cell; kept for the tasks that follow."""
        stage = self._stages.get(cell)
        if stage is None:
            stage = set_stage(self.bars, self.cells[cell], self.execution, self.dividends)
            for old in list(self._stages)[: 1 - _STAGES]:
                self._stages.pop(old, None)
            self._stages[cell] = stage
        return stage

    def variants(self, start: int, stop: int) -> Variants:
        """The parameters of variants `start` to `stop`, which is left out."""
        assert self.space is not None, "tasks of an adaptive search bring their variants"
        return self.space.variants(start, stop)

    def __getstate__(self) -> dict[str, Any]:
        # A worker lays out what it needs itself: its arrays have to be its own, to be written to.
        return {**self.__dict__, "_stages": {}}


@dataclass(frozen=True, eq=False)
class Task:
    """Variants `start` to `stop`, which is left out, of one cell.

    Attributes
    ----------
    cell, start, stop : int
    variants : mapping of str to ndarray, optional
        Their parameters, where the plan's space does not know them.
    """

    cell: int
    start: int
    stop: int
    variants: Variants | None = None


def compute(plan: Plan, task: Task) -> Rows:
    """The figures of a task's variants.

    What a strategy raises is told of in its row; what cannot be traded by these rules at all is raised.

    Raises
    ------
    BacktestError
        The rules of filling do not go with what the strategy returns.
    StrategyError
        The strategy's form for many variants returned something else than signals for each.
    """
    variants = plan.variants(task.start, task.stop) if task.variants is None else task.variants
    metrics = np.full((task.stop - task.start, len(METRICS)), np.nan)
    errors = _trade_all(plan, plan.stage(task.cell), variants, metrics, np.empty((0, 0)))
    return Rows(task.cell * plan.size + task.start, variants, metrics, errors)


def curves_of(plan: Plan, cell: int, variants: Variants) -> Floats:
    """Equity at each bar's close: float64, shape (n_variants, n_bars); NaN where the strategy failed."""
    count, stage = _count(variants), plan.stage(cell)
    curves = np.full((count, len(stage.traded.timestamps)), np.nan)
    _trade_all(plan, stage, variants, np.empty((count, len(METRICS))), curves)
    return curves


def values_of(variants: Variants, position: int) -> dict[str, Any]:
    """One variant's parameters as plain Python values."""
    return {name: values[position].item() for name, values in variants.items()}


def arrays_of(strategy: Strategy, variants: pd.DataFrame) -> Variants:
    """Variants, a row each, as one array for each parameter."""
    return {
        name: np.array(variants[name].tolist(), dtype=DTYPES[parameter.kind])
        for name, parameter in strategy.parameters.items()
    }


def decide(plan: Plan, stage: Stage, parameters: Mapping[str, Any]) -> Decisions | Targets:
    """What the plain strategy says on the stage's bars (whatever it raises)."""
    # A strategy may write into the frame that it is given: the next variant gets another one.
    return read_decisions(plan.strategy(stage.bars.copy(deep=False), **parameters), stage.market)


def call_batch(plan: Plan, market: BarArrays, variants: Variants) -> SignalArrays:
    """What the strategy's form for many variants says, checked (`StrategyError`; else what it raises)."""
    assert plan.strategy.batched is not None
    said = plan.strategy.batched(market, **variants)
    name, shape = plan.strategy.name, (_count(variants), *market.close.shape)
    if not isinstance(said, SignalArrays):
        raise StrategyError(
            f"{name}: its form for many variants returned a {type(said).__name__}; return SignalArrays."
        )
    for role, flags in vars(said).items():
        if flags is not None and (flags.shape != shape or flags.dtype != np.bool_):
            raise StrategyError(
                f"{name}: its form for many variants returned {role} of {flags.dtype} {flags.shape}; "
                f"return bool of shape (n_variants, n_bars, n_symbols), here {shape}."
            )
    return said


def _trade_all(
    plan: Plan, stage: Stage, variants: Variants, metrics: Floats, curves: Floats
) -> dict[int, str]:
    """Fill `metrics`, and `curves` where there are any; what was raised, by position."""
    if plan.batched:
        try:
            said = call_batch(plan, stage.market, variants)
        except StrategyError:
            raise
        except Exception:  # noqa: BLE001 - one by one shows which variant it is, and leaves the others
            said = None
        if said is not None:
            flags = (said.entries, said.exits, said.short_entries, said.short_exits)
            trade_signals(stage, flags, metrics, curves)
            return {}
    errors = {}
    for position in range(_count(variants)):
        try:
            decided = decide(plan, stage, values_of(variants, position))
        except Exception as error:  # noqa: BLE001 - a strategy may raise anything; the sweep goes on
            errors[position] = f"{type(error).__name__}: {error}"
            continue
        one = slice(position, position + 1)
        _trade(plan, stage, decided, metrics[one], curves[one])
    return errors


def _trade(plan: Plan, stage: Stage, decided: Decisions | Targets, metrics: Floats, curves: Floats) -> None:
    """Trade one variant's decisions."""
    from workbench.fills import loop

    settle_rules(plan.execution, decided)
    if isinstance(decided, Targets):
        weights = _cut(stage, decided.weights[np.newaxis])
        layout, traded = stage.layout, stage.traded
        loop.run_weights(
            traded.open,
            traded.close,
            traded.present,
            layout.dividends,
            weights,
            layout.rules,
            metrics,
            curves,
        )
        return
    short = decided.enter < 0
    shorts = (short[np.newaxis], decided.leave_short[np.newaxis]) if short.any() else (None, None)
    long = decided.enter > 0
    trade_signals(stage, (long[np.newaxis], decided.leave_long[np.newaxis], *shorts), metrics, curves)


def trade_signals(
    stage: Stage,
    flags: Sequence[npt.NDArray[np.bool_] | None],
    metrics: Floats,
    curves: Floats,
) -> None:
    """Trade signals by whichever loop is fastest.

    Parameters
    ----------
    stage : Stage
    flags : sequence of ndarray of bool, shape (n_variants, n_bars, n_symbols), or None
        Entries, exits, short entries and short exits, laid out as `stage.market`.
    metrics : ndarray of float64, shape (n_variants, n_metrics)
        Filled.
    curves : ndarray of float64, shape (n_variants, n_bars) or (0, 0)
        Filled with equity.
    """
    from workbench.fills import loop

    entries, exits, short_entries, short_exits = (None if of is None else _cut(stage, of) for of in flags)
    assert entries is not None
    assert exits is not None
    layout, traded = stage.layout, stage.traded
    if layout.plain and short_entries is None:
        enter, leave, *_ = without_contradictions(_bits(entries), _bits(exits))
        loop.run_long_only(
            traded.open.reshape(-1), traded.close.reshape(-1), enter, leave, layout.rules, metrics, curves
        )
        return
    loop.run_signals(
        traded.open,
        layout.high,
        layout.low,
        traded.close,
        traded.present,
        layout.dividends,
        *without_contradictions(entries, exits, short_entries, short_exits),
        layout.fractions,
        layout.rules,
        metrics,
        curves,
    )


def _cut(stage: Stage, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The part of (n_variants, n_bars, n_symbols) that is traded, as the compiled loops take it."""
    if not stage.is_whole:
        values = values[:, stage.first :][:, :, stage.columns]
    # Numba compiles anew for an array that cannot be written to.
    return np.require(values, requirements=["C", "W"])


def _bits(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """Flags as bits of 64-bit words, the lowest first: the loop then looks at 64 of them at once."""
    packed = np.packbits(flags.reshape(-1), bitorder="little")
    # The words are of this machine's byte order, the bits of theirs.
    padded = np.zeros(-(-len(packed) // 8) * 8, dtype=np.uint8)
    padded[: len(packed)] = packed
    return padded.view("<u8").astype(np.uint64, copy=False)


def _count(variants: Variants) -> int:
    return len(next(iter(variants.values()))) if variants else 1
