"""The embedded PostgreSQL of a home: starts it, finds a running one, stops it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from workbench.embedded.accounts import account_of, clean_environment
from workbench.embedded.cluster import SUPERUSER, make_cluster, refuse_other_version
from workbench.embedded.place import Place, away_folder, existing_cluster, find_place, read_id
from workbench.embedded.ports import LOOPBACK, RememberedPort
from workbench.embedded.process import ManagedProcess, is_alive, living_in, stop_process, wait_until
from workbench.errors import ServerError
from workbench.home.folders import make_home
from workbench.home.locks import exclusive
from workbench.home.secrets import Secret, Secrets
from workbench.settings import Settings

__all__ = ["EmbeddedPostgres", "Postmaster"]

_TRIES = 5
# Long, because after a crash the server replays its log, which can take minutes on a slow disk.
_START_PATIENCE = 600.0
_STOP_PATIENCE = 120.0
# Short: a server whose data were deleted cannot write them, and one outside of the home recovers later.
_STRAY_PATIENCE = 20.0


@dataclass(frozen=True)
class Postmaster:
    """A running server: its pid, its port on 127.0.0.1, and whether it accepts connections yet."""

    pid: int
    port: int
    ready: bool


class EmbeddedPostgres:
    """The PostgreSQL cluster of `settings.home`.

    Parameters
    ----------
    settings : Settings
        `home` and `postgres_user` are used.
    """

    def __init__(self, settings: Settings) -> None:
        # Resolved, so that two paths of one folder are the same home.
        self._home = Path(os.path.realpath(settings.home))
        self._postgres_user = settings.postgres_user
        self._secrets = Secrets(self._home)
        self._port = RememberedPort(self._home / "run" / "postgres.port")
        self._process = ManagedProcess("postgres", self._home)
        self._lock = self._home / "run" / "lock"

    @property
    def log_file(self) -> Path:
        """The server's log file."""
        return self._process.log_file

    def data(self) -> Path | None:
        """The cluster's folder; None before the first start."""
        return existing_cluster(self._home)

    def running(self) -> Postmaster | None:
        """The server if it runs, also if another process started it; takes about a millisecond."""
        data = existing_cluster(self._home)
        return None if data is None else _postmaster(data)

    def url(self, port: int) -> str:
        """The superuser's URL on that port, for the database `postgres`."""
        password = self._secrets.get("postgres")
        return Secret(f"postgresql://{SUPERUSER}:{password}@{LOOPBACK}:{port}/postgres")

    def ensure(self, progress: Callable[[str], None] | None = None) -> str:
        """Start the server if it does not run, and create the cluster if there is none.

        Parameters
        ----------
        progress : callable, optional
            Called with a short text about each slow step.

        Returns
        -------
        str
            `postgresql://workbench:<password>@127.0.0.1:<port>/postgres`.

        Raises
        ------
        ServerError
            It cannot be started; the message has the cause and advice.
        """
        postmaster = self.running()
        if postmaster is None or not postmaster.ready or not self._is_ours():
            make_home(self._home, entered=os.geteuid() == 0)
            with exclusive(self._lock, patience=_START_PATIENCE, doing="starting or stopping the servers"):
                postmaster = self._started(progress or (lambda _: None))
        return self.url(postmaster.port)

    def stop(self) -> bool:
        """Stop the server cleanly; returns True if it was running.

        This is PostgreSQL's fast shutdown: sessions are ended, data are written. A server that has not ended
        after two minutes is killed, and recovers at the next start.
        """
        if not self._home.is_dir():
            # Without a home nothing is created, not even a lock.
            return self._stop_strays()
        with exclusive(self._lock, patience=_START_PATIENCE, doing="starting or stopping the servers"):
            postmaster = self.running()
            pid = postmaster.pid if postmaster else self._process.pid()
            if pid is not None:
                stop_process(pid, first=signal.SIGINT, patience=_STOP_PATIENCE)
            self._process.pid_file.unlink(missing_ok=True)
            return self._stop_strays() or pid is not None

    def _stop_strays(self) -> bool:
        """End servers on our data folders without a pid file: the home was deleted while they ran."""
        strays = [
            process
            for folder in (self._home / "postgres", away_folder(self._home) / "postgres")
            for process in living_in(folder)
        ]
        for process in strays:
            stop_process(process.pid, first=signal.SIGINT, patience=_STRAY_PATIENCE)
        return bool(strays)

    def _is_ours(self) -> bool:
        """Whether the cluster belongs to the home's current secrets."""
        data = existing_cluster(self._home)
        return data is not None and read_id(data) == self._secrets.peek("cluster")

    def _started(self, progress: Callable[[str], None]) -> Postmaster:
        if existing_cluster(self._home) is not None and not self._is_ours():
            self._refuse_or_stop_strange()
        postmaster = self.running()
        if postmaster is None:
            self._stop_strays()
        if postmaster is not None and not postmaster.ready:
            progress("Waiting for PostgreSQL, which is starting")
            postmaster = self._settle(postmaster.pid)
        if postmaster is not None:
            return postmaster
        cluster_id = self._secrets.get("cluster")
        place = find_place(self._home, self._postgres_user, cluster_id, progress)
        if not place.data.exists():
            progress(f"Creating a PostgreSQL cluster in {place.data}")
            make_cluster(place, self._secrets.get("postgres"), cluster_id)
        refuse_other_version(place)
        progress("Starting PostgreSQL")
        return self._launch(place)

    def _refuse_or_stop_strange(self) -> None:
        data = existing_cluster(self._home)
        if data is None:
            return
        if data.parent == self._home:
            raise ServerError(
                f"{self._secrets.path} does not have the password of the cluster in {data} (it was created "
                "again since); put the old file back, or move that folder away for an empty database."
            )
        # A home of the same path was deleted, but not its cluster outside of it, which is set aside.
        postmaster = _postmaster(data)
        if postmaster is not None:
            stop_process(postmaster.pid, first=signal.SIGINT, patience=_STOP_PATIENCE)

    def _launch(self, place: Place) -> Postmaster:
        _remove_stale_pid_file(place.data)
        for _ in range(_TRIES):
            port = self._port.take()
            command = [place.programs.program("postgres"), "-D", str(place.data), "-p", str(port)]
            # As arguments, so that no configuration file can make the server listen elsewhere.
            for fact in (f"listen_addresses={LOOPBACK}", "unix_socket_directories="):
                command += ["-c", fact]
            pid = self._process.start(
                command, environment=clean_environment(), folder=Path("/"), account=place.account
            )
            try:
                return self._await(pid)
            except ServerError:
                log = self._process.new_log()
                if "could not create any TCP/IP sockets" in log or "could not bind" in log:
                    self._port.renew()
                elif "shared memory block" in log or 'lock file "postmaster.pid"' in log:
                    # The last sessions of a server that was killed are still ending.
                    time.sleep(1.0)
                else:
                    raise
        raise ServerError(f"PostgreSQL does not start after {_TRIES} tries; its log is {self.log_file}")

    def _await(self, pid: int) -> Postmaster:
        postmaster = self._settle(pid)
        if postmaster is None:
            raise ServerError(f"PostgreSQL did not start: {self._why()} (log: {self.log_file})")
        return postmaster

    def _settle(self, pid: int) -> Postmaster | None:
        """Wait until that server accepts connections (returns it) or has ended (returns None)."""

        def settled() -> bool:
            found = self.running()
            return not is_alive(pid) or (found is not None and found.pid == pid and found.ready)

        wait_until(settled, _START_PATIENCE)
        found = self.running()
        return found if found is not None and found.pid == pid and found.ready else None

    def _why(self) -> str:
        lines = self._process.new_log().strip().splitlines()
        grave = [line for line in lines if "FATAL" in line or "PANIC" in line or "error" in line]
        return (grave or lines or ["nothing in its log"])[-1]


def _postmaster(data: Path) -> Postmaster | None:
    """The server by the cluster's pid file, if that process is really this cluster's server."""
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        pid, port = int(lines[0]), int(lines[3])
    except (FileNotFoundError, IndexError, ValueError):
        return None
    except PermissionError as error:
        raise ServerError(
            f"The PostgreSQL cluster in {data} belongs to the account {account_of(data).name}; "
            "start workbench as the account that created it."
        ) from error
    if pid <= 0 or not _serves(pid, data):
        return None
    return Postmaster(pid, port, ready=len(lines) > 7 and lines[7].strip() == "ready")


def _serves(pid: int, data: Path) -> bool:
    try:
        process = psutil.Process(pid)
        return process.name() == "postgres" and str(data) in process.cmdline() and is_alive(pid)
    except psutil.Error:
        return False


def _remove_stale_pid_file(data: Path) -> None:
    """Remove the pid file of a dead server whose pid is now another process's: PostgreSQL would not start.

    This is safe: PostgreSQL also checks whether a process is attached to the cluster's shared memory.
    """
    try:
        pid = int((data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return
    # A zombie also exists for psutil: some containers have no init to reap it.
    if psutil.pid_exists(pid) and not _serves(pid, data):
        (data / "postmaster.pid").unlink(missing_ok=True)
