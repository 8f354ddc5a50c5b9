"""The flow that runs what was promoted: a notebook, or an ingestion; every deployment executes it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
)
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.states import Cancelled, Completed

from workbench import Workbench
from workbench.errors import NotebookFailed, SlotRefused, SlotTaken, WorkbenchError
from workbench.headless.printed import printed_lines
from workbench.promotion.artifact import artifact_key, completed_markdown, failed_markdown, saved_picture
from workbench.promotion.held import lead_group
from workbench.promotion.ingesting import IngestionResult
from workbench.promotion.retrying import RETRIES, RetryOn
from workbench.promotion.run import NotebookRunResult, Origin
from workbench.promotion.run_version import run_version
from workbench.promotion.slot_of_run import await_slot, slot_of_event, slot_of_run
from workbench.promotion.superseded import WITHDRAWN, settle_withdrawn
from workbench.promotion.what_runs import WhatRuns, what_runs
from workbench.promotion.where import work_in_project
from workbench.stack.catching_up import ask_for_next
from workbench.stack.planned import is_ahead, is_by_event, is_by_schedule, planned_for
from workbench.stack.prefect_api import PrefectApi
from workbench.stack.timetable import timetable_of

_SHADOW = "shadow/"
"""How the idempotency key of a shadow's flow run begins."""


@flow(name="run-notebook", flow_run_name="{notebook}", validate_parameters=False)
def run_notebook(
    notebook: str,
    parameters: dict[str, Any] | None = None,
    sha256: str | None = None,
    timeout_seconds: float | None = None,
    slot: str | None = None,
    memory_limit: str | int | None = None,
    retries: int = RETRIES,
    retry_on: RetryOn = "away",
    locks: list[str] | None = None,
    version: int | None = None,
) -> State[None]:
    """Run a notebook headless and record the run; its printed output goes to the log and an artifact.

    Parameters
    ----------
    notebook : str
        The notebook's path; with `sha256` only its name.
    parameters : dict, optional
        Values for the notebook's "parameters" cell.
    sha256 : str, optional
        Hash of the promoted notebook in the store to run.
    timeout_seconds : float, optional
        A run that takes longer is killed.
    slot : str, optional
        The slot to run, in ISO 8601 with an offset. Default: the one that the schedule has started the run
        for; of a run by hand the newest that is due.
    memory_limit : str or int, optional
        Resident memory beyond which a run is killed, as "4GB".
    retries : int
        How many attempts may follow the first.
    retry_on : str
        "away" (a server or a vendor was away) or "any" (any failure of a cell).
    locks : list of str, optional
        Resources that no two runs have at once.
    version : int, optional
        The deployment's version to run. Default: the one that is in use when the run begins; content, limits
        and retries are that version's, and of a scheduled run the parameters too, whatever was planned.
    """
    lead_group()
    logger = get_run_logger()
    with Workbench() as wb:
        origin, words = _origin(wb, slot)
        if isinstance(origin, State):
            return origin
        if words:
            logger.info("%s", words)
        planned = WhatRuns(
            notebook,
            sha256,
            parameters or {},
            {
                "timeout_seconds": timeout_seconds,
                "memory_limit": memory_limit,
                "retries": retries,
                "retry_on": retry_on,
                "locks": locks or [],
            },
        )
        is_planned_ahead = origin.scheduled_for is not None or origin.trigger == "retry" or _is_shadow()
        runs = what_runs(
            wb.runs.versions, origin.deployment, planned, asked=version, by_schedule=is_planned_ahead
        )
        if not runs.in_use:
            logger.info("version %s, which is not in use: a shadow, which says nothing live", runs.version)
        if runs.environment:
            told = "; ".join(runs.environment)
            logger.warning("the environment is not the one that it was promoted in: %s", told)
        origin = replace(
            origin,
            version=runs.version,
            purpose=origin.purpose if runs.in_use else "shadow",
            environment=runs.environment,
        )
        if origin.deployment is not None:
            work_in_project(wb.settings)
        results: list[NotebookRunResult | IngestionResult] = []

        def done(result: NotebookRunResult | IngestionResult) -> None:
            results.append(result)
            _log_prints(result.output)
            logger.info("run %s completed in %.1f s: %s", result.run_id, result.seconds, result.html)
            _create_artifact(notebook, "completed", origin, partial(_completed, wb, result))

        try:
            run_version(
                wb.session,
                runs,
                origin,
                done=done,
                tell=logger.warning,
                progress=lambda done, total, what: logger.info("%s of %s done; %s", done, total, what),
                made=_attempts_before(origin.deployment),
            )
        except Exception as error:
            if isinstance(error, SlotTaken):
                # Another run has this slot already: nothing to do, and not an error.
                return Completed(message=str(error), name="Skipped")
            if isinstance(error, NotebookFailed):
                _log_prints(error.output)
            markdown = partial(failed_markdown, notebook, error, slot=words)
            _create_artifact(notebook, "failed", origin, markdown)
            _start_shadow(wb, origin)
            raise
        finally:
            _ask_for_next(wb, origin)
        _start_shadow(wb, origin)
    ran = f"Run {results[-1].run_id[:8]}" if len(results) == 1 else f"{len(results)} runs"
    return Completed(message=f"{ran} completed{f', {words}' if words else ''}.")


def _start_shadow(wb: Workbench, origin: Origin) -> None:
    """Ask for a run of the deployment's shadow, if it has one, for the slot of its live run."""
    if origin.purpose != "live" or origin.deployment is None or origin.slot is None:
        return
    context = FlowRunContext.get()
    flow_run = None if context is None else context.flow_run
    try:
        version = wb.runs.versions.take_shadow_slot(origin.deployment)
        if version is None or flow_run is None or flow_run.deployment_id is None:
            return
        slot = origin.slot.isoformat()
        with get_client(sync_client=True) as client:
            client.create_flow_run_from_deployment(
                flow_run.deployment_id,
                parameters={"version": version, "slot": slot},
                idempotency_key=f"{_SHADOW}{origin.deployment}/{slot}/{version}",
            )
    except Exception as error:  # noqa: BLE001 - the run's result must not depend on what runs beside it
        get_run_logger().warning("the shadow could not be started: %s", error)


def _is_shadow() -> bool:
    """Whether this run was asked for by `_start_shadow`."""
    context = FlowRunContext.get()
    flow_run = None if context is None else context.flow_run
    return flow_run is not None and (flow_run.idempotency_key or "").startswith(_SHADOW)


def _attempts_before(deployment: str | None) -> int:
    """How many attempts there were before, by the key of a run that the reaper asked for; else 0."""
    context = FlowRunContext.get()
    key = (context.flow_run.idempotency_key if context and context.flow_run else None) or ""
    asked_for, _, rest = key.partition("/")
    number = rest.rpartition("/")[2]
    return int(number) - 1 if asked_for and asked_for == deployment and number.isdecimal() else 0


def _origin(wb: Workbench, slot: str | None) -> tuple[Origin | State[None], str]:
    """The run's deployment and slot, and both in words; the state to end in where it is not to run."""
    context = FlowRunContext.get()
    flow_run = None if context is None else context.flow_run
    if flow_run is None or flow_run.deployment_id is None:
        if slot is not None:
            raise SlotRefused(f"slot={slot!r}: only a run of a deployment has a slot")
        return Origin(flow_run_id=None if flow_run is None else str(flow_run.id)), ""
    facts = flow_run.model_dump(
        mode="json", include={"auto_scheduled", "expected_start_time", "idempotency_key"}
    )
    scheduled_for = planned_for(facts)
    if scheduled_for is not None:
        # The slot of a run that we have made stands in its parameters, too.
        slot = None
        await_slot(scheduled_for)
    with get_client(sync_client=True) as client:
        timetable = timetable_of(client.read_deployment(flow_run.deployment_id).model_dump(mode="json"))
        # A run that was cancelled before it began: newer Prefects begin it all the same. Nor does Prefect
        # withdraw the runs made ahead of what is paused in its pages, or due at other times.
        if scheduled_for and (
            any(state.is_cancelled() for state in client.read_flow_run_states(flow_run.id))
            or (is_ahead(facts) and not timetable.has(scheduled_for))
        ):
            settle_withdrawn(wb.runs.slots, timetable, [scheduled_for])
            return Cancelled(message=WITHDRAWN), ""
        if stopped := _stopped(wb, timetable.deployment, scheduled_for):
            return Cancelled(message=stopped), ""
        attempts = _attempts_before(timetable.deployment)
        if is_by_event(facts) and scheduled_for is not None:
            found = slot_of_event(wb.runs.slots, timetable.deployment, scheduled_for)
        else:
            found = slot_of_run(
                wb.runs.slots,
                timetable,
                scheduled_for=scheduled_for,
                asked=slot,
                again=attempts > 0,
                is_planned=partial(_is_planned, client, flow_run.deployment_id),
            )
    if found.missed:
        return Completed(message=found.missed, name="Missed"), ""
    return Origin(
        trigger="retry" if attempts else "deployment",
        deployment=timetable.deployment,
        scheduled_for=scheduled_for,
        flow_run_id=str(flow_run.id),
        slot=found.slot,
        purpose=found.purpose,
        in_turn=found.in_turn,
    ), found.words


def _stopped(wb: Workbench, deployment: str, scheduled_for: datetime | None) -> str:
    """Why nothing runs, where the deployment was paused or retired meanwhile; else empty."""
    stands = wb.runs.versions.state(deployment)
    # By hand a paused one runs, and another attempt at what had begun goes on.
    stops = ("retired",) if scheduled_for is None else ("paused", "retired")
    if stands is None or stands.state not in stops:
        return ""
    why = f"The deployment was {stands.state} before this run began."
    if scheduled_for is not None:
        wb.runs.slots.settle(deployment, {scheduled_for: why}, "cancelled")
    return why


def _is_planned(client: SyncPrefectClient, deployment_id: UUID, slot: datetime) -> bool:
    """Whether Prefect's scheduler has made a run of the deployment for that moment."""
    runs = client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id])),
        flow_run_filter=FlowRunFilter(
            expected_start_time=FlowRunFilterExpectedStartTime(after_=slot, before_=slot)
        ),
    )
    return any(is_by_schedule(run.model_dump(mode="json")) for run in runs)


def _ask_for_next(wb: Workbench, origin: Origin) -> None:
    """At the end of a run, have the next slot run that waits for its turn."""
    context = FlowRunContext.get()
    url = wb.session.endpoints.prefect_api_url
    if not origin.in_turn or context is None or context.flow_run is None or url is None:
        return
    prefect = PrefectApi(url, wb.session.endpoints.prefect_auth_string)
    try:
        facts = prefect.ask(f"/deployments/{context.flow_run.deployment_id}")
        ask_for_next(prefect, wb.runs.slots, facts, besides=str(context.flow_run.id))
    except WorkbenchError as error:
        get_run_logger().warning("the next slot that waits is asked for later: %s", error)


def _log_prints(output: Path | None) -> None:
    """Write the notebook's printed output to the flow run's log."""
    for line in [] if output is None else printed_lines(output):
        get_run_logger().info("%s", line)


def _completed(wb: Workbench, result: NotebookRunResult | IngestionResult) -> str:
    run = wb.runs.show(result.run_id)
    return completed_markdown(run, saved_picture(wb.analytics, result.run_id), seconds=result.seconds)


def _create_artifact(notebook: str, outcome: str, origin: Origin, markdown: Callable[[], str]) -> None:
    """Create a Markdown page in Prefect's UI."""
    key = artifact_key(origin.deployment or Path(notebook).stem)
    try:
        create_markdown_artifact(markdown(), key=key, description=f"{notebook}, {outcome}")
    except Exception as error:  # noqa: BLE001 - the run's result must not depend on its artifact
        get_run_logger().warning("the run's artifact could not be created: %s", error)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run a notebook inside a Prefect flow, in this process.")
    parser.add_argument("notebook")
    parser.add_argument("--parameters", type=json.loads, default={}, help="a JSON object")
    arguments = parser.parse_args()
    run_notebook(arguments.notebook, arguments.parameters)
