"""The rows of `workbench.slots`: what became of each moment for which a deployment was due.

A slot that was completed stays so; any other may be tried again.
"""

from __future__ import annotations

import uuid
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from workbench.attempt import Attempt
from workbench.tables.workbench import runs, slots

__all__ = ["Unworked", "close_slot", "open_slot", "settle_slot"]

Unworked = Literal["due", "missed", "skipped", "cancelled"]
"""The states of a slot that no run works on."""

_ENDED = {"completed": "completed", "failed": "failed", "crashed": "failed", "cancelled": "cancelled"}


def open_slot(connection: sa.Connection, attempt: Attempt, run_id: uuid.UUID) -> None:
    """Give a slot to the live run that begins; its record is there already, in the same transaction."""
    insert = postgresql.insert(slots).values(
        deployment=attempt.deployment,
        slot=attempt.slot,
        member=attempt.member,
        state="running",
        run_id=run_id,
        attempts=1,
    )
    number = connection.execute(
        insert.on_conflict_do_update(
            index_elements=[slots.c.deployment, slots.c.slot, slots.c.member],
            set_={
                "state": "running",
                "reason": None,
                "run_id": run_id,
                "attempts": slots.c.attempts + 1,
                "updated_at": sa.func.clock_timestamp(),
            },
        ).returning(slots.c.attempts)
    ).scalar_one()
    connection.execute(runs.update().where(runs.c.run_id == run_id).values(attempt=number))


def close_slot(connection: sa.Connection, run_id: uuid.UUID, status: str, reason: str | None) -> None:
    """Say how the slot's latest live attempt ended; does nothing for any other run."""
    connection.execute(
        slots.update()
        .where(slots.c.run_id == run_id, slots.c.state == "running")
        .values(state=_ENDED[status], reason=reason, updated_at=sa.func.clock_timestamp())
    )


def settle_slot(connection: sa.Connection, attempt: Attempt, state: Unworked, reason: str) -> bool:
    """Say that no run works on a slot, and why; a slot that a run has, or had completed, stays as it is.

    Returns
    -------
    bool
        Whether that was news.
    """
    insert = postgresql.insert(slots).values(
        deployment=attempt.deployment,
        slot=attempt.slot,
        member=attempt.member,
        state=state,
        reason=reason,
    )
    settled = connection.execute(
        insert.on_conflict_do_update(
            index_elements=[slots.c.deployment, slots.c.slot, slots.c.member],
            set_={"state": state, "reason": reason, "updated_at": sa.func.clock_timestamp()},
            where=sa.and_(slots.c.state.not_in(["running", "completed"]), slots.c.state != state),
        ).returning(slots.c.state)
    )
    return settled.first() is not None
