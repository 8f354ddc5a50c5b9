"""Withdraws the runs that an earlier version of the same deployment has planned.

Prefect deletes the runs that are only planned when a deployment is created again. Two kinds outlive that,
and would run the earlier notebook in a slot of the new schedule: a run that a worker has taken up, which it
does ten seconds before the slot, and one that Prefect's scheduler computed before the change and inserted
after it. A third kind Prefect does not know: runs that were made ahead for an exchange calendar.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from workbench.runs.slot_store import SlotStore
from workbench.stack.planned import is_ahead, planned_for
from workbench.stack.planning import WITHDRAWN, not_begun, withdraw
from workbench.stack.prefect_api import PrefectApi
from workbench.stack.timetable import Timetable

__all__ = ["WITHDRAWN", "settle_withdrawn", "withdraw_superseded"]


def withdraw_superseded(
    prefect: PrefectApi, deployment_id: str, schedule_id: str, timetable: Timetable
) -> list[datetime]:
    """Withdraw the deployment's planned runs that come from another schedule than `schedule_id`.

    Runs that have begun go on, and so do runs that were asked for by hand, and runs whose slot has passed.

    Parameters
    ----------
    prefect : PrefectApi
    deployment_id : str
        Prefect's id.
    schedule_id : str
        Prefect's id of the deployment's one schedule: each promotion makes a new one. Empty without one.
    timetable : Timetable
        The deployment's new one: a run that was made ahead for one of its moments stays, as it gets the
        version that is in use when it begins.

    Returns
    -------
    list of datetime
        The slots of those that were withdrawn, UTC.
    """
    now = datetime.now(UTC)
    withdrawn: list[datetime] = []
    for run in not_begun(prefect, deployment_id, now):
        slot = planned_for(run)
        if slot is None:
            continue
        stays = (
            timetable.has(slot) if is_ahead(run) else (run.get("created_by") or {}).get("id") == schedule_id
        )
        if not stays and withdraw(prefect, run, now=now):
            withdrawn.append(slot)
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
