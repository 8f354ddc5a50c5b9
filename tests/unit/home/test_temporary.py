"""Temporary folders go with their block, and what is in use or not ours stays."""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path

import pytest

from workbench.home.files import replace_file
from workbench.home.temporary import LOCK, TemporaryFolder, sweep_folders, sweep_home, temporaries_in


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
