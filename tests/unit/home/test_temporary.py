"""Temporary folders go with their maker, also a killed one's, and what is in use or not ours stays."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from workbench.home.files import replace_file
from workbench.home.temporary import LOCK, TemporaryFolder, sweep_folders, sweep_home, temporaries_in

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


def test_it_goes_with_its_block_and_with_its_object(tmp_path: Path) -> None:
    with TemporaryFolder("run", tmp_path) as folder:
        assert folder.parent == tmp_path / "tmp"
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()
    held = TemporaryFolder("sweep", tmp_path)
    path = held.path
    del held
    gc.collect()
    assert not path.exists()


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


def test_a_block_says_which_home(tmp_path: Path) -> None:
    with temporaries_in(tmp_path), TemporaryFolder("sweep") as folder:
        assert folder.parent == tmp_path / "tmp"


def test_in_a_home_s_folder_what_is_not_ours_stays(tmp_path: Path) -> None:
    """The home may be anything, also `~`."""
    tmp = tmp_path / "tmp"
    for name in ("thesis", "worker-12345678"):
        (tmp / name).mkdir(parents=True)
    (tmp / "notes.txt").touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / LOCK).touch()
    (tmp / "run-abcdefgh").symlink_to(elsewhere)
    (tmp / "sweep-12345678").mkdir()
    for path in tmp.iterdir():
        os.utime(path, (0, 0))
    assert sweep_folders(tmp) == [tmp / "sweep-12345678"]
    assert (elsewhere / LOCK).exists()
    assert (tmp / "run-abcdefgh").is_symlink()


def test_files_half_written_go_unless_somebody_writes_them(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "0f0f"
    run.mkdir(parents=True)
    names = {
        run / ".0123456789ab.partial": 60,
        run / ".out.partial.ipynb": 7200,
        tmp_path / ".ff.partial": 60,
    }
    for path, age in names.items():
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    fresh = run / ".123456789abc.partial"
    fresh.touch()
    (run / "out.ipynb").touch()
    assert sorted(sweep_home(tmp_path)) == sorted(names)
    assert sorted(path.name for path in run.iterdir()) == [fresh.name, "out.ipynb"]


def test_a_file_that_is_being_written_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Path] = []
    replace = os.replace

    def look(source: Path, target: Path) -> None:
        os.utime(source, (0, 0))
        seen.extend(tmp_path.glob(".*.partial"))
        assert sweep_home(tmp_path) == []
        replace(source, target)

    monkeypatch.setattr(os, "replace", look)
    replace_file(tmp_path / "a", "b")
    assert len(seen) == 1
    assert (tmp_path / "a").read_text() == "b"
