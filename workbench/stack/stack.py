"""The stack of one home, from PostgreSQL to the event relay: up, down and status."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from workbench.embedded.process import ManagedProcess, is_alive, marked, stop_process, wait_until
from workbench.errors import ServerError
from workbench.home.folders import make_home
from workbench.home.locks import exclusive, is_held
from workbench.home.presence import Presence
from workbench.settings import Settings
from workbench.stack.environment import process_environment
from workbench.stack.gone import role_of_process
from workbench.stack.guardian import GUARDIAN
from workbench.stack.home_version import refuse_newer
from workbench.stack.look import claim, looking
from workbench.stack.model import Endpoints, Finding, Progress, ServiceStatus
from workbench.stack.schedules import Schedules
from workbench.stack.servers import Servers, SetUp
from workbench.stack.services import Services
from workbench.stack.state import SUPERVISOR, StateFile, supervisor_lock
from workbench.stack.supervisor import Supervisor

if TYPE_CHECKING:
    from workbench.stack.labs import LabProcess

__all__ = ["Stack"]

_UP_PATIENCE = 600.0
# The supervisor gives each of its own processes 20 s, and PostgreSQL two minutes.
_DOWN_PATIENCE = 240.0

logger = logging.getLogger(__name__)


class Stack:
    """Everything that runs for one home; creating the object starts nothing.

    Parameters
    ----------
    settings : Settings
        Servers given by URL are used as they are, never started or stopped.
    only_looks : bool
        Whether servers started by this object are needed for one command only: see `looking`.
    """

    def __init__(self, settings: Settings, *, only_looks: bool = False) -> None:
        self._only_looks = only_looks
        self._settings = settings
        self._home = Path(os.path.realpath(settings.home))
        self._servers = Servers(settings)
        self._services = Services(settings)
        self._supervisor = ManagedProcess(SUPERVISOR, self._home)
        self._guardian = ManagedProcess(GUARDIAN, self._home)
        self._state = StateFile(self._home)

    def start_servers(self, progress: Progress | None = None) -> Endpoints:
        """Start PostgreSQL and Redis if needed, and set up databases, roles and migrations.

        Raises
        ------
        ServerError
            A server cannot be started or reached.
        DatabaseError
            The databases cannot be created or migrated.
        """
        (database_url, redis_url), _ = self._set_up(progress or _quiet)
        url, auth = self._services.prefect() or (None, None)
        return Endpoints(database_url, redis_url, url, auth)

    def upgrade(self, progress: Progress | None = None) -> SetUp:
        """Start PostgreSQL and Redis if needed, and apply new migrations, after a backup if it is embedded.

        Raises
        ------
        ServerError
            As `start_servers`; or there are migrations to apply, and the stack runs with its older version.
        """
        if is_held(supervisor_lock(self._home)) and not self.is_set_up():
            raise ServerError(
                f"the stack of {self._home} still runs as it was before the update; stop it first: "
                "workbench down"
            )
        return self._set_up(progress or _quiet)[1]

    def _set_up(self, tell: Progress) -> tuple[tuple[str, str], SetUp]:
        self._make_home()
        self.claim()
        addresses = self._servers.ensure(tell)
        done = self._servers.set_up(addresses[0], tell)
        # Again: a read-only command may have begun to start them at the same time.
        self.claim()
        return addresses, done

    def endpoints(self) -> Endpoints:
        """The addresses of the running services; starts nothing.

        Raises
        ------
        ServerError
            PostgreSQL or Redis does not run.
        """
        database_url, redis_url = self._servers.addresses()
        url, auth = self._services.prefect() or (None, None)
        return Endpoints(database_url, redis_url, url, auth)

    def claim(self) -> None:
        """Keep the servers running after a read-only command that started them."""
        if not self._only_looks:
            claim(self._home)

    @contextmanager
    def looking(self, tell: Progress) -> Iterator[None]:
        """Run PostgreSQL and Redis while the block runs; if this started them, stop them afterwards.

        They are left running if another client is connected or has claimed them meanwhile. Only for a stack
        with `only_looks`.

        Raises
        ------
        ServerError
            Nothing was ever stored in this home, or the servers cannot be started.
        """
        if not self._servers.have_data():
            raise ServerError(
                f"nothing was ever stored in the home {self._home}; start with: workbench ingest AAPL "
                "--source sample, or set WORKBENCH_HOME to another one"
            )
        with looking(self._home, self._servers, self.start_servers, tell):
            yield

    def is_set_up(self) -> bool:
        """Whether PostgreSQL and Redis run and this version has set up the databases; takes milliseconds."""
        try:
            return self._servers.is_set_up(self._servers.addresses()[0])
        except ServerError:
            return False

    def is_up(self) -> bool:
        """Whether a supervisor runs and all services are ready."""
        state = self._state.read()
        return state is not None and state.phase == "ready" and is_held(supervisor_lock(self._home))

    def up(self, progress: Progress | None = None) -> Endpoints:
        """Start everything in the background, and wait until it is ready.

        A supervisor is started, detached from this process, unless one runs; it takes over processes that
        an earlier, killed one left running. From then on a guardian restarts it if it is killed.

        Raises
        ------
        ServerError
            Something cannot be started; with the supervisor's message.
        """
        tell = progress or _quiet
        self._make_home()
        with (
            contextlib.closing(Presence(self._home)) as presence,
            exclusive(self._home / "run" / "up.lock", patience=_UP_PATIENCE, doing="starting the stack"),
        ):
            if presence.is_gone():
                # The process that held the lock has removed the home.
                raise ServerError(f"The home {self._home} was removed meanwhile; start it again.")
            if not self.is_up():
                self._await_supervisor(tell)
        return self.endpoints()

    def supervise(
        self, progress: Progress | None = None, *, guarded: bool = False, again: bool = False
    ) -> None:
        """Run everything from this process until SIGTERM or SIGINT, then stop all of it.

        Parameters
        ----------
        progress : callable, optional
        guarded, again : bool
            For the supervisor in the background: whether a guardian restarts it if it is killed, and
            whether this is such a restart.

        Raises
        ------
        ServerError
            It runs already, or something cannot be started.
        """
        if not again:
            self._make_home()
        Supervisor(
            self._settings, self.start_servers, progress or logger.info, guarded=guarded, again=again
        ).run()

    def labs(self) -> list[LabProcess]:
        """JupyterLab and the kernels that use this home; ends none."""
        from workbench.stack.labs import lab_processes

        return lab_processes(self._home)

    def end_labs(self, labs: Sequence[LabProcess]) -> None:
        """End these; the memory of their kernels is lost."""
        from workbench.stack.labs import end_labs

        end_labs(labs)

    def down(self, progress: Progress | None = None) -> list[str]:
        """Stop everything that runs for this home; return the names of what ran.

        Except JupyterLab and its kernels: see `labs`. Also works for a home that was deleted meanwhile.
        """
        tell = progress or _quiet
        if not self._home.is_dir():
            return self._end_remains(tell)
        with exclusive(self._home / "run" / "up.lock", patience=_UP_PATIENCE, doing="starting or stopping"):
            return self._stop_all(tell)

    def purge(self, progress: Progress | None = None) -> list[str]:
        """Stop everything of this home and remove it, with its folder outside of it.

        Returns
        -------
        list of str
            The names of what ran.

        Raises
        ------
        ServerError
            It is not a home of workbench, contains other files, or something cannot be removed.
        """
        from workbench.stack.purge import look_at_home, remove_home

        tell = progress or _quiet
        look_at_home(self._settings.home)
        with contextlib.ExitStack() as held:
            if (self._home / "run").is_dir():
                # A process that wants to start the stack meanwhile waits, and then finds the home removed.
                lock = self._home / "run" / "up.lock"
                held.enter_context(exclusive(lock, patience=_UP_PATIENCE, doing="removing the home"))
                ran = self._stop_all(tell)
            else:
                ran = self._end_remains(tell)
            remove_home(self._settings.home, tell)
        return ran

    def _stop_all(self, tell: Progress) -> list[str]:
        ran = self._running()
        # Before and after the supervisor, which may start another one until it ends.
        self._guardian.stop()
        # Its children are stopped below, each with its own timeout.
        if self._supervisor.stop(patience=_DOWN_PATIENCE, family=False):
            tell("Stopped supervisor")
        self._guardian.stop()
        for name in reversed(self._services.names()):
            if self._services.processes[name].stop():
                tell(f"Stopped {name}")
        # E.g. a flow run whose worker was killed.
        ran += self._end_marked()
        ran += [name for name in self._servers.stop(tell) if name not in ran]
        self._state.clear()
        self.claim()
        return ran

    def _end_marked(self) -> list[str]:
        """End all processes with this home in their environment, also those without a pid file."""
        ended = []
        for process in list(marked(self._home)):
            if is_alive(process.pid):
                ended.append(role_of_process(process))
                stop_process(process.pid, patience=10.0)
        return ended

    def _end_remains(self, tell: Progress) -> list[str]:
        """End what runs for a home whose folder is gone; creates nothing."""
        ended = self._end_marked()
        for name in ended:
            tell(f"Stopped {name}")
        return ended + self._servers.stop(tell)

    def status(self) -> list[ServiceStatus]:
        """The status of each service; starts nothing and changes nothing."""
        from workbench.stack.status import status_of

        return status_of(self._settings)

    def schedules(self) -> Schedules | None:
        """The scheduled deployments, and problems that prevent their runs; None if no Prefect server runs.

        Raises
        ------
        ServerError
            Prefect runs but does not answer.
        """
        from workbench.stack.status import schedules_of

        return schedules_of(self._settings)

    def unkept_promotions(self) -> str:
        """Why promoted notebooks are not run, in one sentence; empty if they are. Starts nothing."""
        from workbench.stack.status import unkept_promotions

        return unkept_promotions(self._settings)

    def doctor(self) -> list[Finding]:
        """The results of all checks, with advice; starts nothing and changes nothing."""
        from workbench.stack.doctor import findings_of

        return findings_of(self._settings)

    def _make_home(self) -> None:
        refuse_newer(self._home, embedded=self._servers.postgres is not None)
        try:
            make_home(self._home, entered=self._servers.postgres is not None and os.geteuid() == 0)
        except OSError as error:
            raise ServerError(
                f"WORKBENCH_HOME: {self._home} cannot be created or written ({error.strerror}); "
                "name another folder."
            ) from error

    def _await_supervisor(self, tell: Progress) -> None:
        if not is_held(supervisor_lock(self._home)):
            self._spawn()
        shown = 0
        deadline = time.monotonic() + _UP_PATIENCE
        while time.monotonic() < deadline:
            state = self._state.read()
            if state is not None:
                for step in state.steps[shown:]:
                    tell(step)
                shown = len(state.steps)
                if state.phase == "failed":
                    # It stops what it started before it ends.
                    wait_until(lambda: not is_held(supervisor_lock(self._home)), _DOWN_PATIENCE)
                    raise ServerError(state.error)
                if state.phase == "ready":
                    return
            if self._supervisor.pid() is None and not is_held(supervisor_lock(self._home)):
                if state is None or state.phase != "stopping":
                    raise ServerError(
                        f"The supervisor ended while starting: {self._supervisor.last_words()} "
                        f"(log: {self._supervisor.log_file})"
                    )
                # It was already stopping.
                self._spawn()
                shown = 0
            time.sleep(0.1)
        raise ServerError(f"The stack was not ready in time; its log is {self._supervisor.log_file}")

    def _spawn(self) -> None:
        self._state.clear()
        self._supervisor.start(
            [sys.executable, "-m", "workbench.stack"],
            environment=process_environment(self._settings, {}),
            folder=self._home,
        )

    def _running(self) -> list[str]:
        processes = [self._supervisor, *(self._services.processes[name] for name in self._services.names())]
        names = [process.name for process in processes if process.pid() is not None]
        with contextlib.suppress(psutil.Error, ServerError):
            if self._servers.valkey and self._servers.valkey.running():
                names.append("Valkey")
            if self._servers.postgres and self._servers.postgres.running():
                names.append("PostgreSQL")
        return names


def _quiet(step: str) -> None:
    """The default progress callable: does nothing."""
