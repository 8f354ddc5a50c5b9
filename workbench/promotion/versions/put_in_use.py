"""Puts a stored version of a deployment to use: Prefect's deployment becomes that version's, and runs get it.

It speaks Prefect's REST API, which is the same for every 3.x server, so that neither a command nor a
notebook has to import Prefect.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

from workbench.errors import PromotionRefused
from workbench.promotion.flow_schema import flow_schema
from workbench.promotion.ingesting import ingestion_parameters
from workbench.promotion.namesakes import deployment_named
from workbench.promotion.records import FLOW_NAME, Deployment
from workbench.promotion.replan import planned_anew, schedules_of
from workbench.promotion.slots import await_plan
from workbench.promotion.version import Version
from workbench.promotion.versions.schedule_facts import schedule_in_words, zone_of
from workbench.promotion.where import where
from workbench.runs.slot_store import SlotStore
from workbench.runs.versions import DeploymentVersion, Kind, VersionStore
from workbench.schedules import schedule_from_json
from workbench.settings import Settings
from workbench.stack.model import Progress
from workbench.stack.passed_slots import settle_deployment
from workbench.stack.prefect_api import PrefectApi, PrefectRefused
from workbench.stack.schedules import next_run_of
from workbench.stack.timetable import timetable_of

__all__ = ["put_in_use", "shadowed"]

_MADE = {
    "promoted": "promoted by workbench",
    "rolled_back": "rolled back to version {of} by workbench",
    "cut_over": "cut over from the shadow, version {of}, by workbench",
}


def put_in_use(
    settings: Settings,
    prefect: PrefectApi,
    slots: SlotStore,
    versions: VersionStore,
    version: DeploymentVersion,
    stored: Version | None,
    *,
    kind: Kind = "notebook",
    doubts: Sequence[str] = (),
    progress: Progress,
) -> Deployment:
    """Make Prefect's deployment that of a stored version, which every run gets that starts from now on.

    Runs that an earlier schedule has planned are withdrawn, and its slots are settled. If this is ended
    halfway, the next promotion or rollback of that name mends what it finds.

    Parameters
    ----------
    settings : Settings
    prefect : PrefectApi
    slots : SlotStore
    versions : VersionStore
        In which it is the deployment's turn (`VersionStore.alone`).
    version : DeploymentVersion
    stored : Version or None
        Its content; None of an ingestion, which has none.
    kind : str
        "notebook" or "ingest".
    doubts : sequence of str
        What is doubtful about it, each as a sentence, for Prefect's description.
    progress : callable

    Raises
    ------
    PromotionRefused
        Prefect refuses it; the version that was in use before stays so.
    """
    name = version.deployment
    declared = ingestion_parameters() if stored is None else stored.file.parameters
    flow_parameters: dict[str, Any] = {
        "notebook": version.notebook,
        **({} if version.content is None else {"sha256": version.content}),
        "parameters": dict(version.parameters),
        "slot": None,
        "version": None,
        **{name: value for name, value in version.options.items() if name != "each"},
    }
    _ensure_work_pool(prefect, settings.work_pool)
    flow = prefect.ask("/flows/", {"name": FLOW_NAME})
    body = {
        "name": name,
        "flow_id": flow["id"],
        "version": str(version.version),
        "description": _description(version, doubts),
        **where(settings),
        "work_pool_name": settings.work_pool,
        "tags": ["workbench", PurePath(version.notebook).stem],
        "parameters": flow_parameters,
        "parameter_openapi_schema": flow_schema(declared, flow_parameters),
        "enforce_parameter_schema": True,
        "paused": False,
        **schedules_of(version.schedule),
    }
    # Before its schedule is gone, and with it the runs that Prefect had planned.
    if (replaced := deployment_named(prefect, name)) is not None:
        settle_deployment(slots, timetable_of(replaced), datetime.now(UTC))
    try:
        created = prefect.ask("/deployments/", body)
    except PrefectRefused as error:
        raise PromotionRefused(f"Prefect refuses the deployment {name}: {_first_reason(error)}") from error
    versions.use(name, version.version, kind=kind)
    deployment_id = str(created["id"])
    planned_anew(prefect, deployment_id, version.schedule, slots)
    schedule = schedule_from_json(version.schedule)
    next_run = None
    if schedule is not None:
        first = schedule.next(datetime.now(UTC))
        next_run = await_plan(prefect, deployment_id, first[0] if first else None, progress)
    # Once more: the scheduler may have been in the middle of its pass.
    planned_anew(prefect, deployment_id, version.schedule, slots)
    return _deployment(version, stored, deployment_id, next_run, doubts)


def shadowed(
    prefect: PrefectApi, version: DeploymentVersion, stored: Version, doubts: Sequence[str]
) -> Deployment:
    """A version that is to run as a shadow only: Prefect's deployment stays that of the one in use."""
    found = deployment_named(prefect, version.deployment)
    deployment_id = "" if found is None else str(found["id"])
    next_run = next_run_of(prefect, deployment_id) if deployment_id else None
    return _deployment(version, stored, deployment_id, next_run, doubts)


def _deployment(
    version: DeploymentVersion,
    stored: Version | None,
    deployment_id: str,
    next_run: datetime | None,
    doubts: Sequence[str],
) -> Deployment:
    return Deployment(
        name=version.deployment,
        deployment_id=deployment_id,
        notebook=version.notebook,
        sha256="" if stored is None else stored.sha256,
        schedule=schedule_in_words(version.schedule),
        timezone=zone_of(version.schedule),
        parameters=dict(version.parameters),
        next_run=next_run,
        modules=() if stored is None else tuple(stored.modules),
        files=() if stored is None else tuple(stored.files),
        doubts=tuple(doubts),
        version=version.version,
    )


def _description(version: DeploymentVersion, doubts: Sequence[str]) -> str:
    """What Prefect's page of the deployment says."""
    made = _MADE[version.made].format(of=version.of_version)
    content = (version.content or "")[:12]
    which = f"version {version.version}{f', {content}' if content else ''}"
    said = [f"`{version.notebook}` ({which}), {made}."]
    said += [version.note] if version.note else []
    said += [f"Forced by {version.made_by}: {version.forced}."] if version.forced else []
    return "\n\n".join([*said, *doubts])


def _first_reason(error: PrefectRefused) -> str:
    """The part of Prefect's answer about the given value; it also lists every other kind of schedule."""
    parts = error.reason.split("; ")
    return next((part.removeprefix("Value error, ") for part in parts if "Value error" in part), error.reason)


def _ensure_work_pool(prefect: PrefectApi, name: str) -> None:
    try:
        prefect.ask("/work_pools/", {"name": name, "type": "process"})
    except PrefectRefused as error:
        if error.status != 409:  # 409: it is there already
            raise
