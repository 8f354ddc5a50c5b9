"""Declares a run dead: its record says so, its sessions and its processes end, and it writes nothing more."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Collection

import sqlalchemy as sa

from workbench.embedded.process import wait_until
from workbench.errors import DatabaseError, RunFenced
from workbench.runs.process import ProcessIdentity
from workbench.runs.store import RunStore
from workbench.runs.vitals import Vitals
from workbench.tables.workbench import heartbeats

__all__ = ["end_processes", "fence"]

LOCK_SECONDS = 2.0
"""How long a write of a run that is declared dead may still go on, before its session is ended."""
_TERM_SECONDS = 5.0

logger = logging.getLogger(__name__)


def fence(store: RunStore, run: Vitals, status: str, reason: str) -> bool:
    """Record the end of a run that must be dead, and end its sessions, which also frees its locks.

    Returns
    -------
    bool
        Whether it ended by this; False where it had ended otherwise meanwhile.

    Raises
    ------
    DatabaseError
        A write of the run holds its record, and the database's owner may not end that session: what is left
        is to wait for that write.
    """
    _set_reaping(store, run, sa.func.clock_timestamp())
    for attempt in (1, 2):
        try:
            store.finish(run.run_id, status, error=reason, lock_seconds=LOCK_SECONDS)
        except RunFenced:
            return False
        except DatabaseError:
            if attempt == 2:
                raise
            _end_sessions(store, run)
        else:
            break
    _end_sessions(store, run)
    return True


def end_processes(run: Vitals, *, spared: Collection[ProcessIdentity] = ()) -> None:
    """End what is left of a run's processes on this machine: by SIGTERM, and after some seconds by SIGKILL.

    A flow's process ends with its group. A process that does other things too, as a notebook that ran another
    one, is left alone: it notices by its next heartbeat. The kernel of the run ends in either case.

    Parameters
    ----------
    run : Vitals
    spared : collection of ProcessIdentity
        Processes that answer for other runs.
    """
    groups = []
    parent, kernel = run.process, run.kernel
    if parent is not None and run.process_group == parent.pid and parent not in spared:
        groups.append(parent)
    if kernel is not None:
        groups.append(kernel)
    for leader in groups:
        _end_group(leader)


def _end_group(leader: ProcessIdentity) -> None:
    if not leader.is_near or leader.pid == os.getpgrp() or not leader.is_there():
        return
    with contextlib.suppress(ProcessLookupError):
        if os.getpgid(leader.pid) != leader.pid:
            return
        os.kill(leader.pid, signal.SIGTERM)
        if not wait_until(lambda: not leader.is_there(), _TERM_SECONDS):
            os.killpg(leader.pid, signal.SIGKILL)


def _end_sessions(store: RunStore, run: Vitals) -> None:
    if run.process is None:
        return  # of an earlier version, whose sessions carry no run's id
    with store.pool.begin("ending the sessions of a dead run") as connection:
        ended = connection.execute(sa.select(sa.func.workbench.end_sessions(run.run_id))).scalar_one()
    if ended < 0:
        logger.warning(
            "the sessions of run %s could not be ended: the owner of the database's functions may not; "
            "see: workbench doctor",
            run.run_id,
        )


def _set_reaping(store: RunStore, run: Vitals, moment: sa.ColumnElement[object]) -> None:
    with store.pool.begin("declaring a run dead") as connection:
        connection.execute(
            heartbeats.update().where(heartbeats.c.run_id == run.run_id).values(reaping_at=moment)
        )
