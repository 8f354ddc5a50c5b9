"""The outbox: events as rows of the transaction that they tell of, until the relay has passed them on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from workbench.errors import EventError
from workbench.events.event import Event, check_type
from workbench.tables.workbench import events

__all__ = ["add", "delete_old", "pass_on"]


def add(
    connection: sa.Connection, event_type: str, service: str, data: Mapping[str, Any], *, key: str = ""
) -> None:
    """Write an event down in the caller's transaction; rolled back, it never happened.

    `key` names what the event is about; events of one key are passed on in the order of their commits.
    """
    check_type(event_type)
    try:
        json.dumps(data, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise EventError(f"the data of {event_type} is not JSON: {error}") from error
    connection.execute(events.insert().values(type=event_type, service=service, key=key, data=dict(data)))


def pass_on(
    connection: sa.Connection,
    marker: sa.Column[Any],
    deliver: Callable[[Sequence[Event]], None],
    *,
    most: int,
) -> int:
    """Deliver the oldest events that `marker` does not mark yet, then mark them; return how many.

    Marked only after delivery: a relay that dies in between delivers them again.
    """
    rows = connection.execute(
        sa.select(events).where(marker.is_(None)).order_by(events.c.event_id).limit(most)
    ).all()
    if not rows:
        return 0
    deliver([Event(row.type, row.service, row.data, row.created_at, row.event_id) for row in rows])
    connection.execute(
        events.update()
        .where(events.c.event_id.in_([row.event_id for row in rows]))
        .values({marker: sa.func.clock_timestamp()})
    )
    return len(rows)


def delete_old(connection: sa.Connection, *, days: int) -> int:
    """Delete events that Redis has had for more than `days` days; return how many.

    Prefect is not waited for: there may be none, and what it missed for so long is no news.
    """
    long_ago = sa.func.now() - sa.func.make_interval(0, 0, 0, days)
    result = connection.execute(events.delete().where(events.c.published_at < long_ago))
    return result.rowcount
