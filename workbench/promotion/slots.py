"""The first slot of a deployment for which a run is planned."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from workbench.stack.model import Progress
from workbench.stack.prefect_api import PrefectApi
from workbench.stack.schedules import PLANNED_AHEAD, next_run_of

__all__ = ["await_plan"]

_PLAN_SECONDS = 20.0


def await_plan(
    prefect: PrefectApi, deployment_id: str, slot: datetime | None, tell: Progress
) -> datetime | None:
    """When the deployment runs next; waits some seconds for Prefect's scheduler to plan it."""
    if slot is not None and slot - datetime.now(UTC) > PLANNED_AHEAD:
        return slot
    tell("waiting for Prefect to plan the next run")
    deadline = time.monotonic() + _PLAN_SECONDS
    while (planned := next_run_of(prefect, deployment_id)) is None and time.monotonic() < deadline:
        time.sleep(0.25)
    return planned
