"""Searches for the best parameters on training bars: a sweep that keeps only the objective."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench import metrics as figures
from workbench.arguments import as_matrix, as_number, named
from workbench.backtest.engine import backtest
from workbench.errors import BacktestError
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
"""Maximum number of equity values (variants × bars) held at once in each worker."""


@dataclass(frozen=True, eq=False)
class Searched:
    """The result of a search.

    Attributes
    ----------
    parameters : dict
        All parameters of the best variant (the first, if tied). Empty if the objective is NaN for every
        variant.
    objective : float
        The best variant's objective; NaN if there is none.
    sharpes : ndarray of float64, shape (n_variants,)
        Sharpe ratios per bar, not annualised; NaN where undefined.

    Raises
    ------
    BacktestError
        The parameters are no mapping, the objective is no number, or the ratios are no array with one number
        for each variant.
    """

    parameters: dict[str, Any]
    objective: float
    sharpes: Floats

    def __post_init__(self) -> None:
        if not isinstance(self.parameters, Mapping) or not all(
            isinstance(name, str) for name in self.parameters
        ):
            raise BacktestError(
                f"Searched(parameters): {named(self.parameters)} is no mapping of names; give the best "
                "variant's parameters by name, and {} where there is none."
            )
        advice = "give the best variant's objective, NaN where there is none"
        object.__setattr__(self, "objective", as_number(self.objective, "Searched(objective)", advice))
        sharpes = as_matrix(self.sharpes, "Searched(sharpes)")
        if sharpes.ndim != 1 or not len(sharpes):
            raise BacktestError(
                f"Searched(sharpes): the shape is {sharpes.shape}; give one Sharpe ratio for each variant, "
                "NaN where there is none."
            )
        object.__setattr__(self, "parameters", dict(self.parameters))
        object.__setattr__(self, "sharpes", sharpes)


Search = Callable[[Job], Searched]
"""Finds the best variant of a job on training bars: ``job.plan`` holds the strategy, the variants, the bars
and the rules, ``job.objective`` the metric to choose by."""


def search_by_sweep(job: Job) -> Searched:
    """Run all variants in compiled loops, with the number of workers that the estimate chooses.

    Raises
    ------
    StrategyError
        The strategy's batch form gives other signals.
    """
    return search_on_rows(job, [np.arange(len(job.market.timestamps))])[0]


def search_by_backtests(job: Job) -> Searched:
    """Run `backtest` for each variant, one after the other: the reference for the faster search."""
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
    """Run each variant over all of the job's bars once, and choose by its returns in the training rows.

    If training rows are on both sides of a test, they cannot be run on their own: a variant then also trades
    through the test, may hold a position across it, and only the returns in the training rows count.

    Parameters
    ----------
    job : Job
        A grid or random draws, of all symbols together.
    rows : sequence of ndarray of int64
        The training rows of each split, ascending.

    Returns
    -------
    list of Searched
        One per element of `rows`; its Sharpe ratios are those of its rows.
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
        evaluation = _Evaluation(plan, tuple(rows), job.objective)
        for task, (value, sharpe) in executor.run(_evaluate, evaluation, tasks):
            values[:, task.start : task.stop] = value
            sharpes[:, task.start : task.stop] = sharpe
    return [_best_of(plan, *found) for found in zip(values, sharpes, strict=True)]


@dataclass(frozen=True, eq=False)
class _Evaluation:
    """Payload shared by all tasks."""

    plan: Plan
    rows: tuple[Rows, ...]
    objective: str


def _evaluate(evaluation: _Evaluation, task: Task) -> tuple[Floats, Floats]:
    """The objective and the Sharpe ratio per bar of some variants, both of shape (n_splits, n_variants)."""
    plan = evaluation.plan
    equity = curves_of(plan, task.cell, plan.variants(task.start, task.stop))
    before = np.column_stack([np.full(len(equity), plan.execution.cash), equity[:, :-1]])
    # With no equity left the return is 0; where the strategy failed, all returns are NaN.
    returns = np.divide(equity, before, out=np.ones_like(equity), where=~(before <= 0.0)) - 1.0
    values, sharpes = (np.empty((len(evaluation.rows), len(returns))) for _ in range(2))
    for split, chosen in enumerate(evaluation.rows):
        # One split at a time, to save memory: the splits' rows together are many times all the rows.
        part = returns[:, chosen]
        sharpes[split] = sharpes_of(part)
        if evaluation.objective == "sharpe_ratio":
            values[split] = sharpes[split] * math.sqrt(plan.execution.periods_per_year)
        else:
            values[split] = objectives_of(evaluation.objective, part, plan.execution.periods_per_year)
    return values, sharpes


def _best_of(plan: Plan, values: Floats, sharpes: Floats) -> Searched:
    if np.isnan(values).all():
        return Searched({}, math.nan, sharpes)
    # The first, if tied.
    number = int(np.nanargmax(values))
    return Searched(values_of(plan.variants(number, number + 1), 0), float(values[number]), sharpes)
