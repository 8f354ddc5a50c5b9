"""`sweep()`: every variant of a strategy on every symbol and period, streamed to disk; and its estimate."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

import pandas as pd

from workbench.errors import StrategyError
from workbench.fills.execution import Rules, execution_of
from workbench.home.temporary import TemporaryFolder
from workbench.signals.strategy import Strategy
from workbench.sweep.adaptive import search_adaptively
from workbench.sweep.agreement import few, require_agreement
from workbench.sweep.bayesian import Bayesian
from workbench.sweep.chunk import Task, compute, decide, values_of
from workbench.sweep.estimate import Estimate, estimate, seconds_per_variant
from workbench.sweep.executors import Executor, open_executor
from workbench.sweep.job import Job, Search, lay_out
from workbench.sweep.progress import Progress
from workbench.sweep.result import SweepResult
from workbench.sweep.stage import Periods
from workbench.sweep.store import Part, PartStore, PartWriter, gaps
from workbench.sweep.totals import count_sweep, total_up

__all__ = ["SweepInterrupted", "estimate_sweep", "sweep"]


class SweepInterrupted(KeyboardInterrupt):
    """A sweep was interrupted; what is finished stays in its store."""


def sweep(
    strategy: Strategy,
    bars: pd.DataFrame,
    grid: Search | None = None,
    *,
    symbols: str = "each",
    periods: Periods | None = None,
    dividends: pd.Series[float] | None = None,
    workers: int | None = None,
    cluster: Any = None,
    store: str | PathLike[str] | None = None,
    seed: int | None = None,
    progress: bool = True,
    chunk: int | None = None,
    objective: str | None = None,
    **rules: Unpack[Rules],
) -> SweepResult:
    """Backtest every variant of a strategy, and keep its figures.

    Every row is what `backtest` gives for the same parameters, symbols and period under the same rules,
    to the last digits; `SweepResult.backtest` makes any row a whole backtest. Signals are made in chunks and
    traded in one compiled pass each, straight to figures, and rows go to disk: memory does not grow with
    their number.

    A strategy with a form for many variants (`Strategy.batch`) runs in threads, after that form was compared
    with the function itself on a few variants. Any other function is called once for each variant: in
    processes of this machine where that is quicker, or on a Dask cluster.

    Parameters
    ----------
    strategy : Strategy
    bars : DataFrame
        Indexed (symbol, timestamp), as `backtest` takes them.
    grid : mapping, Grid, Random or Bayesian, optional
        What to try: ``{"fast": range(5, 50), "slow": between(20, 200, step=10)}``. Default: the strategy's
        defaults, once for each symbol and period.
    symbols : {"each", "together"}
        Whether each symbol is a backtest of its own, or all of them are one.
    periods : sequence of (start, end), or mapping of name to (start, end), optional
        Both ends included; dates, or timestamps with a time zone. Every variant is traded in each of them
        for itself. The strategy sees the bars before a period as well, so that averages are known when it
        begins, but none after it; what it decided before the period is not filled in it.
    dividends : Series of float64, optional
        Cash per unit by (symbol, ex-date).
    workers : int, optional
        How many tasks run at once. Default: as many as pay.
    cluster : str, distributed.Client or cluster, optional
        Where Dask runs the tasks.
    store : path, optional
        A folder. What is finished stays there, under the sweep's own key: the same call goes on where it was
        killed, and reads a finished sweep. Default: a temporary one, which goes with the result.
    seed : int, optional
        Of `Random` and `Bayesian`, in place of their own.
    progress : bool
        Whether to show the estimate and a bar.
    chunk : int, optional
        Variants in a task. Default: about half a second's work.
    objective : str, optional
        The metric by which variants are ranked. Default: the Sharpe ratio, or the search's own.
    **rules
        How it is filled, as `backtest` takes it: fees, fixed_fees, slippage, cash, cash_sharing, fill, size,
        stop_loss, take_profit, trailing_stop, whole_units, periods_per_year.

    Returns
    -------
    SweepResult

    Raises
    ------
    BacktestError
        Bars, dividends or rules cannot be used.
    StrategyError
        The grid does not fit the strategy, its form for many variants is another rule, or it raised for every
        variant. One that raises for some only has the error in their rows.
    SweepError
        The search or the periods cannot be used, or the store is full.
    SweepInterrupted
        It was interrupted (a KeyboardInterrupt); what is finished stays in `store`.

    Examples
    --------
    >>> found = sweep(sma_cross, bars, {"fast": range(5, 50), "slow": range(20, 200, 5)})  # doctest: +SKIP
    >>> found.best(10)                                                                     # doctest: +SKIP
    """
    started = time.perf_counter()
    job = lay_out(
        strategy, bars, grid, symbols=symbols, periods=periods, dividends=dividends, seed=seed,
        objective=objective, execution=execution_of(rules),
    )  # fmt: skip
    temporary = TemporaryFolder("sweep") if store is None else None
    folder = temporary.path if temporary else Path(store or "") / _name(job)
    try:
        parts = PartStore(folder)
        parts.describe(job.facts)
        made = _run(job, parts, workers, cluster, chunk, seed or 0, show=progress)
        totals = total_up(parts, job.plan.execution.periods_per_year)
        if totals.failed == totals.rows:
            _raise_first(job)
        count_sweep(job, totals)
    except KeyboardInterrupt:
        advice = _advice(job, None if temporary else folder)
        if temporary:
            temporary.remove()
        raise SweepInterrupted(advice) from None
    except BaseException:
        if temporary:
            temporary.remove()
        raise
    return SweepResult(job, parts, totals, made, seconds=time.perf_counter() - started, temporary=temporary)


def estimate_sweep(
    strategy: Strategy,
    bars: pd.DataFrame,
    grid: Search | None = None,
    *,
    symbols: str = "each",
    periods: Periods | None = None,
    dividends: pd.Series[float] | None = None,
    workers: int | None = None,
    cluster: Any = None,
    chunk: int | None = None,
    **rules: Unpack[Rules],
) -> Estimate:
    """What `sweep` with the same arguments would take, measured on a few variants; nothing is kept.

    Returns
    -------
    Estimate
    """
    job = lay_out(
        strategy, bars, grid, symbols=symbols, periods=periods, dividends=dividends, seed=None,
        objective=None, execution=execution_of(rules),
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        remote = None if cluster is None else stack.enter_context(open_executor(workers, cluster))
        return _measure(job, job.rows, workers, remote, chunk, 0)


def _run(
    job: Job, parts: PartStore, workers: int | None, cluster: Any, chunk: int | None, seed: int, *, show: bool
) -> Estimate | None:
    """Compute what is not there yet; what was expected of it, None where all was there."""
    there = parts.parts(check=True)
    left = list(_missing(job, there))
    rows = sum(task.stop - task.start for task in left)
    if not rows:
        return None
    with contextlib.ExitStack() as stack:
        executor = None if cluster is None else stack.enter_context(open_executor(workers, cluster))
        expected = _measure(job, rows, workers, executor, chunk, seed)
        if executor is None:
            executor = open_executor(expected.workers, threads=expected.place != "processes")
            stack.enter_context(executor)
        name, done = job.plan.strategy.name, job.rows - rows
        bar = stack.enter_context(Progress(name, job.rows, done, str(expected), show=show))
        if isinstance(job.search, Bayesian):
            search_adaptively(job, parts, executor, bar)
            return expected
        writer = stack.enter_context(PartWriter(parts))
        for _, found in executor.run(compute, job.plan, _chunks(left, expected.chunk)):
            writer.add(found)
            bar.advance(len(found.metrics))
    return expected


def _measure(
    job: Job, rows: int, workers: int | None, remote: Executor | None, chunk: int | None, seed: int
) -> Estimate:
    """Compare both forms of the strategy, then time it."""
    variants = few(job, seed)
    if job.plan.batched:
        require_agreement(job.plan, variants)
    each = seconds_per_variant(job.plan, variants)
    remote_workers = None if remote is None else remote.workers
    return estimate(
        job.plan, rows=rows, each=each, workers=workers, cluster_workers=remote_workers, chunk=chunk
    )


def _missing(job: Job, there: list[Part]) -> Iterator[Task]:
    """What no part holds: runs of variants, none of which goes from one cell into the next."""
    size = job.plan.size
    for cell in range(len(job.plan.cells)):
        for start, stop in gaps(there, cell * size, (cell + 1) * size):
            yield Task(cell, start - cell * size, stop - cell * size)


def _chunks(runs: list[Task], chunk: int) -> Iterator[Task]:
    for run in runs:
        for start in range(run.start, run.stop, chunk):
            yield Task(run.cell, start, min(start + chunk, run.stop))


def _raise_first(job: Job) -> None:
    """The strategy failed everywhere: let it fail once more here, where its traceback can be seen."""
    variants = few(job, 0)
    parameters = values_of(variants, 0)
    shown = ", ".join(f"{name}={value!r}" for name, value in parameters.items())
    try:
        decide(job.plan, job.plan.stage(0), parameters)
    except Exception as error:
        raise StrategyError(
            f"{job.plan.strategy.name} failed for every variant, first for {shown or 'its defaults'}: "
            f"{type(error).__name__}: {error}"
        ) from error
    raise StrategyError(
        f"{job.plan.strategy.name} failed for every variant, but not when it was called again for {shown}; "
        "let it not depend on anything but its arguments."
    )


def _name(job: Job) -> str:
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', job.plan.strategy.name)[:60]}-{job.key[:16]}"


def _advice(job: Job, folder: Path | None) -> str:
    name = job.plan.strategy.name
    if folder is None:
        return f"The sweep of {name} was interrupted; give store='a folder' to be able to go on with it."
    done = sum(part.stop - part.start - part.skip for part in PartStore(folder).parts())
    return (
        f"The sweep of {name} was interrupted after {done:,} of {job.rows:,} variants; they are kept in "
        f"{folder}: the same call goes on from there."
    )
