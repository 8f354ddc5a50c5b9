"""What Prefect tells of a deployment that does not run as it should."""

from __future__ import annotations

from workbench.errors import ServerError
from workbench.promotion.namesakes import deployment_named
from workbench.runs.versions import DeploymentState
from workbench.stack.prefect_api import PrefectApi
from workbench.stack.schedules import problem_of

__all__ = ["prefect_problems"]


def prefect_problems(prefect: PrefectApi, pool: str, state: DeploymentState) -> list[str]:
    """Each problem, one sentence each; that Prefect does not answer is one of them."""
    try:
        found = deployment_named(prefect, state.name) if state.kind == "notebook" else None
        if found is None:
            missing = state.kind == "notebook" and state.state == "active"
            return ["Prefect has no deployment of that name; promote it again, or roll it back"] * missing
        return [*_halfway(found, state), *problem_of(prefect, pool, found)]
    except ServerError as error:
        return [f"Prefect does not answer: {error}"]


def _halfway(found: dict[str, object], state: DeploymentState) -> list[str]:
    """A change that was ended before all of it was made."""
    is_paused = bool(found.get("paused"))
    if state.state != "active":
        halfway = f"it is {state.state} here and not in Prefect: {state.state.removesuffix('d')} it again"
        return [] if is_paused else [halfway]
    if is_paused:
        return [
            "it is paused in Prefect alone, so that it does not run: wb.deployments.pause it, then resume"
        ]
    if str(found.get("version")) != str(state.version):
        halfway = (
            f"Prefect has version {found.get('version')}, and version {state.version} is in use: a change is "
            "under way, or was ended halfway; then promote or roll back again"
        )
        return [halfway]
    return []
