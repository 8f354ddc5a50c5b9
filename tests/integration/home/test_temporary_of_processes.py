"""A temporary folder goes with the process that made it, also a killed one's; a living one's stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from workbench.home.temporary import TemporaryFolder, sweep_home

MAKER = """
import sys, time
from pathlib import Path
from workbench.home.temporary import TemporaryFolder
home = Path(sys.argv[1]) if len(sys.argv) > 1 else None
folder = TemporaryFolder("run", home)
(folder.path / "left.ipynb").write_text("{}")
print(folder.path, flush=True)
time.sleep(60)
"""


def made_by_another(*arguments: str) -> tuple[subprocess.Popen[str], Path]:
    maker = subprocess.Popen([sys.executable, "-c", MAKER, *arguments], stdout=subprocess.PIPE, text=True)
    assert maker.stdout is not None
    return maker, Path(maker.stdout.readline().strip())


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_it_goes_at_the_end_of_its_process(tmp_path: Path) -> None:
    program = MAKER.replace("time.sleep(60)", "")
    said = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip().startswith(str(tmp_path / "tmp" / "run-"))
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_killed_one_s_goes_when_the_next_is_made_and_a_living_one_s_stays(tmp_path: Path) -> None:
    killed, left = made_by_another(str(tmp_path))
    living, used = made_by_another(str(tmp_path))
    kill(killed)
    assert left.exists()
    try:
        with TemporaryFolder("run", tmp_path):
            assert not left.exists()
            assert used.exists()
        assert sweep_home(tmp_path) == []
    finally:
        kill(living)
    assert sweep_home(tmp_path) == [used]
    assert not used.exists()


def test_without_a_home_it_is_the_system_s_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    killed, left = made_by_another()
    kill(killed)
    # Like those of an earlier version, or of somebody else: there is nothing to tell whether it is used.
    other = tmp_path / "workbench-run-12345678"
    other.mkdir()
    os.utime(other, (0, 0))
    with TemporaryFolder("run") as folder:
        assert folder.parent == tmp_path
        assert not left.exists()
    assert [path.name for path in tmp_path.iterdir()] == [other.name]
