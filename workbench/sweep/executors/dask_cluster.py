"""Tasks on a Dask cluster; this module alone imports distributed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any, ClassVar

from workbench.errors import SweepError
from workbench.home.temporary import TemporaryFolder
from workbench.sweep.executors.executor import PER_WORKER, Executor, Payload, Result, Task

__all__ = ["DaskExecutor", "private_cluster"]

_SCHEDULER_SECONDS = 10
_WORKER_SECONDS = 30
"""So long the scheduler, and its first worker, are waited for."""
_GLANCE = 2
"""Seconds between two looks at whether the scheduler is still there."""
_COUNTED_EVERY = 32
"""After so many results the workers are counted anew: clusters grow and shrink."""
_SHIPPED = 3
"""So often what every task needs is sent anew, after the last worker that had it is gone."""


def private_cluster(workers: int, home: Path | None = None) -> Any:
    """Start a cluster on this machine that only its maker's client can use; it ends with its `with` block.

    A scheduler runs any code that it is sent, also by another account of this machine: so everyone must show
    a certificate that is made now and kept in memory. There is no dashboard, which asks for none.

    Parameters
    ----------
    workers : int
        Processes of one thread.
    home : Path, optional
        Where the workers' temporary folder is made; it goes with the cluster. Default: the system's temporary
        folder.

    Returns
    -------
    distributed.LocalCluster
    """
    import dask
    from distributed import LocalCluster
    from distributed.security import Security

    # Without a dashboard, too, scheduler and workers tell over HTTP what runs.
    silent: dict[str, Any] = {
        f"distributed.{part}.http.routes": [] for part in ("scheduler", "worker", "nanny")
    }
    folder = TemporaryFolder("dask", home)
    with dask.config.set({**silent, "temporary-directory": str(folder.path)}):
        cluster = LocalCluster(
            local_directory=str(folder.path),
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            # The port is taken also where nothing is served on it: a free one, since two clusters may run.
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            security=Security.temporary(),
        )
    cluster.temporary_folder = folder
    return cluster


@dataclass(frozen=True)
class _Shipment:
    function: Callable[..., Any]
    payload: Any


class DaskExecutor(Executor):
    """A Dask cluster's workers. What every task needs is sent to each of them once.

    Dask itself computes anew what a lost worker had; a task that is beside four lost workers is given up
    (its setting `distributed.scheduler.allowed-failures`). The workers need this package in the same version.
    """

    kind: ClassVar[str] = "dask"

    def __init__(self, cluster: Any) -> None:
        from distributed import Client

        self._owned = not isinstance(cluster, Client)
        self._client: Any = _connect(cluster) if self._owned else cluster
        self._cancelled = False
        self._sent: tuple[_Shipment, Any] | None = None
        if self._client.asynchronous:
            raise SweepError("The Dask client is asynchronous; make one without asynchronous=True.")
        self._where = str(self._client.scheduler.address)
        try:
            self._client.wait_for_workers(1, timeout=_WORKER_SECONDS)
        except TimeoutError as error:
            self.close()
            raise SweepError(
                f"The Dask scheduler at {self._where} has no workers; start some, as in "
                f"`dask worker {self._where}`."
            ) from error
        self.workers = self._count()

    def run(
        self,
        function: Callable[[Payload, Task], Result],
        payload: Payload,
        tasks: Iterable[Task],
    ) -> Iterator[tuple[Task, Result]]:
        """See `Executor.run`."""
        from distributed.client import FutureCancelledError
        from distributed.scheduler import KilledWorker

        self._cancelled = False
        waiting = iter(tasks)
        lost: list[Task] = []
        flights: dict[Any, Task] = {}
        shipped, sent = self._ship(function, payload), 1
        results = count(1)
        try:
            while True:
                room = self.workers * PER_WORKER - len(flights)
                for task in (*lost, *islice(waiting, max(0, room - len(lost)))):
                    flights[self._client.submit(_compute, shipped, task, pure=False)] = task
                lost.clear()
                if not flights:
                    return
                for future in self._landed(flights):
                    task = flights.pop(future)
                    try:
                        result = future.result()
                    except KilledWorker as error:
                        raise SweepError(
                            f"Task {task!r} was beside {error.allowed_failures + 1} workers that were lost "
                            "(killed, or out of memory); give workers more memory, or make chunks smaller."
                        ) from error
                    except FutureCancelledError as error:
                        self._check(error)
                        lost.append(task)
                        continue
                    yield task, result
                    if next(results) % _COUNTED_EVERY == 0:
                        self.workers = self._count()
                if lost and not _is_there(shipped):
                    if sent == _SHIPPED:
                        raise SweepError(
                            f"The Dask workers at {self._where} are lost again and again; see their logs."
                        )
                    shipped, sent = self._ship(function, payload), sent + 1
        finally:
            self._drop(list(flights))

    def cancel(self) -> None:
        """See `Executor.cancel`."""
        self._cancelled = True

    def close(self) -> None:
        """Leave the cluster; a client that was handed over stays open."""
        if self._sent is not None:
            self._drop([self._sent[1]])
            self._sent = None
        if self._owned:
            self._client.close()

    def _ship(self, function: Any, payload: Any) -> Any:
        """Send to every worker what the tasks need, unless it is there."""
        if self._sent is not None:
            content, future = self._sent
            if content.function is function and content.payload is payload and _is_there(future):
                return future
            self._drop([future])
        content = _Shipment(function, payload)
        try:
            # In a list: a bare value that happens to be a collection would be taken apart.
            (future,) = self._client.scatter([content], broadcast=True, hash=False)
        except (OSError, TimeoutError) as error:
            raise self._gone() from error
        self._sent = (content, future)
        return future

    def _landed(self, flights: dict[Any, Any]) -> list[Any]:
        """Wait until at least one task has ended; which have."""
        from distributed import CancelledError, wait

        while True:
            try:
                with self._client.as_current():
                    wait(list(flights), timeout=_GLANCE, return_when="FIRST_COMPLETED")
            except TimeoutError:
                self._check(None)
                continue
            except CancelledError:
                # Some were: each says so when it is asked for its result.
                pass
            if landed := [future for future in flights if future.done()]:
                self._check(None)
                return landed

    def _check(self, cause: BaseException | None) -> None:
        if self._cancelled:
            raise SweepError("The sweep was cancelled.") from cause
        if self._client.status != "running":
            raise self._gone() from cause

    def _gone(self) -> SweepError:
        return SweepError(
            f"The Dask scheduler at {self._where} is gone; start it again and repeat the sweep: with the "
            "same store it goes on where it was."
        )

    def _count(self) -> int:
        try:
            threads: dict[str, int] = self._client.nthreads()
        except OSError as error:
            raise self._gone() from error
        return max(1, sum(threads.values()))

    def _drop(self, futures: list[Any]) -> None:
        if self._client.status == "running":
            self._client.cancel(futures, force=True)


def _compute(content: _Shipment, task: Any) -> Any:
    """On a worker: one task."""
    return content.function(content.payload, task)


def _is_there(future: Any) -> bool:
    """Whether some worker still has what was sent."""
    return bool(future.status == "finished")


def _connect(cluster: Any) -> Any:
    from distributed import Client

    try:
        return Client(cluster, timeout=_SCHEDULER_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise SweepError(
            f"No Dask scheduler answers at {cluster}; start one with `dask scheduler`, and give its address, "
            "as in tcp://127.0.0.1:8786."
        ) from error
