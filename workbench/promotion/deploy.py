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
from typing import Any
from zoneinfo import ZoneInfo

from workbench.display.card import card_html
from workbench.errors import ParametersRefused, PromotionRefused, ServerError
from workbench.paths import PROJECT_ROOT
from workbench.promotion.parameters import NotebookParameters
from workbench.promotion.run import find_notebook
from workbench.promotion.store import NotebookStore
from workbench.runs.code import shown_name
from workbench.settings import Settings
from workbench.stack.prefect_api import PrefectApi, PrefectRefused

__all__ = ["FLOW_NAME", "Deployment", "FlowRun", "promote", "trigger", "wait"]

FLOW_NAME = "run-notebook"
_ENTRYPOINT = "flows/run_notebook.py:run_notebook"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
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
    """

    name: str
    deployment_id: str
    notebook: str
    sha256: str
    schedule: str
    timezone: str
    parameters: dict[str, Any]

    def __repr__(self) -> str:
        return f"<Deployment {self.name}: {self.notebook}, {self.schedule} ({self.timezone})>"

    def _repr_html_(self) -> str:
        rows = [
            ("notebook", f"{self.notebook} as promoted, content {self.sha256[:12]}"),
            ("schedule", f"{self.schedule} ({self.timezone})"),
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

    Raises
    ------
    PromotionRefused
        A name, schedule or time zone that cannot be used.
    ParametersRefused, NotebookError
        The notebook or its parameters; nothing was deployed.
    """
    path = find_notebook(notebook)
    if not _NAME.fullmatch(name):
        raise PromotionRefused(
            f"{name!r} cannot name a deployment; use letters, digits, dots, dashes and underscores"
        )
    _check_schedule(cron, timezone)
    declared = NotebookParameters.from_notebook(path)
    values = declared.validate(dict(parameters or {}))
    stored = NotebookStore(settings.store_folder).add(path)
    flow_parameters: dict[str, Any] = {
        "notebook": shown_name(path),
        "sha256": stored.sha256,
        "parameters": declared.complete(values),
        "timeout_seconds": timeout_seconds,
    }
    _ensure_work_pool(prefect, settings.work_pool)
    flow = prefect.ask("/flows/", {"name": FLOW_NAME})
    body = {
        "name": name,
        "flow_id": flow["id"],
        "description": f"`{shown_name(path)}` (content {stored.sha256[:12]}), promoted by workbench.",
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
    _keep_one_schedule(prefect, created["id"], cron, timezone)
    return Deployment(
        name=name,
        deployment_id=str(created["id"]),
        notebook=shown_name(path),
        sha256=stored.sha256,
        schedule=cron,
        timezone=timezone,
        parameters=flow_parameters["parameters"],
    )


def trigger(
    prefect: PrefectApi, deployment: Deployment | str, parameters: Mapping[str, Any] | None = None
) -> FlowRun:
    """Ask for one run of a deployment now; a worker picks it up.

    `parameters` are notebook parameters that differ from the deployment's.
    """
    name = deployment.name if isinstance(deployment, Deployment) else deployment
    found = _by_name(prefect, name)
    body: dict[str, Any] = {"parameters": {}}
    if parameters:
        promoted = dict(found["parameters"]["parameters"])
        unknown = sorted(set(parameters) - set(promoted))
        if unknown:
            raise ParametersRefused(
                f"{name} has no parameter {', '.join(unknown)}; it has: {', '.join(sorted(promoted))}",
                names=unknown,
                known=sorted(promoted),
            )
        body["parameters"] = {"parameters": promoted | dict(parameters)}
    try:
        return _flow_run(prefect.ask(f"/deployments/{found['id']}/create_flow_run", body))
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
        run = _flow_run(prefect.ask(f"/flow_runs/{run.flow_run_id}"))
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


def _check_schedule(cron: str, timezone: str) -> None:
    if len(cron.split()) != 5:
        raise PromotionRefused(
            f"the schedule {cron!r} has {len(cron.split())} fields; cron takes five: "
            "minute hour day month weekday, such as '30 17 * * mon-fri'"
        )
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as error:
        raise PromotionRefused(
            f"there is no time zone {timezone!r}; give an IANA name, such as America/New_York"
        ) from error


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


def _keep_one_schedule(prefect: PrefectApi, deployment_id: str, cron: str, timezone: str) -> None:
    """Delete what an earlier promotion scheduled: deploying again may leave it beside the new one."""
    kept = False
    for entry in prefect.ask(f"/deployments/{deployment_id}/schedules"):
        schedule = entry["schedule"]
        wanted = schedule.get("cron") == cron and schedule.get("timezone") == timezone
        if wanted and not kept:
            kept = True
        else:
            prefect.ask(f"/deployments/{deployment_id}/schedules/{entry['id']}", method="DELETE")


def _by_name(prefect: PrefectApi, name: str) -> Any:
    try:
        return prefect.ask(f"/deployments/name/{FLOW_NAME}/{name}")
    except PrefectRefused as error:
        if error.status == 404:
            raise PromotionRefused(f"nothing is deployed as {name}; promote a notebook first") from error
        raise


def _flow_run(facts: Mapping[str, Any]) -> FlowRun:
    state = facts.get("state") or {}
    return FlowRun(
        flow_run_id=str(facts["id"]),
        name=str(facts["name"]),
        state=str(facts.get("state_type") or "SCHEDULED"),
        message=str(state.get("message") or ""),
    )
