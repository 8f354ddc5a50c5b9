"""Adaptive search, per symbol and period: ask for a batch, compute it, store it, report its results."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.sweep.chunk import Task, Variants, arrays_of, compute
from workbench.sweep.executors import Executor
from workbench.sweep.job import Job
from workbench.sweep.progress import Progress
from workbench.sweep.store import METRICS, Part, PartStore, merge

__all__ = ["search_adaptively"]


def search_adaptively(job: Job, store: PartStore, executor: Executor, progress: Progress) -> None:
    """Run the job's search to its end, once per cell.

    Stored results are reported again instead of computed again: with the same seed and outcomes the search
    asks for the same variants.
    """
    plan, place = job.plan, METRICS.index(job.search.objective)  # type: ignore[union-attr]
    stored = {part.start: part for part in store.parts()}
    for cell in range(len(plan.cells)):
        search: Any = job.search.resolve(plan.strategy)
        start = 0
        while asked := search.ask(search.batch):
            variants = arrays_of(plan.strategy, pd.DataFrame(asked))
            metrics = _known(store, stored.get(cell * plan.size + start), variants)
            if metrics is None:
                task = Task(cell, start, start + len(asked), variants)
                done = executor.run(compute, plan, _pieces(task, executor.workers))
                (rows,) = merge([piece for _, piece in done])
                store.write(rows)
                progress.advance(len(asked))
                metrics = rows.metrics
            search.tell(asked, metrics[:, place].tolist())
            start += len(asked)


def _known(store: PartStore, part: Part | None, variants: Variants) -> npt.NDArray[np.float64] | None:
    """The metrics of a stored part, if it holds these variants."""
    if part is None:
        return None
    table = store.read(part)
    for name, values in variants.items():
        if table[name].to_pylist() != values.tolist():
            return None
    return np.column_stack([table[name].to_numpy() for name in METRICS])


def _pieces(task: Task, workers: int) -> Iterator[Task]:
    """The task split into one part per worker."""
    assert task.variants is not None
    count = task.stop - task.start
    bounds = np.linspace(0, count, min(workers, count) + 1).astype(int).tolist()
    for first, last in itertools.pairwise(bounds):
        yield Task(
            task.cell,
            task.start + first,
            task.start + last,
            {name: values[first:last] for name, values in task.variants.items()},
        )
