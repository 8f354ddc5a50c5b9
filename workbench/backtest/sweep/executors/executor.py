"""`Executor`: tasks in, results as they come; `open_executor` chooses which. No pool is started here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, ClassVar, TypeVar

from workbench.errors import SweepError

__all__ = ["PER_WORKER", "Executor", "available_cpus", "open_executor"]

Payload = TypeVar("Payload")
Task = TypeVar("Task")
Result = TypeVar("Result")

PER_WORKER = 2
"""So many tasks a worker are under way: one that runs, and one that waits, so that no worker does."""


class Executor(ABC):
    """Runs one function on many tasks, one `run` at a time; a context manager.

    Attributes
    ----------
    kind : str
        "threads", "processes" or "dask".
    workers : int
        How many tasks run at once.
    """

    kind: ClassVar[str]
    workers: int

    @abstractmethod
    def run(
        self,
        function: Callable[[Payload, Task], Result],
        payload: Payload,
        tasks: Iterable[Task],
    ) -> Iterator[tuple[Task, Result]]:
        """``function(payload, task)`` for every task, in the order in which they end.

        Tasks are taken, and results kept, only a few at a time: who is slow to take results is waited for.
        Leaving the loop early, or interrupting it, cancels what is under way.

        Parameters
        ----------
        function : callable
            Where tasks run in other processes, it goes there by cloudpickle: one of a notebook's will do.
        payload : object
            What every task needs. It goes to each worker once, however often `run` is called with the same
            function and object, and is to be read only.
        tasks : iterable
            Small things, read as they are needed.

        Yields
        ------
        tuple of (task, result)

        Raises
        ------
        SweepError
            A task ended its worker again and again, or the cluster is gone.
        Exception
            What `function` raised, as it is.
        """

    @abstractmethod
    def cancel(self) -> None:
        """End what is under way; a `run` that waits for it raises `SweepError`."""

    @abstractmethod
    def close(self) -> None:
        """Give back what this object opened, and nothing that was handed to it."""

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.workers} workers>"


def open_executor(workers: int | None = None, cluster: Any = None, *, threads: bool = False) -> Executor:
    """Somewhere to run tasks.

    Parameters
    ----------
    workers : int, optional
        How many tasks run at once. Default: one for each processor that this process may use. A single one
        runs in this process and thread.
    cluster : str, distributed.Client or cluster, optional
        A Dask scheduler's address ("tcp://10.0.0.5:8786"), a client, or a cluster such as a `LocalCluster`.
        `workers` is then the cluster's own.
    threads : bool
        Threads of this process: for functions that let go of the interpreter's lock.

    Raises
    ------
    SweepError
        `workers` is below 1, or no Dask scheduler answers, or it has no workers.
    """
    if workers is not None and workers < 1:
        raise SweepError(f"workers={workers}: at least one is needed; leave it out for one a processor.")
    if cluster is not None:
        from workbench.backtest.sweep.executors.dask_cluster import DaskExecutor

        if workers is not None:
            raise SweepError("A cluster has workers of its own; give workers or a cluster.")
        return DaskExecutor(cluster)
    wanted = workers or available_cpus()
    if threads or wanted == 1:
        from workbench.backtest.sweep.executors.threads import ThreadExecutor

        return ThreadExecutor(wanted)
    from workbench.backtest.sweep.executors.processes import ProcessExecutor

    return ProcessExecutor(wanted)


def available_cpus() -> int:
    """How many processors this process may use: affinity and a container's limit count."""
    import joblib

    return max(1, int(joblib.cpu_count()))
