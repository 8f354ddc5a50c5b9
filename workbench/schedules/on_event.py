"""`OnEvent` and `After`: what starts a deployment is an event, and not the clock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from workbench.errors import ScheduleRefused
from workbench.schedules.base import Schedule

__all__ = ["After", "Awaited", "OnEvent", "awaited_from_json", "settle_seconds", "wheres"]

_SHORTEST, _LONGEST, _USUAL = 1.0, 3_600.0, 30.0
_UNITS = {"": 1.0, "s": 1.0, "min": 60.0, "h": 3_600.0}
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|)")


class Awaited(Schedule):
    """What is awaited: events. It has no moments that could be known before.

    Attributes
    ----------
    settle : float
        For how many seconds no further event may come before a run begins, so that many events at once start
        one run.
    """

    settle: float

    @property
    def is_prefects(self) -> bool:
        """False: the run is asked for when the event has come."""
        return False

    def rule(self) -> Mapping[str, Any]:
        """Empty: there is no rule for what is not known before."""
        return {}

    def moments(self, after: datetime, until: datetime) -> list[datetime]:
        """None: they are known when they have come, as slots."""
        del after, until
        return []

    def next(self, after: datetime, count: int = 1) -> list[datetime]:
        """None, as of `moments`."""
        del after, count
        return []

    def is_met_by(self, event_type: str, data: Mapping[str, Any]) -> bool:
        """Whether it awaits an event of that type with that data."""
        raise NotImplementedError


@dataclass(frozen=True)
class OnEvent(Awaited):
    """Due when events of a type have come, and then none for `settle` seconds.

    Attributes
    ----------
    on : str
        The type: "market_data.written".
    where : dict of str to list of str
        What the event must name, one of the values for each name: {"symbol": ["AAPL", "MSFT"]}. A name is a
        key of the event's data, or one of a list there: `symbol` of `symbols`.
    settle : float
        Seconds, 1 to 3,600.
    timezone : str
        For showing moments.

    Raises
    ------
    ScheduleRefused
        A settling time that cannot be.
    """

    kind: ClassVar[str] = "event"
    on: str
    where: Mapping[str, list[str]] = field(default_factory=dict)
    settle: float = _USUAL
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        if not _SHORTEST <= self.settle <= _LONGEST:
            raise ScheduleRefused(
                f"settle={self.settle:g} s: a settling time is one second to an hour, such as 30s or 5min"
            )

    def in_words(self) -> str:
        """As in "on market_data.written where symbol is AAPL or MSFT, settled for 30 s"."""
        told = " and ".join(f"{name} is {' or '.join(values)}" for name, values in self.where.items())
        return f"on {self.on}{f' where {told}' if told else ''}, settled for {self.settle:g} s"

    def is_met_by(self, event_type: str, data: Mapping[str, Any]) -> bool:
        """Whether the type is this one, and the data names one of the values for each name."""
        return event_type == self.on and all(
            not _named(data, name).isdisjoint(values) for name, values in self.where.items()
        )


@dataclass(frozen=True)
class After(Awaited):
    """Due when a live run of another deployment has completed, of a grid all of a slot.

    Attributes
    ----------
    after : str
        The other deployment's name.
    timezone : str
        For showing moments.
    """

    kind: ClassVar[str] = "after"
    after: str
    timezone: str = "UTC"
    settle: float = 0.0

    def in_words(self) -> str:
        """As in "after prices"."""
        return f"after {self.after}"

    def is_met_by(self, event_type: str, data: Mapping[str, Any]) -> bool:
        """Whether a live run of that deployment has completed."""
        return (
            event_type == "notebook_run.completed"
            and data.get("deployment") == self.after
            and data.get("purpose") == "live"
        )


def awaited_from_json(stored: Mapping[str, Any]) -> Awaited | None:
    """What a deployment awaits, from its schedule as it is stored; None of one that goes by the clock."""
    kinds: dict[str, type[Awaited]] = {OnEvent.kind: OnEvent, After.kind: After}
    kind = kinds.get(str(stored.get("kind")))
    return None if kind is None else kind.from_json(stored)


def settle_seconds(text: str | float) -> float:
    """The settling time that a text or a number of seconds gives: "30s", "5min", 30.

    Raises
    ------
    ScheduleRefused
        It gives none.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    found = _LENGTH.fullmatch(str(text).strip())
    if found is None:
        raise ScheduleRefused(f"settle={text!r} is no length of time; write it as 30s or 5min")
    return float(found[1]) * _UNITS[found[2]]


def wheres(texts: list[str]) -> dict[str, list[str]]:
    """What the texts of a command line ask for: `symbol=AAPL,MSFT`; a name twice takes either.

    Raises
    ------
    ScheduleRefused
        A text that is not name=value.
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        name, equals, given = text.partition("=")
        values = [value.strip() for value in given.split(",") if value.strip()]
        if not equals or not name.strip() or not values:
            raise ScheduleRefused(f"where {text!r} is not name=value; write it as symbol=AAPL,MSFT")
        found.setdefault(name.strip(), []).extend(values)
    return found


def _named(data: Mapping[str, Any], name: str) -> set[str]:
    """What an event names under `name`: its value, and those of a list by the plural."""
    listed = data.get(f"{name}s")
    values = [*(listed if isinstance(listed, list) else []), data.get(name)]
    return {str(value) for value in values if value is not None}
