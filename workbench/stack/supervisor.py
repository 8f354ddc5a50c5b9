"""Keeps the stack running: starts it, starts again what dies, and ends all of it when told to."""

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
# What works on a home that is gone has nothing left to write.
_GONE_PATIENCE = 10.0

logger = logging.getLogger("workbench.stack")


class Supervisor:
    """Runs in the foreground of its process until SIGTERM, SIGINT or SIGHUP, or until its home is gone.

    Parameters
    ----------
    settings : Settings
    start_servers : callable
        Brings up PostgreSQL and Redis; given a progress callable, returns the endpoints.
    progress : callable
        Told what is being done.
    guarded : bool
        Whether a guardian starts it again when it is killed; for one that runs in the background.
    again : bool
        Whether it was started so: whatever cannot be started then is tried until it can.
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
        self._told = progress
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
            Another supervisor runs already, or something cannot be started; then what was started for it
            is stopped again. Or there is no home (any longer).
        """
        self._presence = Presence(self._home)
        if is_held(supervisor_lock(self._home)):
            raise ServerError(f"The stack of {self._home} runs already; see: workbench status")
        with (
            # Whoever asks whether it is held takes it for a moment.
            exclusive(supervisor_lock(self._home), patience=1.0, doing="running this stack"),
            self._signals(),
        ):
            ManagedProcess(SUPERVISOR, self._home).adopt(os.getpid())
            before = self._file.read()
            if self._again and before is not None:
                self._state.restarts = before.restarts
                self._restarted(SUPERVISOR)
            self._phase("starting")
            sweep_home(self._home)
            found_running = not self._servers.are_down()
            try:
                endpoints = self._bring_up_at_last() if self._again else self._bring_up()
            except Exception as error:
                if self._is_gone():
                    self._end_ours()
                    raise
                self._phase("failed", str(error))
                self._stop_services()
                if not found_running:
                    self._servers.stop(self._say)
                raise
            if endpoints is not None:
                self._watch(endpoints)
            if self._is_gone():
                self._end_ours()
                return
            self._phase("stopping")
            self._stop_guardian()
            self._stop_services()
            self._servers.stop(self._say)
            self._file.clear()

    def _bring_up_at_last(self) -> Endpoints | None:
        """Bring everything up, with pauses that grow; None where we are told to end before it is."""
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
                    self._say(f"Starting {name}")
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
        """Tell what went wrong: it is tried again, with pauses that grow, for as long as it takes."""
        if not isinstance(error, WorkbenchError):
            logger.error("unforeseen, in the supervisor", exc_info=error)
        self._say(f"Cannot be started again yet: {error}")

    def _keep_servers(self, endpoints: Endpoints) -> Endpoints:
        if not self._servers.are_down() or not self._pauses.are_over("servers"):
            return endpoints
        self._require_home()
        if not self._servers.have_data():
            # The home is being deleted: no other cluster is made in place of the one that was there.
            raise ServerError(f"PostgreSQL's data are gone from {self._home}.")
        self._restarted("servers")
        fresh = self._servers_started()
        if (fresh.database_url, fresh.redis_url) != (endpoints.database_url, endpoints.redis_url):
            # On another port: the services were told the old one when they started.
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
            # It has another port now, and the others were told the old one when they started.
            self._stop_all_but(PREFECT_SERVER)
        return fresh

    def _stop_all_but(self, kept: str | None) -> None:
        """Stop services, to be started again with what they must know now."""
        for other in self._services.names():
            if other != kept:
                self._services.processes[other].stop()
                self._pauses.forget(other)

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
        self._write_state()

    def _phase(self, phase: Literal["starting", "ready", "stopping", "failed"], error: str = "") -> None:
        self._state.phase, self._state.error = phase, error
        self._write_state()

    def _servers_started(self) -> Endpoints:
        self._require_home()
        endpoints = self._start_servers(self._say)
        self._remember()
        return endpoints

    def _is_gone(self) -> bool:
        return self._presence is not None and self._presence.is_gone()

    def _require_home(self) -> None:
        """Whatever is about to be started makes folders: not where the home is gone."""
        if self._is_gone():
            raise ServerError(f"The home {self._home} is gone, or another one is there now.")

    def _remember(self) -> None:
        """Know our processes by themselves, not by files: those go with a home that is deleted."""
        for folder in self._servers.data_folders():
            # Deleted while they run, they are not made anew: empty ones would pass for what there was.
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
        """End all that we kept running, by what we remember; nothing is written, no other stack touched."""
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
            # A full disk, say: what runs goes on running without it.
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
