"""Flow runs of promoted notebooks as Prefect holds them: which go on, ending one, asking for another."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from workbench.attempt import Attempt
from workbench.stack.planned import is_by_schedule, planned_for
from workbench.stack.prefect_api import PrefectApi, PrefectRefused

__all__ = [
    "FLOW_NAME",
    "FlowRunSeen",
    "ask_for_attempt",
    "crash",
    "crashed_lately",
    "deployment_name",
    "deployment_of_name",
    "local_flow_runs",
    "state_of",
    "unfinished",
    "works_as_process",
    "works_only_here",
]

FLOW_NAME = "run-notebook"
"""The flow that every promoted notebook's deployment runs."""

_DEFAULT_RETRIES = 2
_LATELY = timedelta(minutes=10)
_DUE_LATELY = timedelta(hours=2)

logger = logging.getLogger("workbench.reaper")


@dataclass(frozen=True, slots=True)
class FlowRunSeen:
    """A flow run that has not ended, or has just crashed, as Prefect says.

    Attributes
    ----------
    flow_run_id : str
    name : str
    state : str
        "PENDING", "RUNNING", "CANCELLING" or "CRASHED".
    seconds : float
        How long it has been in that state.
    deployment_id : str
    slot : datetime or None
        The slot that it was for.
    """

    flow_run_id: str
    name: str
    state: str
    seconds: float
    deployment_id: str
    slot: datetime | None


def unfinished(prefect: PrefectApi, pool: str) -> list[FlowRunSeen]:
    """Those in the work pool that a worker took up and that have not ended.

    Raises
    ------
    ServerError
        Prefect does not answer.
    """
    return _seen(prefect, pool, {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}})


def crashed_lately(prefect: PrefectApi, pool: str) -> list[FlowRunSeen]:
    """Those in the work pool that ended as Crashed within the last minutes, whoever found that.

    Raises
    ------
    ServerError
        Prefect does not answer.
    """
    # One that never began has no end in Prefect.
    due = {"after_": (datetime.now(UTC) - _DUE_LATELY).isoformat()}
    found = _seen(prefect, pool, {"state": {"type": {"any_": ["CRASHED"]}}, "expected_start_time": due})
    return [one for one in found if one.seconds < _LATELY.total_seconds()]


def _seen(prefect: PrefectApi, pool: str, which: Mapping[str, Any]) -> list[FlowRunSeen]:
    wanted = {
        "flows": {"name": {"any_": [FLOW_NAME]}},
        "work_pools": {"name": {"any_": [pool]}},
        "flow_runs": which,
        "limit": 200,
    }
    found = prefect.ask("/flow_runs/filter", wanted)
    now = datetime.now(UTC)
    return [
        FlowRunSeen(
            flow_run_id=str(one["id"]),
            name=str(one["name"]),
            state=str(one["state_type"]),
            seconds=(now - datetime.fromisoformat(one["state"]["timestamp"])).total_seconds(),
            deployment_id=str(one.get("deployment_id") or ""),
            slot=_slot_of(one),
        )
        for one in found
    ]


def state_of(prefect: PrefectApi, flow_run_id: str) -> str:
    """The type of its state, as "RUNNING"; empty if Prefect does not know it."""
    try:
        return str(prefect.ask(f"/flow_runs/{flow_run_id}").get("state_type") or "")
    except PrefectRefused as error:
        if error.status == 404:
            return ""
        raise


def crash(prefect: PrefectApi, flow_run_id: str, message: str) -> None:
    """Set a flow run that has not ended to Crashed; whatever still works for it is refused the next state."""
    if state_of(prefect, flow_run_id) in {"PENDING", "RUNNING", "CANCELLING"}:
        state = {"type": "CRASHED", "name": "Crashed", "message": message}
        prefect.ask(f"/flow_runs/{flow_run_id}/set_state", {"state": state, "force": True})


def ask_for_attempt(prefect: PrefectApi, attempt: Attempt, attempts: int, *, like: str | None = None) -> bool:
    """Ask for another attempt at a slot, with the parameters of the last one; asking twice gives one.

    Parameters
    ----------
    prefect : PrefectApi
    attempt : Attempt
    attempts : int
        How many there were.
    like : str, optional
        The flow run of the last one.

    Returns
    -------
    bool
        Whether it was asked for; False if the deployment's policy gives no further attempt, or it is gone, or
        a newer slot of it waits.
    """
    deployment = deployment_of_name(prefect, attempt.deployment)
    if deployment is None:
        return False
    retries = deployment["parameters"].get("retries", _DEFAULT_RETRIES)
    if attempts > retries or deployment.get("paused") or _waits_for_newer(prefect, deployment["id"], attempt):
        return False
    given: Mapping[str, Any] = {}
    if like is not None:
        with contextlib.suppress(PrefectRefused):
            given = prefect.ask(f"/flow_runs/{like}")["parameters"]
    slot = attempt.slot.astimezone(UTC).isoformat()
    body = {
        "parameters": {**given, "slot": slot},
        # Of a grid several members may have had as many attempts.
        "idempotency_key": "/".join(
            filter(None, [attempt.deployment, slot, attempt.member, f"{attempts + 1}"])
        ),
        "state": {"type": "SCHEDULED", "message": f"Attempt {attempts + 1} for {slot}, after a crash."},
    }
    try:
        prefect.ask(f"/deployments/{deployment['id']}/create_flow_run", body)
    except PrefectRefused as error:
        # As of a deployment that was promoted before there were slots: its schema has no such parameter.
        logger.warning("%s is not tried again for %s: %s", attempt.deployment, slot, error.reason)
        return False
    return True


def deployment_of_name(prefect: PrefectApi, name: str) -> Any:
    """What Prefect knows of the deployment of that name; None without one."""
    try:
        return prefect.ask(f"/deployments/name/{FLOW_NAME}/{quote(name, safe='')}")
    except PrefectRefused as error:
        if error.status == 404:
            return None
        raise


def local_flow_runs() -> set[str]:
    """The flow runs for which a process of this machine works or begins to, as far as we may see."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                for variable in (folder / "environ").read_bytes().split(b"\0"):
                    name, _, value = variable.partition(b"=")
                    if name == b"PREFECT__FLOW_RUN_ID" and int(folder.name) != os.getpid():
                        found.add(value.decode(errors="replace"))
    return found


def works_only_here(prefect: PrefectApi, pool: str) -> bool:
    """Whether every worker that polls the pool is of this machine."""
    online = [worker.name for worker in prefect.workers(pool) if worker.online]
    return all(name.startswith(f"{socket.gethostname()}-") for name in online)


def works_as_process(prefect: PrefectApi, pool: str) -> bool:
    """Whether the pool's workers start runs as processes of their machine: in seconds, not minutes."""
    return bool(prefect.ask(f"/work_pools/{quote(pool)}").get("type") == "process")


def deployment_name(prefect: PrefectApi, run: FlowRunSeen) -> str:
    """The name of the deployment that it is a run of; empty where that is gone."""
    if not run.deployment_id:
        return ""
    try:
        return str(prefect.ask(f"/deployments/{run.deployment_id}")["name"])
    except PrefectRefused as error:
        if error.status == 404:
            return ""
        raise


def _slot_of(flow_run: Mapping[str, Any]) -> datetime | None:
    given = (flow_run.get("parameters") or {}).get("slot")
    try:
        return planned_for(flow_run) if given is None else datetime.fromisoformat(given)
    except (TypeError, ValueError):
        return None


def _waits_for_newer(prefect: PrefectApi, deployment_id: str, attempt: Attempt) -> bool:
    """Whether a run of a newer slot is due already, which a worker has not taken up yet."""
    within = {"after_": attempt.slot.isoformat(), "before_": datetime.now(UTC).isoformat()}
    wanted = {
        "deployments": {"id": {"any_": [deployment_id]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}, "expected_start_time": within},
    }
    found = prefect.ask("/flow_runs/filter", {**wanted, "limit": 10})
    return any(is_by_schedule(one) for one in found)
