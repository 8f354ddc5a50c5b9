"""Tests write into memory where there is room, else into the system's temporary folder, and sweep both."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from benchmarks.session import session_folder
from tests.session import folder_in_memory
from workbench.home.temporary import LOCK


@pytest.fixture(autouse=True)
def _system(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a session's own beginning: nobody has named a temporary folder yet."""
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr(tempfile, "tempdir", None)


def test_memory_is_taken_where_a_session_s_files_have_room(tmp_path: Path) -> None:
    assert folder_in_memory(tmp_path, files=1) == tmp_path
    assert folder_in_memory(tmp_path, files=2**60) is None
    assert folder_in_memory(tmp_path / "none", files=1) is None


def test_a_temporary_folder_that_somebody_names_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert folder_in_memory(tmp_path, files=1) is None


def test_a_session_sweeps_where_it_writes_and_where_it_would_without_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, memory = tmp_path / "system", tmp_path / "memory"
    killed = [above / "workbench-kind-of-a-killed-session" for above in (system, memory)]
    for folder in killed:
        folder.mkdir(parents=True)
        (folder / LOCK).touch()
    monkeypatch.setattr(tempfile, "tempdir", str(system))
    with session_folder("kind", memory) as made:
        assert made.parent == memory
        assert (os.environ["TMPDIR"], tempfile.gettempdir()) == (str(made), str(made))
        assert not any(folder.exists() for folder in killed)
    assert not made.exists()
    assert "TMPDIR" not in os.environ
