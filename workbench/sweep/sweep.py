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

from workbench.arguments import as_flag
from workbench.errors import StrategyError
from workbench.fills.execution import Rules, execution_of
from workbench.home.temporary import TemporaryFolder
from workbench.signals.strategy import Strategy
from workbench.sweep.adaptive import search_adaptively
from workbench.sweep.agreement import require_agreement, sample_variants
from workbench.sweep.arguments import as_count, as_folder
from workbench.sweep.bayesian import Bayesian
from workbench.sweep.cells import Periods
from workbench.sweep.chunk import Task, compute, decide, values_of
from workbench.sweep.estimate import Estimate, estimate, seconds_per_variant
from workbench.sweep.executors import Executor, open_executor
from workbench.sweep.job import Job, Search, make_job
from workbench.sweep.progress import Progress
from workbench.sweep.result import SweepResult
from workbench.sweep.store import Part, PartStore, PartWriter, gaps
from workbench.sweep.totals import count_sweep, total_up

__all__ = ["SweepInterrupted", "estimate_sweep", "sweep"]

_MOST_WORKERS = 10_000
"""More parallel tasks than any machine has processors for."""


class SweepInterrupted(KeyboardInterrupt):
    """A sweep was interrupted; finished rows stay in its store."""


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
    """Backtest every variant of a strategy and keep its metrics.

    Every row equals what `backtest` returns for the same parameters, symbols, period and rules, to the last
    digits; `SweepResult.backtest` reruns any row as a full backtest. Signals are computed in chunks and each
    chunk is traded in one compiled pass; rows go to disk, so memory does not grow with their number.

    A strategy with a batch form (`Strategy.batch`) runs in threads, after the batch form was compared with
    the function itself on a few variants. Any other function is called once per variant: in processes on
    this machine where that is quicker, or on a Dask cluster.

    Parameters
    ----------
    strategy : Strategy
    bars : DataFrame
        Indexed (symbol, timestamp), as `backtest` takes them.
    grid : mapping, Grid, Random or Bayesian, optional
        What to try: ``{"fast": range(5, 50), "slow": between(20, 200, step=10)}``. Default: the strategy's
        defaults, once for each symbol and period.
    symbols : {"each", "together"}
        Backtest each symbol separately, or all of them in one portfolio.
    periods : sequence of (start, end), or mapping of name to (start, end), optional
        Both ends included; dates, or timestamps with a time zone. Every variant is traded separately in each
        period. The strategy also gets the bars before a period, so that averages are defined when it
        begins, but none after it; decisions made before the period are not filled in it.
    dividends : Series of float64, optional
        Cash per unit by (symbol, ex-date).
    workers : int, optional
        Number of parallel tasks. Default: chosen by the estimate.
    cluster : str, distributed.Client or cluster, optional
        The Dask cluster to run the tasks on.
    store : path, optional
        A folder for finished rows, stored under the sweep's key: the same call resumes a killed sweep, and
        reads a finished one. Default: a temporary folder, deleted with the result.
    seed : int, optional
        Overrides the seed of `Random` or `Bayesian`.
    progress : bool
        Show the estimate and a progress bar.
    chunk : int, optional
        Variants per task. Default: about half a second of work.
    objective : str, optional
        The metric to rank variants by. Default: the search's objective, else the Sharpe ratio.
    **rules
        Execution rules, as in `backtest`: fees, fixed_fees, slippage, cash, cash_sharing, fill, size,
        stop_loss, take_profit, trailing_stop, whole_units, leverage, periods_per_year.

    Returns
    -------
    SweepResult

    Raises
    ------
    BacktestError
        Bars, dividends or rules cannot be used, or `progress` is neither True nor False.
    StrategyError
        The grid does not fit the strategy, its batch form gives other signals, or it raised for every
        variant. Where it raises for some variants only, their rows hold the error.
    SweepError
        The search, the periods or another argument cannot be used, or the store is full.
    SweepInterrupted
        It was interrupted (a KeyboardInterrupt); finished rows stay in `store`.

    Examples
    --------
    >>> found = sweep(sma_cross, bars, {"fast": range(5, 50), "slow": range(20, 200, 5)})  # doctest: +SKIP
    >>> found.best(10)                                                                     # doctest: +SKIP
    """
    started = time.perf_counter()
    workers, chunk = _workers_and_chunk(workers, chunk)
    seed = None if seed is None else as_count(seed, "seed", least=0)
    show = as_flag(progress, "progress")
    below = None if store is None else as_folder(store)
    job = make_job(
        strategy, bars, grid, symbols=symbols, periods=periods, dividends=dividends, seed=seed,
        objective=objective, execution=execution_of(rules),
    )  # fmt: skip
    temporary = TemporaryFolder("sweep") if below is None else None
    folder = temporary.path if temporary else (below or Path()) / _name(job)
    try:
        parts = PartStore(folder)
        parts.describe(job.facts)
        made = _run(job, parts, workers, cluster, chunk, seed or 0, show=show)
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
    """Estimate what `sweep` with the same arguments would take, from a few variants; nothing is stored.

    Returns
    -------
    Estimate
    """
    workers, chunk = _workers_and_chunk(workers, chunk)
    job = make_job(
        strategy, bars, grid, symbols=symbols, periods=periods, dividends=dividends, seed=None,
        objective=None, execution=execution_of(rules),
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        remote = None if cluster is None else stack.enter_context(open_executor(workers, cluster))
        return _measure(job, job.rows, workers, remote, chunk, 0)


def _workers_and_chunk(workers: object, chunk: object) -> tuple[int | None, int | None]:
    return (
        None if workers is None else as_count(workers, "workers", most=_MOST_WORKERS),
        None if chunk is None else as_count(chunk, "chunk"),
    )


def _run(
    job: Job, parts: PartStore, workers: int | None, cluster: Any, chunk: int | None, seed: int, *, show: bool
) -> Estimate | None:
    """Compute the missing rows; return their estimate, None if nothing was missing."""
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
    """Compare the strategy with its batch form, then time it."""
    variants = sample_variants(job, seed)
    if job.plan.batched:
        require_agreement(job.plan, variants)
    each = seconds_per_variant(job.plan, variants)
    remote_workers = None if remote is None else remote.workers
    return estimate(
        job.plan, rows=rows, each=each, workers=workers, cluster_workers=remote_workers, chunk=chunk
    )


def _missing(job: Job, there: list[Part]) -> Iterator[Task]:
    """Ranges of variants that no part holds; none spans two cells."""
    size = job.plan.size
    for cell in range(len(job.plan.cells)):
        for start, stop in gaps(there, cell * size, (cell + 1) * size):
            yield Task(cell, start - cell * size, stop - cell * size)


def _chunks(runs: list[Task], chunk: int) -> Iterator[Task]:
    for run in runs:
        for start in range(run.start, run.stop, chunk):
            yield Task(run.cell, start, min(start + chunk, run.stop))


def _raise_first(job: Job) -> None:
    """The strategy failed for every variant: call it once more here, so that its traceback is shown."""
    variants = sample_variants(job, 0)
    parameters = values_of(variants, 0)
    shown = ", ".join(f"{name}={value!r}" for name, value in parameters.items())
    try:
        decide(job.plan, job.plan.bars_of(0), parameters)
    except Exception as error:
        raise StrategyError(
            f"{job.plan.strategy.name} failed for every variant, first for {shown or 'its defaults'}: "
            f"{type(error).__name__}: {error}"
        ) from error
    raise StrategyError(
        f"{job.plan.strategy.name} failed for every variant, but not when it was called again for {shown}; "
        "make it depend on its arguments only."
    )


def _name(job: Job) -> str:
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', job.plan.strategy.name)[:60]}-{job.key[:16]}"


def _advice(job: Job, folder: Path | None) -> str:
    name = job.plan.strategy.name
    if folder is None:
        return f"The sweep of {name} was interrupted; pass store='a folder' to be able to resume it."
    done = sum(part.stop - part.start - part.skip for part in PartStore(folder).parts())
    return (
        f"The sweep of {name} was interrupted after {done:,} of {job.rows:,} variants; they are stored in "
        f"{folder}: the same call resumes from there."
    )
