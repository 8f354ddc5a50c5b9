"""The rows of `workbench.heartbeats`: where the process of each run is, and its last sign of life."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from workbench.runs.process import ProcessIdentity
from workbench.tables.workbench import heartbeats, runs

__all__ = ["Pulse", "beat", "heartbeat_of", "register"]


@dataclass(frozen=True, slots=True)
class Pulse:
    """How far a run is, for its next beat.

    Attributes
    ----------
    cell, cells : int or None
        Which code cell runs, from 1, of how many.
    doing : str or None
        What runs, or what is waited for, in a few words.
    kernel : ProcessIdentity or None
        The process that keeps the kernel.
    memory_bytes, peak_bytes : int or None
        Resident memory of the kernel and all that descends from it: now, and the most so far.
    """

    cell: int | None = None
    cells: int | None = None
    doing: str | None = None
    kernel: ProcessIdentity | None = None
    memory_bytes: int | None = None
    peak_bytes: int | None = None


def register(
    connection: sa.Connection, run_id: uuid.UUID, process: ProcessIdentity, *, group: int | None = None
) -> None:
    """Record which process answers for a run that begins, in the transaction that begins it."""
    connection.execute(
        heartbeats.insert().values(
            run_id=run_id,
            host=process.host,
            boot=process.boot,
            pid=process.pid,
            started=process.started,
            process_group=group,
        )
    )


def beat(connection: sa.Connection, run_id: uuid.UUID, pulse: Pulse) -> str | None:
    """Record a sign of life.

    Returns
    -------
    str or None
        None while the run is running; else why it is over.
    """
    values: dict[str, Any] = {
        "cell": pulse.cell,
        "cells": pulse.cells,
        "doing": pulse.doing,
        "memory_bytes": pulse.memory_bytes,
        "peak_bytes": pulse.peak_bytes,
        "beat_at": sa.func.clock_timestamp(),
    }
    if pulse.kernel is not None:
        values |= {"kernel_pid": pulse.kernel.pid, "kernel_started": pulse.kernel.started}
    connection.execute(heartbeats.update().where(heartbeats.c.run_id == run_id).values(values))
    query = sa.select(runs.c.status, runs.c.error).where(runs.c.run_id == run_id)
    found = connection.execute(query).one_or_none()
    # In a rehearsal nothing is recorded.
    if found is None or found.status == "running":
        return None
    return f"it is {found.status}: {found.error or 'no reason was told'}"


def heartbeat_of(connection: sa.Connection, run_id: uuid.UUID) -> dict[str, Any] | None:
    """The last heartbeat of a run, as a dict; None if it never sent one."""
    columns = [column for column in heartbeats.c if column.name not in {"run_id", "reaping_at"}]
    found = connection.execute(sa.select(*columns).where(heartbeats.c.run_id == run_id)).mappings().first()
    return None if found is None else dict(found)
