"""What the tests of executors let them compute: functions of a payload and a task, in any process."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np

from tests.servers import wait_for


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
    """The process, and the sum of the payload's values and the task."""
    return os.getpid(), float(payload.values.sum()) + task


def add(payload: int, task: int) -> int:
    """The sum of both."""
    return payload + task


def refuse_three(payload: Any, task: int) -> int:
    """The task itself; the third one fails."""
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
    """The fifth task kills its process each time."""
    if task == 5:
        with (folder / "deaths").open("a") as file:
            file.write("died\n")
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def meet(wanted: tuple[Path, int], task: int) -> tuple[int, int]:
    """Wait until so many tasks run at the same time; the process and the thread of this one."""
    folder, number = wanted
    (folder / f"task-{task}").touch()
    wait_for(lambda: len(list(folder.iterdir())) >= number, f"{number} tasks run at the same time")
    return os.getpid(), threading.get_ident()


def wait_for_end(folder: Path, task: int) -> int:
    """The task itself, once the folder has a file `end`; it gets a file `begun`."""
    (folder / "begun").touch()
    wait_for((folder / "end").exists, "the test has ended")
    return task
