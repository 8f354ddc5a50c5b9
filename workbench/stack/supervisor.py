"""Keeps the stack running: starts it, restarts services that die, and stops everything on a signal."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import psutil

from workbench.embedded.process import ManagedProcess, stop_process
from workbench.errors import ServerError, WorkbenchError
from workbench.home.locks import exclusive, is_held
from workbench.home.presence import Presence
from workbench.home.temporary import sweep_home
from workbench.settings import Settings
from workbench.stack.environment import process_environment
from workbench.stack.gone import of_deleted_home
from workbench.stack.guardian import GUARDIAN
from workbench.stack.model import Endpoints, Progress
from workbench.stack.pauses import Pauses
from workbench.stack.servers import Servers
from workbench.stack.services import PREFECT_SERVER, Services, await_ready
from workbench.stack.state import SUPERVISOR, StackState, StateFile, supervisor_lock

__all__ = ["SUPERVISOR", "Supervisor", "supervisor_lock"]

_LOOK_EVERY = 1.0
# A short timeout: processes of a home that is gone have nothing left to write.
_GONE_PATIENCE = 10.0

logger = logging.getLogger("workbench.stack")


class Supervisor:
    """Runs in the foreground of its process until SIGTERM, SIGINT or SIGHUP, or until its home is gone.

    Parameters
    ----------
    settings : Settings
    start_servers : callable
        Starts PostgreSQL and Redis; takes a progress callable, returns the endpoints.
    progress : callable
        Called with each step.
    guarded : bool
        Whether a guardian restarts it if it is killed; for a supervisor in the background.
    again : bool
        Whether this is such a restart: then starting is tried until it succeeds.
    """

    def __init__(
        self,
        settings: Settings,
        start_servers: Callable[[Progress], Endpoints],
        progress: Progress,
        *,
        guarded: bool = False,
        again: bool = False,
    ) -> None:
        self._settings = settings
        self._again = again
        self._guardian = ManagedProcess(GUARDIAN, Path(os.path.realpath(settings.home))) if guarded else None
        self._home = Path(os.path.realpath(settings.home))
        self._start_servers = start_servers
        self._progress = progress
        self._servers = Servers(settings)
        self._services = Services(settings)
        self._file = StateFile(self._home)
        self._state = StackState(os.getpid())
        self._end = threading.Event()
        self._pauses = Pauses()
        self._presence: Presence | None = None
        self._ours: dict[str, psutil.Process] = {}

    def run(self) -> None:
        """Start everything, keep it running, and stop it in the end.

        Raises
        ------
        ServerError
            Another supervisor runs already; something cannot be started, and what was started before it is
            stopped again; or the home does not exist (any more).
        """
        self._presence = Presence(self._home)
        if is_held(supervisor_lock(self._home)):
            raise ServerError(f"The stack of {self._home} runs already; see: workbench status")
        with (
            # A short timeout, because `is_held` of another process takes the lock for a moment.
            exclusive(supervisor_lock(self._home), patience=1.0, doing="running this stack"),
            self._signals(),
        ):
            ManagedProcess(SUPERVISOR, self._home).adopt(os.getpid())
            before = self._file.read()
            if self._again and before is not None:
                self._state.restarts = before.restarts
                self._restarted(SUPERVISOR)
            self._phase("starting")
            sweep_home(self._home, self._settings.runs_folder)
            found_running = not self._servers.are_down()
            try:
                endpoints = self._bring_up_retrying() if self._again else self._bring_up()
            except Exception as error:
                if self._is_gone():
                    self._end_ours()
                    raise
                self._phase("failed", str(error))
                self._stop_services()
                if not found_running:
                    self._servers.stop(self._report)
                raise
            if endpoints is not None:
                self._watch(endpoints)
            if self._is_gone():
                self._end_ours()
                return
            self._phase("stopping")
            self._stop_guardian()
            self._stop_services()
            self._servers.stop(self._report)
            self._file.clear()

    def _bring_up_retrying(self) -> Endpoints | None:
        """Start everything, with retries and growing pauses; None if a signal ends it before."""
        while not self._end.is_set():
            if self._pauses.are_over("start"):
                try:
                    return self._bring_up()
                except Exception as error:
                    if self._is_gone():
                        raise
                    self._cannot(error)
            self._end.wait(_LOOK_EVERY)
        return None

    def _bring_up(self) -> Endpoints:
        endpoints = self._servers_started()
        for stage in self._services.stages():
            for name in stage:
                if self._services.processes[name].pid() is None and not self._end.is_set():
                    self._report(f"Starting {name}")
                    self._services.service(name, endpoints).start()
                    endpoints = self._now(endpoints)
            self._remember()
            for name in stage:
                await_ready(self._services.service(name, endpoints), self._need_not_wait)
        if not self._end.is_set():
            self._keep_guardian()
            self._phase("ready")
        return endpoints

    def _need_not_wait(self) -> bool:
        self._require_home()
        if self._servers.are_down():
            raise ServerError("PostgreSQL or Redis ended while the services that need them were starting.")
        return self._end.is_set()

    def _watch(self, endpoints: Endpoints) -> None:
        while not self._end.wait(_LOOK_EVERY) and not self._is_gone():
            self._remember()
            try:
                endpoints = self._keep_servers(endpoints)
                self._keep_guardian()
            except Exception as error:  # noqa: BLE001 - only a signal may end it
                self._cannot(error)
                continue
            for name in self._services.names():
                try:
                    endpoints = self._keep(name, endpoints)
                except Exception as error:  # noqa: BLE001
                    self._cannot(error)

    def _cannot(self, error: Exception) -> None:
        """Report an error; the start is retried, with growing pauses, without limit."""
        if not isinstance(error, WorkbenchError):
            logger.error("unexpected error in the supervisor", exc_info=error)
        self._report(f"Cannot be started again yet: {error}")

    def _keep_servers(self, endpoints: Endpoints) -> Endpoints:
        if not self._servers.are_down() or not self._pauses.are_over("servers"):
            return endpoints
        self._require_home()
        if not self._servers.have_data():
            # The home is being deleted: do not create a new, empty cluster.
            raise ServerError(f"PostgreSQL's data are gone from {self._home}.")
        self._restarted("servers")
        fresh = self._servers_started()
        if (fresh.database_url, fresh.redis_url) != (endpoints.database_url, endpoints.redis_url):
            # The port changed: the services were started with the old one.
            self._stop_all_but(None)
        return fresh

    def _keep_guardian(self) -> None:
        if self._guardian is not None and self._guardian.pid() is None and self._pauses.are_over(GUARDIAN):
            self._require_home()
            self._guardian.start(
                [sys.executable, "-m", "workbench.stack.guardian"],
                environment=process_environment(self._settings, {}),
                folder=self._home,
            )

    def _stop_guardian(self) -> None:
        if self._guardian is not None:
            self._guardian.stop()

    def _keep(self, name: str, endpoints: Endpoints) -> Endpoints:
        process = self._services.processes[name]
        if process.pid() is not None or not self._pauses.are_over(name):
            return endpoints
        self._require_home()
        self._restarted(name)
        self._services.service(name, endpoints).start()
        fresh = self._now(endpoints)
        if name == PREFECT_SERVER and fresh != endpoints:
            # The port changed: the other services were started with the old one.
            self._stop_all_but(PREFECT_SERVER)
        return fresh

    def _stop_all_but(self, kept: str | None) -> None:
        """Stop services, to be restarted with the new endpoints."""
        for other in self._services.names():
            if other != kept:
                self._services.processes[other].stop()
                self._pauses.forget(other)

    def _restarted(self, name: str) -> None:
        self._state.restarts[name] = self._state.restarts.get(name, 0) + 1
        self._report(f"Starting {name} again")

    def _now(self, endpoints: Endpoints) -> Endpoints:
        url, auth = self._services.prefect() or (None, None)
        return replace(endpoints, prefect_api_url=url, prefect_auth_string=auth)

    def _stop_services(self) -> None:
        for name in reversed(self._services.names()):
            if self._services.processes[name].stop():
                self._report(f"Stopped {name}")

    def _report(self, step: str) -> None:
        self._progress(step)
        # Waiting processes read these steps; the log has all of them.
        self._state.steps = [*self._state.steps[-99:], step]
        self._write_state()

    def _phase(self, phase: Literal["starting", "ready", "stopping", "failed"], error: str = "") -> None:
        self._state.phase, self._state.error = phase, error
        self._write_state()

    def _servers_started(self) -> Endpoints:
        self._require_home()
        endpoints = self._start_servers(self._report)
        self._remember()
        return endpoints

    def _is_gone(self) -> bool:
        return self._presence is not None and self._presence.is_gone()

    def _require_home(self) -> None:
        """Raise if the home is gone: what is started next would create folders there."""
        if self._is_gone():
            raise ServerError(f"The home {self._home} is gone, or another one is there now.")

    def _remember(self) -> None:
        """Keep references to our processes, because the pid files are deleted with the home."""
        for folder in self._servers.data_folders():
            # If they are deleted while the servers run, they must not be created again empty.
            with contextlib.suppress(OSError):
                if self._presence is not None:
                    self._presence.watch(folder)
        guardian = {GUARDIAN: self._guardian} if self._guardian is not None else {}
        pids = {name: process.pid() for name, process in {**self._services.processes, **guardian}.items()}
        for name, pid in {**pids, **self._servers.pids()}.items():
            with contextlib.suppress(psutil.Error):
                if pid is not None:
                    self._ours[name] = psutil.Process(pid)

    def _end_ours(self) -> None:
        """End all our processes by the kept references; writes nothing, and touches no other stack."""
        logger.warning("the home %s is gone, or another one is there now: ending", self._home)
        names = [GUARDIAN, *reversed(self._services.names()), *self._servers.pids()]
        left = {process.pid: process for process in of_deleted_home(self._home)}
        for process in (*(self._ours[name] for name in names if name in self._ours), *left.values()):
            with contextlib.suppress(psutil.Error, ServerError):
                if process.is_running():
                    # PostgreSQL takes this for a fast shutdown.
                    first = signal.SIGINT if process.name() == "postgres" else signal.SIGTERM
                    stop_process(process.pid, first=first, patience=_GONE_PATIENCE)

    def _write_state(self) -> None:
        if self._is_gone():
            return
        try:
            self._file.write(self._state)
        except OSError as error:
            # E.g. a full disk: the services keep running without it.
            logger.warning("the state of the stack cannot be written: %s", error.strerror)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        wanted = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {number: signal.signal(number, lambda *_: self._end.set()) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
