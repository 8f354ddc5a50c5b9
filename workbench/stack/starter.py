"""`Starter`: asks Prefect for the runs of deployments that events start, in a thread of the relay's process.

Several may do so at once, as on two machines: a slot is made by whoever comes first, and the flow run's key,
by which Prefect knows what was asked for already, names it.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC
from typing import Any

from workbench.db.pool import ServiceConnectionPool
from workbench.errors import PrefectRefused, WorkbenchError
from workbench.runs.bursts import AwaitedSlot, close_bursts, due_awaited
from workbench.runs.slot_store import SlotStore
from workbench.stack.flow_runs import deployment_of_name
from workbench.stack.passed_slots import in_words
from workbench.stack.planned import event_key
from workbench.stack.prefect_api import PrefectApi

__all__ = ["Starter", "start_awaited"]

_EVERY = 1.0
# Whoever deletes a flow run that has not begun gets it again.
_AGAIN_SECONDS = 60.0
_UNFINISHED = ["PENDING", "RUNNING", "CANCELLING"]

logger = logging.getLogger("workbench.starter")


class Starter:
    """Makes slots of events that have settled, and asks for their runs, until it is stopped.

    Parameters
    ----------
    prefect : PrefectApi
    pool : ServiceConnectionPool
        With the role `workbench_runs`.
    """

    def __init__(self, prefect: PrefectApi, pool: ServiceConnectionPool) -> None:
        self._prefect = prefect
        self._pool = pool
        self._end = threading.Event()
        self._asked: dict[AwaitedSlot, float] = {}
        self._told = ""

    def start(self) -> None:
        """Begin, in a thread that ends with its process."""
        threading.Thread(target=self._work, name="starter", daemon=True).start()

    def stop(self) -> None:
        """Start nothing more."""
        self._end.set()

    def _work(self) -> None:
        while not self._end.wait(_EVERY):
            try:
                for one in start_awaited(self._prefect, self._pool, self._asked):
                    logger.info("%s runs for the slot %s", one.deployment, in_words(one.slot))
                self._told = ""
            except WorkbenchError as error:
                # Once, and not each second for as long as a server is away.
                if str(error) != self._told:
                    logger.warning("what events start is not started yet: %s", error)
                self._told = str(error)
            except Exception:
                logger.exception("unexpected error while starting what events start")


def start_awaited(
    prefect: PrefectApi, pool: ServiceConnectionPool, asked: dict[AwaitedSlot, float]
) -> list[AwaitedSlot]:
    """Make slots of the events that have settled, and ask for the run of each deployment's newest one.

    While a run of the deployment goes on, the next one waits; then it is for the newest slot, and the older
    ones are skipped.

    Parameters
    ----------
    prefect : PrefectApi
    pool : ServiceConnectionPool
    asked : dict
        When each slot was last asked for, by the monotonic clock; kept between two calls.

    Returns
    -------
    list of AwaitedSlot
        Those whose runs were asked for now.

    Raises
    ------
    ServerError, DatabaseError
        Prefect or PostgreSQL does not answer; nothing is lost.
    """
    close_bursts(pool)
    newest: dict[str, AwaitedSlot] = {}
    slots, started = SlotStore(pool), []
    for one in due_awaited(pool):
        if (older := newest.get(one.deployment)) is not None:
            reason = f"the run for the slot {in_words(one.slot)} answers its events, too"
            slots.settle(one.deployment, {older.slot: reason}, "skipped")
        newest[one.deployment] = one
    for gone in set(asked) - set(newest.values()):
        del asked[gone]
    for one in newest.values():
        if time.monotonic() - asked.get(one, float("-inf")) < _AGAIN_SECONDS:
            continue
        if _ask(prefect, slots, one):
            asked[one] = time.monotonic()
            started.append(one)
    return started


def _ask(prefect: PrefectApi, slots: SlotStore, one: AwaitedSlot) -> bool:
    found = deployment_of_name(prefect, one.deployment)
    if found is None or found.get("paused"):
        return False
    going = {
        "deployments": {"id": {"any_": [found["id"]]}},
        "flow_runs": {"state": {"type": {"any_": _UNFINISHED}}},
    }
    if prefect.ask("/flow_runs/count", going):
        return False
    slot = one.slot.astimezone(UTC).isoformat()
    body = {
        "parameters": {"slot": slot},
        "idempotency_key": event_key(one.deployment, one.slot),
        "state": {"type": "SCHEDULED", "message": f"Events have come until {slot}."},
    }
    try:
        run = prefect.ask(f"/deployments/{found['id']}/create_flow_run", body)
    except PrefectRefused as error:
        slots.settle(one.deployment, {one.slot: f"Prefect refuses its run: {error.reason}"}, "missed")
        return False
    _settle_ended(slots, one, run)
    return True


def _settle_ended(slots: SlotStore, one: AwaitedSlot, run: dict[str, Any]) -> None:
    """Say what became of a slot whose flow run has ended before it began, as when somebody cancelled it.

    Of one that crashed the reaper tells.
    """
    state = str(run.get("state_type"))
    told = str((run.get("state") or {}).get("message") or "")
    if state == "CANCELLED":
        slots.settle(one.deployment, {one.slot: told or "its flow run was cancelled"}, "cancelled")
    elif state in {"FAILED", "COMPLETED"}:
        reason = f"its flow run had ended as {state.lower()} before it began: {told}"
        slots.settle(one.deployment, {one.slot: reason}, "missed")
