"""`SlotStore`: reads the slots of deployments, and says of those that nothing runs what became of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from workbench.db.pool import ServiceConnectionPool
from workbench.errors import QueryError
from workbench.events import outbox
from workbench.runs.slots import Unworked
from workbench.tables.workbench import slots

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SlotStore"]

# What is said of a slot whose members are in several states.
_FIRST = ("running", "failed", "due", "missed", "skipped", "cancelled", "completed")
_LISTED = ("deployment", "slot", "member", "state", "reason", "attempts", "run_id", "updated_at")


class SlotStore:
    """The rows of `workbench.slots`.

    Parameters
    ----------
    pool : ServiceConnectionPool
        With the role `workbench_runs`.
    """

    def __init__(self, pool: ServiceConnectionPool) -> None:
        self._pool = pool

    def list(self, deployment: str | None = None, *, latest: int = 30) -> pd.DataFrame:
        """The newest slots, of one deployment or of all, newest first.

        Returns
        -------
        DataFrame
            `deployment`, `slot` (UTC), `member`, `state`, `reason`, `attempts`, `run_id`, `updated_at` (UTC).

        Raises
        ------
        QueryError
            `latest` is less than 1.
        """
        from workbench.db import frames

        if latest < 1:
            raise QueryError(f"latest={latest}: expected 1 or more")
        query = (
            sa.select(*(slots.c[name] for name in _LISTED))
            .order_by(slots.c.slot.desc(), slots.c.deployment, slots.c.member)
            .limit(latest)
        )
        if deployment is not None:
            query = query.where(slots.c.deployment == deployment)
        with self._pool.begin("listing slots") as connection:
            return frames.read(connection, query)

    def state(self, deployment: str, slot: datetime, member: str | None = None) -> str | None:
        """What became of a slot so far; None of one that nothing is known of.

        Of all of its members, unless one is named: completed if all are, and running if one is.
        """
        query = sa.select(slots.c.state).where(*_of(deployment, member), slots.c.slot == slot)
        with self._pool.begin("reading a slot") as connection:
            found = set(connection.execute(query).scalars())
        return next((state for state in _FIRST if state in found), None)

    def last_before(self, deployment: str, moment: datetime, member: str | None = None) -> datetime | None:
        """The newest slot before `moment` of which anything is known, UTC; None without any."""
        query = sa.select(sa.func.max(slots.c.slot)).where(*_of(deployment, member), slots.c.slot < moment)
        with self._pool.begin("reading slots") as connection:
            found: datetime | None = connection.execute(query).scalar_one()
        return found

    def due_before(self, deployment: str, moment: datetime, member: str | None = None) -> set[datetime]:
        """The slots before `moment` that are still said to be due, UTC."""
        query = sa.select(slots.c.slot).where(
            *_of(deployment, member), slots.c.slot < moment, slots.c.state == "due"
        )
        with self._pool.begin("reading slots") as connection:
            return set(connection.execute(query).scalars())

    def waiting(self, deployment: str, until: datetime, member: str = "") -> Sequence[datetime]:
        """The slots at or before `until` that are due and that no run has begun for, UTC, oldest first."""
        query = (
            sa.select(slots.c.slot)
            .where(
                *_of(deployment, member),
                slots.c.slot <= until,
                slots.c.state == "due",
                slots.c.attempts == 0,
            )
            .order_by(slots.c.slot)
        )
        with self._pool.begin("reading slots") as connection:
            return connection.execute(query).scalars().all()

    def settle(
        self, deployment: str, reasons: Mapping[datetime, str], state: Unworked, member: str = ""
    ) -> set[datetime]:
        """Say what became of slots that no run has taken, each with its reason, in one transaction.

        A slot of which something is known already stays as it is, unless it is only due; of one with members
        those that are due. Of slots that are missed and were not said to be, one event `slot.missed` tells.

        Returns
        -------
        set of datetime
            Those of which it was news, UTC.
        """
        if not reasons:
            return set()
        with self._pool.begin("settling slots") as connection:
            parted = set() if member else _with_members(connection, deployment, reasons)
            whole = {slot: reason for slot, reason in reasons.items() if slot not in parted}
            news = (
                set() if state == "due" else _settle_members(connection, deployment, reasons, parted, state)
            )
            if whole:
                insert = postgresql.insert(slots).values(
                    [
                        {
                            "deployment": deployment,
                            "slot": slot,
                            "member": member,
                            "state": state,
                            "reason": reason,
                        }
                        for slot, reason in sorted(whole.items())
                    ]
                )
                settled = insert.on_conflict_do_update(
                    index_elements=[slots.c.deployment, slots.c.slot, slots.c.member],
                    set_={
                        "state": state,
                        "reason": insert.excluded.reason,
                        "updated_at": sa.func.clock_timestamp(),
                    },
                    where=sa.and_(slots.c.state == "due", insert.excluded.state != "due"),
                ).returning(slots.c.slot)
                news |= set(connection.execute(settled).scalars())
            if news and state == "missed":
                outbox.add(
                    connection,
                    "slot.missed",
                    "runs",
                    {
                        "deployment": deployment,
                        "member": member,
                        "slot": max(news).isoformat(),
                        "first": min(news).isoformat(),
                        "count": len(news),
                        "reason": reasons[max(news)],
                    },
                    key=deployment,
                )
        return news

    def open_members(self, deployment: str, slot: datetime, members: Sequence[str]) -> None:
        """Say of each member of a slot that it is due, unless more is known; they take the slot's place."""
        reason = "no run of it has begun yet"
        insert = postgresql.insert(slots).values(
            [
                {"deployment": deployment, "slot": slot, "member": member, "state": "due", "reason": reason}
                for member in members
            ]
        )
        whole = slots.delete().where(
            *_of(deployment, ""), slots.c.slot == slot, slots.c.state.not_in(["running", "completed"])
        )
        with self._pool.begin("opening the members of a slot") as connection:
            connection.execute(insert.on_conflict_do_nothing())
            connection.execute(whole)


def _with_members(
    connection: sa.Connection, deployment: str, reasons: Mapping[datetime, str]
) -> set[datetime]:
    query = sa.select(slots.c.slot).where(
        slots.c.deployment == deployment, slots.c.slot.in_(list(reasons)), slots.c.member != ""
    )
    return set(connection.execute(query).scalars())


def _settle_members(
    connection: sa.Connection,
    deployment: str,
    reasons: Mapping[datetime, str],
    parted: Collection[datetime],
    state: Unworked,
) -> set[datetime]:
    news: set[datetime] = set()
    for slot in parted:
        settled = (
            slots.update()
            .where(slots.c.deployment == deployment, slots.c.slot == slot, slots.c.state == "due")
            .values(state=state, reason=reasons[slot], updated_at=sa.func.clock_timestamp())
            .returning(slots.c.slot)
        )
        news |= set(connection.execute(settled).scalars())
    return news


def _of(deployment: str, member: str | None) -> tuple[sa.ColumnElement[bool], ...]:
    which = (slots.c.deployment == deployment,)
    return which if member is None else (*which, slots.c.member == member)
