"""Slots that nothing runs are told, asked of a real Prefect server whose scheduler does not run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import Connection
from tests.integration.stack.conftest import POOL
from workbench import Workbench
from workbench.stack.passed_slots import settle_passed_slots
from workbench.stack.prefect_api import PrefectApi

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

HOURLY = {"cron": "0 * * * *", "timezone": "UTC"}
MINUTE = timedelta(minutes=1)


def deploy(prefect: PrefectApi, name: str, *, sha256: str = "ab", active: bool = True) -> None:
    flow = prefect.ask("/flows/", {"name": "run-notebook"})
    body: dict[str, Any] = {
        "name": name,
        "flow_id": flow["id"],
        "work_pool_name": POOL,
        "enforce_parameter_schema": False,
        "parameters": {"sha256": sha256} if sha256 else {},
        "schedules": [{"active": active, "schedule": HOURLY}],
    }
    prefect.ask("/deployments/", body)


def test_what_nothing_runs_is_due_and_then_missed(
    prefect: PrefectApi, wb: Workbench, admin: Connection
) -> None:
    deploy(prefect, "hourly")
    deploy(prefect, "no-notebook", sha256="")
    deploy(prefect, "inactive", active=False)
    slots = wb.runs.slots
    first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    # Nothing is missed before it was deployed; and a slot has a minute's grace.
    for now in (first - MINUTE, first + MINUTE / 2):
        assert settle_passed_slots(prefect, slots, POOL, now=now) == []

    def look(now: datetime) -> list[tuple[str, datetime, str]]:
        return [
            (one.deployment, one.slot, one.state)
            for one in settle_passed_slots(prefect, slots, POOL, now=now)
        ]

    assert look(first + 2 * MINUTE) == [("hourly", first, "due")]
    assert look(first + 3 * MINUTE) == []
    later = [first + timedelta(hours=hours) for hours in range(1, 4)]
    assert look(later[2] + 2 * MINUTE) == [
        ("hourly", first, "missed"),
        ("hourly", later[0], "missed"),
        ("hourly", later[1], "missed"),
        ("hourly", later[2], "due"),
    ]
    # A run that begins after all takes the slot, and nothing is said of it any more.
    run = wb.runs.start(
        notebook="a.ipynb", trigger="deployment", deployment="hourly", slot=later[2], purpose="live"
    )
    assert look(later[2] + 5 * MINUTE) == []
    wb.runs.finish(run, "completed")
    assert look(later[2] + timedelta(hours=1) + 2 * MINUTE)[0][2] == "due"
    assert wb.deployments.slots("hourly")["state"].tolist() == ["due", "completed", *["missed"] * 3]
    told = admin.execute("SELECT data FROM workbench.events WHERE type = 'slot.missed'").fetchall()
    assert [data["count"] for (data,) in told] == [3]
