"""Runs of a deployment on demand: ask for one, and wait until it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from workbench.errors import NotDeployed, NotebookError, ParametersRefused, ServerError
from workbench.promotion.contents import Contents
from workbench.promotion.fitness import refused_values
from workbench.promotion.namesakes import deployment_named, is_another_projects, told_of
from workbench.promotion.records import Deployment, FlowRun, flow_run_of
from workbench.promotion.slot_of_run import slot_asked_for
from workbench.promotion.store import NotebookStore
from workbench.runs.slot_store import SlotStore
from workbench.settings import Settings
from workbench.spelling import did_you_mean, near_names
from workbench.stack.prefect_api import PrefectApi, PrefectRefused
from workbench.stack.timetable import timetable_of

__all__ = ["trigger", "wait"]


def trigger(
    settings: Settings,
    prefect: PrefectApi,
    slots: SlotStore,
    deployment: Deployment | str,
    parameters: Mapping[str, Any] | None = None,
    *,
    slot: str | None = None,
    contents: Contents | None = None,
) -> FlowRun:
    """Ask for one run of a deployment now; a worker picks it up.

    `parameters` are notebook parameters that differ from the deployment's. They are checked as `promote`
    checks them where the promoted notebook is in this home's store or in the database (`contents`), and by
    Prefect anywhere. `slot` is the slot to run, in ISO 8601; by default it is the newest that is due when the
    run begins.

    Raises
    ------
    ParametersRefused
        Unknown or wrong parameters, or some that the notebook's strategies would refuse; nothing runs.
    SlotRefused
        The deployment was not due at `slot`.
    NotDeployed
        There is no such deployment.
    """
    name = deployment.name if isinstance(deployment, Deployment) else deployment
    found = _by_name(settings, prefect, name)
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
        try:
            file = (
                NotebookStore(settings.store_folder, contents).open(str(found["parameters"]["sha256"])).file
            )
        except NotebookError:
            pass  # promoted before the database kept it, in another home: the run itself checks the rest
        else:
            values = file.parameters.validate(values)
            refused_values(file.document, file.path.name, values, force=False)
        body["parameters"] = {"parameters": values}
    if slot is not None:
        body["parameters"]["slot"] = slot_asked_for(slots, timetable_of(found), slot).isoformat()
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


def _by_name(settings: Settings, prefect: PrefectApi, name: str) -> Any:
    found = deployment_named(prefect, name)
    if found is None:
        raise NotDeployed(f"nothing is deployed as {name}; wb.deployments.list() says what is")
    if is_another_projects(settings, found):
        raise NotDeployed(
            f"{name} is deployed by another project of this Prefect server, {told_of(found)}; "
            "wb.deployments.list() says what this one has deployed"
        )
    return found
