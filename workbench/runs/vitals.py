"""What is known of a run that is recorded as running, and whether it must be dead."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from workbench.db.pool import ServiceConnectionPool
from workbench.runs.process import ProcessIdentity
from workbench.tables.workbench import heartbeats, runs

__all__ = [
    "ALONE_SECONDS",
    "FAR_SECONDS",
    "HUNG_SECONDS",
    "Death",
    "LastRun",
    "Vitals",
    "death_of",
    "last_run_of",
    "vitals_of_all",
]

FAR_SECONDS = 45.0
"""Without a beat for so long, a headless run on another machine is dead: it beats every 10 s."""
HUNG_SECONDS = 60.0
"""Without a beat for so long, a headless run whose process is there hangs."""
ALONE_SECONDS = 600.0
"""Without a beat for so long, an interactive run on another machine is dead: it beats every 30 s.

Its process beats for itself, and compiled code may keep it from that; so it has longer, and is never hung.
"""
_FORGOTTEN_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Vitals:
    """One run that is recorded as running.

    Attributes
    ----------
    run_id : UUID
    trigger : str
        "interactive", "command", "deployment" or "retry".
    flow_run_id : UUID or None
    process : ProcessIdentity or None
        None for a run that never sent a heartbeat, as those of earlier versions.
    kernel : ProcessIdentity or None
        The process that keeps its kernel, if it has one below it.
    process_group : int or None
        The group that `process` leads and that may be ended with it.
    beat_at : datetime or None
    silent, age : float
        Seconds since the last beat, and since the run's start. A time in which PostgreSQL was down does not
        count as silence.
    """

    run_id: uuid.UUID
    trigger: str
    flow_run_id: uuid.UUID | None
    process: ProcessIdentity | None
    kernel: ProcessIdentity | None
    process_group: int | None
    beat_at: datetime | None
    silent: float
    age: float


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last run of a flow run.

    Fields: `status`; `process` (that answers or answered for it; None if it sent no heartbeat);
    `ended_seconds` (since its end; 0 while it runs).
    """

    status: str
    process: ProcessIdentity | None
    ended_seconds: float


@dataclass(frozen=True, slots=True)
class Death:
    """Why a run must be dead.

    Attributes
    ----------
    reason : str
        One sentence, for its record.
    is_certain : bool
        Whether that needs no second look: silence may be that of a machine that slept.
    """

    reason: str
    is_certain: bool


def death_of(run: Vitals, *, is_gone: bool) -> Death | None:
    """Why the run must be dead; None if it may be alive.

    Parameters
    ----------
    run : Vitals
    is_gone : bool
        Whether its process is of this machine, and no longer there.
    """
    process = run.process
    if process is None:
        if run.age < _FORGOTTEN_SECONDS:
            return None
        return Death("it never sent a heartbeat, and began more than a day ago", is_certain=True)
    where = f"process {process.pid} on {process.host}"
    if is_gone:
        return Death(f"its {where} is gone", is_certain=True)
    alone = run.trigger == "interactive"
    if process.is_near:
        if alone or run.silent < HUNG_SECONDS:
            return None
        return Death(f"its {where} hangs: no heartbeat for {run.silent:.0f} s", is_certain=False)
    if run.silent < (ALONE_SECONDS if alone else FAR_SECONDS):
        return None
    return Death(f"its {where} has sent no heartbeat for {run.silent:.0f} s", is_certain=False)


def vitals_of_all(pool: ServiceConnectionPool) -> list[Vitals]:
    """Every run that is recorded as running, oldest first."""
    now = sa.func.clock_timestamp()
    heard = sa.func.greatest(heartbeats.c.beat_at, sa.func.pg_postmaster_start_time())
    query = (
        sa.select(
            runs.c.run_id,
            runs.c.trigger,
            runs.c.flow_run_id,
            *(column for column in heartbeats.c if column.name != "run_id"),
            sa.extract("epoch", now - heard).label("silent"),
            sa.extract("epoch", now - runs.c.started_at).label("age"),
        )
        .select_from(runs.outerjoin(heartbeats, heartbeats.c.run_id == runs.c.run_id))
        .where(runs.c.status == "running")
        .order_by(runs.c.started_at)
    )
    with pool.begin("looking for dead runs") as connection:
        return [_vitals(row) for row in connection.execute(query)]


def last_run_of(pool: ServiceConnectionPool, flow_run_id: str) -> LastRun | None:
    """The last run that a flow run began; None if it has begun none."""
    columns = (heartbeats.c.host, heartbeats.c.boot, heartbeats.c.pid, heartbeats.c.started)
    ago = sa.extract("epoch", sa.func.clock_timestamp() - runs.c.ended_at).label("ago")
    query = (
        sa.select(runs.c.status, *columns, ago)
        .select_from(runs.outerjoin(heartbeats, heartbeats.c.run_id == runs.c.run_id))
        .where(runs.c.flow_run_id == uuid.UUID(flow_run_id))
        .order_by(runs.c.started_at.desc())
        .limit(1)
    )
    with pool.begin("looking for a flow run's last run") as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return None
    process = None if row.pid is None else ProcessIdentity(row.host, row.boot, row.pid, row.started)
    return LastRun(row.status, process, float(row.ago or 0))


def _vitals(row: sa.Row[tuple[object, ...]]) -> Vitals:
    process = kernel = None
    if row.pid is not None:
        process = ProcessIdentity(row.host, row.boot, row.pid, row.started)
        if row.kernel_pid is not None:
            kernel = ProcessIdentity(row.host, row.boot, row.kernel_pid, row.kernel_started)
    return Vitals(
        run_id=row.run_id,
        trigger=row.trigger,
        flow_run_id=row.flow_run_id,
        process=process,
        kernel=kernel,
        process_group=row.process_group,
        beat_at=row.beat_at,
        silent=float(row.silent or 0),
        age=float(row.age),
    )
