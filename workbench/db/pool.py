"""ServiceConnectionPool: the connections of one service's login role, opened when first used."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import URL

from workbench.attempt import RUN_ID_VARIABLE
from workbench.db.translate import translated

__all__ = [
    "MAX_OVERFLOW",
    "POOL_SIZE",
    "READ_ONLY",
    "ServiceConnectionPool",
    "afterwards",
    "application_name",
    "by_service",
]

POOL_SIZE = 10
MAX_OVERFLOW = 20
_RECYCLE_SECONDS = 3600
# For connections whose loss must be noticed within seconds, also behind a network that drops everything.
_SOON: dict[str, Any] = {
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}
_OPTIONS = "-c search_path=public -c timezone=UTC"
READ_ONLY = "-c default_transaction_read_only=on"
"""The server's option by which a connection may only read, unless a transaction says otherwise."""
_AFTERWARDS = "afterwards"
_BY_SERVICE = "by a service"


def application_name(service: str, run_id: object = None) -> str:
    """The application name of a connection: `workbench:<service>:<run id>`, at most 62 bytes.

    Without a run, given or in the environment as in the kernel of a headless notebook:
    `workbench:<service>:<process id>`. A run that is declared dead is rid of its sessions by that name.
    """
    return f"workbench:{service}:{run_id or os.environ.get(RUN_ID_VARIABLE) or os.getpid()}"


def afterwards(connection: sa.Connection, call: Callable[[], None]) -> None:
    """Call something after the transaction of `ServiceConnectionPool.begin` has ended, unless it failed."""
    connection.info.setdefault(_AFTERWARDS, []).append(call)


def by_service(connection: sa.Connection) -> None:
    """Note that what this transaction writes is written by a method of a service."""
    connection.info[_BY_SERVICE] = True


class ServiceConnectionPool:
    """Connections for one service.

    At most `size` stay open and `overflow` more are opened when needed; each is tested before use, and
    replaced after an hour. Nothing is opened until the first use. After a `fork` the child opens its own,
    and the parent keeps its own.

    Parameters
    ----------
    service : str
        The service's name, for `pg_stat_activity`, as `application_name` tells it.
    url : Callable[[], URL]
        Called once, at the first use; returns the URL with the login.
    size, overflow : int
        From `WORKBENCH_POOL_SIZE` and `WORKBENCH_POOL_OVERFLOW`; `workbench.db.budget` computes their sum
        over all pools and processes.
    run_id : UUID, optional
        The run that its connections are opened for. Default: the one in the environment.
    undone : callable, optional
        For a rehearsal: each transaction of `begin` that has written something is rolled back at its end,
        with its constraints checked, and this is called with what it was doing, and whether a service's
        method did it (`by_service`). A transaction that others begin on its engine may only read.
    """

    def __init__(
        self,
        service: str,
        url: Callable[[], URL],
        *,
        size: int = POOL_SIZE,
        overflow: int = MAX_OVERFLOW,
        run_id: uuid.UUID | None = None,
        undone: Callable[[str, bool], None] | None = None,
    ) -> None:
        self.service = service
        self._run_id = run_id
        self._undone = undone
        self.size = size
        self.overflow = overflow
        self._url = url
        self._engine: sa.Engine | None = None
        self._owner = os.getpid()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        state = "not opened yet" if self._engine is None else self._engine.pool.status()
        return f"<ServiceConnectionPool {self.service}: {state}>"

    @contextmanager
    def begin(self, doing: str | None = None) -> Iterator[sa.Connection]:
        """A connection in one transaction: committed at the end, rolled back on an exception or a rehearsal.

        Raises
        ------
        DatabaseError, ServerUnreachable, FrameRefused
            The driver's error, translated.
        """
        what = doing or self.service
        with translated(what), self.engine.connect() as connection:
            calls: list[Callable[[], None]] = []
            connection.info[_AFTERWARDS] = calls
            connection.info[_BY_SERVICE] = False
            with connection.begin() as transaction:
                if self._undone is not None:
                    connection.exec_driver_sql("SET TRANSACTION READ WRITE")
                yield connection
                if self._undone is not None and _has_written(connection):
                    self._undone(what, bool(connection.info[_BY_SERVICE]))
                    transaction.rollback()
        for call in calls:
            call()

    @contextmanager
    def snapshot(self, doing: str | None = None) -> Iterator[sa.Connection]:
        """A read-only connection in which all statements see the same snapshot."""
        with translated(doing or self.service), self.engine.connect() as connection:
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield connection

    @property
    def engine(self) -> sa.Engine:
        """The SQLAlchemy engine, created at the first use."""
        with self._lock:
            if self._engine is not None and self._owner != os.getpid():
                # The sockets belong to the parent: drop them here without closing them.
                self._engine.dispose(close=False)
                self._engine = None
            if self._engine is None:
                self._owner = os.getpid()
                self._engine = sa.create_engine(
                    self._url(),
                    pool_size=self.size,
                    max_overflow=self.overflow,
                    pool_pre_ping=True,
                    pool_recycle=_RECYCLE_SECONDS,
                    connect_args={
                        "application_name": application_name(self.service, self._run_id),
                        "connect_timeout": 10,
                        **(_SOON if self._run_id is not None else {}),
                        "options": _OPTIONS if self._undone is None else f"{_OPTIONS} {READ_ONLY}",
                    },
                )
            return self._engine

    @property
    def is_open(self) -> bool:
        """Whether it was used since it was made or closed."""
        return self._engine is not None

    def of_run(self, run_id: uuid.UUID) -> ServiceConnectionPool:
        """A small pool of this login for what the process does for one run; its sessions carry that id."""
        return ServiceConnectionPool(
            self.service, self._url, size=1, overflow=2, run_id=run_id, undone=self._undone
        )

    def connect_alone(self, doing: str, run_id: uuid.UUID) -> psycopg.Connection[Any]:
        """A connection outside of the pool, in autocommit, for one run; closed by whoever asked for it.

        Raises
        ------
        psycopg.Error
            The driver's own error: for those that try again.
        """
        url = self._url().set(drivername="postgresql").render_as_string(hide_password=False)
        return psycopg.connect(
            # SQLAlchemy does not escape spaces in a password, and libpq refuses them.
            url.replace(" ", "%20"),
            autocommit=True,
            application_name=application_name(doing, run_id),
            connect_timeout=5,
            **_SOON,
            options=f"{_OPTIONS} -c statement_timeout=10s",
        )

    def close(self) -> None:
        """Close every connection; the next use opens new ones."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose(close=self._owner == os.getpid())
                self._engine = None


def _has_written(connection: sa.Connection) -> bool:
    """Whether the transaction has written anything, none of which its deferred constraints refuse."""
    connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
    return bool(
        connection.exec_driver_sql("SELECT pg_current_xact_id_if_assigned() IS NOT NULL").scalar_one()
    )
