"""What runs of this account is found by its processes, whatever became of them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from tests.servers import wait_for
from workbench.embedded.accounts import server_account
from workbench.embedded.process import MARK, ManagedProcess
from workbench.project.create import create_project
from workbench.settings import Settings
from workbench.stack import RunningProject, Stack, running_projects


def listed(home: Path) -> RunningProject | None:
    return next((one for one in running_projects() if one.home == home), None)


@contextmanager
def sleeping(environment: Mapping[str, str], user: int | None = None) -> Iterator[psutil.Process]:
    """A process with that environment."""
    with subprocess.Popen(["sleep", "600"], env=dict(environment), user=user) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.kill()


def test_servers_that_a_notebook_started_are_listed_until_they_are_stopped(
    settings: Settings, folder: Path
) -> None:
    create_project(folder / "clone")
    assert listed(settings.home) is None
    before = datetime.now(UTC)
    Stack(settings).start_servers()
    found = listed(settings.home)
    assert found is not None
    assert (found.name, found.root) == ("clone", folder / "clone")
    assert (found.state, found.running, found.down) == ("servers only", ("PostgreSQL", "Valkey"), ())
    assert found.prefect_url is None
    # A process's start is told in ticks of the clock.
    assert before - timedelta(seconds=1) < found.since <= datetime.now(UTC)
    Stack(settings).down()
    assert listed(settings.home) is None


def test_a_server_that_was_killed_is_told(settings: Settings) -> None:
    Stack(settings).start_servers()
    pid = ManagedProcess("valkey", settings.home).pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: ManagedProcess("valkey", settings.home).pid() is None, "Valkey has ended")
    found = listed(settings.home)
    assert found is not None
    assert (found.name, found.root) == ("", None)
    assert (found.state, found.running, found.down) == ("partly down", ("PostgreSQL",), ("Valkey",))


def test_servers_of_a_closed_home_are_found_outside_of_it(settings: Settings, folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root's PostgreSQL is run by another account")
    (folder / "clone").mkdir(mode=0o700)
    Stack(settings).start_servers()
    assert not (settings.home / "postgres").exists()
    found = listed(settings.home)
    assert found is not None
    assert found.running == ("PostgreSQL", "Valkey")


def test_a_home_is_not_listed_for_a_kernel_alone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with sleeping({**os.environ, MARK: str(tmp_path)}):
        assert listed(tmp_path) is None


def test_what_was_killed_with_the_machine_is_not_listed(tmp_path: Path) -> None:
    """The pid files of then are there, and their pids are other processes' now."""
    with sleeping({**os.environ, MARK: str(tmp_path)}) as other:
        for name in ("supervisor", "worker", "postgres"):
            process = ManagedProcess(name, tmp_path)
            process.adopt(other.pid)
            text = process.pid_file.read_text()
            process.pid_file.write_text(text.replace('"started": "', '"started": "another boot/'))
        assert listed(tmp_path) is None


def test_a_home_that_was_moved_or_removed_is_not_listed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with sleeping({**os.environ, MARK: str(home)}) as process:
        ManagedProcess("worker", home).adopt(process.pid)
        found = listed(home)
        assert found is not None
        assert (found.state, found.running) == ("partly down", ("worker",))
        home.rename(tmp_path / "moved")
        assert listed(home) is None
        shutil.rmtree(tmp_path / "moved")


def test_another_accounts_stack_is_not_listed(folder: Path) -> None:
    account = server_account(None)
    if account is None:
        pytest.skip("only root can start a process of another account")
    home = folder / "theirs"
    with sleeping({"PATH": os.defpath, MARK: str(home)}, user=account.uid) as process:
        ManagedProcess("worker", home).adopt(process.pid)
        # Theirs in every other way, too.
        for path in (home, home / "run", home / "run" / "worker.pid"):
            os.chown(path, account.uid, account.gid)
        assert listed(home) is None
