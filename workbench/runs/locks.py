"""`RunLocks`: PostgreSQL's advisory locks that a run holds: its deployment's, and those of named resources.

They are the session's, on a connection of the process that answers for the run: they end with it, however it
ends. A connection that was lost, as when the server is started anew, is opened again and takes its locks
again; if another run has one of them by then, this run must end.
"""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg
import sqlalchemy as sa

from workbench.db.pool import ServiceConnectionPool
from workbench.db.translate import translated
from workbench.errors import LockTimeout

__all__ = ["RunLocks", "deployment_lock", "holders", "resource_lock"]

_LOOK_SECONDS = 0.5
_HOLDER = """
    SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (l.classid::bigint << 32) | l.objid::bigint = %s
"""


def deployment_lock(deployment: str) -> str:
    """The lock's name by which a deployment has one live run at a time."""
    return f"deployment {deployment}"


def resource_lock(name: str) -> str:
    """The lock's name of a resource that deployments name."""
    return f"resource {name}"


def holders(connection: sa.Connection, locks: Mapping[str, str]) -> dict[str, str]:
    """Who holds which of some locks, as "run 1f0c2d3e…"; without those that are free.

    Parameters
    ----------
    connection : Connection
    locks : mapping of str to str
        Each lock's name, as `resource_lock` gives it, by what it is called in the answer.
    """
    found: dict[str, str] = {}
    for called, name in locks.items():
        row = connection.exec_driver_sql(_HOLDER, (_key(name),)).first()
        if row is not None:
            found[called] = _told(row[0])
    return found


class RunLocks:
    """The locks of one run. No connection is opened before the first one is taken.

    Parameters
    ----------
    pool : ServiceConnectionPool
        Of the role `workbench_runs`.
    run_id : UUID
    """

    def __init__(self, pool: ServiceConnectionPool, run_id: uuid.UUID) -> None:
        self._pool = pool
        self._run_id = run_id
        self._held: list[str] = []
        self._connection: psycopg.Connection[Any] | None = None
        # The run's thread takes locks, its heartbeat looks after them.
        self._turn = threading.Lock()

    def take(self, name: str, *, patience: float, tell: Callable[[str], None] | None = None) -> str | None:
        """Take a lock; wait for it if another run has it.

        Parameters
        ----------
        name : str
            As `deployment_lock` and `resource_lock` give it.
        patience : float
            How long to wait, in seconds.
        tell : callable, optional
            Called once with who has it, if it has to be waited for.

        Returns
        -------
        str or None
            None if the run has it now; else who has it.
        """
        deadline = time.monotonic() + patience
        while True:
            with self._turn, translated(f"taking the lock of {name}"):
                try:
                    if self._try(name):
                        self._held.append(name)
                        return None
                    holder = self._holder(name)
                except psycopg.Error:
                    self._drop()
                    raise
            if tell is not None:
                tell(holder)
                tell = None
            if time.monotonic() >= deadline:
                return holder
            time.sleep(_LOOK_SECONDS)

    def take_all(
        self,
        resources: Sequence[str],
        *,
        patience: float,
        tell: Callable[[str], None],
        over: Callable[[], str] = str,
    ) -> None:
        """Take the locks of named resources.

        Always in the order of their names, so that no two runs wait for each other.

        Parameters
        ----------
        resources : sequence of str
        patience : float
            Seconds for all of them together.
        tell : callable
            Called with a sentence for each that has to be waited for.
        over : callable
            Says why to wait no longer; empty while the run may go on.

        Raises
        ------
        LockTimeout
            One of them was not free in time, or the run is over.
        """
        deadline = time.monotonic() + patience
        for resource in sorted(set(resources)):
            name, told = resource_lock(resource), False
            while (holder := self.take(name, patience=0)) is not None:
                if not told:
                    tell(f"waiting for the lock {resource}, which {holder} has")
                    told = True
                if over():
                    raise LockTimeout(f"waited for the lock {resource} until the run was over: {over()}")
                if time.monotonic() >= deadline:
                    raise LockTimeout(
                        f"the lock {resource} was not free within {patience:g} s: {holder} has it; give the "
                        "run a longer time limit, or the deployments other times"
                    )
                time.sleep(_LOOK_SECONDS)

    def check(self) -> str:
        """Look after the connection; why the run must end, or nothing.

        While the server is away there is nothing to be said: nobody else gets a lock either.
        """
        with self._turn:
            if not self._held:
                return ""
            try:
                if self._is_well():
                    return ""
                for name in self._held:
                    if not self._try(name):
                        return self._lost(name)
            except psycopg.Error:
                self._drop()
        return ""

    def close(self) -> None:
        """Give all of them back."""
        with self._turn:
            self._held.clear()
            self._drop()

    def _lost(self, name: str) -> str:
        return (
            f"the connection that held its lock of {name} was lost, and {self._holder(name)} has the lock now"
        )

    def _is_well(self) -> bool:
        if self._connection is None:
            return False
        try:
            self._connection.execute("SELECT 1")
        except psycopg.Error:
            self._drop()
            return False
        return True

    def _try(self, name: str) -> bool:
        row = self._session().execute("SELECT pg_try_advisory_lock(%s)", (_key(name),)).fetchone()
        return bool(row and row[0])

    def _holder(self, name: str) -> str:
        row = self._session().execute(_HOLDER, (_key(name),)).fetchone()
        return _told(row[0] if row else None)

    def _session(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            self._connection = self._pool.connect_alone("locks", self._run_id)
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _told(application: object) -> str:
    words = str(application or "").split(":")
    return f"run {words[2]}" if len(words) == 3 and words[0] == "workbench" else "another session"


def _key(name: str) -> int:
    """The lock's number: half of a hash, so that two names hardly ever share one."""
    return int.from_bytes(hashlib.sha256(f"workbench {name}".encode()).digest()[:8], "big", signed=True)
