"""Promotes a notebook to a Prefect deployment with a schedule, and triggers deployments.

It speaks Prefect's REST API, which is the same for every 3.x server, so that neither a command nor a
notebook has to import Prefect.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from workbench.display.card import card_html
from workbench.errors import NotebookError, ParametersRefused, PromotionRefused, ServerError
from workbench.paths import PROJECT_ROOT
from workbench.promotion.cron import wrong_field
from workbench.promotion.parameters import NotebookParameters
from workbench.promotion.readiness import reservations
from workbench.promotion.refusals import refused_by_strategies
from workbench.promotion.run import check_timeout, find_notebook
from workbench.promotion.store import NotebookStore
from workbench.promotion.superseded import withdraw_superseded
from workbench.runs.code import shown_name
from workbench.runs.notebook import Notebook, read_notebook
from workbench.settings import Settings
from workbench.spelling import did_you_mean, near_names
from workbench.stack.model import Progress
from workbench.stack.prefect_api import PrefectApi, PrefectRefused
from workbench.stack.schedules import PLANNED_AHEAD, in_zone, next_cron_slot, next_run_of

__all__ = ["FLOW_NAME", "Deployment", "FlowRun", "flow_run_of", "promote", "trigger", "wait"]

FLOW_NAME = "run-notebook"
_ENTRYPOINT = "flows/run_notebook.py:run_notebook"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PLAN_SECONDS = 20.0
_FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@dataclass(frozen=True, repr=False)
class Deployment:
    """A notebook that runs by schedule.

    Attributes
    ----------
    name : str
        The deployment's name; Prefect shows it as `run-notebook/<name>`.
    deployment_id : str
        Prefect's id.
    notebook, sha256 : str
        Which notebook, and the hash of the content that was promoted.
    schedule, timezone : str
        Five cron fields, read in that IANA time zone.
    parameters : dict
        What every run gets.
    next_run : datetime or None
        When it runs next, UTC; None where Prefect had planned no run within twenty seconds.
    """

    name: str
    deployment_id: str
    notebook: str
    sha256: str
    schedule: str
    timezone: str
    parameters: dict[str, Any]
    next_run: datetime | None

    def __repr__(self) -> str:
        local = self.next_run.astimezone(ZoneInfo(self.timezone)) if self.next_run else None
        following = f"next {local:%Y-%m-%d %H:%M}" if local else "no run is planned"
        return f"<Deployment {self.name}: {self.notebook}, {self.schedule} ({self.timezone}), {following}>"

    def _repr_html_(self) -> str:
        rows = [
            ("notebook", f"{self.notebook} as promoted, content {self.sha256[:12]}"),
            ("schedule", f"{self.schedule} ({self.timezone})"),
            ("next run", in_zone(self.next_run, self.timezone) if self.next_run else "none is planned"),
            ("parameters", ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())),
        ]
        return card_html(f"Deployment {self.name}", rows)


@dataclass(frozen=True, repr=False)
class FlowRun:
    """One run of a deployment, as Prefect sees it."""

    flow_run_id: str
    name: str
    state: str
    message: str

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.state in _FINAL

    def __repr__(self) -> str:
        said = f": {self.message}" if self.message else ""
        return f"<FlowRun {self.name}, {self.state.lower()}{said}>"

    def _repr_html_(self) -> str:
        rows = [("state", self.state.lower()), ("message", self.message), ("flow run", self.flow_run_id)]
        return card_html(f"FlowRun {self.name}", [row for row in rows if row[1]])


def promote(
    settings: Settings,
    prefect: PrefectApi,
    notebook: str | os.PathLike[str],
    *,
    name: str,
    cron: str,
    timezone: str,
    parameters: Mapping[str, Any] | None = None,
    timeout_seconds: float | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> Deployment:
    """Copy a notebook into the store and schedule it; the same name again replaces what it was.

    Parameters
    ----------
    settings : Settings
    prefect : PrefectApi
        The server to deploy to.
    notebook : path
        As `find_notebook` takes it.
    name : str
        Letters, digits, dots, dashes and underscores.
    cron : str
        Five fields: "30 17 * * mon-fri".
    timezone : str
        An IANA name in which the cron fields are read: "America/New_York".
    parameters : mapping, optional
        Values for every run, checked strictly.
    timeout_seconds : float, optional
        A run that takes longer is killed.
    progress : callable, optional
        Told, in a few words, what is being waited for.
    force : bool
        Promote a notebook that is not fit to run by schedule, too (`workbench.promotion.readiness`), and with
        parameters that its strategies would refuse (`refusals`). The deployment's description tells it.

    Raises
    ------
    PromotionRefused
        A name, schedule or time zone that cannot be used; a notebook without a "parameters" cell, or one that
        promotes or triggers.
    ParametersRefused, NotebookError
        The notebook or its parameters; nothing was deployed.
    """
    path = find_notebook(notebook)
    if not _NAME.fullmatch(name):
        raise PromotionRefused(
            f"{name!r} cannot name a deployment; use letters, digits, dots, dashes and underscores"
        )
    check_timeout(timeout_seconds)
    slot = _first_slot(cron, timezone)
    declared = NotebookParameters.from_notebook(path)
    values = declared.complete(declared.validate(dict(parameters or {})))
    document = read_notebook(path)
    overruled = _unfit(document, path.name, force) + _refused(document, path.name, values, force)
    stored = NotebookStore(settings.store_folder).add(path)
    flow_parameters: dict[str, Any] = {
        "notebook": shown_name(path),
        "sha256": stored.sha256,
        "parameters": values,
        "timeout_seconds": timeout_seconds,
    }
    _ensure_work_pool(prefect, settings.work_pool)
    flow = prefect.ask("/flows/", {"name": FLOW_NAME})
    body = {
        "name": name,
        "flow_id": flow["id"],
        "description": f"`{shown_name(path)}` (content {stored.sha256[:12]}), promoted by workbench."
        + "".join(f"\n\nForced, although {reason}." for reason in overruled),
        "entrypoint": _ENTRYPOINT,
        "path": str(PROJECT_ROOT),
        "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": str(PROJECT_ROOT)}}],
        "work_pool_name": settings.work_pool,
        "tags": ["workbench", path.stem],
        "parameters": flow_parameters,
        "parameter_openapi_schema": _schema(declared, flow_parameters),
        "enforce_parameter_schema": True,
        "schedules": [{"active": True, "schedule": {"cron": cron, "timezone": timezone, "day_or": True}}],
    }
    try:
        created = prefect.ask("/deployments/", body)
    except PrefectRefused as error:
        raise PromotionRefused(f"Prefect refuses the deployment {name}: {_first_reason(error)}") from error
    deployment_id = str(created["id"])
    schedule_id = _keep_one_schedule(prefect, deployment_id, cron, timezone)
    withdraw_superseded(prefect, deployment_id, schedule_id)
    next_run = _await_plan(prefect, deployment_id, slot, progress or _quiet)
    # Once more: the scheduler may have been in the middle of its pass.
    withdraw_superseded(prefect, deployment_id, schedule_id)
    return Deployment(
        name=name,
        deployment_id=deployment_id,
        notebook=shown_name(path),
        sha256=stored.sha256,
        schedule=cron,
        timezone=timezone,
        parameters=flow_parameters["parameters"],
        next_run=next_run,
    )


def trigger(
    settings: Settings,
    prefect: PrefectApi,
    deployment: Deployment | str,
    parameters: Mapping[str, Any] | None = None,
) -> FlowRun:
    """Ask for one run of a deployment now; a worker picks it up.

    `parameters` are notebook parameters that differ from the deployment's. They are checked as `promote`
    checks them where the promoted notebook is in this home's store, and by Prefect anywhere.

    Raises
    ------
    ParametersRefused
        Unknown or wrong parameters, or some that the notebook's strategies would refuse; nothing runs.
    PromotionRefused
        There is no such deployment.
    """
    name = deployment.name if isinstance(deployment, Deployment) else deployment
    found = _by_name(prefect, name)
    body: dict[str, Any] = {"parameters": {}}
    if parameters:
        promoted = dict(found["parameters"]["parameters"])
        unknown = sorted(set(parameters) - set(promoted))
        if unknown:
            near = dict.fromkeys(known for one in unknown for known in near_names(one, promoted))
            raise ParametersRefused(
                f"{name} has no parameter {', '.join(unknown)}{did_you_mean(list(near))}; "
                f"it has: {', '.join(sorted(promoted))}",
                names=unknown,
                known=sorted(promoted),
            )
        values = promoted | dict(parameters)
        stored = NotebookStore(settings.store_folder)
        try:
            path = stored.open(str(found["parameters"]["sha256"])).path
        except NotebookError:
            pass  # promoted by another home of the same server: the run itself checks what Prefect does not
        else:
            values = NotebookParameters.from_notebook(path).validate(values)
            _refused(read_notebook(path), path.name, values, force=False)
        body["parameters"] = {"parameters": values}
    try:
        return flow_run_of(prefect.ask(f"/deployments/{found['id']}/create_flow_run", body))
    except PrefectRefused as error:
        raise ParametersRefused(f"Prefect refuses to run {name}: {error.reason}") from error


def wait(
    prefect: PrefectApi,
    run: FlowRun,
    *,
    timeout_seconds: float,
    progress: Callable[[FlowRun], None] | None = None,
) -> FlowRun:
    """Wait until a flow run has ended, and return it as it ended.

    Raises
    ------
    ServerError
        It has not ended in time.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        run = flow_run_of(prefect.ask(f"/flow_runs/{run.flow_run_id}"))
        if progress is not None:
            progress(run)
        if run.is_final:
            return run
        if time.monotonic() > deadline:
            raise ServerError(
                f"flow run {run.name} is still {run.state.lower()} after {timeout_seconds:.0f} s; "
                "does the worker run? See: workbench status"
            )
        time.sleep(0.5)


def _unfit(document: Notebook, name: str, force: bool) -> list[str]:
    """Why the notebook should not run by schedule; an error, unless that is overruled."""
    reasons = reservations(document)
    if reasons and not force:
        raise PromotionRefused(
            f"{name} is not promoted: {'; '.join(reasons)}. "
            "Promote it all the same with --force (force=True)."
        )
    return reasons


def _refused(document: Notebook, name: str, values: Mapping[str, Any], force: bool) -> list[str]:
    """What the notebook's strategies would refuse of the values; an error, unless that is overruled."""
    refusals = refused_by_strategies(document, values)
    if refusals and not force:
        raise ParametersRefused(
            f"{name} cannot run with these parameters: {'; '.join(refusals)}.", known=tuple(values)
        )
    return refusals


def _first_slot(cron: str, timezone: str) -> datetime | None:
    """The schedule's first moment; None where only Prefect can say what is wrong with it."""
    if len(cron.split()) != 5:
        raise PromotionRefused(
            f"the schedule {cron!r} has {len(cron.split())} fields; cron takes five: "
            "minute hour day month weekday, such as '30 17 * * mon-fri'"
        )
    wrong = wrong_field(cron)
    if wrong:
        raise PromotionRefused(f"the schedule {cron!r} cannot be: {wrong}")
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as error:
        raise PromotionRefused(
            f"there is no time zone {timezone!r}; give an IANA name, such as America/New_York"
        ) from error
    try:
        slot = next_cron_slot(cron, timezone, datetime.now(UTC))
    except ValueError:
        return None
    if slot is None:
        raise PromotionRefused(f"the schedule {cron!r} never comes: no year has such a day")
    return slot


def _await_plan(
    prefect: PrefectApi, deployment_id: str, slot: datetime | None, tell: Progress
) -> datetime | None:
    """When the deployment runs next, as soon as Prefect's scheduler has planned it; that takes seconds."""
    if slot is not None and slot - datetime.now(UTC) > PLANNED_AHEAD:
        return slot
    tell("waiting for Prefect to plan the next run")
    deadline = time.monotonic() + _PLAN_SECONDS
    while (planned := next_run_of(prefect, deployment_id)) is None and time.monotonic() < deadline:
        time.sleep(0.25)
    return planned


def _quiet(step: str) -> None:
    """For callers who want to be told nothing."""


def _first_reason(error: PrefectRefused) -> str:
    """What is wrong with a value: Prefect also lists every other kind of schedule that it was not."""
    parts = error.reason.split("; ")
    return next((part.removeprefix("Value error, ") for part in parts if "Value error" in part), error.reason)


def _schema(declared: NotebookParameters, values: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of the flow's parameters, with the notebook's own inside, so that forms show them."""
    return {
        "title": "Parameters",
        "type": "object",
        "required": ["notebook", "sha256"],
        "additionalProperties": False,
        "properties": {
            "parameters": declared.json_schema() | {"title": "parameters", "position": 0},
            "notebook": {
                "title": "notebook",
                "type": "string",
                "enum": [values["notebook"]],
                "description": "The notebook that was promoted.",
                "position": 1,
            },
            "sha256": {
                "title": "sha256",
                "type": "string",
                "enum": [values["sha256"]],
                "description": "The content that was promoted; promote again to change it.",
                "position": 2,
            },
            "timeout_seconds": {
                "title": "timeout_seconds",
                "anyOf": [{"type": "number"}, {"type": "null"}],
                "default": None,
                "description": "A run that takes longer is killed.",
                "position": 3,
            },
        },
    }


def _ensure_work_pool(prefect: PrefectApi, name: str) -> None:
    try:
        prefect.ask("/work_pools/", {"name": name, "type": "process"})
    except PrefectRefused as error:
        if error.status != 409:  # 409: it is there already
            raise


def _keep_one_schedule(prefect: PrefectApi, deployment_id: str, cron: str, timezone: str) -> str:
    """Delete earlier promotions' schedules, which Prefect may leave beside the new one; return its id."""
    kept = ""
    for entry in prefect.ask(f"/deployments/{deployment_id}/schedules"):
        schedule = entry["schedule"]
        wanted = schedule.get("cron") == cron and schedule.get("timezone") == timezone
        if wanted and not kept:
            kept = str(entry["id"])
        else:
            prefect.ask(f"/deployments/{deployment_id}/schedules/{entry['id']}", method="DELETE")
    return kept


def _by_name(prefect: PrefectApi, name: str) -> Any:
    try:
        return prefect.ask(f"/deployments/name/{FLOW_NAME}/{name}")
    except PrefectRefused as error:
        if error.status == 404:
            raise PromotionRefused(f"nothing is deployed as {name}; promote a notebook first") from error
        raise


def flow_run_of(facts: Mapping[str, Any]) -> FlowRun:
    """A flow run, from what Prefect's API says of it."""
    state = facts.get("state") or {}
    return FlowRun(
        flow_run_id=str(facts["id"]),
        name=str(facts["name"]),
        state=str(facts.get("state_type") or "SCHEDULED"),
        message=str(state.get("message") or ""),
    )
