"""The project is found as git finds its own, and what the package ships wherever it lies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbench import Settings
from workbench.errors import NotebookError, ProjectMissing, SettingsError
from workbench.headless.notebook_file import find_notebook
from workbench.paths import PACKAGE, shipped
from workbench.project import find as finding
from workbench.project import find_project, project_environment, the_project
from workbench.runs.code import code_version, shown_name
from workbench.stack.environment import process_environment
from workbench.version import __version__

CLONE = Path(__file__).resolve().parents[3]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a notebook, in whose folder of notebooks this process works."""
    root = tmp_path / "mine"
    (root / "notebooks" / "deep").mkdir(parents=True)
    (root / "workbench.toml").touch()
    (root / "notebooks" / "deep" / "one.ipynb").write_text("{}")
    monkeypatch.chdir(root / "notebooks")
    return root


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in no project, with a package that was not installed from a clone."""
    monkeypatch.setattr(finding, "PACKAGE", tmp_path / "site-packages" / "workbench")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["sql/roles.sql", "flows/run_notebook.py", "notebooks/00_start_here.ipynb"])
def test_what_is_shipped_is_the_clones_unless_a_wheel_brought_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _, file = name.partition("/")
    assert shipped(folder) / file == CLONE / name
    assert (shipped(folder) / file).is_file()
    (tmp_path / "shipped").mkdir()
    monkeypatch.setattr("workbench.paths.PACKAGE", tmp_path)
    assert shipped(folder) == tmp_path / "shipped" / folder


def test_the_nearest_folder_upwards_with_a_marker_is_the_project(project: Path) -> None:
    assert find_project() == project
    assert Settings.load().home == project / ".workbench"


def test_outside_of_any_project_the_clone_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_project() == CLONE == PACKAGE.parent


def test_the_variable_comes_before_the_working_folder(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("WORKBENCH_PROJECT", str(other))
    with pytest.raises(SettingsError, match=r"^WORKBENCH_PROJECT: .*other is no project.*workbench\.toml"):
        find_project()
    (other / "workbench.toml").touch()
    assert find_project() == other
    monkeypatch.setenv("WORKBENCH_PROJECT", " ")
    assert find_project() == project


def test_without_a_project_a_sentence_says_what_to_do(nowhere: Path) -> None:
    assert find_project() is None
    for ask in (the_project, Settings.load, Settings):
        with pytest.raises(ProjectMissing, match="not in a project; make one with: workbench init"):
            ask()


def test_without_a_project_a_home_of_ones_own_is_enough(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Settings(home=nowhere / "home").home == nowhere / "home"
    assert "WORKBENCH_PROJECT" not in process_environment(Settings(home=nowhere / "home"), {})
    assert code_version() == __version__
    assert shown_name(nowhere / "a.ipynb") == str(nowhere / "a.ipynb")
    with pytest.raises(NotebookError, match=r"no notebook b\.ipynb in .*, and no project; workbench init"):
        find_notebook("b.ipynb")
    monkeypatch.setenv("WORKBENCH_HOME", str(nowhere / "named"))
    assert Settings.load().home == nowhere / "named"


def test_a_working_folder_that_was_deleted_is_in_no_project(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nowhere / "gone").mkdir()
    monkeypatch.chdir(nowhere / "gone")
    (nowhere / "gone").rmdir()
    with pytest.raises(ProjectMissing):
        the_project()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_project_of_another_account_is_used_only_where_it_is_named(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.chown(project / "workbench.toml", 65534, 65534)
    with pytest.raises(SettingsError, match=rf"another account.*set WORKBENCH_PROJECT={project}"):
        find_project()
    monkeypatch.setenv("WORKBENCH_PROJECT", str(project))
    assert find_project() == project


def test_a_notebook_goes_by_its_path_below_notebooks(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = project / "notebooks" / "deep" / "one.ipynb"
    monkeypatch.setenv("WORKBENCH_PROJECT", str(project))
    monkeypatch.chdir("/")
    assert find_notebook("deep/one") == path
    assert find_notebook("notebooks/deep/one.ipynb") == path
    assert shown_name(path) == "deep/one.ipynb"


def test_processes_belong_to_the_project_and_import_its_packages(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "strategies").mkdir()
    (project / "strategies" / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", "/before")
    environment = process_environment(Settings.load(), {})
    assert environment["WORKBENCH_PROJECT"] == str(project)
    assert environment["PYTHONPATH"].split(os.pathsep) == [str(CLONE), str(project), "/before"]
    program = "import strategies, workbench.project as p; print(strategies.__file__, p.find_project())"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd="/", capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(project / "strategies" / "__init__.py"), str(project)]


def test_an_installed_package_is_not_put_before_pythons_own_modules(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "PACKAGE", Path("/env/lib/site-packages/workbench"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert project_environment()["PYTHONPATH"] == str(project)
