"""The flow that runs a notebook: what every promoted notebook's deployment executes."""

from __future__ import annotations

import argparse
import json
from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.states import Completed

from workbench import Workbench
from workbench.errors import RunError
from workbench.promotion.run import NotebookRunResult, Origin


@flow(name="run-notebook", flow_run_name="{notebook}", validate_parameters=False)
def run_notebook(
    notebook: str,
    parameters: dict[str, Any] | None = None,
    sha256: str | None = None,
    timeout_seconds: float | None = None,
) -> State[None] | None:
    """Run a notebook headless and record it.

    Parameters
    ----------
    notebook : str
        The notebook's path; with `sha256` only the name it goes by.
    parameters : dict, optional
        Values for the notebook's "parameters" cell.
    sha256 : str, optional
        The promoted content to run, from the store.
    timeout_seconds : float, optional
        A run that takes longer is killed.
    """
    logger = get_run_logger()
    with Workbench() as wb:
        try:
            result = wb.run(
                notebook,
                parameters,
                sha256=sha256,
                origin=_origin(),
                timeout_seconds=timeout_seconds,
                progress=lambda done, total, what: logger.info("%s of %s done; %s", done, total, what),
            )
        except RunError as error:
            # The scheduled moment is someone else's already: nothing is left to do, and nothing is wrong.
            return Completed(message=str(error), name="Skipped")
        logger.info("run %s completed in %.1f s: %s", result.run_id, result.seconds, result.html)
        _leave_artifact(wb, result)
    return None


def _origin() -> Origin:
    """Which deployment this run is of, and for which scheduled moment."""
    context = FlowRunContext.get()
    flow_run = None if context is None else context.flow_run
    if flow_run is None:
        return Origin()
    if flow_run.deployment_id is None:
        return Origin(flow_run_id=str(flow_run.id))
    from prefect.runtime import deployment

    return Origin(
        trigger="deployment",
        deployment=deployment.get_name(),
        scheduled_for=flow_run.expected_start_time if flow_run.auto_scheduled else None,
        flow_run_id=str(flow_run.id),
    )


def _leave_artifact(wb: Workbench, result: NotebookRunResult) -> None:
    """A page for Prefect's UI: the headline figures, and where the output lies."""
    headline = wb.runs.show(result.run_id)["headline"]
    rows = "\n".join(f"| {name} | {value} |" for name, value in headline.items())
    create_markdown_artifact(
        f"# {result.notebook}\n\n| figure | value |\n| --- | --- |\n{rows}\n\n"
        f"Run `{result.run_id}`\n\nPage `{result.html}`\n\nNotebook `{result.output}`\n",
        key="notebook-run",
        description=f"{result.notebook}, run {result.run_id}",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run a notebook inside a Prefect flow, in this process.")
    parser.add_argument("notebook")
    parser.add_argument("--parameters", type=json.loads, default={}, help="a JSON object")
    arguments = parser.parse_args()
    run_notebook(arguments.notebook, arguments.parameters)
