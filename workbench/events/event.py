"""What an event is, and the names of the channels and the stream it travels on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workbench.display.card import card_html
from workbench.errors import EventError

__all__ = ["STREAM", "Event", "channel", "check_type"]

STREAM = "data_sync:events"
"""The stream that every event is added to, oldest first; channels are named after the type."""

_TYPE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")


@dataclass(frozen=True, repr=False)
class Event:
    """One event.

    Attributes
    ----------
    type : str
        `<what>.<happened>`: "market_data.written", "notebook_run.completed".
    service : str
        Who says so: "data_ingestion".
    data : mapping
        The facts, JSON.
    timestamp : datetime
        When it was written down, UTC.
    event_id : int
        Its number in the outbox. Delivery is at least once: listeners drop numbers they have seen.
    """

    type: str
    service: str
    data: Mapping[str, Any]
    timestamp: datetime
    event_id: int

    def __repr__(self) -> str:
        return f"<Event {self.event_id} {self.type}, {self.timestamp:%Y-%m-%d %H:%M:%S %Z}>"

    def _repr_html_(self) -> str:
        rows = [("service", self.service), *((name, str(value)) for name, value in self.data.items())]
        note = f"{self.timestamp:%Y-%m-%d %H:%M:%S %Z}, number {self.event_id}"
        return card_html(self.type, rows, note=note)

    def to_json(self) -> str:
        """`{"type", "service", "data", "timestamp", "event_id"}`."""
        return json.dumps(
            {
                "type": self.type,
                "service": self.service,
                "data": dict(self.data),
                "timestamp": self.timestamp.isoformat(),
                "event_id": self.event_id,
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Event:
        """The event that `to_json` wrote."""
        try:
            facts = json.loads(text)
            return cls(
                type=facts["type"],
                service=facts["service"],
                data=facts["data"],
                timestamp=datetime.fromisoformat(facts["timestamp"]),
                event_id=int(facts["event_id"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise EventError(f"not an event of workbench: {text[:80]!r}") from error


def channel(event_type: str) -> str:
    """The channel of that type: `data_sync:<type>`."""
    return f"data_sync:{event_type}"


def check_type(event_type: str) -> str:
    """The type itself, or an EventError where it is not lower-case words joined by dots."""
    if not _TYPE.fullmatch(event_type):
        raise EventError(
            f"{event_type!r} cannot be an event's type; use lower-case words joined by dots, "
            "such as 'market_data.written'"
        )
    return event_type
