"""What a deployment in Prefect carries of its schedule that Prefect itself has no place for, in a label.

An exchange calendar, and what is caught up: so every machine that asks Prefect knows them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from workbench.errors import ScheduleRefused
from workbench.schedules import CatchUp, Schedule, check_catch_up, schedule_from_json

__all__ = ["Carried", "calendar_of", "carried_by", "labels_of"]

_LABEL = "workbench.schedule"


@dataclass(frozen=True)
class Carried:
    """A schedule as a version has it.

    Attributes
    ----------
    schedule : mapping
        As `Schedule.to_json` gives it; empty of a deployment that was promoted before there were labels.
    catch_up : str or int
        The policy for what was due while nothing ran.
    since : datetime or None
        The moment since which it holds, UTC.
    """

    schedule: Mapping[str, Any]
    catch_up: CatchUp = "latest"
    since: datetime | None = None


def labels_of(schedule: Mapping[str, Any] | None, since: datetime) -> dict[str, str]:
    """The labels with which a deployment carries a version's schedule, which holds since then."""
    if schedule is None:
        return {}
    return {_LABEL: json.dumps({**schedule, "since": since.astimezone(UTC).isoformat()})}


def carried_by(facts: Mapping[str, Any]) -> Carried:
    """What a deployment carries, from what Prefect's API answers about it."""
    try:
        stored = dict(json.loads((facts.get("labels") or {}).get(_LABEL) or "{}"))
        since = datetime.fromisoformat(stored.pop("since")) if "since" in stored else None
        return Carried(stored, check_catch_up(stored.get("catch_up", "latest")), since)
    except (TypeError, ValueError, ScheduleRefused):
        # Somebody else's label, or one edited by hand.
        return Carried({})


def calendar_of(facts: Mapping[str, Any]) -> Schedule | None:
    """The calendar of a deployment that is not paused; None of one that Prefect plans, and without any.

    Raises
    ------
    ScheduleRefused
        The installed packages do not know its calendar.
    """
    schedule = None if facts.get("paused") else schedule_from_json(carried_by(facts).schedule)
    return None if schedule is None or schedule.is_prefects else schedule
