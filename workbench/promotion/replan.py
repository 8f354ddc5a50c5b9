"""Gives a deployment another schedule, or none, and withdraws the runs that the earlier one has planned."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from workbench.errors import NotDeployed
from workbench.promotion.namesakes import deployment_named
from workbench.promotion.superseded import settle_withdrawn, withdraw_superseded
from workbench.runs.slot_store import SlotStore
from workbench.schedules import schedule_from_json
from workbench.stack.carried import labels_of
from workbench.stack.planning import plan_ahead
from workbench.stack.prefect_api import PrefectApi
from workbench.stack.timetable import timetable_of

__all__ = ["keep_one_schedule", "planned_anew", "replan", "schedules_of"]

# Labels and schedules change together only where a deployment is created again; what is left out of that is
# lost in part.
_KEPT = (
    "name",
    "flow_id",
    "version",
    "description",
    "tags",
    "parameters",
    "parameter_openapi_schema",
    "enforce_parameter_schema",
    "path",
    "entrypoint",
    "pull_steps",
    "job_variables",
    "paused",
    "work_pool_name",
    "work_queue_name",
)


def schedules_of(schedule: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a deployment's body in Prefect says of a schedule that holds from now on.

    Parameters
    ----------
    schedule : mapping, optional
        As `deployment_versions.schedule` has it. None, and a kind without moments of its own: no schedule.

    Raises
    ------
    ScheduleRefused
        It can be no longer, as when the installed packages do not know its calendar.
    """
    found = schedule_from_json(schedule or {})
    entries = [] if found is None or not found.is_prefects else [{"active": True, "schedule": found.rule()}]
    return {"schedules": entries, "labels": labels_of(schedule, datetime.now(UTC))}


def replan(
    prefect: PrefectApi,
    deployment: str,
    schedule: Mapping[str, Any] | None,
    *,
    slots: SlotStore | None = None,
) -> None:
    """Give a deployment another schedule, or none; all else about it stays as it is.

    Parameters
    ----------
    prefect : PrefectApi
    deployment : str
        Its name.
    schedule : mapping, optional
        As `deployment_versions.schedule` has it. None: nothing is due, and what lies ahead is withdrawn.
    slots : SlotStore, optional
        Takes in that the slots of withdrawn runs are cancelled.

    Raises
    ------
    NotDeployed
        There is no such deployment.
    ScheduleRefused
        The schedule can be no longer.
    """
    found = deployment_named(prefect, deployment)
    if found is None:
        raise NotDeployed(f"nothing is deployed as {deployment}; wb.deployments.list() says what is")
    kept = {name: found[name] for name in _KEPT if found.get(name) is not None}
    prefect.ask("/deployments/", {**kept, **schedules_of(schedule)})
    planned_anew(prefect, str(found["id"]), schedule, slots)


def planned_anew(
    prefect: PrefectApi, deployment_id: str, schedule: Mapping[str, Any] | None, slots: SlotStore | None
) -> None:
    """Withdraw what an earlier schedule has planned, and make ahead what a calendar needs."""
    schedule_id = keep_one_schedule(prefect, deployment_id, schedule)
    facts = prefect.ask(f"/deployments/{deployment_id}")
    withdrawn = withdraw_superseded(prefect, deployment_id, schedule_id, timetable_of(facts))
    if slots is not None:
        settle_withdrawn(slots, timetable_of(facts), withdrawn)
    plan_ahead(prefect, facts)


def keep_one_schedule(prefect: PrefectApi, deployment_id: str, schedule: Mapping[str, Any] | None) -> str:
    """Delete earlier versions' schedules, which Prefect may leave beside the new one; return its id."""
    found, kept = schedule_from_json(schedule or {}), ""
    for entry in prefect.ask(f"/deployments/{deployment_id}/schedules"):
        is_it = found is not None and found.is_prefects and _same(found.rule(), entry["schedule"])
        if is_it and not kept:
            kept = str(entry["id"])
        else:
            prefect.ask(f"/deployments/{deployment_id}/schedules/{entry['id']}", method="DELETE")
    return kept


def _same(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> bool:
    # Not the anchor, which Prefect writes in its own way.
    return all(there.get(name) == wanted.get(name) for name in ("cron", "interval", "rrule", "timezone"))
