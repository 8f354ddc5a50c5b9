"""A Dask cluster of a sweep: opening one, cancelling, and the loss of its scheduler or only worker."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.sweep.conftest import OpenCluster
from tests.integration.sweep.tasks import add, die_once, wait_for_end
from tests.servers import wait_for
from workbench.errors import SweepError
from workbench.sweep.executors import Executor, dask_cluster, open_executor

SCHEDULER = """
import sys
from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0") as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def executor(cluster: Any) -> Iterator[Executor]:
    with open_executor(cluster=cluster) as opened:
        yield opened


class TestTasks:
    def test_that_still_run_are_not_waited_for_when_the_sweep_is_cancelled(
        self, executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dask_cluster, "_CHECK_SECONDS", 0.1)

        def cancel() -> None:
            wait_for((tmp_path / "begun").exists, "a task has begun")
            executor.cancel()

        user = threading.Thread(target=cancel)
        user.start()
        with pytest.raises(SweepError, match="cancelled"):
            list(executor.run(wait_for_end, tmp_path, range(1)))
        user.join()
        # Dask cannot stop what runs: it would keep its worker busy.
        (tmp_path / "end").touch()


class TestLosses:
    def test_of_the_only_worker_lose_no_task_either(self, open_cluster: OpenCluster, tmp_path: Path) -> None:
        # What every task needs was there alone, and is sent anew.
        with open_cluster(1) as cluster, open_executor(cluster=cluster) as executor:
            assert sorted(executor.run(die_once, tmp_path, range(20))) == [(task, task) for task in range(20)]
        assert (tmp_path / "died").exists()

    def test_of_the_scheduler_are_an_error_that_says_what_to_do(self, tmp_path: Path) -> None:
        script = tmp_path / "scheduler.py"
        script.write_text(SCHEDULER)
        with subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            with open_executor(cluster=address) as executor:

                def kill() -> None:
                    wait_for((tmp_path / "begun").exists, "a task has begun")
                    process.kill()

                enemy = threading.Thread(target=kill)
                enemy.start()
                with pytest.raises(SweepError, match=f"scheduler at {address} is gone; start it again"):
                    list(executor.run(wait_for_end, tmp_path, range(1)))
                enemy.join()


class TestOpening:
    def test_takes_an_address_a_cluster_or_a_client_and_leaves_the_client_open(self, cluster: Any) -> None:
        from distributed import Client

        with Client(cluster, set_as_default=False) as client:
            for given in (cluster.scheduler_address, cluster, client):
                with open_executor(cluster=given) as executor:
                    assert (executor.kind, executor.workers) == ("dask", 2)
                    assert list(executor.run(add, 1, [1])) == [(1, 2)]
            assert client.submit(add, 1, 1).result() == 2

    def test_says_that_no_scheduler_answers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dask_cluster, "_SCHEDULER_SECONDS", 1)
        with pytest.raises(SweepError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:1; start one"):
            open_executor(cluster="tcp://127.0.0.1:1")

    def test_says_that_there_are_no_workers(
        self, open_cluster: OpenCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dask_cluster, "_WORKER_SECONDS", 1)
        says = "has no workers; start some, as in `dask worker tcp://127"
        with open_cluster(0) as cluster, pytest.raises(SweepError, match=says):
            open_executor(cluster=cluster)
