"""Runs tasks on a Dask cluster; the only module that imports distributed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any, ClassVar

from workbench.arguments import named
from workbench.errors import SweepError
from workbench.home.temporary import TemporaryFolder
from workbench.sweep.executors.executor import PER_WORKER, Executor, Payload, Result, Task

__all__ = ["DaskExecutor", "private_cluster"]

_SCHEDULER_SECONDS = 10
_WORKER_SECONDS = 30
"""Time limits for reaching the scheduler, and for its first worker."""
_CHECK_SECONDS = 2
"""Interval between checks that the scheduler is still there."""
_COUNTED_EVERY = 32
"""The workers are counted again after this many results: clusters grow and shrink."""
_MOST_SHIPMENTS = 3
"""The payload is sent at most this often; it is sent again when the last worker that had it is gone."""


def private_cluster(workers: int, home: Path | None = None) -> Any:
    """Start a cluster on this machine that only its creator's client can use; close it with a `with` block.

    A scheduler runs any code that it receives, also from other accounts of this machine: so all connections
    need a certificate that is created here and kept in memory. There is no dashboard: it would need no
    certificate.

    Parameters
    ----------
    workers : int
        Number of worker processes, one thread each.
    home : Path, optional
        Parent of the workers' temporary folder, which is deleted with the cluster. Default: the system's
        temporary folder.

    Returns
    -------
    distributed.LocalCluster
    """
    import dask
    from distributed import LocalCluster
    from distributed.security import Security

    # Even without a dashboard, scheduler and workers publish what runs over HTTP.
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
            # The port is opened even without a dashboard: use a free one, since two clusters may run.
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
    """Workers of a Dask cluster. The payload is sent to each of them once.

    Dask's active memory manager takes copies of it from workers without tasks; such a worker gets it again
    from another one with its next task.

    Dask itself reruns the tasks of a lost worker; it gives up a task that was on four lost workers (setting
    `distributed.scheduler.allowed-failures`). The workers need the same version of this package.
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
                            f"Task {task!r} was on {error.allowed_failures + 1} workers that were lost "
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
                    if sent == _MOST_SHIPMENTS:
                        raise SweepError(
                            f"The Dask workers at {self._where} are lost repeatedly; see their logs."
                        )
                    shipped, sent = self._ship(function, payload), sent + 1
        finally:
            self._drop(list(flights))

    def cancel(self) -> None:
        """See `Executor.cancel`."""
        self._cancelled = True

    def close(self) -> None:
        """Disconnect from the cluster; a client that was passed in stays open."""
        if self._sent is not None:
            self._drop([self._sent[1]])
            self._sent = None
        if self._owned:
            self._client.close()

    def _ship(self, function: Any, payload: Any) -> Any:
        """Send function and payload to every worker, unless already sent."""
        if self._sent is not None:
            content, future = self._sent
            if content.function is function and content.payload is payload and _is_there(future):
                return future
            self._drop([future])
        content = _Shipment(function, payload)
        try:
            # In a list: scatter would split a payload that is itself a collection.
            (future,) = self._client.scatter([content], broadcast=True, hash=False)
        except (OSError, TimeoutError) as error:
            raise self._gone() from error
        self._sent = (content, future)
        return future

    def _landed(self, flights: dict[Any, Any]) -> list[Any]:
        """Wait until at least one task has ended; returns those that have."""
        from distributed import CancelledError, wait

        while True:
            try:
                with self._client.as_current():
                    wait(list(flights), timeout=_CHECK_SECONDS, return_when="FIRST_COMPLETED")
            except TimeoutError:
                self._check(None)
                continue
            except CancelledError:
                # Cancelled futures raise when their result is read.
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
            "same store it resumes where it stopped."
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
    """Whether some worker still has the payload."""
    return bool(future.status == "finished")


def _connect(cluster: Any) -> Any:
    from distributed import Client

    if not isinstance(cluster, str) and not hasattr(cluster, "scheduler_address"):
        raise SweepError(
            f"cluster: {named(cluster)} is no Dask cluster; give a scheduler's address, as in "
            "'tcp://127.0.0.1:8786', a Client, or a cluster such as a LocalCluster."
        )
    try:
        return Client(cluster, timeout=_SCHEDULER_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise SweepError(
            f"No Dask scheduler answers at {cluster}; start one with `dask scheduler`, and pass its address, "
            "as in tcp://127.0.0.1:8786."
        ) from error
