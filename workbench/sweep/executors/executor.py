"""`Executor`: takes tasks and yields results as they finish; `open_executor` creates one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import ClassVar, TypeVar

__all__ = ["PER_WORKER", "Executor"]

Payload = TypeVar("Payload")
Task = TypeVar("Task")
Result = TypeVar("Result")

PER_WORKER = 2
"""Tasks per worker in flight: one running and one queued, so that no worker waits."""


class Executor(ABC):
    """Runs one function on many tasks, one `run` at a time; a context manager.

    Attributes
    ----------
    kind : str
        "threads", "processes" or "dask".
    workers : int
        Number of parallel tasks.
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
        """Compute ``function(payload, task)`` for every task; results come in the order in which tasks end.

        Only a few tasks and results are held at a time: a slow caller slows the tasks down. Leaving the loop
        early, or interrupting it, cancels the running tasks.

        Parameters
        ----------
        function : callable
            Pickled by cloudpickle for other processes, so it may be defined in a notebook.
        payload : object
            Data shared by all tasks; read-only. Sent to each worker once, however often `run` is called with
            the same function and payload.
        tasks : iterable
            Small objects, read as needed.

        Yields
        ------
        tuple of (task, result)

        Raises
        ------
        SweepError
            A task repeatedly ended its worker, or the cluster is gone.
        Exception
            What `function` raised.
        """

    @abstractmethod
    def cancel(self) -> None:
        """Stop running tasks; a `run` that waits for them raises `SweepError`."""

    @abstractmethod
    def close(self) -> None:
        """Close what this object opened, but nothing that was passed to it."""

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.workers} workers>"
