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


def test_a_module_that_was_used_and_is_not_as_it_was_committed_is_told(clone: Path) -> None:
    assert not code.code_version(["module.py"]).endswith(".dirty")
    (clone / "module.py").write_text("two")
    assert code.code_version(["module.py"]).endswith(".dirty")
    assert not code.code_version(["other.py"]).endswith(".dirty")


def test_a_module_that_git_does_not_know_differs_from_the_commit(clone: Path) -> None:
    (clone / "fresh[1].py").touch()
    (clone / ".gitignore").write_text("ignored.py\n")
    (clone / "ignored.py").touch()
    for used in ("fresh[1].py", "ignored.py", ".beside/near.py"):
        assert code.code_version([used]).endswith(".dirty"), used


def test_in_the_clone_the_package_itself_is_used(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clone / "workbench").mkdir()
    monkeypatch.setattr(code, "PACKAGE", clone / "workbench")
    (clone / "workbench" / "session.py").touch()
    subprocess.run(["git", "-C", str(clone), "add", "workbench"], check=True)
    assert code.code_version().endswith(".dirty")


def test_a_promoted_notebook_runs_the_code_of_its_promotion(clone: Path) -> None:
    assert code.promoted_code_version("gabc") == f"{__version__}+gabc"
    assert code.promoted_code_version(None) == __version__
