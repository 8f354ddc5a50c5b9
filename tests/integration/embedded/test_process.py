"""A managed process outlives its starter, is found again, never confused with another, and can be stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from workbench.embedded.process import MARK, ManagedProcess, is_alive, marked, stop_process, wait_until
from workbench.errors import ServerError

SLEEP = ["sleep", "300"]


@pytest.fixture
def process(tmp_path: Path) -> Iterator[ManagedProcess]:
    managed = ManagedProcess("sleeper", tmp_path)
    yield managed
    managed.stop(patience=1)


def start(process: ManagedProcess, command: list[str] | None = None, **environment: str) -> int:
    return process.start(
        command or SLEEP, environment={"PATH": os.environ["PATH"], **environment}, folder=Path("/")
    )


def test_another_object_finds_the_process(process: ManagedProcess, tmp_path: Path) -> None:
    pid = start(process)
    assert ManagedProcess("sleeper", tmp_path).pid() == pid


def test_it_is_detached_from_its_starter(process: ManagedProcess) -> None:
    pid = start(process)
    assert os.getsid(pid) == pid != os.getsid(0)
    assert Path(f"/proc/{pid}/fd/0").readlink() == Path("/dev/null")


def test_it_lives_on_when_its_starter_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from workbench.embedded.process import ManagedProcess;"
        "ManagedProcess('sleeper', Path(sys.argv[1])).start(['sleep', '300'], environment=dict(os.environ),"
        " folder=Path('/')); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=60)
    process = ManagedProcess("sleeper", tmp_path)
    assert process.pid() is not None
    assert process.stop(patience=5)


def test_stopping_leaves_no_process_and_can_be_repeated(process: ManagedProcess) -> None:
    pid = start(process)
    assert process.stop()
    assert not is_alive(pid)
    assert not process.pid_file.exists()
    assert not process.stop()


def test_one_that_ignores_the_polite_signal_is_killed_with_its_children(process: ManagedProcess) -> None:
    pid = start(process, ["sh", "-c", 'trap "" TERM; sleep 300 & echo $!; wait; sleep 300'])
    assert wait_until(lambda: bool(process.new_log().strip()), 10)
    child = int(process.new_log())
    process.stop(patience=0.2)
    assert not is_alive(pid)
    assert not is_alive(child)


def test_a_pid_that_belongs_to_another_process_now_is_not_ours(process: ManagedProcess) -> None:
    start(process)
    record = json.loads(process.pid_file.read_text())
    ours = psutil.Process().pid
    process.stop()
    for stale in (
        record | {"pid": ours},
        record | {"pid": ours, "command": psutil.Process().name()},
        {"pid": ours},
        {},
    ):
        process.pid_file.write_text(json.dumps(stale))
        assert process.pid() is None


@pytest.mark.parametrize("damage", ["", "nonsense", "[]", '{"pid": "x"}'])
def test_a_damaged_pid_file_means_that_nothing_runs(process: ManagedProcess, damage: str) -> None:
    process.pid_file.parent.mkdir(parents=True)
    process.pid_file.write_text(damage)
    assert process.pid() is None


def test_the_last_words_are_those_of_the_last_start(process: ManagedProcess) -> None:
    for word in ("first", "second"):
        pid = start(process, ["echo", word])
        assert wait_until(lambda pid=pid: not is_alive(pid), 10)  # type: ignore[misc]
    assert process.last_words() == "second"
    assert process.log_file.read_text() == "first\nsecond\n"


def test_a_program_that_is_not_there_is_named(process: ManagedProcess) -> None:
    with pytest.raises(ServerError, match=r"sleeper cannot be started: /no/such/program: No such file"):
        start(process, ["/no/such/program"])


def test_marked_processes_are_found_but_never_ourselves(
    process: ManagedProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MARK, str(tmp_path))
    pid = start(process, SLEEP, **{MARK: str(tmp_path)})
    assert [found.pid for found in marked(tmp_path)] == [pid]


def test_stopping_what_is_gone_is_no_error() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    stop_process(child.pid)
