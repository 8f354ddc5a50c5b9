"""Which executor runs a sweep's tasks: threads, processes or a Dask cluster."""

from __future__ import annotations

from typing import Any

from workbench.errors import SweepError
from workbench.sweep.executors.executor import Executor

__all__ = ["available_cpus", "open_executor"]


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
        from workbench.sweep.executors.dask_cluster import DaskExecutor

        if workers is not None:
            raise SweepError("A cluster has workers of its own; give workers or a cluster.")
        return DaskExecutor(cluster)
    wanted = workers or available_cpus()
    if threads or wanted == 1:
        from workbench.sweep.executors.threads import ThreadExecutor

        return ThreadExecutor(wanted)
    from workbench.sweep.executors.processes import ProcessExecutor

    return ProcessExecutor(wanted)


def available_cpus() -> int:
    """How many processors this process may use: affinity and a container's limit count."""
    import joblib

    return max(1, int(joblib.cpu_count()))
