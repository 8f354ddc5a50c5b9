"""Tasks in processes of this machine; this module alone imports loky."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar

from workbench.errors import SweepError
from workbench.sweep.executors.executor import PER_WORKER, Executor, Payload, Result, Task
from workbench.sweep.executors.shipment import open_shipment, shipment

__all__ = ["ProcessExecutor"]

_ATTEMPTS = 4
"""The first time, and three times again."""
_IDLE_SECONDS = 120
"""Workers wait that long for another sweep, which then need not start new ones."""
_LOOK_SECONDS = 1.0
"""So long loky may take to look at the tasks that it was given, and a worker to miss its parent."""
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
"""There are as many workers as processors: none of them starts threads of its own."""


@dataclass
class _Attempt:
    task: Any
    failures: int = 0


class ProcessExecutor(Executor):
    """Processes of this machine, which outlive a sweep and serve the next.

    When a worker dies (killed, out of memory), all are replaced. The tasks under way then run again, one at
    a time, so that one that kills its worker is known from those that were only beside it.
    """

    kind: ClassVar[str] = "processes"

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._cancelled = False
        self._flights: dict[Future[Any], _Attempt] = {}
        self._sent: tuple[Any, Any, str] | None = None
        self._files = ExitStack()

    def run(
        self,
        function: Callable[[Payload, Task], Result],
        payload: Payload,
        tasks: Iterable[Task],
    ) -> Iterator[tuple[Task, Result]]:
        """See `Executor.run`."""
        self._cancelled = False
        fresh = (_Attempt(task) for task in tasks)
        suspects: deque[_Attempt] = deque()
        flights = self._flights = {}
        path = self._ship(function, payload)
        try:
            while self._launch(path, fresh, suspects, flights):
                landed, _ = wait(flights, return_when=FIRST_COMPLETED)
                if self._cancelled:
                    raise SweepError("The sweep was cancelled.")
                for future in landed:
                    attempt = flights.pop(future)
                    if _ended_its_worker(future):
                        suspects.append(_again(attempt))
                    else:
                        yield attempt.task, _result(future)
        except Exception:
            # The few tasks under way come to their end, and the workers are there for the next sweep.
            raise
        except BaseException:
            self.cancel()
            raise

    def cancel(self) -> None:
        """See `Executor.cancel`; the workers are killed, and the next run starts new ones."""
        self._cancelled = True
        # loky stumbles where it is told to kill before it has looked at a task.
        deadline = time.monotonic() + _LOOK_SECONDS
        while time.monotonic() < deadline and any(
            not (future.running() or future.done()) for future in list(self._flights)
        ):
            time.sleep(0.001)
        self._pool().shutdown(wait=True, kill_workers=True)
        self._flights = {}

    def close(self) -> None:
        """Remove what was written for the workers; they leave by themselves after a while without work."""
        self._sent = None
        self._files.close()

    def _ship(self, function: Any, payload: Any) -> str:
        """The file of what every task needs; the one that is there, if it is of the same."""
        if self._sent is None or self._sent[0] is not function or self._sent[1] is not payload:
            self.close()
            self._sent = (function, payload, self._files.enter_context(shipment((function, payload))))
        return self._sent[2]

    def _launch(
        self,
        path: str,
        fresh: Iterator[_Attempt],
        suspects: deque[_Attempt],
        flights: dict[Future[Any], _Attempt],
    ) -> bool:
        """Start what may start now; whether anything is under way."""
        while len(flights) < (1 if suspects else self.workers * PER_WORKER):
            attempt = suspects.popleft() if suspects else next(fresh, None)
            if attempt is None:
                break
            flights[self._submit(path, attempt.task)] = attempt
            if attempt.failures:
                break
        return bool(flights)

    def _submit(self, path: str, task: Any) -> Future[Any]:
        from joblib.externals.loky.process_executor import ShutdownExecutorError

        try:
            future: Future[Any] = self._pool().submit(_compute, path, task)
        except (BrokenProcessPool, ShutdownExecutorError):
            # It broke, or joblib was called with other options, just now: asked again, there is a new one.
            future = self._pool().submit(_compute, path, task)
        return future

    def _pool(self) -> Any:
        from joblib.externals.loky import get_reusable_executor

        return get_reusable_executor(
            max_workers=self.workers, timeout=_IDLE_SECONDS, initializer=_begin, env=_ONE_THREAD
        )


def _compute(path: str, task: Any) -> Any:
    """In a worker: one task."""
    function, payload = open_shipment(path)
    return function(payload, task)


def _begin() -> None:
    """In a worker, once: Ctrl-C is for the process that asks, and without that process there is no work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, args=(os.getppid(),), daemon=True).start()


def _follow(parent: int) -> None:
    """End when the process that started this one has: killed with -9, it could not say so."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)


def _ended_its_worker(future: Future[Any]) -> bool:
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    return isinstance(future.exception(), TerminatedWorkerError)


def _result(future: Future[Any]) -> Any:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise SweepError(
            "A worker process could not read its task, or this one its result; define the strategy in the "
            "notebook itself, or in a module that can be imported from anywhere."
        ) from error


def _again(attempt: _Attempt) -> _Attempt:
    if attempt.failures + 1 >= _ATTEMPTS:
        raise SweepError(
            f"Task {attempt.task!r} ended its worker process {_ATTEMPTS} times (killed, or out of memory); "
            "sweep with fewer workers or smaller chunks, or find out which variant does it."
        )
    return _Attempt(attempt.task, attempt.failures + 1)
