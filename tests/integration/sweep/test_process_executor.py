"""Processes that compute a sweep's chunks: what they keep to themselves, what they leave, how they end."""

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
import psutil
import pytest

from tests.integration.sweep.tasks import add, die_always
from tests.servers import wait_for
from workbench.errors import SweepError
from workbench.sweep.executors import Executor, open_executor


@pytest.fixture
def processes() -> Iterator[Executor]:
    with open_executor(2) as opened:
        yield opened


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


class TestProcesses:
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

    def test_that_one_task_kills_each_time_are_not_blamed_on_the_tasks_beside_it(
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
