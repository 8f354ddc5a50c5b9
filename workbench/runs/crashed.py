"""The slots whose last live attempt crashed, or never began, and what becomes of them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from workbench.attempt import Attempt
from workbench.db.pool import ServiceConnectionPool
from workbench.runs.slots import settle_slot
from workbench.tables.workbench import runs, slots

__all__ = ["CrashedSlot", "ask_again", "crashed_slots", "note_never_began"]

# Older ones are for people to decide about.
_WITHIN = sa.text("interval '1 day'")


@dataclass(frozen=True, slots=True)
class CrashedSlot:
    """A slot that nobody works on, because its last live attempt crashed.

    Attributes
    ----------
    attempt : Attempt
    attempts : int
        How many there were.
    reason : str
    flow_run_id : UUID or None
        Of the last one; None if there is no record of it.
    """

    attempt: Attempt
    attempts: int
    reason: str
    flow_run_id: uuid.UUID | None


def crashed_slots(pool: ServiceConnectionPool) -> list[CrashedSlot]:
    """Those that may be tried again: no newer slot of the deployment is due."""
    newer = slots.alias("newer")
    is_newest = ~sa.exists().where(
        newer.c.deployment == slots.c.deployment,
        newer.c.slot > slots.c.slot,
        newer.c.slot <= sa.func.clock_timestamp(),
    )
    query = (
        sa.select(slots, runs.c.flow_run_id)
        .select_from(slots.outerjoin(runs, runs.c.run_id == slots.c.run_id))
        .where(
            slots.c.state == "failed",
            sa.or_(runs.c.status == "crashed", slots.c.run_id.is_(None)),
            slots.c.updated_at > sa.func.clock_timestamp() - _WITHIN,
            is_newest,
        )
        .order_by(slots.c.slot)
    )
    with pool.begin("looking for crashed slots") as connection:
        return [
            CrashedSlot(
                Attempt(row.deployment, row.slot, row.member), row.attempts, row.reason or "", row.flow_run_id
            )
            for row in connection.execute(query)
        ]


def ask_again(pool: ServiceConnectionPool, slot: CrashedSlot) -> None:
    """Record that another attempt was asked for."""
    reason = f"attempt {slot.attempts} crashed: {slot.reason}; another was asked for"
    with pool.begin("retrying a slot") as connection:
        settle_slot(connection, slot.attempt, "due", reason)


def note_never_began(
    pool: ServiceConnectionPool, attempt: Attempt, flow_run_id: str, reason: str, *, seconds_ago: float
) -> bool:
    """Record that an attempt at a slot ended before it had a record; it counts as one.

    Parameters
    ----------
    pool : ServiceConnectionPool
    attempt : Attempt
    flow_run_id : str
        Of the attempt: telling it twice counts once.
    reason : str
    seconds_ago : float
        How long ago that was, at least: of a slot that has had a run since, nothing is told.

    Returns
    -------
    bool
        Whether that was news.
    """
    told = f"flow run {flow_run_id}"
    since = sa.func.clock_timestamp() - sa.func.make_interval(0, 0, 0, 0, 0, 0, seconds_ago)
    had_run = sa.exists().where(
        runs.c.deployment == attempt.deployment, runs.c.slot == attempt.slot, runs.c.started_at > since
    )
    insert = postgresql.insert(slots).values(
        deployment=attempt.deployment,
        slot=attempt.slot,
        member=attempt.member,
        state="failed",
        reason=f"{told}: {reason}",
        attempts=1,
    )
    statement = insert.on_conflict_do_update(
        index_elements=[slots.c.deployment, slots.c.slot, slots.c.member],
        set_={
            "state": "failed",
            "reason": f"{told}: {reason}",
            "run_id": None,
            "attempts": slots.c.attempts + 1,
            "updated_at": sa.func.clock_timestamp(),
        },
        where=sa.and_(
            slots.c.state.not_in(["running", "completed"]),
            sa.not_(sa.func.coalesce(slots.c.reason, "").contains(told, autoescape=True)),
        ),
    ).returning(slots.c.attempts)
    with pool.begin("recording an attempt that never began") as connection:
        if connection.execute(sa.select(had_run)).scalar_one():
            return False
        return connection.execute(statement).first() is not None
