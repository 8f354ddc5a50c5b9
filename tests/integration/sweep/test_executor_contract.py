"""What every executor promises: each task's result once, whatever becomes of the workers.

Every executor (threads, processes, Dask)

- yields each task with its result, as many at the same time as it has workers;
- takes tasks only as its caller takes results;
- raises what the function raised, can be left early or cancelled, and can be used again after that;
- takes functions and payloads that no module can be imported for, as a notebook defines them.

An executor with workers in other processes

- sends them what all tasks need once, not with each task;
- does the tasks of a worker that was killed again, and names a task that kills one worker after the other;
- gives a sweep the same rows as a single thread, in the same order.

A new subclass of `Executor` must get an entry in `MEMBERS`; a test fails until it has one.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.integration.sweep.conftest import OpenCluster
from tests.integration.sweep.tasks import Told, add, die_always, die_once, meet, refuse_three, total
from workbench.backtest import Signals, Strategy, between, strategy
from workbench.errors import SweepError
from workbench.sweep import Bayesian, executors, sweep
from workbench.sweep.executors import Executor, open_executor
from workbench.sweep.executors.executor import PER_WORKER
from workbench.sweep.executors.opening import available_cpus

# By a name that begins with the executor's kind: what opens it, beside a cluster.
MEMBERS: dict[str, dict[str, Any]] = {
    "threads": {"workers": 2, "threads": True},
    "threads, one": {"workers": 1},
    "processes": {"workers": 2},
    "dask": {},
}
REMOTE = ["processes", "dask"]


@pytest.fixture(scope="module")
def cluster(open_cluster: OpenCluster) -> Iterator[Any]:
    """A cluster of two workers, which gives a task up when it has lost two of them."""
    scheduler = {
        "distributed.scheduler.allowed-failures": 1,
        # Every two seconds it takes copies of the payload from workers without tasks, which read it again.
        "distributed.scheduler.active-memory-manager.start": False,
    }
    with open_cluster(2, **scheduler) as opened:
        yield opened


@pytest.fixture(params=MEMBERS)
def member(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(member: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """The arguments that open the executor."""
    return {"cluster": request.getfixturevalue("cluster")} if member == "dask" else MEMBERS[member]


@pytest.fixture
def executor(place: dict[str, Any]) -> Iterator[Executor]:
    with open_executor(**place) as opened:
        yield opened


def assert_usable(executor: Executor) -> None:
    assert sorted(executor.run(add, 1, range(10))) == [(task, task + 1) for task in range(10)]


def test_every_executor_is_a_member() -> None:
    for module in pkgutil.iter_modules(executors.__path__, f"{executors.__name__}."):
        importlib.import_module(module.name)
    kinds = {made.kind for made in Executor.__subclasses__()}
    assert kinds == {member.split(",")[0] for member in MEMBERS}, "add the new executor to MEMBERS"


class TestEveryExecutor:
    def test_gives_every_task_with_its_result(self, executor: Executor) -> None:
        assert sorted(executor.run(add, 100, range(30))) == [(task, task + 100) for task in range(30)]
        assert list(executor.run(add, 1, [])) == []

    def test_runs_as_many_tasks_at_the_same_time_as_it_has_workers(
        self, executor: Executor, member: str, tmp_path: Path
    ) -> None:
        assert member.startswith(executor.kind)
        assert executor.workers == (1 if member == "threads, one" else 2)
        found = executor.run(meet, (tmp_path, executor.workers), range(executor.workers))
        places = {place for _, place in found}
        assert len(places) == executor.workers
        assert {pid == os.getpid() for pid, _ in places} == {member not in REMOTE}

    def test_takes_tasks_only_as_results_are_taken(self, executor: Executor) -> None:
        taken = 0

        def tasks() -> Iterator[int]:
            nonlocal taken
            for task in range(50):
                taken += 1
                yield task

        for given, _ in enumerate(executor.run(add, 1, tasks())):
            assert taken - given <= PER_WORKER * executor.workers
        assert taken == 50

    def test_raises_what_the_function_raised(self, executor: Executor) -> None:
        with pytest.raises(ZeroDivisionError, match="three"):
            list(executor.run(refuse_three, None, range(10)))
        assert_usable(executor)

    def test_can_be_left_early_and_used_again(self, executor: Executor) -> None:
        for _ in executor.run(add, 1, range(100)):
            break
        assert_usable(executor)

    def test_ends_when_it_is_cancelled_and_can_be_used_again(self, executor: Executor) -> None:
        running = executor.run(add, 1, range(100))
        next(running)
        executor.cancel()
        with pytest.raises(SweepError, match="cancelled"):
            list(running)
        assert_usable(executor)

    def test_runs_what_no_module_can_be_imported_for(self, executor: Executor) -> None:
        class Payload:
            factor = 3

        found = executor.run(lambda payload, task: payload.factor * task, Payload(), range(4))
        assert sorted(found) == [(0, 0), (1, 3), (2, 6), (3, 9)]


@pytest.mark.parametrize("member", REMOTE)
class TestWorkersInOtherProcesses:
    def test_read_what_all_tasks_need_once_each_and_not_with_the_tasks(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        payload = Told(tmp_path)
        found = [pair for _ in range(5) for pair in executor.run(total, payload, range(50))]
        assert {result - task for task, (_, result) in found} == {float(np.arange(100_000).sum())}
        reads = {int(file.name): file.read_text().count("read") for file in tmp_path.iterdir()}
        assert set(reads) >= {pid for _, (pid, _) in found}
        assert len(reads) <= executor.workers
        assert set(reads.values()) == {1}

    def test_that_are_killed_are_replaced_and_their_tasks_done_again(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        assert sorted(executor.run(die_once, tmp_path, range(40))) == [(task, task) for task in range(40)]
        assert (tmp_path / "died").exists()

    def test_that_one_task_kills_again_and_again_are_an_error_that_names_it(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        with pytest.raises(SweepError, match=r"^Task 5 .*(4 times|2 workers that were lost)"):
            list(executor.run(die_always, tmp_path, range(5, 6)))
        assert_usable(executor)


@pytest.fixture
def fragile() -> Strategy:
    """Long above the average; 13 bars fail, and 25 end the process once, unless that is the test's own."""

    @strategy
    def fragile(bars: pd.DataFrame, window: int = 10, home: int = 0, folder: str = "") -> Signals:
        if window == 13:
            raise ZeroDivisionError("thirteen")
        if folder and window == 25 and os.getpid() != home:
            die_once(Path(folder), 5)
        close = bars["close"].unstack("symbol")
        above = close > close.rolling(window).mean()
        return Signals(entries=above, exits=~above)

    return fragile


@pytest.fixture
def bars() -> pd.DataFrame:
    """Two years of two random walks."""
    times = pd.date_range("2020-01-01", periods=500, tz="UTC")
    index = pd.MultiIndex.from_product([["AAA", "BBB"], times], names=["symbol", "timestamp"])
    close = 100 * np.exp(np.random.default_rng(4).normal(0, 0.02, (2, 500)).cumsum(axis=1)).ravel()
    return pd.DataFrame({"open": close, "high": close, "low": close, "close": close}, index=index)


@pytest.mark.parametrize("member", REMOTE)
class TestASweepInOtherProcesses:
    def test_gives_the_rows_of_one_thread_though_a_worker_is_killed_on_the_way(
        self, fragile: Strategy, place: dict[str, Any], bars: pd.DataFrame, tmp_path: Path
    ) -> None:
        grid = {"window": range(5, 65), "home": [os.getpid()], "folder": [str(tmp_path)]}
        expected = sweep(fragile, bars, grid, workers=1, progress=False).frame
        assert not (tmp_path / "died").exists()
        found = sweep(fragile, bars, grid, chunk=5, progress=False, **place)
        assert (tmp_path / "died").exists()
        assert (found.n_variants, found.n_failed) == (120, 2)
        pd.testing.assert_frame_equal(found.frame, expected)

    def test_that_learns_tries_the_same_variants_as_in_one_thread(
        self, fragile: Strategy, place: dict[str, Any], bars: pd.DataFrame
    ) -> None:
        search = Bayesian(24, seed=2, batch=8, over={"window": between(2, 90)})
        here = sweep(fragile, bars, search, workers=1, progress=False, symbols="together")
        there = sweep(fragile, bars, search, progress=False, symbols="together", **place)
        pd.testing.assert_frame_equal(there.frame, here.frame)


class TestOpening:
    def test_takes_one_worker_for_each_processor_by_default(self) -> None:
        with open_executor() as opened:
            assert opened.workers == available_cpus() <= len(os.sched_getaffinity(0))

    def test_refuses_no_worker_at_all_and_workers_beside_a_cluster(self) -> None:
        with pytest.raises(SweepError, match="workers=0: use 1 or more"):
            open_executor(0)
        with pytest.raises(SweepError, match="pass either workers or a cluster"):
            open_executor(2, "tcp://127.0.0.1:8786")
