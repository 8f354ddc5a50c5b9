"""Keeps the stack running: starts it, starts again what dies, and ends all of it when told to."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from workbench.embedded.locks import exclusive, is_held
from workbench.embedded.process import ManagedProcess
from workbench.errors import ServerError, WorkbenchError
from workbench.settings import Settings
from workbench.stack.model import Endpoints, Progress
from workbench.stack.servers import Servers
from workbench.stack.services import PREFECT_SERVER, Services, await_ready
from workbench.stack.state import StackState, StateFile

__all__ = ["SUPERVISOR", "Supervisor", "supervisor_lock"]

SUPERVISOR = "supervisor"

_LOOK_EVERY = 1.0
_LONGEST_PAUSE = 60.0
# A process that lived this long counts as healthy again.
_HEALTHY_AFTER = 60.0


def supervisor_lock(home: Path) -> Path:
    """The lock that a supervisor of that home holds as long as it lives."""
    return home / "run" / "supervisor.lock"


class Supervisor:
    """Runs in the foreground of its process until SIGTERM or SIGINT.

    Parameters
    ----------
    settings : Settings
    start_servers : callable
        Brings up PostgreSQL and Redis; given a progress callable, returns the endpoints.
    progress : callable
        Told what is being done.
    """

    def __init__(
        self, settings: Settings, start_servers: Callable[[Progress], Endpoints], progress: Progress
    ) -> None:
        self._home = Path(os.path.realpath(settings.home))
        self._start_servers = start_servers
        self._told = progress
        self._servers = Servers(settings)
        self._services = Services(settings)
        self._file = StateFile(self._home)
        self._state = StackState(os.getpid())
        self._end = threading.Event()
        self._pauses: dict[str, float] = {}
        self._not_before: dict[str, float] = {}

    def run(self) -> None:
        """Start everything, keep it running, and stop it in the end.

        Raises
        ------
        ServerError
            Another supervisor runs already, or something cannot be started; then what was started for it
            is stopped again.
        """
        if is_held(supervisor_lock(self._home)):
            raise ServerError(f"The stack of {self._home} runs already; see: workbench status")
        with (
            exclusive(supervisor_lock(self._home), patience=0.0, doing="running this stack"),
            self._signals(),
        ):
            ManagedProcess(SUPERVISOR, self._home).adopt(os.getpid())
            self._file.write(self._state)
            found_running = not self._servers.are_down()
            try:
                endpoints = self._bring_up()
                self._watch(endpoints)
            except WorkbenchError as error:
                self._phase("failed", str(error))
                self._stop_services()
                if not found_running:
                    self._servers.stop(self._say)
                raise
            self._phase("stopping")
            self._stop_services()
            self._servers.stop(self._say)
            self._file.clear()

    def _bring_up(self) -> Endpoints:
        endpoints = self._start_servers(self._say)
        for stage in self._services.stages():
            for name in stage:
                if self._services.processes[name].pid() is None and not self._end.is_set():
                    self._say(f"Starting {name}")
                    self._services.service(name, endpoints).start()
                    endpoints = self._now(endpoints)
            for name in stage:
                await_ready(self._services.service(name, endpoints), self._end.is_set)
        if not self._end.is_set():
            self._phase("ready")
        return endpoints

    def _watch(self, endpoints: Endpoints) -> None:
        while not self._end.wait(_LOOK_EVERY):
            try:
                if self._servers.are_down() and self._may_start("servers"):
                    self._restarted("servers")
                    self._start_servers(self._say)
                for name in self._services.names():
                    endpoints = self._keep(name, endpoints)
            except WorkbenchError as error:
                # Tried again, with pauses that grow, for as long as it takes.
                self._say(f"Cannot be started again yet: {error}")

    def _keep(self, name: str, endpoints: Endpoints) -> Endpoints:
        process = self._services.processes[name]
        if process.pid() is not None or not self._may_start(name):
            return endpoints
        self._restarted(name)
        self._services.service(name, endpoints).start()
        fresh = self._now(endpoints)
        if name == PREFECT_SERVER and fresh != endpoints:
            # It has another port now, and the others were told the old one when they started.
            for other in self._services.names():
                if other != PREFECT_SERVER:
                    self._services.processes[other].stop()
                    self._not_before.pop(other, None)
        return fresh

    def _may_start(self, name: str) -> bool:
        """Whether the pause since the last start is over; the pause doubles, up to a minute."""
        now = time.monotonic()
        earliest = self._not_before.get(name, 0.0)
        if now < earliest:
            return False
        lived = now - earliest
        pause = 1.0 if lived > _HEALTHY_AFTER else min(self._pauses.get(name, 0.5) * 2, _LONGEST_PAUSE)
        self._pauses[name] = pause
        self._not_before[name] = now + pause
        return True

    def _restarted(self, name: str) -> None:
        self._state.restarts[name] = self._state.restarts.get(name, 0) + 1
        self._say(f"Starting {name} again")

    def _now(self, endpoints: Endpoints) -> Endpoints:
        url, auth = self._services.prefect() or (None, None)
        return replace(endpoints, prefect_api_url=url, prefect_auth_string=auth)

    def _stop_services(self) -> None:
        for name in reversed(self._services.names()):
            if self._services.processes[name].stop():
                self._say(f"Stopped {name}")

    def _say(self, step: str) -> None:
        self._told(step)
        # Those who wait read the start's steps; the log keeps all of them.
        self._state.steps = [*self._state.steps[-99:], step]
        self._file.write(self._state)

    def _phase(self, phase: str, error: str = "") -> None:
        self._state.phase, self._state.error = phase, error  # type: ignore[assignment]
        self._file.write(self._state)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        wanted = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {number: signal.signal(number, lambda *_: self._end.set()) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
