"""The slots of a schedule: the first one by its cron fields, and the first that Prefect has planned."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from workbench.errors import PromotionRefused
from workbench.promotion.cron import wrong_field
from workbench.stack.model import Progress
from workbench.stack.moments import next_cron_slot
from workbench.stack.prefect_api import PrefectApi
from workbench.stack.schedules import PLANNED_AHEAD, next_run_of

__all__ = ["await_plan", "first_slot"]

_PLAN_SECONDS = 20.0


def first_slot(cron: str, timezone: str) -> datetime | None:
    """The schedule's first run; None for a schedule that only Prefect can check."""
    if len(cron.split()) != 5:
        raise PromotionRefused(
            f"the schedule {cron!r} has {len(cron.split())} fields; cron takes five: "
            "minute hour day month weekday, such as '30 17 * * mon-fri'"
        )
    wrong = wrong_field(cron)
    if wrong:
        raise PromotionRefused(f"the schedule {cron!r} cannot be: {wrong}")
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as error:
        raise PromotionRefused(
            f"there is no time zone {timezone!r}; give an IANA name, such as America/New_York"
        ) from error
    try:
        slot = next_cron_slot(cron, timezone, datetime.now(UTC))
    except ValueError:
        return None
    if slot is None:
        raise PromotionRefused(f"the schedule {cron!r} never comes: no year has such a day")
    return slot


def await_plan(
    prefect: PrefectApi, deployment_id: str, slot: datetime | None, tell: Progress
) -> datetime | None:
    """When the deployment runs next; waits some seconds for Prefect's scheduler to plan it."""
    if slot is not None and slot - datetime.now(UTC) > PLANNED_AHEAD:
        return slot
    tell("waiting for Prefect to plan the next run")
    deadline = time.monotonic() + _PLAN_SECONDS
    while (planned := next_run_of(prefect, deployment_id)) is None and time.monotonic() < deadline:
        time.sleep(0.25)
    return planned
