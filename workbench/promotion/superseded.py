"""Withdraws the runs that an earlier promotion of the same deployment has planned.

Prefect deletes the runs that are only planned when a deployment is created again. Two kinds outlive that,
and would run the earlier notebook in a slot of the new schedule: a run that a worker has taken up, which it
does ten seconds before the slot, and one that Prefect's scheduler computed before the change and inserted
after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from workbench.stack.prefect_api import PrefectApi, PrefectRefused

__all__ = ["withdraw_superseded"]

_NOT_BEGUN = ["SCHEDULED", "PENDING"]
_PAGE = 200


def withdraw_superseded(
    prefect: PrefectApi, deployment_id: str, schedule_id: str, parameters: Mapping[str, Any]
) -> int:
    """Delete the deployment's planned runs that are of another schedule, or have other parameters.

    Runs that have begun go on, and so do runs that were asked for by hand, and runs whose slot has passed.

    Parameters
    ----------
    prefect : PrefectApi
    deployment_id : str
        Prefect's id.
    schedule_id : str
        Prefect's id of the deployment's one schedule. Newer versions keep the id of a schedule that is
        promoted again as it was.
    parameters : mapping
        The deployment's parameters as Prefect returned them, notebook and hash included.

    Returns
    -------
    int
        How many were withdrawn.
    """
    wanted = {
        "deployments": {"id": {"any_": [deployment_id]}},
        "flow_runs": {
            "state": {"type": {"any_": _NOT_BEGUN}},
            "expected_start_time": {"after_": datetime.now(UTC).isoformat()},
        },
        "sort": "EXPECTED_START_TIME_ASC",
        "limit": _PAGE,
    }
    withdrawn = 0
    for run in prefect.ask("/flow_runs/filter", wanted):
        made_by = run.get("created_by") or {}
        current = made_by.get("id") == schedule_id and run["parameters"] == parameters
        if not run["auto_scheduled"] or current:
            continue
        # Not cancelled: the process that a worker has started for it begins a cancelled run all the same,
        # with newer versions. Of one that is gone it says so in the worker's log, and ends.
        try:
            prefect.ask(f"/flow_runs/{run['id']}", method="DELETE")
        except PrefectRefused as error:
            if error.status != 404:  # 404: Prefect has deleted it meanwhile
                raise
        else:
            withdrawn += 1
    return withdrawn
