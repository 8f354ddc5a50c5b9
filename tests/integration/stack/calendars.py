"""A deployment with an exchange calendar on a real Prefect server, as promotion makes one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tests.integration.stack.conftest import POOL
from workbench.stack.carried import labels_of
from workbench.stack.prefect_api import PrefectApi

__all__ = ["at", "deploy", "facts_of", "runs_of"]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def deploy(
    prefect: PrefectApi, name: str, schedule: Mapping[str, Any] | None, since: datetime
) -> Mapping[str, Any]:
    """A deployment whose schedule holds since then; what Prefect answers about it."""
    flow = prefect.ask("/flows/", {"name": "run-notebook"})
    body = {
        "name": name,
        "flow_id": flow["id"],
        "work_pool_name": POOL,
        "enforce_parameter_schema": False,
        "parameters": {"sha256": "ab", "slot": None},
        "schedules": [],
        "labels": labels_of(schedule, since),
    }
    prefect.ask("/deployments/", body)
    return facts_of(prefect, name)


def facts_of(prefect: PrefectApi, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = prefect.ask(f"/deployments/name/run-notebook/{name}")
    return found


def runs_of(prefect: PrefectApi, name: str, *states: str) -> list[dict[str, Any]]:
    """Its flow runs in those states, the earliest first."""
    wanted = {
        "deployments": {"name": {"any_": [name]}},
        "flow_runs": {"state": {"type": {"any_": list(states)}}},
        "sort": "EXPECTED_START_TIME_ASC",
        "limit": 200,
    }
    return list(prefect.ask("/flow_runs/filter", wanted))
