"""Whether a sweep is of the same strategy, symbols and rules as a backtest that is shown beside it."""

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
    """Refuse a sweep whose variants are not those among which this backtest stands.

    Parameters
    ----------
    result : BacktestRecord
    found : mapping
        Of `differences`.

    Raises
    ------
    SweepDiffers
        It names each difference with both values, and the call that would make the right sweep.
    """
    if not found:
        return
    ours = ", ".join(_said(name, one) for name, (one, _) in found.items())
    theirs = ", ".join(_said(name, other) for name, (_, other) in found.items())
    if list(found) == [_FIGURE]:
        raise SweepDiffers(
            "this sweep is not of this backtest: with the same rules and parameters, from "
            f"{result.start:%Y-%m-%d} to {result.end:%Y-%m-%d}, the backtest has {ours} and the sweep "
            f"{theirs}: their prices, dividends or the strategy's code differ. Sweep again with those of the "
            "backtest.",
            differences=found,
        )
    together = "symbols='together', " if len(result.symbols) > 1 else ""
    call = f"wb.sweep({result.strategy or 'strategy'}, bars, grid, {together}**result.rules)"
    raise SweepDiffers(
        f"this sweep is not of this backtest, and its surface would be another's: the backtest has {ours}; "
        f"the sweep has {theirs}. Sweep what was backtested: {call}.",
        differences=found,
    )


def differences(
    result: BacktestRecord, job: Job, frame: Callable[[], pd.DataFrame]
) -> dict[str, tuple[Any, Any]]:
    """What the backtest has and what the sweep has, by name, where they differ.

    Which bars they are of may differ: parameters that were searched on some are traded on others. Where both
    go over the same span, the backtest's own variant must have its return, too.

    Parameters
    ----------
    result : BacktestRecord
    job : Job
        The sweep's.
    frame : callable
        Gives the sweep's rows; asked only where all else is the same.
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
    """The rules as they work for this backtest's symbols: the same in other words is no difference."""
    if result.of_weights:
        return replace(rules, cash_sharing=True if rules.cash_sharing is None else rules.cash_sharing)
    shared = bool(rules.cash_sharing) and len(result.symbols) > 1
    size = default_size(rules.size, len(result.symbols), shared=shared)
    return replace(rules, cash_sharing=shared, size=size)


def _covers(symbols: Sequence[str], job: Job) -> bool:
    each = {cell.symbol for cell in job.plan.cells}
    if None in each:
        # Of a period only the symbols that have bars in it are traded.
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
    """The return of the backtest's own variant over the same span, where it is another one."""
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
    """The return of one variant; None where it was not tried, or failed."""
    if not parameters or not set(parameters) <= set(frame.columns):
        return None
    mine = (frame.index >= numbers.start) & (frame.index < numbers.stop) & frame["error"].isna().to_numpy()
    for name, value in parameters.items():
        mine &= (frame[name] == value).to_numpy()
    rows = np.flatnonzero(mine)
    return float(frame[_FIGURE].iloc[rows[0]]) if len(rows) else None


def _said(name: str, value: Any) -> str:
    return f"{name} {value}" if name in ("symbols", "strategy") else f"{name}={value!r}"
