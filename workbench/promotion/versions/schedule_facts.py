"""A version's schedule, as it is kept: for Prefect, in words, and the moments that lie ahead."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from workbench.stack.moments import next_slot
from workbench.stack.schedules import in_words

__all__ = ["moments_ahead", "prefect_schedule", "schedule_in_words", "zone_of"]


def prefect_schedule(schedule: Mapping[str, Any]) -> dict[str, Any]:
    """As Prefect's API takes it."""
    return {"cron": schedule["cron"], "timezone": schedule["timezone"], "day_or": True}


def schedule_in_words(schedule: Mapping[str, Any]) -> str:
    """As in "30 17 * * mon-fri (America/New_York)"; empty without one."""
    return in_words(prefect_schedule(schedule)) if "cron" in schedule else ""


def zone_of(schedule: Mapping[str, Any]) -> str:
    """The time zone in which its moments are told."""
    return str(schedule.get("timezone") or "UTC")


def moments_ahead(
    schedule: Mapping[str, Any], count: int = 1, *, after: datetime | None = None
) -> list[datetime]:
    """The next moments at which it is due, UTC; fewer if it ends, none for what only Prefect can read."""
    found: list[datetime] = []
    now = after or datetime.now(UTC)
    while "cron" in schedule and len(found) < count:
        try:
            moment = next_slot(prefect_schedule(schedule), now)
        except ValueError:
            break
        if moment is None:
            break
        found.append(moment)
        now = moment
    return found
