"""Makes the runs of calendar schedules ahead, which Prefect's scheduler cannot plan, and takes them back.

Each is a flow run in state Scheduled, with the slot as its key: making it twice, or two at once, gives one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

from workbench.errors import QueryError, ScheduleRefused
from workbench.stack.carried import calendar_of
from workbench.stack.planned import calendar_key, is_ahead, planned_for
from workbench.stack.prefect_api import PrefectApi, PrefectRefused
from workbench.stack.schedules import deployments_in
from workbench.stack.timetable import timetable_of

__all__ = [
    "AHEAD",
    "WITHDRAWN",
    "calendar_of",
    "not_begun",
    "plan_ahead",
    "plan_all_ahead",
    "runs_ahead",
    "withdraw",
]

AHEAD = timedelta(days=10)
"""How far ahead runs are made: so long may the process that makes them be away."""
WITHDRAWN = "The deployment was changed before this run began."
"""Why a run was withdrawn."""
_AT_LEAST = 5
_NOT_BEGUN = ["SCHEDULED", "PENDING"]
# A worker takes up a run ten seconds before its slot.
_TAKEN_UP = timedelta(seconds=20)
_PAGE = 200
_AGAIN = 5


def plan_ahead(
    prefect: PrefectApi, facts: Mapping[str, Any], *, now: datetime | None = None
) -> list[datetime]:
    """Make the runs of a deployment's calendar for the next ten days, five at the least.

    Those that were made for moments which are none of its moments any more are withdrawn.

    Parameters
    ----------
    prefect : PrefectApi
    facts : mapping
        The deployment as Prefect's API gives it.
    now : datetime, optional
        Timezone-aware. Default: now.

    Returns
    -------
    list of datetime
        The slots for which runs were made that were not there, UTC.

    Raises
    ------
    ScheduleRefused
        The installed packages do not know its calendar.
    ServerError
        Prefect does not answer.
    """
    now = now or datetime.now(UTC)
    calendar = calendar_of(facts)
    there = runs_ahead(prefect, str(facts["id"]), now)
    # What has no moments now may have runs left, as that which was paused in Prefect's pages.
    if calendar is None and not there:
        return []
    timetable = timetable_of(facts)
    for slot, run in there.items():
        if not timetable.has(slot):
            withdraw(prefect, run, now=now)
    if calendar is None:
        return []
    near = calendar.next(now, _AT_LEAST)
    if near and near[-1] < now + AHEAD:
        further = calendar.next(near[-1], int(AHEAD.days * 2))
        near += takewhile(lambda moment: moment <= now + AHEAD, further)
    return [slot for slot in near if slot not in there and _make(prefect, facts, slot)]


def plan_all_ahead(prefect: PrefectApi, pool: str) -> tuple[int, list[str]]:
    """`plan_ahead` for each deployment of a work pool: how many runs were made, and what could not be."""
    made, problems = 0, []
    for facts in list(deployments_in(prefect, pool)):
        try:
            made += len(plan_ahead(prefect, facts))
        except (ScheduleRefused, QueryError, PrefectRefused) as error:
            # One of them keeps no other from being planned.
            problems.append(f"no runs of {facts['name']} can be made ahead: {error}")
    return made, problems


def runs_ahead(prefect: PrefectApi, deployment_id: str, now: datetime) -> dict[datetime, Mapping[str, Any]]:
    """The runs of a deployment that were made ahead and have not begun, by their slots, which lie ahead."""
    found = {}
    for run in not_begun(prefect, deployment_id, now):
        slot = planned_for(run)
        if slot is not None and is_ahead(run):
            found[slot] = run
    return found


def withdraw(prefect: PrefectApi, run: Mapping[str, Any], *, now: datetime) -> bool:
    """Take back a flow run that has not begun; whether it was still there.

    One that no worker has taken up is deleted. Else it is cancelled: a worker of 3.4.14 ends where the run
    that it has taken up is gone. There the process that it has started ends quietly when its run is
    cancelled; a newer Prefect's begins all the same, and the flow ends it (`flows/run_notebook.py`).
    """
    starts = datetime.fromisoformat(run["expected_start_time"])
    try:
        if is_ahead(run) and run["state_type"] == "SCHEDULED" and starts - now > _TAKEN_UP:
            prefect.ask(f"/flow_runs/{run['id']}", method="DELETE")
        else:
            state = {"type": "CANCELLED", "name": "Cancelled", "message": WITHDRAWN}
            prefect.ask(f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True})
    except PrefectRefused as error:
        if error.status != 404:  # 404: Prefect has deleted it meanwhile
            raise
        return False
    return True


def not_begun(prefect: PrefectApi, deployment_id: str, now: datetime) -> list[Mapping[str, Any]]:
    """The runs of a deployment that lie ahead and have not begun, in the order of their times."""
    wanted = {
        "deployments": {"id": {"any_": [deployment_id]}},
        "flow_runs": {
            "state": {"type": {"any_": _NOT_BEGUN}},
            "expected_start_time": {"after_": now.isoformat()},
        },
        "sort": "EXPECTED_START_TIME_ASC",
        "limit": _PAGE,
    }
    return list(prefect.ask("/flow_runs/filter", wanted))


def _make(prefect: PrefectApi, facts: Mapping[str, Any], slot: datetime) -> bool:
    """Make the run of a slot; False if there is one that somebody has cancelled, say."""
    told = slot.astimezone(UTC).isoformat()
    key = calendar_key(str(facts["name"]), slot)
    for _ in range(_AGAIN):
        body = {
            "parameters": {"slot": told},
            "idempotency_key": key,
            "state": {
                "type": "SCHEDULED",
                "message": f"Made ahead for {told}.",
                "state_details": {"scheduled_time": told},
            },
        }
        run = prefect.ask(f"/deployments/{facts['id']}/create_flow_run", body)
        state = run.get("state") or {}
        # One that was withdrawn stays so, and has the key: promoted away and back within seconds of a slot.
        if state.get("type") != "CANCELLED" or state.get("message") != WITHDRAWN:
            return bool(state.get("type") == "SCHEDULED")
        key = f"{calendar_key(str(facts['name']), slot)}/{run['id']}"
    return False
