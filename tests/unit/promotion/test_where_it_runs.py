"""Where a deployment's runs work: the flow is what is shipped, folder and packages are the project's."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench import Settings
from workbench.errors import PromotionRefused
from workbench.paths import shipped
from workbench.project import find as finding
from workbench.promotion.deploy import _where
from workbench.promotion.deployments import Deployments
from workbench.promotion.run import _folder_of
from workbench.session import Session

WORKS_IN = "prefect.deployments.steps.set_working_directory"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "mine"
    (root / "notebooks" / "deep").mkdir(parents=True)
    (root / "workbench.toml").touch()
    monkeypatch.setenv("WORKBENCH_PROJECT", str(root))
    return root


def test_a_deployment_names_the_shipped_flow_and_works_in_the_project(project: Path) -> None:
    where = _where(Settings.load())
    file, _, flow = where["entrypoint"].rpartition(":")
    assert (Path(file), flow) == (shipped("flows") / "run_notebook.py", "run_notebook")
    assert Path(file).is_absolute()
    assert where["path"] == str(project)
    assert where["pull_steps"] == [{WORKS_IN: {"directory": str(project)}}]
    # The worker of a home that two projects share has the variable of the one that started it.
    assert where["job_variables"] == {"env": {"WORKBENCH_PROJECT": str(project)}}


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
    where = _where(Settings(home=tmp_path))
    assert where["path"] == str(tmp_path)
    assert where["job_variables"] == {}


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
