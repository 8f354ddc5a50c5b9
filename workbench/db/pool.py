"""ServiceConnectionPool: the connections of one service's login role, opened when first used."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.engine import URL

from workbench.db.translate import translated

__all__ = ["MAX_OVERFLOW", "POOL_SIZE", "ServiceConnectionPool", "application_name"]

POOL_SIZE = 10
MAX_OVERFLOW = 20
_RECYCLE_SECONDS = 3600


def application_name(service: str) -> str:
    """What this process's connections for a service are called: `workbench:<service>:<process id>`."""
    return f"workbench:{service}:{os.getpid()}"


class ServiceConnectionPool:
    """Connections for one service.

    At most `size` stay open and `overflow` more come when needed; each is tried before it is handed out, and
    replaced after an hour. Nothing is opened until the first use. After a `fork` the child opens its own,
    and the parent keeps its own.

    Parameters
    ----------
    service : str
        The service's name; its connections show in `pg_stat_activity` as `workbench:<service>:<process id>`.
    url : Callable[[], URL]
        Asked once, at the first use, where to connect as whom.
    size, overflow : int
        As `WORKBENCH_POOL_SIZE` and `WORKBENCH_POOL_OVERFLOW` say; what they add up to over all pools and
        processes is reckoned in `workbench.db.budget`.
    """

    def __init__(
        self, service: str, url: Callable[[], URL], *, size: int = POOL_SIZE, overflow: int = MAX_OVERFLOW
    ) -> None:
        self.service = service
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
        """A connection within one transaction: committed at the end, rolled back by any exception.

        Raises
        ------
        DatabaseError, ServerUnreachable, FrameRefused
            Whatever the driver raised, in workbench's own words.
        """
        with translated(doing or self.service), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def snapshot(self, doing: str | None = None) -> Iterator[sa.Connection]:
        """A read-only connection in which all statements see the same moment."""
        with translated(doing or self.service), self.engine.connect() as connection:
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield connection

    @property
    def engine(self) -> sa.Engine:
        """The SQLAlchemy engine beneath, made when first asked for."""
        with self._lock:
            if self._engine is not None and self._owner != os.getpid():
                # The sockets belong to the parent: forget them here without closing them there.
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
                        "application_name": application_name(self.service),
                        "connect_timeout": 10,
                        "options": "-c search_path=public -c timezone=UTC",
                    },
                )
            return self._engine

    def close(self) -> None:
        """Close every connection; the next use opens new ones."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose(close=self._owner == os.getpid())
                self._engine = None
