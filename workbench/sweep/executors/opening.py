"""`open_executor`: choose threads, processes or a Dask cluster for a sweep's tasks."""

from __future__ import annotations

from typing import Any

from workbench.errors import SweepError
from workbench.sweep.executors.executor import Executor

__all__ = ["available_cpus", "open_executor"]


def open_executor(workers: int | None = None, cluster: Any = None, *, threads: bool = False) -> Executor:
    """Open an executor.

    Parameters
    ----------
    workers : int, optional
        Number of parallel tasks. Default: one per processor that this process may use. With one worker, tasks
        run in this process and thread.
    cluster : str, distributed.Client or cluster, optional
        A Dask scheduler's address ("tcp://10.0.0.5:8786"), a client, or a cluster such as a `LocalCluster`.
        Then `workers` must be None: the cluster has its own.
    threads : bool
        Use threads of this process: for functions that release the interpreter lock.

    Raises
    ------
    SweepError
        `workers` is below 1 or given with a cluster, no Dask scheduler answers, or it has no workers.
    """
    if workers is not None and workers < 1:
        raise SweepError(f"workers={workers}: use 1 or more, or leave it out for one per processor.")
    if cluster is not None:
        from workbench.sweep.executors.dask_cluster import DaskExecutor

        if workers is not None:
            raise SweepError("A cluster has its own workers; pass either workers or a cluster.")
        return DaskExecutor(cluster)
    wanted = workers or available_cpus()
    if threads or wanted == 1:
        from workbench.sweep.executors.threads import ThreadExecutor

        return ThreadExecutor(wanted)
    from workbench.sweep.executors.processes import ProcessExecutor

    return ProcessExecutor(wanted)


def available_cpus() -> int:
    """Number of processors that this process may use, by affinity and container limits."""
    import joblib

    return max(1, int(joblib.cpu_count()))
