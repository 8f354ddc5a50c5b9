"""`Heartbeat`: the thread by which a run's process says that it is alive, and learns that the run is over."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable

from workbench.db.pool import ServiceConnectionPool
from workbench.errors import WorkbenchError
from workbench.runs.heartbeats import Pulse, beat

__all__ = ["EVERY_SECONDS", "Heartbeat"]

EVERY_SECONDS = 10.0
"""Between two beats of a headless run at most."""
# Cells may be short: no more beats than this.
_LEAST_SECONDS = 1.0
# While the server is away.
_RETRY_SECONDS = 2.0

logger = logging.getLogger(__name__)


class Heartbeat:
    """Beats from `start` to `stop`, at each cell and every ten seconds, whatever the other threads do.

    A server that is away is tried again and again; that ends no run.

    Parameters
    ----------
    pool : ServiceConnectionPool
        Of the role `workbench_runs`.
    run_id : UUID
    every : float
        Seconds between two beats at most.
    check : callable, optional
        Called with each beat; what it returns, if anything, is why the run must end.
    """

    def __init__(
        self,
        pool: ServiceConnectionPool,
        run_id: uuid.UUID,
        *,
        every: float = EVERY_SECONDS,
        check: Callable[[], str] | None = None,
    ) -> None:
        self._pool = pool
        self._run_id = run_id
        self._every = every
        self._check = check
        self._pulse = Pulse()
        self._over = ""
        self._wake = threading.Event()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"heartbeat of {run_id}", daemon=True)
        # The wall clock, which goes on while a machine sleeps.
        self._told = time.time()

    @property
    def over(self) -> str:
        """Why the run has to end before it is done; empty while it may go on."""
        return self._over

    @property
    def silent_seconds(self) -> float:
        """Seconds since the last beat that arrived, also those in which the machine slept."""
        return time.time() - self._told

    def start(self) -> None:
        """Begin to beat; the run is registered already."""
        self._thread.start()

    def update(self, pulse: Pulse) -> None:
        """Say how far the run is; a new cell is told at once."""
        is_news = (pulse.cell, pulse.doing) != (self._pulse.cell, self._pulse.doing)
        self._pulse = pulse
        if is_news:
            self._wake.set()

    def stop(self) -> None:
        """Beat a last time, so that the record has the peak, and no more after that."""
        self._end.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2 * EVERY_SECONDS)
        self.beat()

    def beat(self) -> bool:
        """Beat now, in this thread; whether that arrived."""
        try:
            with self._pool.begin("sending a heartbeat") as connection:
                over = beat(connection, self._run_id, self._pulse)
        except WorkbenchError as error:
            logger.debug("no heartbeat of run %s: %s", self._run_id, error)
            return False
        self._told = time.time()
        if over is not None and not self._over:
            self._over = over
        return True

    def _work(self) -> None:
        owner = os.getpid()
        while not self._end.is_set() and not self._over and os.getpid() == owner:
            arrived = False
            try:
                # A pool that was closed is not opened by this: whoever closed it is done.
                arrived = self._pool.is_open and self.beat()
                if self._check is not None:
                    self._over = self._over or self._check()
            except Exception:
                # A thread that ended would have the run declared dead.
                logger.exception("a heartbeat of run %s failed", self._run_id)
            self._end.wait(_LEAST_SECONDS)
            self._wake.wait((self._every if arrived else _RETRY_SECONDS) - _LEAST_SECONDS)
            self._wake.clear()
