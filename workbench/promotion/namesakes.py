"""Deployments of one name by two projects on one Prefect server, which holds a name only once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from workbench.errors import PromotionRefused
from workbench.project import find_project
from workbench.project.name import project_name
from workbench.promotion.records import FLOW_NAME
from workbench.promotion.where import Owner, owner_of
from workbench.settings import Settings
from workbench.stack.prefect_api import PrefectApi, PrefectRefused

__all__ = ["deployment_named", "is_another_projects", "refuse_namesake", "told_of"]


def deployment_named(prefect: PrefectApi, name: str) -> Any:
    """What Prefect knows of the deployment of that name; None without one."""
    try:
        return prefect.ask(f"/deployments/name/{FLOW_NAME}/{quote(name, safe='')}")
    except PrefectRefused as error:
        if error.status == 404:
            return None
        raise


def is_another_projects(settings: Settings, found: Mapping[str, Any]) -> bool:
    """Whether a deployment is in another work pool, and of another project or in another database.

    Of one that an earlier version made only the folder tells the project.
    """
    if found.get("work_pool_name") == settings.work_pool:
        return False
    root, owner = find_project(), owner_of(found)
    if owner is None:
        return found.get("path") != str(root or settings.home)
    return root is None or owner != Owner(project_name(root), settings.trading_database)


def told_of(found: Mapping[str, Any]) -> str:
    """Whose a deployment is, in words."""
    owner = owner_of(found)
    if owner is None:
        return f"in {found.get('path')}"
    return f"{owner.project or 'one without a name'} with the database {owner.database}"


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
            f"this Prefect server has a deployment {name} of another project already, {told_of(found)} and "
            f"the work pool {found.get('work_pool_name')}; choose another name, or delete that one"
        )
