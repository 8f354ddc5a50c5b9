"""The flow that runs a notebook; deployments of promoted notebooks execute it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.states import Cancelled, Completed

from workbench import Workbench
from workbench.errors import NotebookFailed, RunError, RunFenced
from workbench.promotion.artifact import artifact_key, completed_markdown, failed_markdown, saved_picture
from workbench.promotion.printed import printed_lines
from workbench.promotion.run import NotebookRunResult, Origin
from workbench.promotion.where import work_in_project


@flow(name="run-notebook", flow_run_name="{notebook}", validate_parameters=False)
def run_notebook(
    notebook: str,
    parameters: dict[str, Any] | None = None,
    sha256: str | None = None,
    timeout_seconds: float | None = None,
) -> State[None] | None:
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
    """
    logger = get_run_logger()
    origin = _origin()
    if origin.scheduled_for is not None and origin.flow_run_id is not None and _withdrawn(origin.flow_run_id):
        return Cancelled(message="The deployment was promoted again before this run began.")
    with Workbench() as wb:
        if origin.deployment is not None:
            work_in_project(wb.settings)
        try:
            result = wb.run(
                notebook,
                parameters,
                sha256=sha256,
                origin=origin,
                timeout_seconds=timeout_seconds,
                progress=lambda done, total, what: logger.info("%s of %s done; %s", done, total, what),
            )
        except Exception as error:
            if isinstance(error, RunError) and not isinstance(error, RunFenced):
                # Another run has this scheduled time already: nothing to do, and not an error.
                return Completed(message=str(error), name="Skipped")
            if isinstance(error, NotebookFailed):
                _log_prints(error.output)
            _create_artifact(notebook, "failed", origin, partial(failed_markdown, notebook, error))
            raise
        _log_prints(result.output)
        logger.info("run %s completed in %.1f s: %s", result.run_id, result.seconds, result.html)
        _create_artifact(notebook, "completed", origin, partial(_completed, wb, result))
    return None


def _origin() -> Origin:
    """The run's deployment and scheduled time."""
    context = FlowRunContext.get()
    flow_run = None if context is None else context.flow_run
    if flow_run is None:
        return Origin()
    if flow_run.deployment_id is None:
        return Origin(flow_run_id=str(flow_run.id))
    from prefect.runtime import deployment

    scheduled_for = flow_run.expected_start_time if flow_run.auto_scheduled else None
    return Origin(
        trigger="deployment",
        deployment=deployment.get_name(),
        scheduled_for=scheduled_for,
        flow_run_id=str(flow_run.id),
        slot=scheduled_for,
        purpose="live",
    )


def _withdrawn(flow_run_id: str) -> bool:
    """Whether the run was cancelled before it began: newer Prefects begin it all the same."""
    with get_client(sync_client=True) as client:
        states = client.read_flow_run_states(UUID(flow_run_id))
    return any(state.is_cancelled() for state in states)


def _log_prints(output: Path | None) -> None:
    """Write the notebook's printed output to the flow run's log."""
    for line in [] if output is None else printed_lines(output):
        get_run_logger().info("%s", line)


def _completed(wb: Workbench, result: NotebookRunResult) -> str:
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
