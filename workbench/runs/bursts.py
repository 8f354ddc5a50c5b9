"""The rows of `workbench.bursts`: events that deployments await, from the first one until they have settled.

The relay holds each event once against what deployments await, in the transaction that marks it; a burst that
has settled becomes a slot in one transaction, too. So an event starts one run, however often anybody is
killed.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from workbench.attempt import Attempt
from workbench.db.pool import ServiceConnectionPool
from workbench.events.event import Event
from workbench.events.outbox import Row
from workbench.runs.slots import settle_slot
from workbench.schedules.on_event import After, Awaited, OnEvent, awaited_from_json
from workbench.tables.workbench import bursts, deployment_versions, deployments, runs, slots

__all__ = ["AwaitedSlot", "close_bursts", "due_awaited", "note_events"]

_MOST_SETTLES = 10
"""After so many settling times a run begins although events still come."""

_KINDS = (OnEvent.kind, After.kind)


@dataclass(frozen=True, slots=True)
class AwaitedSlot:
    """A slot that events made: the deployment's name, and the moment of the last event, UTC."""

    deployment: str
    slot: datetime


def note_events(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Hold events against what the active deployments await, in the caller's transaction."""
    awaiting = _awaiting(connection)
    if not awaiting:
        return
    for row in rows:
        try:
            event = row.event()
        except (ValueError, RecursionError):
            continue  # what nobody can read, nobody awaits
        for name, awaited, since in awaiting:
            if (
                event.timestamp >= since
                and awaited.is_met_by(event.type, event.data)
                and not _is_own(connection, name, event.data)
                and _is_whole(connection, awaited, event.data)
            ):
                _add(connection, name, awaited, event)


def close_bursts(pool: ServiceConnectionPool) -> list[AwaitedSlot]:
    """Make a slot of each burst that has settled; several may do so at once."""
    now = sa.func.clock_timestamp()
    quiet = sa.func.make_interval(0, 0, 0, 0, 0, 0, bursts.c.settle)
    is_over = sa.or_(bursts.c.last_at + quiet <= now, bursts.c.first_at + quiet * _MOST_SETTLES <= now)
    query = (
        sa.select(bursts, deployments.c.state)
        .select_from(bursts.outerjoin(deployments, deployments.c.name == bursts.c.deployment))
        .where(is_over)
        .with_for_update(of=bursts, skip_locked=True)
    )
    made = []
    with pool.begin("looking for events that have settled") as connection:
        for row in connection.execute(query).all():
            connection.execute(bursts.delete().where(bursts.c.deployment == row.deployment))
            if row.state != "active":
                continue
            reason = f"{_counted(row.events)}, the last one is number {row.last_event}; no run has begun yet"
            settle_slot(connection, Attempt(row.deployment, row.last_at), "due", reason)
            made.append(AwaitedSlot(row.deployment, row.last_at))
    return made


def due_awaited(pool: ServiceConnectionPool) -> list[AwaitedSlot]:
    """The slots that events made and that nothing has run for yet, oldest first."""
    current = (deployment_versions.c.deployment == deployments.c.name) & (
        deployment_versions.c.version == deployments.c.version
    )
    query = (
        sa.select(slots.c.deployment, slots.c.slot)
        .join(deployments, deployments.c.name == slots.c.deployment)
        .join(deployment_versions, current)
        .where(
            slots.c.state == "due",
            slots.c.member == "",
            # Of one that crashed, the reaper asks for another attempt.
            slots.c.attempts == 0,
            deployments.c.state == "active",
            deployment_versions.c.schedule["kind"].as_string().in_(_KINDS),
        )
        .order_by(slots.c.slot)
    )
    with pool.begin("looking for slots that events made") as connection:
        return [AwaitedSlot(*row) for row in connection.execute(query)]


def _awaiting(connection: sa.Connection) -> list[tuple[str, Awaited, datetime]]:
    """The active deployments that await events: name, what, and since when there is such a deployment."""
    table = deployment_versions
    query = (
        sa.select(deployments.c.name, table.c.schedule, deployments.c.created_at)
        .join(table, (table.c.deployment == deployments.c.name) & (table.c.version == deployments.c.version))
        .where(deployments.c.state == "active", table.c.schedule["kind"].as_string().in_(_KINDS))
    )
    found = [(row.name, awaited_from_json(row.schedule), row.created_at) for row in connection.execute(query)]
    return [(name, awaited, since) for name, awaited, since in found if awaited is not None]


def _is_own(connection: sa.Connection, name: str, data: Mapping[str, Any]) -> bool:
    """Whether the event tells of a run of the deployment itself, which would start itself for ever."""
    if data.get("deployment") == name:
        return True
    try:
        run_id = uuid.UUID(str(data.get("run_id")))
    except ValueError:
        return False
    query = sa.select(runs.c.deployment).where(runs.c.run_id == run_id)
    return connection.execute(query).scalar_one_or_none() == name


def _is_whole(connection: sa.Connection, awaited: Awaited, data: Mapping[str, Any]) -> bool:
    """Whether every member of the slot that has completed has; of a deployment without members: True."""
    if not isinstance(awaited, After) or not data.get("slot"):
        return True
    open_ones = sa.exists().where(
        slots.c.deployment == awaited.after,
        slots.c.slot == datetime.fromisoformat(str(data["slot"])),
        slots.c.state != "completed",
    )
    return not connection.execute(sa.select(open_ones)).scalar_one()


def _add(connection: sa.Connection, name: str, awaited: Awaited, event: Event) -> None:
    insert = postgresql.insert(bursts).values(
        deployment=name,
        settle=awaited.settle,
        first_at=event.timestamp,
        last_at=event.timestamp,
        last_event=event.event_id,
    )
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=[bursts.c.deployment],
            set_={
                "settle": awaited.settle,
                "events": bursts.c.events + 1,
                "last_at": sa.func.greatest(bursts.c.last_at, insert.excluded.last_at),
                "last_event": insert.excluded.last_event,
            },
        )
    )


def _counted(events: int) -> str:
    return "an event has come" if events == 1 else f"{events:,} events have come"
