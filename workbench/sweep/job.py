"""`Job`: a checked sweep, before it runs: its variants, its bars, and its key."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from workbench.arguments import named
from workbench.backtest.trials import trial_key
from workbench.errors import StrategyError, SweepError
from workbench.fills.execution import Execution
from workbench.fills.fractions import read_fractions
from workbench.fills.outside import read_dividends
from workbench.signals.bars_hash import bars_sha256
from workbench.signals.inputs import BarArrays, read_bars
from workbench.signals.strategy import Strategy
from workbench.sweep.arguments import as_metric
from workbench.sweep.bayesian import Bayesian
from workbench.sweep.cells import Periods, make_cells
from workbench.sweep.chunk import Plan
from workbench.sweep.space import Grid, Random
from workbench.sweep.store import ERROR, METRICS, VERSION

__all__ = ["Job", "Search", "make_job"]

Search = Mapping[str, Any] | Grid | Random | Bayesian
"""Types of `sweep`'s `grid` parameter."""

_BARS = {"open", "high", "low", "close", "volume"}


@dataclass(frozen=True, eq=False)
class Job:
    """One sweep, checked and ready to run.

    Attributes
    ----------
    plan : Plan
    search : Grid, Random or Bayesian
    market : BarArrays
        All the bars.
    facts : mapping
        Everything that determines the rows, as JSON types.
    key : str
        Hash of the facts: 32 hex digits.
    objective : str
        The metric to rank variants by.
    names : tuple of str
        The searched parameters.
    """

    plan: Plan
    search: Grid | Random | Bayesian
    market: BarArrays
    facts: Mapping[str, Any]
    key: str
    objective: str
    names: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Number of rows: variants × symbols × periods; an upper bound for an adaptive search."""
        return self.plan.size * len(self.plan.cells)

    @property
    def trial_key(self) -> str:
        """The key of its trials: like `key`, but unchanged when later bars are added."""
        cells = [[cell.symbol, cell.period, str(cell.start)] for cell in self.plan.cells]
        known = {name: self.facts[name] for name in ("strategy", "code", "search", "execution")}
        paying = self.plan.dividends is not None
        return trial_key(**known, symbols=self.market.symbols, cells=cells, dividends=paying)


def make_job(
    strategy: Strategy,
    bars: pd.DataFrame,
    grid: Search | None,
    *,
    symbols: str,
    periods: Periods | None,
    dividends: pd.Series[float] | None,
    seed: int | None,
    objective: str | None,
    execution: Execution,
) -> Job:
    """Check a sweep's arguments (see `sweep`) and build its job.

    Raises
    ------
    BacktestError
        The bars or the dividends cannot be used.
    StrategyError
        `strategy` is not a strategy, a parameter has the name of a column of the sweep's frame, or the grid
        does not fit.
    SweepError
        The search, the objective, the symbols or the periods cannot be used.
    """
    if not isinstance(strategy, Strategy):
        raise StrategyError(
            f"A sweep needs a strategy, not a {type(strategy).__name__}; put @strategy above the function."
        )
    for name in strategy.parameters:
        if name in ("symbol", "period", ERROR, *METRICS):
            raise StrategyError(
                f"{strategy.name}: a sweep's rows already have a column {name!r}; rename that parameter."
            )
    search = _search(grid)
    if seed is not None and not isinstance(search, Grid):
        search = replace(search, seed=seed)
    own = as_metric(search.objective) if isinstance(search, Bayesian) else "sharpe_ratio"
    wanted = own if objective is None else as_metric(objective)
    market = read_bars(bars)
    if dividends is not None:
        read_dividends(dividends, market)
    read_fractions(execution.size, market)
    space = search.resolve(strategy)
    spec = space.spec()
    plan = Plan(
        strategy=strategy,
        space=None if isinstance(search, Bayesian) else space,  # type: ignore[arg-type]
        size=space.size,
        bars=bars,
        cells=tuple(make_cells(market, symbols, periods)),
        execution=execution,
        dividends=dividends,
        batched=strategy.batched is not None,
    )
    others = [column for column in bars.columns if column not in _BARS]
    facts = {
        "strategy": strategy.name,
        "code": strategy.sha256,
        "search": spec,
        "bars": bars_sha256(market),
        "other_columns": _sha256(bars[others]) if others else None,
        "dividends": None if dividends is None else _sha256(dividends),
        "execution": repr(execution),
        "cells": [[cell.symbol, cell.period, str(cell.start), str(cell.end)] for cell in plan.cells],
    }
    return Job(plan, search, market, facts, trial_key(**facts, version=VERSION), wanted, space.names)


def _search(grid: Any) -> Grid | Random | Bayesian:
    if isinstance(grid, Grid | Random | Bayesian):
        return grid
    if grid is None:
        return Grid({})
    if not isinstance(grid, Mapping):
        raise SweepError(
            f"grid: {named(grid)} is no search; give the values to try by parameter, as in "
            "{'fast': range(5, 50)}, or Grid, Random or Bayesian."
        )
    return Grid(dict(grid))


def _sha256(values: pd.Series[Any] | pd.DataFrame) -> str:
    return hashlib.sha256(pd.util.hash_pandas_object(values).to_numpy().tobytes()).hexdigest()
