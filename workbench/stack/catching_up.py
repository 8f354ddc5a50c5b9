"""Asks for runs of slots that passed while nothing ran and are caught up in their turn.

Under the policies "all" and "at most so many" slots wait as due, and each run that begins takes the oldest of
them. Where no run is left to begin, one is asked for: at the end of each, and each minute by the relay's
process. A slot for which three were asked for in vain is missed: they ended before they had a record.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from workbench.runs.slot_store import SlotStore
from workbench.stack.planned import catch_up_key
from workbench.stack.prefect_api import PrefectApi
from workbench.stack.schedules import deployments_in
from workbench.stack.timetable import timetable_of

__all__ = ["ask_for_all", "ask_for_next"]

_MOST_RUNS = 3
_ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def ask_for_next(
    prefect: PrefectApi,
    slots: SlotStore,
    facts: Mapping[str, Any],
    *,
    besides: str | None = None,
    now: datetime | None = None,
) -> datetime | None:
    """Ask for a run of the oldest slot that waits, if no run of the deployment goes on or is to begin.

    Parameters
    ----------
    prefect : PrefectApi
    slots : SlotStore
    facts : mapping
        The deployment as Prefect's API gives it.
    besides : str, optional
        A flow run that is left out of account: the one that asks at its end.
    now : datetime, optional
        Timezone-aware. Default: now.

    Returns
    -------
    datetime or None
        The slot for which one was asked for, UTC.
    """
    now = now or datetime.now(UTC)
    timetable = timetable_of(facts)
    if not timetable.in_turn or facts.get("paused"):
        return None
    waiting = slots.waiting(timetable.deployment, now)
    if not waiting or _goes_on(prefect, str(facts["id"]), besides, now):
        return None
    for slot in waiting:
        for number in range(1, _MOST_RUNS + 1):
            run = _ask(prefect, facts, slot, number)
            if str(run["id"]) != besides and run["state_type"] not in _ENDED:
                return slot
        reason = f"{_MOST_RUNS} runs of it were asked for, and each ended before it had a record"
        slots.settle(timetable.deployment, {slot: reason}, "missed")
    return None


def ask_for_all(prefect: PrefectApi, slots: SlotStore, pool: str) -> list[tuple[str, datetime]]:
    """`ask_for_next` for each deployment of a work pool: the deployments and slots asked for."""
    found = []
    for facts in list(deployments_in(prefect, pool)):
        slot = ask_for_next(prefect, slots, facts)
        if slot is not None:
            found.append((str(facts["name"]), slot))
    return found


def _ask(prefect: PrefectApi, facts: Mapping[str, Any], slot: datetime, number: int) -> Mapping[str, Any]:
    """The run of that number for a slot, asked for if it was not yet."""
    told = slot.astimezone(UTC).isoformat()
    body = {
        "parameters": {"slot": told},
        "idempotency_key": catch_up_key(str(facts["name"]), slot, number),
        "state": {"type": "SCHEDULED", "message": f"Catches up on {told}."},
    }
    run: Mapping[str, Any] = prefect.ask(f"/deployments/{facts['id']}/create_flow_run", body)
    return run


def _goes_on(prefect: PrefectApi, deployment_id: str, besides: str | None, now: datetime) -> bool:
    """Whether a run of it goes on, or waits to begin; not those that lie ahead."""
    wanted = {
        "deployments": {"id": {"any_": [deployment_id]}},
        "flow_runs": {
            "state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING", "CANCELLING"]}},
            "expected_start_time": {"before_": (now + timedelta(seconds=30)).isoformat()},
        },
        "limit": 10,
    }
    return any(str(run["id"]) != besides for run in prefect.ask("/flow_runs/filter", wanted))
