"""A sweep's chunks on real Dask workers: each task once, whatever becomes of workers and scheduler."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.integration.sweep.conftest import OpenCluster
from tests.servers import wait_for
from workbench.backtest import Signals, between, strategy
from workbench.errors import SweepError
from workbench.sweep import Bayesian, sweep
from workbench.sweep.executors import Executor, dask_cluster, open_executor
from workbench.sweep.executors.executor import PER_WORKER

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


class Told:
    """A payload that writes into a folder which process read it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.values = np.arange(100_000, dtype=np.float64)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        with (self.folder / str(os.getpid())).open("a") as file:
            file.write("read\n")


def total(payload: Told, task: int) -> tuple[int, float]:
    return os.getpid(), float(payload.values.sum()) + task


def add(payload: int, task: int) -> int:
    return payload + task


def refuse_three(payload: Any, task: int) -> int:
    if task == 3:
        raise ZeroDivisionError("three")
    return task


def die_once(folder: Path, task: int) -> int:
    """The fifth task kills its process, unless that has happened before."""
    if task == 5 and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def die_always(folder: Path, task: int) -> int:
    if task == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def wait_long(folder: Path, task: int) -> int:
    (folder / "begun").touch()
    wait_for((folder / "end").exists, "the test has ended")
    return task


class TestTasks:
    def test_give_what_they_give_in_threads(self, executor: Executor) -> None:
        with open_executor(2, threads=True) as threads:
            expected = sorted(threads.run(add, 100, range(30)))
        assert sorted(executor.run(add, 100, range(30))) == expected

    def test_run_on_every_worker_which_reads_what_all_need_before_them(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        payload = Told(tmp_path)
        found = [pair for _ in range(3) for pair in executor.run(total, payload, range(50))]
        workers = {pid for _, (pid, _) in found}
        assert len(workers) == executor.workers == 2
        assert os.getpid() not in workers
        assert {result - task for task, (_, result) in found} == {float(np.arange(100_000).sum())}
        # Dask may hand it on from one worker to the next, which reads it, too; tasks never do.
        assert {file.name for file in tmp_path.iterdir()} == {str(pid) for pid in workers}
        assert sum(file.read_text().count("read") for file in tmp_path.iterdir()) <= 3

    def test_are_taken_only_as_results_are_taken(self, executor: Executor) -> None:
        taken = 0

        def tasks() -> Iterator[int]:
            nonlocal taken
            for task in range(40):
                taken += 1
                yield task

        for given, _ in enumerate(executor.run(add, 1, tasks())):
            assert taken - given <= PER_WORKER * executor.workers
        assert taken == 40

    def test_raise_what_the_function_raised(self, executor: Executor) -> None:
        with pytest.raises(ZeroDivisionError, match="three"):
            list(executor.run(refuse_three, None, range(10)))
        assert len(list(executor.run(add, 1, range(10)))) == 10

    def test_can_be_left_early(self, executor: Executor) -> None:
        for _ in executor.run(add, 1, range(100)):
            break
        assert len(list(executor.run(add, 1, range(10)))) == 10

    def test_end_when_the_sweep_is_cancelled(
        self, executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dask_cluster, "_CHECK_SECONDS", 0.1)

        def cancel() -> None:
            wait_for((tmp_path / "begun").exists, "a task has begun")
            executor.cancel()

        user = threading.Thread(target=cancel)
        user.start()
        with pytest.raises(SweepError, match="cancelled"):
            list(executor.run(wait_long, tmp_path, range(1)))
        user.join()
        # Dask cannot stop what runs: it would keep its worker busy.
        (tmp_path / "end").touch()


class TestLosses:
    def test_of_a_worker_lose_no_task(self, executor: Executor, tmp_path: Path) -> None:
        assert sorted(executor.run(die_once, tmp_path, range(40))) == [(task, task) for task in range(40)]
        assert (tmp_path / "died").exists()

    def test_of_the_only_worker_lose_no_task_either(self, open_cluster: OpenCluster, tmp_path: Path) -> None:
        # What every task needs was there alone, and is sent anew.
        with open_cluster(1) as cluster, open_executor(cluster=cluster) as executor:
            assert sorted(executor.run(die_once, tmp_path, range(20))) == [(task, task) for task in range(20)]
        assert (tmp_path / "died").exists()

    def test_that_one_task_causes_are_an_error_that_names_it(
        self, open_cluster: OpenCluster, tmp_path: Path
    ) -> None:
        twice = {"distributed.scheduler.allowed-failures": 1}
        with (
            open_cluster(2, **twice) as cluster,
            open_executor(cluster=cluster) as executor,
            pytest.raises(SweepError, match="Task 5 was on 2 workers that were lost"),
        ):
            list(executor.run(die_always, tmp_path, range(5, 6)))

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
                    list(executor.run(wait_long, tmp_path, range(1)))
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


@strategy
def fragile(bars: pd.DataFrame, window: int = 10, home: int = 0, folder: str = "") -> Signals:
    """In with the average, and once the end of the process, unless that is the test's own."""
    if folder and window == 25 and os.getpid() != home:
        die_once(Path(folder), 5)
    close = bars["close"].unstack("symbol")
    above = close > close.rolling(window).mean()
    return Signals(entries=above, exits=~above)


@pytest.fixture
def bars() -> pd.DataFrame:
    """Two years of two random walks."""
    times = pd.date_range("2020-01-01", periods=500, tz="UTC")
    index = pd.MultiIndex.from_product([["AAA", "BBB"], times], names=["symbol", "timestamp"])
    close = 100 * np.exp(np.random.default_rng(4).normal(0, 0.02, (2, 500)).cumsum(axis=1)).ravel()
    return pd.DataFrame({"open": close, "high": close, "low": close, "close": close}, index=index)


class TestSweep:
    @pytest.mark.parametrize("where", ["dask", "processes"])
    def test_finds_the_same_though_a_worker_is_killed_on_the_way(
        self, cluster: Any, bars: pd.DataFrame, tmp_path: Path, where: str
    ) -> None:
        grid = {"window": range(5, 65), "home": [os.getpid()], "folder": [str(tmp_path)]}
        expected = sweep(fragile, bars, grid, workers=1, progress=False).frame
        assert not (tmp_path / "died").exists()
        place: dict[str, Any] = {"cluster": cluster} if where == "dask" else {"workers": 2}
        found = sweep(fragile, bars, grid, chunk=5, progress=False, **place)
        assert (tmp_path / "died").exists()
        assert (found.n_variants, found.n_failed) == (120, 0)
        pd.testing.assert_frame_equal(found.frame, expected)

    def test_that_learns_asks_the_same_on_dask_as_here(self, cluster: Any, bars: pd.DataFrame) -> None:
        search = Bayesian(24, seed=2, batch=8, over={"window": between(2, 90)})
        here = sweep(fragile, bars, search, workers=1, progress=False, symbols="together")
        there = sweep(fragile, bars, search, cluster=cluster, progress=False, symbols="together")
        pd.testing.assert_frame_equal(there.frame, here.frame)
