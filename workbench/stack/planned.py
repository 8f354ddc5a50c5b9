"""The moment for which a schedule has started a flow run: Prefect's own runs, and those that we make.

Ours are known by their key, of which Prefect takes each once: `calendar/<deployment>/<slot>` of a run made
ahead for a session, `catch-up/<deployment>/<slot>/run-<number>` of one for a slot that has passed,
and `event/<deployment>/<slot>` of one that events have started.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

__all__ = [
    "calendar_key",
    "catch_up_key",
    "event_key",
    "is_ahead",
    "is_by_event",
    "is_by_schedule",
    "planned_for",
]

_AHEAD, _LATE, _EVENT = "calendar", "catch-up", "event"


def calendar_key(deployment: str, slot: datetime) -> str:
    """The key of a run that is made ahead for a slot."""
    return f"{_AHEAD}/{deployment}/{slot.astimezone(UTC).isoformat()}"


def catch_up_key(deployment: str, slot: datetime, number: int) -> str:
    """The key of a run for a slot that has passed: its number among those that were asked for."""
    return f"{_LATE}/{deployment}/{slot.astimezone(UTC).isoformat()}/run-{number}"


def event_key(deployment: str, slot: datetime) -> str:
    """The key of a run that events have started, the last of them at that moment."""
    return f"{_EVENT}/{deployment}/{slot.astimezone(UTC).isoformat()}"


def planned_for(flow_run: Mapping[str, Any]) -> datetime | None:
    """The moment, UTC, for which a schedule or an event has started a flow run; None of one by hand.

    Parameters
    ----------
    flow_run : mapping
        As Prefect's API gives it: `auto_scheduled`, `expected_start_time`, `idempotency_key`.
    """
    if flow_run.get("auto_scheduled"):
        expected = flow_run.get("expected_start_time")
        return None if expected is None else datetime.fromisoformat(expected)
    return _slot_in(flow_run, (_AHEAD, _LATE, _EVENT))


def is_by_schedule(flow_run: Mapping[str, Any]) -> bool:
    """Whether a schedule has started it, or an event."""
    return planned_for(flow_run) is not None


def is_by_event(flow_run: Mapping[str, Any]) -> bool:
    """Whether events have started it."""
    return _slot_in(flow_run, (_EVENT,)) is not None


def is_ahead(flow_run: Mapping[str, Any]) -> bool:
    """Whether it is one of those that we make ahead."""
    return _slot_in(flow_run, (_AHEAD,)) is not None


def _slot_in(flow_run: Mapping[str, Any], kinds: tuple[str, ...]) -> datetime | None:
    parts = str(flow_run.get("idempotency_key") or "").split("/")
    if len(parts) < 3 or parts[0] not in kinds:
        return None
    try:
        slot = datetime.fromisoformat(parts[2])
    except ValueError:
        return None
    return None if slot.tzinfo is None else slot.astimezone(UTC)
