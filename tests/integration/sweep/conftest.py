"""Dask clusters of real worker processes, on this machine's loopback alone; and an end for loky's workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import dask
import pytest
from joblib.externals.loky import get_reusable_executor

OpenCluster = Callable[..., AbstractContextManager[Any]]


@pytest.fixture(scope="module", autouse=True)
def _no_workers_stay() -> Iterator[None]:
    yield
    get_reusable_executor().shutdown(wait=True, kill_workers=True)


@pytest.fixture(scope="session")
def open_cluster() -> OpenCluster:
    """`with open_cluster(workers=2) as cluster:`: each worker a process of one thread, under a nanny."""
    from distributed import LocalCluster

    @contextmanager
    def opened(workers: int = 2, **options: Any) -> Iterator[Any]:
        with (
            # Whoever loses a worker has it back in a moment.
            dask.config.set({"distributed.comm.timeouts.connect": "10s", **options}),
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                silence_logs=False,
            ) as cluster,
        ):
            yield cluster

    return opened


@pytest.fixture(scope="module")
def cluster(open_cluster: OpenCluster) -> Iterator[Any]:
    """A cluster of two workers; a test that kills one leaves it to its nanny to start another."""
    with open_cluster(2) as opened:
        yield opened
