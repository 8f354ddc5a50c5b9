"""`Executor`: tasks in, results as they come; `open_executor` chooses which. No pool is started here."""

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
