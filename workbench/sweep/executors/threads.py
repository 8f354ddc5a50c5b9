"""Runs tasks in threads of this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Any, ClassVar

from workbench.errors import SweepError
from workbench.sweep.executors.executor import PER_WORKER, Executor, Payload, Result, Task

__all__ = ["ThreadExecutor"]


class ThreadExecutor(Executor):
    """Threads of this process; with one worker, the caller's thread.

    Running tasks cannot be stopped: `cancel` lets them finish.
    """

    kind: ClassVar[str] = "threads"

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._cancelled = False
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="sweep") if workers > 1 else None

    def run(
        self,
        function: Callable[[Payload, Task], Result],
        payload: Payload,
        tasks: Iterable[Task],
    ) -> Iterator[tuple[Task, Result]]:
        """See `Executor.run`."""
        self._cancelled = False
        if self._pool is None:
            for task in tasks:
                self._check()
                yield task, function(payload, task)
            return
        waiting = iter(tasks)
        flights: dict[Future[Result], Task] = {}
        try:
            while True:
                for task in islice(waiting, self.workers * PER_WORKER - len(flights)):
                    flights[self._pool.submit(function, payload, task)] = task
                if not flights:
                    return
                landed, _ = wait(flights, return_when=FIRST_COMPLETED)
                self._check()
                for future in landed:
                    yield flights.pop(future), future.result()
        finally:
            _cancel(flights)

    def cancel(self) -> None:
        """See `Executor.cancel`."""
        self._cancelled = True

    def close(self) -> None:
        """Release the threads; running tasks finish."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _check(self) -> None:
        if self._cancelled:
            raise SweepError("The sweep was cancelled.")


def _cancel(futures: Iterable[Future[Any]]) -> None:
    for future in futures:
        future.cancel()
