"""Deployments of one name by two projects on one Prefect server, which holds a name only once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from workbench.errors import PromotionRefused
from workbench.project import find_project
from workbench.promotion.records import FLOW_NAME
from workbench.settings import Settings
from workbench.stack.prefect_api import PrefectApi, PrefectRefused

__all__ = ["deployment_named", "is_another_projects", "refuse_namesake"]


def deployment_named(prefect: PrefectApi, name: str) -> Any:
    """What Prefect knows of the deployment of that name; None without one."""
    try:
        return prefect.ask(f"/deployments/name/{FLOW_NAME}/{quote(name, safe='')}")
    except PrefectRefused as error:
        if error.status == 404:
            return None
        raise


def is_another_projects(settings: Settings, found: Mapping[str, Any]) -> bool:
    """Whether a deployment is in another work pool, and works in another folder than this project's."""
    folder = str(find_project() or settings.home)
    return found.get("work_pool_name") != settings.work_pool and found.get("path") != folder


def refuse_namesake(settings: Settings, prefect: PrefectApi, name: str) -> None:
    """Refuse to replace another project's deployment.

    Raises
    ------
    PromotionRefused
        There is one of that name.
    """
    found = deployment_named(prefect, name)
    if found is not None and is_another_projects(settings, found):
        raise PromotionRefused(
            f"this Prefect server has a deployment {name} of another project already, in {found.get('path')} "
            f"with the work pool {found.get('work_pool_name')}; choose another name, or delete that one"
        )
