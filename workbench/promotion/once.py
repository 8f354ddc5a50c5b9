"""One further run of a deployment at a moment of its own, started by Prefect's scheduler as any other is."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from workbench.errors import ServerError
from workbench.promotion.records import Deployment, FlowRun, flow_run_of
from workbench.stack.prefect_api import PrefectApi

__all__ = ["add_run_at", "await_started", "remove_schedule"]


def add_run_at(prefect: PrefectApi, deployment: Deployment, moment: datetime) -> str:
    """Add a schedule that comes once, at `moment` (timezone-aware, whole seconds), beside its own one.

    Returns
    -------
    str
        The schedule's id, for `remove_schedule`.
    """
    rule = f"DTSTART:{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}\nRRULE:FREQ=DAILY;COUNT=1"
    path = f"/deployments/{deployment.deployment_id}/schedules"
    (added,) = prefect.ask(path, [{"active": True, "schedule": {"rrule": rule, "timezone": "UTC"}}])
    _touch(prefect, deployment)
    return str(added["id"])


def remove_schedule(prefect: PrefectApi, deployment: Deployment, schedule_id: str) -> None:
    """Remove a schedule that was added; what the deployment's own one has planned is planned anew."""
    path = f"/deployments/{deployment.deployment_id}/schedules/{schedule_id}"
    prefect.ask(path, method="DELETE")
    _touch(prefect, deployment)


def await_started(
    prefect: PrefectApi,
    deployment: Deployment,
    moment: datetime,
    *,
    timeout_seconds: float,
    progress: Callable[[FlowRun], None] | None = None,
) -> FlowRun:
    """Wait until the scheduler's run for `moment` has left the plan: a worker has taken it.

    Raises
    ------
    ServerError
        Nothing was started in time.
    """
    at = moment.astimezone(UTC).replace(microsecond=0).isoformat()
    wanted = {
        "deployments": {"id": {"any_": [deployment.deployment_id]}},
        "flow_runs": {"expected_start_time": {"after_": at, "before_": at}},
        "limit": 1,
    }
    deadline = time.monotonic() + timeout_seconds
    while True:
        found = [facts for facts in prefect.ask("/flow_runs/filter", wanted) if facts["auto_scheduled"]]
        run = flow_run_of(found[0]) if found else None
        if run is not None and progress is not None:
            progress(run)
        if run is not None and run.state != "SCHEDULED":
            return run
        if time.monotonic() > deadline:
            raise ServerError(
                f"the schedule of {deployment.name} started nothing at {at}; see: workbench status"
            )
        time.sleep(0.5)


def _touch(prefect: PrefectApi, deployment: Deployment) -> None:
    """Prefect looks at deployments that have just changed every few seconds, at the others every minute."""
    tags = prefect.ask(f"/deployments/{deployment.deployment_id}")["tags"]
    prefect.ask(f"/deployments/{deployment.deployment_id}", {"tags": tags}, method="PATCH")
