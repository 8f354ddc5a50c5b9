"""Where a deployment's runs work: the flow is what is shipped, folder and packages are the project's."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from workbench import Settings
from workbench.errors import PromotionRefused
from workbench.paths import shipped
from workbench.project import find as finding
from workbench.project.known import note_project, project_folder
from workbench.promotion.deployments import Deployments
from workbench.promotion.run import _folder_of
from workbench.promotion.where import Owner, find_flow, owner_of, where, work_in_project
from workbench.session import Session

STEP = "workbench.promotion.where.find_flow"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "mine"
    (root / "notebooks" / "deep").mkdir(parents=True)
    (root / "workbench.toml").touch()
    monkeypatch.setenv("WORKBENCH_PROJECT", str(root))
    return root


def test_a_deployment_names_no_path_and_each_machine_finds_the_flow_and_the_project(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = where(Settings.load())
    assert str(tmp_path) not in json.dumps(body)
    assert owner_of(body) == Owner("mine", "trading_system")
    ((step, inputs),) = body["pull_steps"][0].items()
    assert step == STEP
    folder = find_flow(**inputs)["directory"]
    file, _, flow = body["entrypoint"].rpartition(":")
    assert (Path(folder, file), flow) == (shipped("flows") / "run_notebook.py", "run_notebook")
    assert Path(folder, file).is_file()
    # The worker of a home that two projects share has the variable of the one that started it.
    monkeypatch.setenv("WORKBENCH_HOME", str(project / ".workbench"))
    other = tmp_path / "other"
    other.mkdir()
    (other / "workbench.toml").touch()
    monkeypatch.setenv("WORKBENCH_PROJECT", str(other))
    find_flow(**inputs)
    assert os.environ["WORKBENCH_PROJECT"] == str(project)


def test_where_a_machine_does_not_have_the_project_the_workers_own_stays(project: Path) -> None:
    assert find_flow("elsewhere", "trading_system")["directory"] == str(shipped("flows"))
    assert os.environ["WORKBENCH_PROJECT"] == str(project)


def test_a_project_that_was_renamed_or_removed_is_not_the_one_that_the_home_has_noted(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    assert note_project(home) == "mine"
    monkeypatch.delenv("WORKBENCH_PROJECT")
    monkeypatch.chdir(tmp_path)
    assert project_folder(home, "mine") == project
    (project / "workbench.toml").write_text('[project]\nname = "renamed"\n')
    assert project_folder(home, "mine") is None
    (project / "workbench.toml").unlink()
    assert project_folder(home, "mine") is None


def test_a_schedule_without_a_time_zone_is_refused_before_anything_starts(tmp_path: Path) -> None:
    deployments = Deployments(Session(Settings(home=tmp_path / "home")))
    with pytest.raises(
        PromotionRefused, match=r"give one, timezone=.*\[defaults\] timezone in workbench.toml"
    ):
        deployments.promote("a.ipynb", name="a", cron="0 6 * * *")
    assert not (tmp_path / "home").exists()


def test_without_a_project_it_works_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "PACKAGE", tmp_path / "site-packages" / "workbench")
    monkeypatch.chdir(tmp_path)
    settings = Settings(home=tmp_path)
    assert owner_of(where(settings)) == Owner("", "trading_system")
    monkeypatch.delenv("WORKBENCH_PROJECT", raising=False)
    work_in_project(settings)
    assert Path.cwd() == tmp_path


@pytest.mark.parametrize(
    ("name", "folder"),
    [("deep/a.ipynb", "notebooks/deep"), ("a.ipynb", "notebooks"), ("gone/a.ipynb", "notebooks")],
)
def test_a_promoted_notebook_works_where_it_was_as_far_as_that_is_there(
    project: Path, name: str, folder: str
) -> None:
    assert _folder_of(name, Settings.load()) == project / folder


def test_without_the_folder_of_notebooks_it_works_at_the_projects_root(project: Path) -> None:
    (project / "notebooks" / "deep").rmdir()
    (project / "notebooks").rmdir()
    assert _folder_of("deep/a.ipynb", Settings.load()) == project
