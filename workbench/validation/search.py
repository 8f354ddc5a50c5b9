"""Searching for the best parameters on training bars: a sweep of which only the objective is kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench import metrics as figures
from workbench.backtest.engine import backtest
from workbench.sweep.agreement import require_agreement, sample_variants
from workbench.sweep.chunk import Plan, Task, curves_of, values_of
from workbench.sweep.estimate import estimate, seconds_per_variant
from workbench.sweep.executors import open_executor
from workbench.sweep.job import Job
from workbench.validation.objectives import objective_of, objectives_of, sharpes_of

__all__ = ["Search", "Searched", "search_by_backtests", "search_by_sweep", "search_on_rows"]

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

_CURVES = 20_000_000
"""So many values of equity (variants × bars) are held at once in each worker."""


@dataclass(frozen=True, eq=False)
class Searched:
    """What was tried, and what came of it.

    Attributes
    ----------
    parameters : dict
        Of the best variant, the first of equals: every parameter of the strategy. Empty where no variant
        has the objective.
    objective : float
        Of the best variant; NaN where there is none.
    sharpes : ndarray of float64, shape (n_variants,)
        Sharpe ratios per bar, not annualised; NaN where not defined.
    """

    parameters: dict[str, Any]
    objective: float
    sharpes: Floats


Search = Callable[[Job], Searched]
"""Finds the best variant of a sweep that is laid out on training bars: ``job.plan`` holds the strategy, the
variants, the bars and the rules, ``job.objective`` what to choose by."""


def search_by_sweep(job: Job) -> Searched:
    """All variants in compiled loops, by as many workers as pay.

    Raises
    ------
    StrategyError
        The strategy's form for many variants is another rule.
    """
    return search_on_rows(job, [np.arange(len(job.market.timestamps))])[0]


def search_by_backtests(job: Job) -> Searched:
    """A `backtest` of each variant, one after the other: what the faster search must agree with."""
    plan, rules = job.plan, dict(vars(job.plan.execution))
    values, sharpes = np.full(plan.size, np.nan), np.full(plan.size, np.nan)
    for number in range(plan.size):
        parameters = values_of(plan.variants(number, number + 1), 0)
        made: Any = {"parameters": parameters, "dividends": plan.dividends, "count_trial": False, **rules}
        returns = backtest(plan.bars, plan.strategy, **made).returns
        values[number] = objective_of(job.objective, returns, plan.execution.periods_per_year)
        sharpes[number] = figures.sharpe(returns, periods_per_year=1.0)
    return _best_of(plan, values, sharpes)


def search_on_rows(job: Job, rows: Sequence[Rows]) -> list[Searched]:
    """Run each variant over all of the job's bars once, and choose by its returns in some rows.

    Where training lies on both sides of a test there are no bars that could be run by themselves: a variant
    then also trades through the test, what it holds before it may be held after it, and only the returns in
    the training rows count.

    Parameters
    ----------
    job : Job
        A grid or random draws, of all symbols together.
    rows : sequence of ndarray of int64
        The training rows of each split, ascending.

    Returns
    -------
    list of Searched
        One for each of `rows`; the Sharpe ratios are those of its rows.
    """
    plan, variants = job.plan, sample_variants(job, 0)
    if plan.batched:
        require_agreement(plan, variants)
    each = seconds_per_variant(plan, variants)
    expected = estimate(plan, rows=plan.size, each=each, workers=None, cluster_workers=None, chunk=None)
    step = max(1, min(expected.chunk, _CURVES // len(job.market.timestamps)))
    tasks = (Task(0, start, min(start + step, plan.size)) for start in range(0, plan.size, step))
    values = np.full((len(rows), plan.size), np.nan)
    sharpes = np.full((len(rows), plan.size), np.nan)
    with open_executor(expected.workers, threads=expected.place != "processes") as executor:
        judging = _Judging(plan, tuple(rows), job.objective)
        for task, (value, sharpe) in executor.run(_judge, judging, tasks):
            values[:, task.start : task.stop] = value
            sharpes[:, task.start : task.stop] = sharpe
    return [_best_of(plan, *found) for found in zip(values, sharpes, strict=True)]


@dataclass(frozen=True, eq=False)
class _Judging:
    """What every task needs."""

    plan: Plan
    rows: tuple[Rows, ...]
    objective: str


def _judge(judging: _Judging, task: Task) -> tuple[Floats, Floats]:
    """The objective and the Sharpe ratio per bar of some variants, both of shape (n_splits, n_variants)."""
    plan = judging.plan
    equity = curves_of(plan, task.cell, plan.variants(task.start, task.stop))
    before = np.column_stack([np.full(len(equity), plan.execution.cash), equity[:, :-1]])
    # Where nothing was left there is no return to speak of; where the strategy failed, all is NaN.
    returns = np.divide(equity, before, out=np.ones_like(equity), where=~(before <= 0.0)) - 1.0
    values, sharpes = (np.empty((len(judging.rows), len(returns))) for _ in range(2))
    for split, chosen in enumerate(judging.rows):
        # One at a time: the splits' rows together are many times all the rows.
        part = returns[:, chosen]
        sharpes[split] = sharpes_of(part)
        if judging.objective == "sharpe_ratio":
            values[split] = sharpes[split] * math.sqrt(plan.execution.periods_per_year)
        else:
            values[split] = objectives_of(judging.objective, part, plan.execution.periods_per_year)
    return values, sharpes


def _best_of(plan: Plan, values: Floats, sharpes: Floats) -> Searched:
    if np.isnan(values).all():
        return Searched({}, math.nan, sharpes)
    # Of equal ones the first.
    number = int(np.nanargmax(values))
    return Searched(values_of(plan.variants(number, number + 1), 0), float(values[number]), sharpes)
