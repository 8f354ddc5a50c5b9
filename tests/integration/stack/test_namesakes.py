"""Two projects on one Prefect server: neither takes the other's deployment of the same name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.acceptance.notebooks import write_notebook
from workbench.errors import NotDeployed, PromotionRefused
from workbench.project.create import create_project
from workbench.promotion.deploy import promote
from workbench.promotion.namesakes import deployment_named, refuse_namesake
from workbench.promotion.records import FLOW_NAME
from workbench.promotion.trigger import trigger
from workbench.promotion.where import where
from workbench.schedules import Cron
from workbench.settings import Settings
from workbench.stack.prefect_api import PrefectApi

InProject = Callable[[str], Settings]


@pytest.fixture
def in_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect: PrefectApi) -> InProject:
    """`in_project("mine")`: the settings in a project of that name, with this Prefect server."""

    def enter(name: str) -> Settings:
        root = tmp_path / name
        if not root.exists():
            create_project(root)
        monkeypatch.chdir(root)
        return Settings(prefect_api_url=prefect._url)

    return enter


@pytest.fixture
def deployed(prefect: PrefectApi, in_project: InProject) -> Settings:
    """The project `mine`, which has deployed `nightly`."""
    settings = in_project("mine")
    prefect.ask("/work_pools/", {"name": settings.work_pool, "type": "process"})
    flow = prefect.ask("/flows/", {"name": FLOW_NAME})
    body = {
        "name": "nightly",
        "flow_id": flow["id"],
        "work_pool_name": settings.work_pool,
        "path": str(Path.cwd()),
    }
    prefect.ask("/deployments/", body)
    return settings


def test_a_deployment_is_its_projects_by_name_and_database_whatever_the_folder(
    prefect: PrefectApi, in_project: InProject
) -> None:
    settings = in_project("fund")
    prefect.ask("/work_pools/", {"name": settings.work_pool, "type": "process"})
    flow = prefect.ask("/flows/", {"name": FLOW_NAME})
    body = {"name": "daily", "flow_id": flow["id"], "work_pool_name": settings.work_pool, **where(settings)}
    prefect.ask("/deployments/", body)
    elsewhere = settings.model_copy(update={"work_pool": "another"})
    refuse_namesake(elsewhere, prefect, "daily")
    database = SecretStr("postgresql://me@127.0.0.1/another")
    with pytest.raises(PromotionRefused, match=r"already, fund with the database trading_system and"):
        refuse_namesake(elsewhere.model_copy(update={"database_url": database}), prefect, "daily")
    with pytest.raises(PromotionRefused, match=r"already, fund with the database trading_system and"):
        refuse_namesake(in_project("other"), prefect, "daily")
    slots: Any = None  # refused before any is looked at
    with pytest.raises(NotDeployed, match=r"another project of this Prefect server, fund with the database"):
        trigger(in_project("other"), prefect, slots, "daily")
    # Of its pool it is the same project's, from whichever folder.
    refuse_namesake(settings, prefect, "daily")


def test_each_project_keeps_its_own(prefect: PrefectApi, deployed: Settings, in_project: InProject) -> None:
    assert deployed.work_pool == "workbench-mine"
    before = deployment_named(prefect, "nightly")
    other = in_project("other")
    assert other.work_pool == "workbench-other"
    slots: Any = None  # refused before any is looked at
    notebook = write_notebook(Path("notebooks/one.ipynb"), parameters="fast = 20", cells=["fast"])
    with pytest.raises(PromotionRefused, match=r"a deployment nightly of another project.*workbench-mine"):
        promote(
            other, prefect, slots, notebook, versions=slots, name="nightly", schedule=Cron("0 0 1 1 *", "UTC")
        )
    with pytest.raises(NotDeployed, match=r"nightly is deployed by another project.*/mine"):
        trigger(other, prefect, slots, "nightly")
    assert deployment_named(prefect, "nightly") == before
    refuse_namesake(other, prefect, "weekly")
    # Its own, also from another pool, and that of its pool from another machine's folder, are replaced.
    refuse_namesake(in_project("mine"), prefect, "nightly")
    refuse_namesake(deployed.model_copy(update={"work_pool": "nightly"}), prefect, "nightly")
    in_project("elsewhere")
    refuse_namesake(deployed, prefect, "nightly")
