"""The event record, and the names of the stream and the channels."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from workbench.display.card import card_html
from workbench.errors import EventError
from workbench.project.server_names import EVENTS

__all__ = ["PREFIX", "PUT_ASIDE", "Event", "channel", "check_type", "refuse_undeliverable", "stream"]

PREFIX = EVENTS
"""What the names of the stream and the channels begin with, unless several databases use one Redis."""

PUT_ASIDE = "event.put_aside"
"""The type of the event that reports another event that a sink refuses."""

# Below Prefect's limits, some 200 levels and 1.5 MB.
_MOST_LEVELS, _MOST_BYTES = 100, 1_000_000
_LONGEST_TYPE = 200
_TYPE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")


@dataclass(frozen=True, repr=False)
class Event:
    """One event.

    Attributes
    ----------
    type : str
        `<what>.<happened>`: "market_data.written", "notebook_run.completed".
    service : str
        The sender: "data_ingestion".
    data : mapping
        The event's data, JSON.
    timestamp : datetime
        When it was added to the outbox, UTC.
    event_id : int
        Its number in the outbox. Delivery is at least once: ignore numbers that you have seen.
    position : str or None
        Where it was read, for `follow(after=…)`, also in another process, and even if Redis has lost its
        stream since. None if it was not read by `recent` or `follow`.
    """

    type: str
    service: str
    data: Mapping[str, Any]
    timestamp: datetime
    event_id: int
    position: str | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return f"<Event {self.event_id} {self.type}, {self.timestamp:%Y-%m-%d %H:%M:%S %Z}>"

    def _repr_html_(self) -> str:
        rows = [("service", self.service), *((name, str(value)) for name, value in self.data.items())]
        note = f"{self.timestamp:%Y-%m-%d %H:%M:%S %Z}, number {self.event_id}"
        return card_html(self.type, rows, note=note)

    def to_json(self, database: str | None = None) -> str:
        """`{"type", "service", "data", "timestamp", "event_id"}`, and "database" if one is given."""
        facts = {
            "type": self.type,
            "service": self.service,
            "data": dict(self.data),
            "timestamp": self.timestamp.isoformat(),
            "event_id": self.event_id,
        }
        return json.dumps(facts if database is None else {**facts, "database": database})

    @classmethod
    def from_json(cls, text: str | bytes, position: str | None = None) -> Event:
        """The event from the JSON of `to_json`, with that position."""
        try:
            facts = json.loads(text)
            return cls(
                type=facts["type"],
                service=facts["service"],
                data=facts["data"],
                timestamp=datetime.fromisoformat(facts["timestamp"]),
                event_id=int(facts["event_id"]),
                position=position,
            )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise EventError(f"not an event of workbench: {text[:80]!r}") from error


def stream(prefix: str = PREFIX) -> str:
    """The name of the stream of all events, oldest first: `data_sync:events`."""
    return f"{prefix}:events"


def channel(event_type: str, prefix: str = PREFIX) -> str:
    """The channel of that type: `data_sync:<type>`."""
    return f"{prefix}:{event_type}"


def check_type(event_type: str) -> str:
    """Return the type; raises EventError if it is not lower-case words joined by dots."""
    if not _TYPE.fullmatch(event_type):
        raise EventError(
            f"{event_type!r} cannot be an event's type; use lower-case words joined by dots, "
            "such as 'market_data.written'"
        )
    if len(event_type) > _LONGEST_TYPE:
        raise EventError(
            f"an event's type has at most {_LONGEST_TYPE} characters; this one, {event_type[:40]!r}…, "
            f"has {len(event_type):,}"
        )
    return event_type


def refuse_undeliverable(event_type: str, data: Mapping[str, Any]) -> None:
    """Raise EventError if the data is nested too deeply or too large to be delivered."""
    level: Iterable[Any] = [data]
    for _ in range(_MOST_LEVELS):
        inner = (
            item for value in level for item in _items(value) if isinstance(item, Mapping | list | tuple)
        )
        # An object that occurs twice is checked once.
        level = list({id(item): item for item in inner}.values())
        if not level:
            break
    else:
        raise EventError(
            f"the data of {event_type} is nested deeper than {_MOST_LEVELS} levels, which not every receiver "
            "supports; flatten it, or store it and publish its location"
        )
    try:
        size = len(json.dumps(data))
    except (TypeError, ValueError):
        return  # not JSON: the outbox raises a better error
    if size > _MOST_BYTES:
        raise EventError(
            f"the data of {event_type} has {size:,} bytes; an event may have at most {_MOST_BYTES:,}: "
            "store it and publish its location"
        )


def _items(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, Mapping) else value
