"""What a headless run holds while it goes on: its record, its heartbeat, its locks, its connections."""

from __future__ import annotations

import contextlib
import logging
import os
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any

from workbench.attempt import Attempt
from workbench.errors import DeploymentBusy, ServerUnreachable
from workbench.runs import RunStore
from workbench.runs.heartbeat import Heartbeat
from workbench.runs.heartbeats import Pulse
from workbench.runs.locks import RunLocks, deployment_lock
from workbench.runs.process import this_process
from workbench.runs.slots import settle_slot

__all__ = ["HeldRun", "lead_group"]

# The environment variable of a process that a worker started for one flow run.
_FLOW_RUN = "PREFECT__FLOW_RUN_ID"

# A run that is tried again may find its predecessor's lock still held for a moment.
_PREDECESSOR_SECONDS = 60.0
_RESOURCE_SECONDS = 3600.0
# How long the end of a run waits for a server that is away.
_INSIST_SECONDS = 120.0

logger = logging.getLogger(__name__)


class HeldRun:
    """One run from its record's start to its end; a context manager that gives back what it holds.

    Parameters
    ----------
    runs : RunStore
    """

    def __init__(self, runs: RunStore) -> None:
        self.run_id = uuid.uuid4()
        self.store = RunStore(runs.pool.of_run(self.run_id))
        self._locks = RunLocks(self.store.pool, self.run_id)
        self.heartbeat = Heartbeat(self.store.pool, self.run_id, check=self._locks.check)
        self._beats = False

    def __enter__(self) -> HeldRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._beats:
            self.heartbeat.stop()
        self._locks.close()
        self.store.pool.close()

    def reserve(self, attempt: Attempt, *, is_retry: bool, in_turn: bool = False) -> None:
        """Take the deployment's lock for a live run; a slot that cannot have one is skipped.

        With `in_turn` it stays due: another run takes it later.

        Raises
        ------
        DeploymentBusy
            Another live run of the deployment is under way; the slot's row says which.
        """
        name = deployment_lock(attempt.deployment)
        holder = self._locks.take(name, patience=_PREDECESSOR_SECONDS if is_retry else 0.0)
        if holder is not None:
            reason = f"{holder} of {attempt.deployment} was still under way: one live run at a time"
            with self.store.pool.begin("skipping a slot") as connection:
                settle_slot(connection, attempt, "due" if in_turn else "skipped", reason)
            raise DeploymentBusy(f"{attempt.deployment} does not run for {_told(attempt.slot)}: {reason}")

    def start(self, **record: Any) -> None:
        """Record the run's start, as `RunStore.start` takes it, and begin to beat."""
        # A flow's process may be ended with its group; any other does more than this run.
        is_flow = _FLOW_RUN in os.environ and os.getpgrp() == os.getpid()
        group = os.getpid() if is_flow else None
        self.store.start(run_id=self.run_id, process=this_process(), process_group=group, **record)
        self._beats = True
        self.heartbeat.start()

    def await_resources(
        self, names: Sequence[str], timeout_seconds: float | None, tell: Callable[[str], None]
    ) -> None:
        """Take the locks of named resources, within the run's time limit or an hour.

        Raises
        ------
        LockTimeout
            One of them was not free in time.
        """

        def wait(words: str) -> None:
            self.heartbeat.update(Pulse(doing=words))
            tell(words)

        self._locks.take_all(
            names,
            patience=_RESOURCE_SECONDS if timeout_seconds is None else timeout_seconds,
            tell=wait,
            over=lambda: self.heartbeat.over,
        )

    def finish(self, status: str, **facts: Any) -> None:
        """Record the run's end; a server that is away is waited for, since nobody else knows how it ended.

        Raises
        ------
        RunFenced
            The run was declared dead meanwhile.
        ServerUnreachable
            The server did not come back in time.
        """
        deadline = time.monotonic() + _INSIST_SECONDS
        while True:
            try:
                return self.store.finish(self.run_id, status, **facts)
            except ServerUnreachable as error:
                if time.monotonic() >= deadline:
                    raise
                logger.warning("the end of run %s is not recorded yet: %s", self.run_id, error)
                time.sleep(2.0)


def lead_group() -> None:
    """Give a flow's process, if a worker started it, a process group of its own, to be ended with."""
    if _FLOW_RUN in os.environ and os.getpgrp() != os.getpid():
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)


def _told(slot: datetime) -> str:
    return f"{slot:%Y-%m-%d %H:%M:%S} UTC"
