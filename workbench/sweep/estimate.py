"""`Estimate`: what a sweep will take, measured on a few variants before it starts."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Literal

import numpy as np

from workbench.errors import SweepError
from workbench.sweep.chunk import Plan, Task, Variants, compute, trade_signals
from workbench.sweep.executors.opening import available_cpus
from workbench.sweep.store import METRICS

__all__ = ["Estimate", "Place", "estimate", "seconds_per_variant"]

Place = Literal["this process", "threads", "processes", "cluster"]

_START_SECONDS = 3.0
"""What starting worker processes takes: a sweep has to save more than that by them."""
_TASK_SECONDS = 0.5
"""A chunk takes about that long: progress shows, and little is lost when a sweep is killed."""
_CHUNK_BYTES = 2_700_000
"""Signals of a chunk: what fits into a processor's cache is read fastest."""
_MOST_VARIANTS = 8_192
_PER_WORKER = 4
"""So many chunks a worker at least, so that all of them end at about the same time,"""
_LEAST_SECONDS = 0.04
"""unless they would take less than that: what variants share is computed for each chunk anew."""
_SLOW_SECONDS = 2.0
"""A variant that takes longer is timed once."""
_TIMED_MANY, _TIMED_ONE = 32, 2
_PROCESS_BYTES = 200_000_000
"""A worker process with its libraries."""


@dataclass(frozen=True)
class Estimate:
    """What a sweep will take.

    Attributes
    ----------
    variants : int
        Rows that are still to be computed: parameters × symbols × periods.
    seconds_per_variant : float
        In one worker.
    seconds : float
        All of it.
    memory : int
        Bytes beside what this process holds already.
    place : str
        "this process", "threads", "processes" or "cluster".
    workers : int
    chunk : int
        Variants in a task.
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
    """How long a variant takes here and now.

    Parameters
    ----------
    plan : Plan
    variants : mapping of str to ndarray
        A few, of which as many are computed as it takes. A form for many variants is timed with some more,
        which share what it computes once for all of them.
    """
    stage = plan.stage(0)
    # Loading the compiled loops is no variant's doing.
    nothing = np.zeros((1, *stage.market.close.shape), dtype=np.bool_)
    trade_signals(stage, (nothing, nothing, None, None), np.empty((1, len(METRICS))), np.empty((0, 0)))
    if plan.batched and plan.space is not None:
        variants = plan.variants(0, min(_TIMED_MANY, plan.size))
    count = len(next(iter(variants.values()))) if variants else 1
    each = 0.0
    # What a strategy does once, on its first call, does not count either, unless it takes very long.
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
    """What so many rows will take, and where they are best computed.

    Parameters
    ----------
    plan : Plan
    rows : int
    each : float
        Seconds of one.
    workers : int, optional
        What the user asked for. Default: as many as pay.
    cluster_workers : int, optional
        Those of a cluster, where there is one.
    chunk : int, optional
        What the user asked for.

    Raises
    ------
    SweepError
        `workers` or `chunk` is below 1.
    """
    for name, value in (("workers", workers), ("chunk", chunk)):
        if value is not None and value < 1:
            raise SweepError(f"{name}={value}: give 1 or more, or leave it out.")
    bars, symbols = plan.stage(0).market.close.shape
    place, count = _place(plan, rows * each, workers, cluster_workers)
    chunk = chunk or _chunk(min(rows, plan.size), each, count, cells=bars * symbols)
    # Four flags a bar and symbol at most; pandas takes several floats for each.
    bytes_each = bars * symbols * (4 if plan.batched else 64)
    at_once = bytes_each * (chunk if plan.batched else 1)
    memory = count * (at_once + chunk * 400)
    seconds = rows * each / count
    if place == "processes":
        memory += count * (_PROCESS_BYTES + 6 * 8 * bars * symbols)
        seconds += _START_SECONDS
    return Estimate(rows, each, seconds, memory, place, count, chunk)


def _place(plan: Plan, total: float, workers: int | None, cluster_workers: int | None) -> tuple[Place, int]:
    """Where `total` seconds of work are best done, and by how many."""
    if cluster_workers is not None:
        return "cluster", cluster_workers
    if workers == 1:
        return "this process", 1
    count = workers or available_cpus()
    if plan.batched:
        return ("threads", count) if count > 1 else ("this process", 1)
    # Plain functions hold the interpreter's lock: only processes help, and those take a while to start.
    pays = total - total / count > _START_SECONDS
    return ("processes", count) if count > 1 and (workers is not None or pays) else ("this process", 1)


def _chunk(variants: int, each: float, workers: int, *, cells: int) -> int:
    """How many of a cell's variants make one task."""
    most = min(_MOST_VARIANTS, _CHUNK_BYTES // cells)
    share = variants / (_PER_WORKER * workers)
    if each > 0.0:
        most = min(most, round(_TASK_SECONDS / each))
        share = max(share, min(variants / workers, _LEAST_SECONDS / each))
    tasks = math.ceil(variants / max(1, min(most, math.ceil(share))))
    # As many for each worker, or some would wait for the others' last one.
    return math.ceil(variants / (math.ceil(tasks / workers) * workers))


def _duration(seconds: float) -> str:
    if seconds < 1.0:
        return "a second"
    if seconds < 120.0:
        return f"{seconds:.0f} s"
    if seconds < 7_200.0:
        return f"{seconds / 60.0:.0f} min"
    return f"{seconds / 3600.0:.1f} h"
