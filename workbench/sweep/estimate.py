"""`Estimate`: time and memory of a sweep, measured on a few variants before it starts."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Literal

import numpy as np

from workbench.sweep.chunk import Plan, Task, Variants, compute, trade_signals
from workbench.sweep.executors.opening import available_cpus
from workbench.sweep.store import METRICS

__all__ = ["Estimate", "Place", "estimate", "seconds_per_variant"]

Place = Literal["this process", "threads", "processes", "cluster"]

_START_SECONDS = 3.0
"""Start-up time of worker processes: they are used only if they save more than this."""
_TASK_SECONDS = 0.5
"""Target time of a chunk: progress is visible, and little is lost when a sweep is killed."""
_CHUNK_BYTES = 2_700_000
"""Maximum size of a chunk's signals, so that they fit into the processor's cache."""
_MOST_VARIANTS = 8_192
_PER_WORKER = 4
"""Minimum chunks per worker, so that all workers finish at about the same time,"""
_LEAST_SECONDS = 0.04
"""unless a chunk would take less than this: work that variants share is repeated for each chunk."""
_SLOW_SECONDS = 2.0
"""A variant that takes longer than this is timed once."""
_TIMED_MANY, _TIMED_ONE = 32, 2
_PROCESS_BYTES = 200_000_000
"""Memory of a worker process with its libraries."""


@dataclass(frozen=True)
class Estimate:
    """Expected time and memory of a sweep, and where it will run.

    Attributes
    ----------
    variants : int
        Rows still to be computed: parameters × symbols × periods.
    seconds_per_variant : float
        In one worker.
    seconds : float
        Of the whole sweep.
    memory : int
        Bytes in addition to what this process already uses.
    place : str
        "this process", "threads", "processes" or "cluster".
    workers : int
    chunk : int
        Variants per task.
    """

    variants: int
    seconds_per_variant: float
    seconds: float
    memory: int
    place: Place
    workers: int
    chunk: int

    def __str__(self) -> str:
        where = self.place if self.workers == 1 else f"{self.workers} {self.place}"
        where = where.replace(f"{self.workers} cluster", f"{self.workers} workers of a cluster")
        return (
            f"{self.variants:,} variants, about {_duration(self.seconds)} in {where}, "
            f"{self.memory / 1e6:,.0f} MB"
        )


def seconds_per_variant(plan: Plan, variants: Variants) -> float:
    """Measure the seconds per variant in this process.

    Parameters
    ----------
    plan : Plan
    variants : mapping of str to ndarray
        A few variants; only as many as needed are computed. A batch form is timed with more, because variants
        of a batch share some of its work.
    """
    prepared = plan.bars_of(0)
    # Load the compiled loops first, so that loading is not timed.
    nothing = np.zeros((1, *prepared.market.close.shape), dtype=np.bool_)
    trade_signals(prepared, (nothing, nothing, None, None), np.empty((1, len(METRICS))), np.empty((0, 0)))
    if plan.batched and plan.space is not None:
        variants = plan.variants(0, min(_TIMED_MANY, plan.size))
    count = len(next(iter(variants.values()))) if variants else 1
    each = 0.0
    # The strategy's first call, with its one-time work, is not timed either, unless it is very slow.
    for step in (1, min(count, _TIMED_MANY if plan.batched else _TIMED_ONE)):
        chosen = {name: values[:step] for name, values in variants.items()}
        started = time.perf_counter()
        compute(plan, Task(0, 0, step, chosen))
        each = (time.perf_counter() - started) / step
        if each > _SLOW_SECONDS:
            break
    return each


def estimate(
    plan: Plan,
    *,
    rows: int,
    each: float,
    workers: int | None,
    cluster_workers: int | None,
    chunk: int | None,
) -> Estimate:
    """Estimate time and memory for `rows` rows, and choose where to compute them.

    Parameters
    ----------
    plan : Plan
    rows : int
    each : float
        Seconds per row.
    workers : int, optional
        As given by the user. Default: as many as save time.
    cluster_workers : int, optional
        Workers of the cluster, if there is one.
    chunk : int, optional
        As given by the user.
    """
    bars, symbols = plan.bars_of(0).market.close.shape
    place, count = _place(plan, rows * each, workers, cluster_workers)
    chunk = chunk or _chunk(min(rows, plan.size), each, count, cells=bars * symbols)
    # At most four flags per bar and symbol; pandas needs several floats for each.
    bytes_each = bars * symbols * (4 if plan.batched else 64)
    at_once = bytes_each * (chunk if plan.batched else 1)
    memory = count * (at_once + chunk * 400)
    seconds = rows * each / count
    if place == "processes":
        memory += count * (_PROCESS_BYTES + 6 * 8 * bars * symbols)
        seconds += _START_SECONDS
    return Estimate(rows, each, seconds, memory, place, count, chunk)


def _place(plan: Plan, total: float, workers: int | None, cluster_workers: int | None) -> tuple[Place, int]:
    """Where to do `total` seconds of work, and with how many workers."""
    if cluster_workers is not None:
        return "cluster", cluster_workers
    if workers == 1:
        return "this process", 1
    count = workers or available_cpus()
    if plan.batched:
        return ("threads", count) if count > 1 else ("this process", 1)
    # Plain functions hold the interpreter lock: only processes help, and those take a while to start.
    pays = total - total / count > _START_SECONDS
    return ("processes", count) if count > 1 and (workers is not None or pays) else ("this process", 1)


def _chunk(variants: int, each: float, workers: int, *, cells: int) -> int:
    """Variants of a cell per task."""
    most = min(_MOST_VARIANTS, _CHUNK_BYTES // cells)
    share = variants / (_PER_WORKER * workers)
    if each > 0.0:
        most = min(most, round(_TASK_SECONDS / each))
        share = max(share, min(variants / workers, _LEAST_SECONDS / each))
    tasks = math.ceil(variants / max(1, min(most, math.ceil(share))))
    # The same number of tasks for each worker, or some would idle at the end.
    return math.ceil(variants / (math.ceil(tasks / workers) * workers))


def _duration(seconds: float) -> str:
    if seconds < 1.0:
        return "a second"
    if seconds < 120.0:
        return f"{seconds:.0f} s"
    if seconds < 7_200.0:
        return f"{seconds / 60.0:.0f} min"
    return f"{seconds / 3600.0:.1f} h"
