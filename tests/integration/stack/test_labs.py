"""JupyterLab and its kernels are known by the home they work on, and by nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workbench.embedded.process import is_alive
from workbench.stack.labs import end_labs, lab_processes

Start = Callable[..., int]


@pytest.fixture
def start() -> Iterator[Start]:
    """`start(home, *arguments, **variables)`: a process that is called like a kernel, and only waits."""
    children = []

    def run(home: Path | None, *arguments: str, **variables: str) -> int:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("WORKBENCH_")}
        if home is not None:
            environment["WORKBENCH_HOME"] = str(home)
        waits = [sys.executable, "-c", "print(flush=True); input()", *arguments]
        child = subprocess.Popen(
            waits, env=environment | variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        children.append(child)
        assert child.stdout is not None
        child.stdout.readline()
        return child.pid

    yield run
    for child in children:
        child.kill()
        child.communicate()


def test_those_of_this_home_are_named_and_no_others(start: Start, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    kernel = start(home, "ipykernel_launcher", JPY_SESSION_NAME="/clone/notebooks/one.ipynb")
    lab = start(home, "jupyterlab")
    other_home = start(tmp_path / "other", "ipykernel_launcher")
    headless = start(home, "ipykernel_launcher", WORKBENCH_RUN_ID="1")
    nameless = start(None, "ipykernel_launcher")
    something_else = start(home)
    found = lab_processes(home)
    assert [(one.pid, one.what) for one in found] == [(lab, "JupyterLab"), (kernel, "kernel of one.ipynb")]
    assert all(one.memory > 1_000_000 for one in found)
    end_labs(found)
    assert [is_alive(pid) for pid in (kernel, lab)] == [False, False]
    assert all(is_alive(pid) for pid in (other_home, headless, nameless, something_else))


def test_a_home_is_the_same_by_another_spelling(start: Start, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "link").symlink_to(home)
    kernel = start(tmp_path / "link", "ipykernel_launcher")
    assert [one.pid for one in lab_processes(home)] == [kernel]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process of another account")
def test_those_of_another_account_are_left_alone(start: Start, tmp_path: Path) -> None:
    child = subprocess.Popen(
        ["/bin/sh", "-c", "echo; read x", "ipykernel_launcher"],
        env={"WORKBENCH_HOME": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        user="nobody",
    )
    try:
        assert child.stdout is not None
        child.stdout.readline()
        assert lab_processes(tmp_path) == []
    finally:
        child.kill()
        child.communicate()
