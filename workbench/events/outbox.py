"""The outbox: events stored in the transaction that they report, until the relay has delivered them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from workbench.errors import EventError
from workbench.events.event import PUT_ASIDE, Event, check_type
from workbench.tables.workbench import events

__all__ = [
    "AWAITED",
    "SINKS",
    "PutAside",
    "Row",
    "add",
    "delete_old",
    "pass_on",
    "put_aside",
    "put_back",
    "rows",
    "those_put_aside",
]

SINKS: Mapping[str, sa.Column[Any]] = {"redis": events.c.published_at, "prefect": events.c.prefect_at}
"""Name of each sink to the column with the time of delivery to it."""

AWAITED: sa.Column[Any] = events.c.awaited_at
"""The column with the time at which an event was held against what deployments await."""


@dataclass(frozen=True)
class Row:
    """A row of the outbox, with its data not yet parsed.

    Attributes
    ----------
    event_id : int
    type, service, key : str
    data : str
        JSON, as text: unreadable data must not prevent reading other rows.
    created_at : datetime
        UTC.
    """

    event_id: int
    type: str
    service: str
    key: str
    data: str
    created_at: datetime

    def event(self, position: str | None = None) -> Event:
        """The event.

        Raises
        ------
        ValueError, RecursionError
            Its data cannot be read.
        """
        return Event(self.type, self.service, json.loads(self.data), self.created_at, self.event_id, position)


@dataclass(frozen=True)
class PutAside:
    """An event that a sink has refused several times.

    Attributes
    ----------
    event_id : int
    type, service : str
        The event's.
    sink : str
        The sink that refuses it: "redis" or "prefect".
    reason : str
        The last error.
    tries : int
    since : datetime
        When it was put aside, UTC.
    """

    event_id: int
    type: str
    service: str
    sink: str
    reason: str
    tries: int
    since: datetime


_ROW = (
    events.c.event_id,
    events.c.type,
    events.c.service,
    events.c.key,
    sa.cast(events.c.data, sa.Text).label("data"),
    events.c.created_at,
)


def rows() -> sa.Select[Any]:
    """A query for `Row`s."""
    return sa.select(*_ROW)


def add(
    connection: sa.Connection, event_type: str, service: str, data: Mapping[str, Any], *, key: str = ""
) -> None:
    """Add an event in the caller's transaction; a rollback removes it.

    `key` is the event's subject; events with the same key are delivered in the order of their commits.
    """
    check_type(event_type)
    try:
        json.dumps(data, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise EventError(f"the data of {event_type} is not JSON: {error}") from error
    connection.execute(events.insert().values(type=event_type, service=service, key=key, data=dict(data)))


def pass_on(
    connection: sa.Connection,
    marker: sa.Column[Any],
    deliver: Callable[[Sequence[Row]], Collection[int]],
    *,
    most: int,
    only: int | None = None,
    without: Collection[int] = (),
    without_keys: Collection[str] = (),
) -> int:
    """Deliver the oldest events that are not marked in `marker` yet, then mark them; return how many.

    They are marked after delivery, so a relay that dies in between delivers them again.

    Parameters
    ----------
    connection : Connection
    marker : Column
    deliver : callable
        Takes rows, oldest first; returns the ids of those that must stay unmarked.
    most : int
    only : int, optional
        Deliver only this event.
    without, without_keys : collection
        Ids and keys of events to skip.
    """
    wanted: list[sa.ColumnElement[bool]] = [marker.is_(None)]
    if only is not None:
        wanted.append(events.c.event_id == only)
    if without:
        wanted.append(events.c.event_id.not_in(without))
    if without_keys:
        wanted.append(events.c.key.not_in(without_keys))
    query = rows().where(*wanted).order_by(events.c.event_id).limit(most)
    found = [Row(*row) for row in connection.execute(query)]
    if not found:
        return 0
    left = set(deliver(found))
    delivered = [row.event_id for row in found if row.event_id not in left]
    _mark(connection, marker, delivered)
    return len(delivered)


def put_aside(connection: sa.Connection, row: Row, sink: str, reason: str, tries: int) -> None:
    """Mark an event as delivered to the sink that refuses it, and add an event that reports this."""
    _mark(connection, SINKS[sink], [row.event_id])
    if row.type == PUT_ASIDE:
        return  # to avoid an endless chain
    facts = {
        "event_id": row.event_id,
        "type": row.type,
        "service": row.service,
        "sink": sink,
        "reason": reason.replace("\0", ""),
        "tries": tries,
    }
    add(connection, PUT_ASIDE, "events", facts)


def those_put_aside(connection: sa.Connection) -> list[PutAside]:
    """The events that were put aside and not put back since, oldest first."""
    found = connection.execute(_put_aside().order_by(events.c.event_id))
    return [
        PutAside(
            event_id=row.data["event_id"],
            type=row.data["type"],
            service=row.data["service"],
            sink=row.data["sink"],
            reason=row.data["reason"],
            tries=row.data["tries"],
            since=row.created_at,
        )
        for row in found
    ]


def put_back(connection: sa.Connection, event_ids: Collection[int] | None) -> int:
    """Unmark events that were put aside, all or these, so that they are delivered again; return how many."""
    query = _put_aside()
    if event_ids is not None:
        query = query.where(events.c.data["event_id"].as_integer().in_(event_ids))
    tried = 0
    for row in connection.execute(query).all():
        marker = SINKS[row.data["sink"]]
        tried += connection.execute(
            events.update().where(events.c.event_id == row.data["event_id"]).values({marker: None})
        ).rowcount
        connection.execute(
            events.update()
            .where(events.c.event_id == row.event_id)
            .values(data=row.data | {"put_back": True})
        )
    return tried


def delete_old(connection: sa.Connection, *, days: int) -> int:
    """Delete events delivered to Redis more than `days` days ago; return how many.

    Delivery to Prefect is not required: there may be no Prefect server, or the events are outdated.
    """
    long_ago = sa.func.now() - sa.func.make_interval(0, 0, 0, days)
    result = connection.execute(events.delete().where(events.c.published_at < long_ago))
    return result.rowcount


def _put_aside() -> sa.Select[Any]:
    return sa.select(events.c.event_id, events.c.created_at, events.c.data).where(
        events.c.type == PUT_ASIDE, events.c.data["put_back"].is_(None)
    )


def _mark(connection: sa.Connection, marker: sa.Column[Any], event_ids: Sequence[int]) -> None:
    if event_ids:
        connection.execute(
            events.update()
            .where(events.c.event_id.in_(event_ids))
            # The same time for all of them, so that sorting by it and the id keeps their order.
            .values({marker: sa.func.statement_timestamp()})
        )
