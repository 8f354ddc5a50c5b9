"""The processes that use the servers: Prefect's server, the worker, the relay; their start and readiness."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import psutil

from workbench.embedded.ports import LOOPBACK, RememberedPort
from workbench.embedded.process import ManagedProcess, marked
from workbench.errors import ServerError
from workbench.home.folders import private_folder
from workbench.home.secrets import Secret, Secrets
from workbench.settings import Settings
from workbench.stack.environment import prefect_environment, prefect_server_environment, process_environment
from workbench.stack.model import Endpoints
from workbench.stack.prefect_api import PrefectApi

__all__ = ["PREFECT_SERVER", "RELAY", "WORKER", "Service", "Services", "await_ready", "worker_name"]

PREFECT_SERVER = "prefect-server"
WORKER = "worker"
RELAY = "relay"


@dataclass(frozen=True)
class Service:
    """A process that is kept running.

    Attributes
    ----------
    process : ManagedProcess
    start : callable
        Starts it; returns its pid.
    is_ready : callable
        Whether it is ready.
    patience : float
        Seconds within which it must be ready.
    """

    process: ManagedProcess
    start: Callable[[], int]
    is_ready: Callable[[], bool]
    patience: float

    @property
    def name(self) -> str:
        """The name of its pid file and its log."""
        return self.process.name


class Services:
    """The three services of a home.

    Parameters
    ----------
    settings : Settings
        With a `prefect_api_url` there is no server of ours, only a worker and a relay.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._home = Path(os.path.realpath(settings.home))
        self._folder = self._home / "prefect"
        self._secrets = Secrets(self._home)
        self._port = RememberedPort(self._home / "run" / "prefect.port")
        self.processes = {name: ManagedProcess(name, self._home) for name in (PREFECT_SERVER, WORKER, RELAY)}

    def stages(self) -> list[list[str]]:
        """The services in starting order; those in one list may start at the same time."""
        # The worker ends if the API does not answer; the relay waits for it.
        return [[RELAY], [WORKER]] if self._settings.prefect_api_url else [[PREFECT_SERVER, RELAY], [WORKER]]

    def names(self) -> list[str]:
        """The services in starting order."""
        return [name for stage in self.stages() for name in stage]

    def prefect(self) -> tuple[str, str | None] | None:
        """The API's URL and auth string: the user's own server, or ours if it runs; else None."""
        if self._settings.prefect_api_url:
            auth = self._settings.prefect_api_auth_string
            return self._settings.prefect_api_url, Secret(auth.get_secret_value()) if auth else None
        port = self._port.read()
        if port is None or self.processes[PREFECT_SERVER].pid() is None:
            return None
        return f"http://{LOOPBACK}:{port}/api", self._auth_string()

    def service(self, name: str, endpoints: Endpoints) -> Service:
        """One service, to be started with these endpoints."""
        return {PREFECT_SERVER: self._server, WORKER: self._worker, RELAY: self._relay}[name](endpoints)

    def _auth_string(self) -> str:
        return Secret(f"admin:{self._secrets.get('prefect')}")

    def _server(self, endpoints: Endpoints) -> Service:
        process = self.processes[PREFECT_SERVER]

        def start() -> int:
            from workbench.db.bootstrap import prefect_url

            port = self._port.take()
            environment = prefect_server_environment(
                self._settings,
                database_url=prefect_url(self._settings, endpoints.database_url),
                auth_string=self._auth_string(),
                port=port,
            )
            return self._start(process, ["workbench.stack.prefect_server", "--port", str(port)], environment)

        def is_ready() -> bool:
            address = self.prefect()
            return address is not None and PrefectApi(*address).is_healthy()

        return Service(process, start, is_ready, patience=180.0)

    def _worker(self, endpoints: Endpoints) -> Service:
        process, pool, name = self.processes[WORKER], self._settings.work_pool, worker_name(self._home)

        def start() -> int:
            arguments, environment, _ = self.worker_command(endpoints)
            return self._start(process, arguments, environment)

        def is_ready() -> bool:
            if endpoints.prefect_api_url is None:
                return False
            api = PrefectApi(endpoints.prefect_api_url, endpoints.prefect_auth_string)
            try:
                seen = [worker for worker in api.workers(pool) if worker.name == name and worker.online]
            except ServerError:
                return False
            since = _started_at(process)
            # In the API a killed worker is online for minutes, so the heartbeat must be newer than this one.
            return any(w.last_heartbeat is not None and w.last_heartbeat >= since for w in seen)

        return Service(process, start, is_ready, patience=120.0)

    def worker_command(self, endpoints: Endpoints) -> tuple[list[str], dict[str, str], Path]:
        """The module and arguments of the worker's process, its own variables, and where it starts."""
        options = ["--pool", self._settings.work_pool, "--type", "process", "--name", worker_name(self._home)]
        # Prefect keeps its runs' folders in <temporary folder>/runner_storage, shared by all accounts:
        # the second account may not write there. So the worker has its own temporary folder.
        environment = {**self._client(endpoints), "TMPDIR": str(self._scratch())}
        return ["workbench.stack.worker", *options], environment, private_folder(self._folder)

    def _scratch(self) -> Path:
        """A new temporary folder for a worker; removes those of earlier workers that no flow run uses."""
        above = private_folder(self._home / "tmp")
        used = set()
        for process in marked(self._home):
            with contextlib.suppress(psutil.Error, OSError):
                used.add(process.environ().get("TMPDIR"))
        # Earlier versions put them in Prefect's folder.
        for old in (*above.glob("worker-????????"), self._folder / "tmp"):
            if str(old) not in used and not old.is_symlink():
                shutil.rmtree(old, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix="worker-", dir=above))

    def _relay(self, endpoints: Endpoints) -> Service:
        process = self.processes[RELAY]

        def start() -> int:
            return self._start(process, ["workbench.stack.relay"], self._client(endpoints))

        def is_ready() -> bool:
            # It has no address to check. If it still runs after a while, it has found its servers, or waits
            # for another home's relay on the same database, which is fine too.
            lived = (datetime.now(UTC) - _started_at(process)).total_seconds()
            return process.pid() is not None and ("relaying events" in process.new_log() or lived > 15.0)

        return Service(process, start, is_ready, patience=60.0)

    def _client(self, endpoints: Endpoints) -> dict[str, str]:
        return prefect_environment(self._settings, endpoints)

    def _start(self, process: ManagedProcess, arguments: list[str], extra: dict[str, str]) -> int:
        private_folder(self._folder)
        # Started in its own folder: Prefect reads .env and pyproject.toml from the working folder.
        return process.start(
            [sys.executable, "-m", *arguments],
            environment=process_environment(self._settings, extra),
            folder=self._folder,
        )


def worker_name(home: Path) -> str:
    """The name of this home's worker in Prefect's pages: the host, and a hash of the home."""
    return f"{socket.gethostname()}-{sha256(os.fsencode(home)).hexdigest()[:6]}"


def await_ready(service: Service, cancelled: Callable[[], bool]) -> None:
    """Wait until a started service is ready, or `cancelled` returns True.

    Raises
    ------
    ServerError
        It ended, or was not ready in time; with the last lines of its log.
    """
    deadline = time.monotonic() + service.patience
    while not service.is_ready():
        if cancelled():
            return
        if service.process.pid() is None:
            raise ServerError(
                f"{service.name} ended while starting: {service.process.last_words()} "
                f"(log: {service.process.log_file})"
            )
        if time.monotonic() >= deadline:
            raise ServerError(
                f"{service.name} was not ready within {service.patience:.0f} s; "
                f"its log is {service.process.log_file}"
            )
        time.sleep(0.1)


def _started_at(process: ManagedProcess) -> datetime:
    """When the process was started, by its pid file; a time in the future if there is none."""
    try:
        # Two seconds of tolerance for timestamps in whole seconds.
        return datetime.fromtimestamp(process.pid_file.stat().st_mtime - 2.0, UTC)
    except FileNotFoundError:
        return datetime.max.replace(tzinfo=UTC)
