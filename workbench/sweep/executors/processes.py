"""Runs tasks in processes on this machine; the only module that imports loky."""

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
"""The first attempt and three retries."""
_IDLE_SECONDS = 120
"""Idle workers stay this long, so that the next sweep need not start new ones."""
_POLL_SECONDS = 1.0
"""Time allowed for loky to pick up submitted tasks, and interval at which a worker checks its parent."""
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
"""There is one worker per processor, so no worker starts threads of its own."""


@dataclass
class _Attempt:
    task: Any
    failures: int = 0


class ProcessExecutor(Executor):
    """Processes on this machine, which stay alive for the next sweep.

    When a worker dies (killed, out of memory), all are replaced. The tasks that were running then run again,
    one at a time, to find out which one kills its worker.
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
            # The few running tasks may finish, and the workers stay for the next sweep.
            raise
        except BaseException:
            self.cancel()
            raise

    def cancel(self) -> None:
        """See `Executor.cancel`; the workers are killed, and the next run starts new ones."""
        self._cancelled = True
        # loky fails if it has to kill workers before it has picked up a submitted task.
        deadline = time.monotonic() + _POLL_SECONDS
        while time.monotonic() < deadline and any(
            not (future.running() or future.done()) for future in list(self._flights)
        ):
            time.sleep(0.001)
        self._pool().shutdown(wait=True, kill_workers=True)
        self._flights = {}

    def close(self) -> None:
        """Remove the files for the workers; idle workers exit by themselves after a while."""
        self._sent = None
        self._files.close()

    def _ship(self, function: Any, payload: Any) -> str:
        """The file with function and payload; an existing one is reused for the same objects."""
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
        """Submit as many tasks as may run now; returns whether any are in flight."""
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
            # The pool just broke, or joblib was called with other options: `_pool` now returns a new one.
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
    """In a worker, once: ignore Ctrl-C, which the parent handles, and watch the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    """Exit when the parent process is gone: killed with -9, it cannot stop its workers itself."""
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os._exit(1)


def _ended_its_worker(future: Future[Any]) -> bool:
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    return isinstance(future.exception(), TerminatedWorkerError)


def _result(future: Future[Any]) -> Any:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise SweepError(
            "A worker process could not unpickle its task, or this process its result; define the strategy "
            "in the notebook itself, or in a module that can be imported from anywhere."
        ) from error


def _again(attempt: _Attempt) -> _Attempt:
    if attempt.failures + 1 >= _ATTEMPTS:
        raise SweepError(
            f"Task {attempt.task!r} ended its worker process {_ATTEMPTS} times (killed, or out of memory); "
            "sweep with fewer workers or smaller chunks, or find the variant that causes it."
        )
    return _Attempt(attempt.task, attempt.failures + 1)
