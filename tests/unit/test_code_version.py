"""The version of the code that a run is recorded with."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from workbench.runs import code
from workbench.version import __version__


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a module and notebooks."""
    (tmp_path / "notebooks").mkdir()
    for name in ("module.py", "top.ipynb", "notebooks/inner.ipynb"):
        (tmp_path / name).write_text("one")
    who = ("-c", "user.name=a", "-c", "user.email=a@localhost")
    for words in (("init", "-q"), ("add", "."), (*who, "commit", "-qm", "first")):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    (tmp_path / "workbench.toml").touch()
    monkeypatch.setenv("WORKBENCH_PROJECT", str(tmp_path))
    return tmp_path


def test_a_notebook_that_was_run_in_jupyterlab_is_no_change_of_the_code(clone: Path) -> None:
    for name in ("top.ipynb", "notebooks/inner.ipynb"):
        (clone / name).write_text("two")
    (clone / "notes.txt").write_text("not tracked")
    version = code.code_version()
    assert "+g" in version
    assert not version.endswith(".dirty")


def test_without_git_it_is_the_version_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "workbench.toml").touch()
    monkeypatch.setenv("WORKBENCH_PROJECT", str(tmp_path))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert code.code_version() == __version__


def test_code_that_was_changed_is_told(clone: Path) -> None:
    (clone / "module.py").write_text("two")
    assert code.code_version().endswith(".dirty")
