"""Threads and processes that compute a sweep's chunks: each task once, whatever happens to the workers."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from joblib.externals.loky import get_reusable_executor

from tests.servers import wait_for
from workbench.errors import SweepError
from workbench.sweep.executors import Executor, open_executor
from workbench.sweep.executors.executor import PER_WORKER
from workbench.sweep.executors.opening import available_cpus

KINDS = ["threads", "processes", "one thread"]


@pytest.fixture(scope="module", autouse=True)
def _no_workers_stay() -> Iterator[None]:
    yield
    get_reusable_executor().shutdown(wait=True, kill_workers=True)


@pytest.fixture(params=KINDS)
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    workers = 1 if request.param == "one thread" else 2
    with open_executor(workers, threads=request.param == "threads") as opened:
        yield opened


@pytest.fixture
def processes() -> Iterator[Executor]:
    with open_executor(2) as opened:
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


def add(payload: Any, task: int) -> int:
    return int(payload) + task


def total(payload: Told, task: int) -> tuple[int, float]:
    return os.getpid(), float(payload.values.sum()) + task


def refuse_three(payload: Any, task: int) -> int:
    if task == 3:
        raise ZeroDivisionError("three")
    return task


def die_once(folder: Path, task: int) -> int:
    """The fifth task kills its process, unless that has happened before."""
    if task == 5:
        with contextlib.suppress(FileExistsError):
            (folder / "died").touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)
    return task


def die_always(folder: Path, task: int) -> int:
    if task == 5:
        with (folder / "deaths").open("a") as file:
            file.write("died\n")
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def write_and_read(values: np.ndarray[Any, Any], task: int) -> float:
    values[task] = -1.0
    return float(values.sum())


def wait_long(folder: Path, task: int) -> None:
    (folder / str(os.getpid())).touch()
    threading.Event().wait(100)


def is_alive(pid: int) -> bool:
    """Whether a process still runs: one that nobody has collected yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class TestEveryKind:
    def test_gives_every_task_with_its_result(self, executor: Executor) -> None:
        assert sorted(executor.run(add, 100, range(20))) == [(task, task + 100) for task in range(20)]

    def test_does_nothing_for_no_task(self, executor: Executor) -> None:
        assert list(executor.run(add, 1, [])) == []

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
        assert len(list(executor.run(add, 1, range(10)))) == 10

    def test_can_be_left_early_and_used_again(self, executor: Executor) -> None:
        for _ in executor.run(add, 1, range(100)):
            break
        assert len(list(executor.run(add, 1, range(10)))) == 10

    def test_ends_when_it_is_cancelled(self, executor: Executor) -> None:
        running = executor.run(add, 1, range(100))
        next(running)
        executor.cancel()
        with pytest.raises(SweepError, match="cancelled"):
            list(running)


class TestProcesses:
    def test_are_several_and_other_ones(self, processes: Executor, tmp_path: Path) -> None:
        workers = {pid for _, (pid, _) in processes.run(total, Told(tmp_path), range(200))}
        assert os.getpid() not in workers
        assert len(workers) <= 2

    def test_read_what_all_tasks_need_once_each(self, processes: Executor, tmp_path: Path) -> None:
        payload = Told(tmp_path)
        found = [pair for _ in range(5) for pair in processes.run(total, payload, range(50))]
        assert {result - task for task, (_, result) in found} == {float(np.arange(100_000).sum())}
        assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
            str(pid): "read\n" for pid in {pid for _, (pid, _) in found}
        }

    def test_keep_what_they_write_into_arrays_to_themselves(self, processes: Executor) -> None:
        values = np.ones(1000)
        list(processes.run(write_and_read, values, range(20)))
        assert values.sum() == 1000

    def test_leave_no_file(
        self, processes: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        list(processes.run(add, 1, range(5)))
        list(processes.run(add, 2, range(5)))
        assert [path.name[:16] for path in tmp_path.iterdir()] == ["workbench-sweep-"]
        processes.close()
        assert list(tmp_path.iterdir()) == []

    def test_that_are_killed_are_replaced_and_their_tasks_done_again(
        self, processes: Executor, tmp_path: Path
    ) -> None:
        assert sorted(processes.run(die_once, tmp_path, range(20))) == [(task, task) for task in range(20)]
        assert (tmp_path / "died").exists()

    def test_that_one_task_kills_again_and_again_are_an_error_that_names_it(
        self, processes: Executor, tmp_path: Path
    ) -> None:
        with pytest.raises(SweepError, match="Task 5 ended its worker process 4 times"):
            list(processes.run(die_always, tmp_path, range(20)))
        assert (tmp_path / "deaths").read_text() == "died\n" * 4
        assert len(list(processes.run(add, 1, range(10)))) == 10

    def test_end_when_the_user_interrupts(self, processes: Executor, tmp_path: Path) -> None:
        def interrupt() -> None:
            wait_for(lambda: len(list(tmp_path.iterdir())) == 2, "both workers have begun")
            os.kill(os.getpid(), signal.SIGINT)

        # A shell that started the tests in the background has interrupts ignored.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        user = threading.Thread(target=interrupt)
        user.start()
        with pytest.raises(KeyboardInterrupt):
            list(processes.run(wait_long, tmp_path, range(10)))
        user.join()
        signal.signal(signal.SIGINT, before)
        workers = [int(path.name) for path in tmp_path.iterdir()]
        wait_for(lambda: not any(map(is_alive, workers)), "the workers are gone")

    def test_end_when_the_process_that_asked_is_killed(self, tmp_path: Path) -> None:
        script = tmp_path / "script.py"
        script.write_text(
            "import os, sys, threading\n"
            "from pathlib import Path\n"
            "from workbench.sweep.executors import open_executor\n"
            "def wait_long(folder, task):\n"
            "    (Path(folder) / str(os.getpid())).touch()\n"
            "    threading.Event().wait(100)\n"
            "with open_executor(2) as executor:\n"
            "    list(executor.run(wait_long, sys.argv[1], range(10)))\n"
        )
        (tmp_path / "pids").mkdir()
        with subprocess.Popen([sys.executable, str(script), str(tmp_path / "pids")]) as asking:
            wait_for(lambda: len(list((tmp_path / "pids").iterdir())) == 2, "both workers have begun")
            asking.kill()
        workers = [int(path.name) for path in (tmp_path / "pids").iterdir()]
        wait_for(lambda: not any(map(is_alive, workers)), "the workers are gone")

    def test_run_functions_that_a_notebook_defines(self, tmp_path: Path) -> None:
        # What a notebook defines lives in __main__, which no worker can import.
        script = tmp_path / "script.py"
        script.write_text(
            "from workbench.sweep.executors import open_executor\n"
            "class Payload:\n"
            "    factor = 3\n"
            "def multiply(payload, task):\n"
            "    return payload.factor * task\n"
            "with open_executor(2) as executor:\n"
            "    print(sorted(executor.run(multiply, Payload(), range(4))))\n"
        )
        done = subprocess.run(
            [sys.executable, "-W", "error", str(script)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("[(0, 0), (1, 3), (2, 6), (3, 9)]\n", "")


class TestOpening:
    def test_takes_one_worker_a_processor_where_nobody_says(self) -> None:
        with open_executor() as opened:
            assert opened.workers == available_cpus() <= len(os.sched_getaffinity(0))

    def test_runs_a_single_worker_in_this_process(self) -> None:
        with open_executor(1) as opened:
            assert (opened.kind, opened.workers) == ("threads", 1)
            assert list(opened.run(lambda _, task: (os.getpid(), task), None, [1])) == [(1, (os.getpid(), 1))]

    def test_refuses_no_worker_at_all(self) -> None:
        with pytest.raises(SweepError, match="workers=0: use 1 or more"):
            open_executor(0)

    def test_refuses_workers_beside_a_cluster(self) -> None:
        with pytest.raises(SweepError, match="pass either workers or a cluster"):
            open_executor(2, "tcp://127.0.0.1:8786")
