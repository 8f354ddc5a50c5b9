"""Withdraws the runs that an earlier promotion of the same deployment has planned.

Prefect deletes the runs that are only planned when a deployment is created again. Two kinds outlive that,
and would run the earlier notebook in a slot of the new schedule: a run that a worker has taken up, which it
does ten seconds before the slot, and one that Prefect's scheduler computed before the change and inserted
after it.
"""

from __future__ import annotations

from datetime import UTC, datetime

from workbench.stack.prefect_api import PrefectApi, PrefectRefused

__all__ = ["withdraw_superseded"]

_NOT_BEGUN = ["SCHEDULED", "PENDING"]
_MESSAGE = "The deployment was promoted again before this run began."
_PAGE = 200


def withdraw_superseded(prefect: PrefectApi, deployment_id: str, schedule_id: str) -> int:
    """Cancel the deployment's planned runs that come from another schedule than `schedule_id`.

    Runs that have begun go on, and so do runs that were asked for by hand, and runs whose slot has passed.

    Parameters
    ----------
    prefect : PrefectApi
    deployment_id : str
        Prefect's id.
    schedule_id : str
        Prefect's id of the deployment's one schedule: each promotion makes a new one.

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
        if not run["auto_scheduled"] or made_by.get("id") == schedule_id:
            continue
        # Not deleted: a worker of 3.4.14 ends where the run that it has taken up is gone. There the process
        # that it has started ends quietly when its run is cancelled; a newer Prefect's begins all the same,
        # and the flow ends it (`flows/run_notebook.py`).
        state = {"type": "CANCELLED", "name": "Cancelled", "message": _MESSAGE}
        try:
            prefect.ask(f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True})
        except PrefectRefused as error:
            if error.status != 404:  # 404: Prefect has deleted it meanwhile
                raise
        else:
            withdrawn += 1
    return withdrawn
