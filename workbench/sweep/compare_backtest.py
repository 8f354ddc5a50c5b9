"""Checks that a sweep has the same strategy, symbols and rules as a backtest shown with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.errors import SweepDiffers
from workbench.fills.execution import Execution
from workbench.fills.record import BacktestRecord
from workbench.fills.sizing import default_size

if TYPE_CHECKING:
    from workbench.sweep.job import Job

__all__ = ["differences", "require_same"]

_SHOWN = 5
_FIGURE = "total_return"


def require_same(result: BacktestRecord, found: Mapping[str, tuple[Any, Any]]) -> None:
    """Refuse a sweep that differs from this backtest.

    Parameters
    ----------
    result : BacktestRecord
    found : mapping
        From `differences`.

    Raises
    ------
    SweepDiffers
        Names each difference with both values, and the call for a matching sweep.
    """
    if not found:
        return
    ours = ", ".join(_shown(name, one) for name, (one, _) in found.items())
    theirs = ", ".join(_shown(name, other) for name, (_, other) in found.items())
    if list(found) == [_FIGURE]:
        raise SweepDiffers(
            "this sweep does not match this backtest: with the same rules and parameters, from "
            f"{result.start:%Y-%m-%d} to {result.end:%Y-%m-%d}, the backtest has {ours} and the sweep "
            f"{theirs}: their prices, dividends or the strategy's code differ. Sweep again with the "
            "backtest's bars, dividends and code.",
            differences=found,
        )
    together = "symbols='together', " if len(result.symbols) > 1 else ""
    call = f"wb.sweep({result.strategy or 'strategy'}, bars, grid, {together}**result.rules)"
    raise SweepDiffers(
        f"this sweep does not match this backtest: the backtest has {ours}; the sweep has {theirs}. "
        f"Sweep with the backtest's settings: {call}.",
        differences=found,
    )


def differences(
    result: BacktestRecord, job: Job, frame: Callable[[], pd.DataFrame]
) -> dict[str, tuple[Any, Any]]:
    """The values of backtest and sweep, by name, where they differ.

    Their bars may differ: parameters found on some bars are traded on others. If both cover the same time
    range, the sweep's row with the backtest's parameters must also have its return.

    Parameters
    ----------
    result : BacktestRecord
    job : Job
        The sweep's.
    frame : callable
        Returns the sweep's rows; called only if all else is the same.
    """
    found: dict[str, tuple[Any, Any]] = {}
    strategy = job.plan.strategy.name
    if result.strategy is not None and result.strategy != strategy:
        found["strategy"] = (result.strategy, strategy)
    if not _covers(result.symbols, job):
        found["symbols"] = (_together(result.symbols), _swept(job))
    ours = _in_effect(result.execution, result)
    theirs = _in_effect(job.plan.execution, result)
    for name, one in vars(ours).items():
        other = getattr(theirs, name)
        if one != other:
            found[name] = (one, other)
    return found or _other_return(result, job, frame)


def _in_effect(rules: Execution, result: BacktestRecord) -> Execution:
    """The rules with defaults resolved for this backtest's symbols: equivalent rules compare equal."""
    if result.of_weights:
        return replace(rules, cash_sharing=True if rules.cash_sharing is None else rules.cash_sharing)
    shared = bool(rules.cash_sharing) and len(result.symbols) > 1
    size = default_size(rules.size, len(result.symbols), shared=shared)
    return replace(rules, cash_sharing=shared, size=size)


def _covers(symbols: Sequence[str], job: Job) -> bool:
    each = {cell.symbol for cell in job.plan.cells}
    if None in each:
        # In a period only the symbols that have bars in it are traded.
        part = any(cell.period is not None for cell in job.plan.cells)
        swept = set(job.market.symbols)
        return set(symbols) <= swept if part else set(symbols) == swept
    return len(symbols) == 1 and symbols[0] in each


def _swept(job: Job) -> str:
    if any(cell.symbol is None for cell in job.plan.cells):
        return _together(job.market.symbols)
    return f"each of {_listed(job.market.symbols)} alone"


def _together(symbols: Sequence[str]) -> str:
    return f"{_listed(symbols)}{' together' * (len(symbols) > 1)}"


def _listed(symbols: Sequence[str]) -> str:
    more = f" and {len(symbols) - _SHOWN:,} more" if len(symbols) > _SHOWN else ""
    return ", ".join(symbols[:_SHOWN]) + more


def _other_return(
    result: BacktestRecord, job: Job, frame: Callable[[], pd.DataFrame]
) -> dict[str, tuple[Any, Any]]:
    """The sweep's return for the backtest's parameters over the same time range, if it differs."""
    for place, cell in enumerate(job.plan.cells):
        span_is_same = cell.period is None and (cell.start, cell.end) == (result.start, result.end)
        if span_is_same and cell.symbol in (None, *result.symbols[:1]):
            numbers = range(place * job.plan.size, (place + 1) * job.plan.size)
            other = _return_of(result.parameters, frame(), numbers)
            one = result.metrics[_FIGURE]
            if other is not None and not math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9):
                return {_FIGURE: (one, other)}
    return {}


def _return_of(parameters: Mapping[str, Any], frame: pd.DataFrame, numbers: range) -> float | None:
    """The return of one variant; None if it was not tried, or failed."""
    if not parameters or not set(parameters) <= set(frame.columns):
        return None
    mine = (frame.index >= numbers.start) & (frame.index < numbers.stop) & frame["error"].isna().to_numpy()
    for name, value in parameters.items():
        mine &= (frame[name] == value).to_numpy()
    rows = np.flatnonzero(mine)
    return float(frame[_FIGURE].iloc[rows[0]]) if len(rows) else None


def _shown(name: str, value: Any) -> str:
    return f"{name} {value}" if name in ("symbols", "strategy") else f"{name}={value!r}"
