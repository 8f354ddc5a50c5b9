"""Withdraws the runs that an earlier version of the same deployment has planned.

Prefect deletes the runs that are only planned when a deployment is created again. Two kinds outlive that,
and would run the earlier notebook in a slot of the new schedule: a run that a worker has taken up, which it
does ten seconds before the slot, and one that Prefect's scheduler computed before the change and inserted
after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from workbench.runs.slot_store import SlotStore
from workbench.stack.prefect_api import PrefectApi, PrefectRefused
from workbench.stack.timetable import Timetable

__all__ = ["WITHDRAWN", "settle_withdrawn", "withdraw_superseded"]

_NOT_BEGUN = ["SCHEDULED", "PENDING"]
WITHDRAWN = "The deployment was promoted again before this run began."
"""Why a run was withdrawn that another version of the deployment replaced."""
_PAGE = 200


def withdraw_superseded(
    prefect: PrefectApi, deployment_id: str, schedule_id: str, *, why: str = WITHDRAWN
) -> list[datetime]:
    """Cancel the deployment's planned runs that come from another schedule than `schedule_id`.

    Runs that have begun go on, and so do runs that were asked for by hand, and runs whose slot has passed.

    Parameters
    ----------
    prefect : PrefectApi
    deployment_id : str
        Prefect's id.
    schedule_id : str
        Prefect's id of the deployment's one schedule: each promotion makes a new one. Empty: the runs of
        every schedule are cancelled.
    why : str
        A sentence, for Prefect's pages.

    Returns
    -------
    list of datetime
        The slots of those that were withdrawn, UTC.
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
    withdrawn: list[datetime] = []
    for run in prefect.ask("/flow_runs/filter", wanted):
        made_by = run.get("created_by") or {}
        if not run["auto_scheduled"] or made_by.get("id") == schedule_id:
            continue
        # Not deleted: a worker of 3.4.14 ends where the run that it has taken up is gone. There the process
        # that it has started ends quietly when its run is cancelled; a newer Prefect's begins all the same,
        # and the flow ends it (`flows/run_notebook.py`).
        state = {"type": "CANCELLED", "name": "Cancelled", "message": why}
        try:
            prefect.ask(f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True})
        except PrefectRefused as error:
            if error.status != 404:  # 404: Prefect has deleted it meanwhile
                raise
        else:
            withdrawn.append(datetime.fromisoformat(run["expected_start_time"]))
    return withdrawn


def settle_withdrawn(
    slots: SlotStore, timetable: Timetable, withdrawn: Iterable[datetime], *, why: str = WITHDRAWN
) -> None:
    """Mark the slots of withdrawn runs as cancelled.

    Those that the deployment's new timetable has as well are still to be run. One whose run has begun all the
    same, between Prefect's answer that it had not and its being cancelled, has that run's state and keeps it.
    """
    gone = {slot: why for slot in withdrawn if not timetable.has(slot)}
    slots.settle(timetable.deployment, gone, "cancelled")
