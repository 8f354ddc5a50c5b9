"""A schedule that will not be kept is told, asked of a real Prefect server whose scheduler does not run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.stack.conftest import POOL
from tests.servers import wait_for
from workbench.stack.prefect_api import PrefectApi
from workbench.stack.schedules import schedules_in


@pytest.fixture(scope="module")
def later() -> datetime:
    """When the scheduler has had its time."""
    return datetime.now(UTC) + timedelta(minutes=10)


def deploy(prefect: PrefectApi, name: str, *schedules: dict[str, Any], active: bool = True) -> None:
    flow = prefect.ask("/flows/", {"name": "any"})
    body = {
        "name": name,
        "flow_id": flow["id"],
        "work_pool_name": POOL,
        "enforce_parameter_schema": False,
        "schedules": [{"active": active, "schedule": schedule} for schedule in schedules],
    }
    prefect.ask("/deployments/", body)


@pytest.fixture(scope="module")
def problems(prefect: PrefectApi, later: datetime) -> dict[str, str]:
    """Each deployment's problem, when the scheduler has had its time."""
    deploy(prefect, "hourly", {"cron": "0 * * * *", "timezone": "Asia/Kolkata"})
    deploy(prefect, "interval", {"interval": 3600.0, "anchor_date": "2020-01-01T00:00:00Z"})
    deploy(prefect, "weekly-rule", {"rrule": "DTSTART:20200101T000000\nRRULE:FREQ=WEEKLY", "timezone": "UTC"})
    deploy(prefect, "ended-rule", {"rrule": "DTSTART:20200101T000000Z\nRRULE:FREQ=DAILY;COUNT=3"})
    far = later + timedelta(days=200)
    deploy(prefect, "far", {"cron": f"0 0 1 {far.month} *", "timezone": "UTC"})
    deploy(prefect, "inactive", {"cron": "0 * * * *", "timezone": "UTC"}, active=False)
    deploy(prefect, "by-hand")
    assert not any(one.problem for one in schedules_in(prefect, POOL).deployments), "just deployed"
    found = schedules_in(prefect, POOL, now=later).deployments
    (told,) = (one.next_run for one in found if one.name == "far")
    # The first of that month, which Prefect has not planned yet.
    assert told is not None
    assert (told.month, told.day) == (far.month, 1)
    return {one.name: one.problem for one in found}


@pytest.mark.parametrize("name", ["hourly", "interval", "weekly-rule"])
def test_an_active_schedule_without_a_planned_run_is_a_problem(problems: dict[str, str], name: str) -> None:
    assert problems[name] == "its schedule is active, but Prefect has not planned a run of it"


@pytest.mark.parametrize("name", ["ended-rule", "far", "inactive", "by-hand"])
def test_what_has_no_slot_soon_is_none(problems: dict[str, str], name: str) -> None:
    assert problems[name] == ""


def test_a_pool_that_no_worker_asks_for_work_is_a_problem(
    prefect: PrefectApi, problems: dict[str, str], later: datetime
) -> None:
    found = schedules_in(prefect, POOL, now=later)
    assert found.problems[0] == "no worker has ever polled the work pool workbench"
    assert len(found.problems) == 4
    prefect.ask(f"/work_pools/{POOL}/get_scheduled_flow_runs", {})
    wait_for(lambda: not schedules_in(prefect, POOL).worker_problem, "the poll is noted")
    assert "no worker has polled Prefect for" in schedules_in(prefect, POOL, now=later).problems[0]


def test_a_run_whose_moment_has_passed_is_late(
    prefect: PrefectApi, problems: dict[str, str], later: datetime
) -> None:
    found = prefect.ask("/deployments/name/any/by-hand")
    prefect.ask(f"/deployments/{found['id']}/create_flow_run", {})
    told = {one.name: one for one in schedules_in(prefect, POOL, now=later).deployments}
    assert (told["by-hand"].late, told["by-hand"].problem) == (1, "1 run is late and waits for a worker")
