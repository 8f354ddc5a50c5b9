"""The status of each service; starts and changes nothing."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path
from urllib.parse import urlsplit

from workbench.embedded.accounts import account_of, run_as
from workbench.embedded.binaries import find_postgres
from workbench.embedded.process import ManagedProcess
from workbench.errors import ServerError, ServerUnreachable
from workbench.home.locks import is_held
from workbench.settings import Settings
from workbench.stack.model import ServiceStatus
from workbench.stack.prefect_api import PrefectApi
from workbench.stack.schedules import Schedules, schedules_in
from workbench.stack.servers import Servers, redis_version
from workbench.stack.services import PREFECT_SERVER, RELAY, WORKER, Services, worker_name
from workbench.stack.state import StateFile
from workbench.stack.supervisor import SUPERVISOR, supervisor_lock

__all__ = ["postgres_version", "schedules_of", "status_of", "unkept_promotions"]


def status_of(settings: Settings) -> list[ServiceStatus]:
    """The state of PostgreSQL, Redis, Prefect's server, the worker, the relay and the supervisor."""
    home = Path(os.path.realpath(settings.home))
    servers, services = Servers(settings), Services(settings)
    return [
        _embedded_postgres(servers, home) if servers.postgres else _own_postgres(settings),
        _embedded_valkey(servers) if servers.valkey else _own_redis(settings),
        _prefect_server(settings, services),
        _worker(settings, services, home),
        _relay(services),
        _supervisor(home),
    ]


def unkept_promotions(settings: Settings) -> str:
    """Why promoted notebooks are not run: no Prefect server; empty if it runs, or none is promoted."""
    services = Services(settings)
    promoted = settings.store_folder
    if services.prefect() is not None or not promoted.is_dir() or not any(promoted.iterdir()):
        return ""
    return "notebooks were promoted here, and nothing runs them while Prefect's server does not run"


def schedules_of(settings: Settings) -> Schedules | None:
    """The deployments of our work pool with their next runs; None if no Prefect server runs.

    Raises
    ------
    ServerError
        Prefect runs but does not answer.
    """
    address = Services(settings).prefect()
    return schedules_in(PrefectApi(*address), settings.work_pool) if address else None


def postgres_version(url: str) -> str:
    """The version of the PostgreSQL at that URL, as in "15.13".

    Raises
    ------
    ServerUnreachable
        The server does not answer, or refuses the login.
    """
    import psycopg

    scheme, separator, rest = url.partition("://")
    try:
        with psycopg.connect(f"{scheme.partition('+')[0]}{separator}{rest}", connect_timeout=5) as connection:
            return connection.info.parameter_status("server_version") or "unknown"
    except psycopg.Error as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
        raise ServerUnreachable(f"PostgreSQL does not answer: {reason}") from error


def _embedded_postgres(servers: Servers, home: Path) -> ServiceStatus:
    name, version = "PostgreSQL", None
    try:
        assert servers.postgres is not None
        data = servers.postgres.data()
        running = servers.postgres.running()
        output = run_as(None, [find_postgres().program("postgres"), "--version"]).stdout.split()
        version = output[-1] if output else None
    except ServerError as error:
        return ServiceStatus(name, False, None, str(home), version, str(error))
    if data is None:
        return ServiceStatus(name, False, None, str(home), version, "embedded; not created yet")
    detail = f"embedded, run by the account {account_of(data).name}"
    if data.parent != home:
        detail += (
            f"; its data and programs are outside of the home, which that account cannot enter: {data.parent}"
        )
    if running is None:
        return ServiceStatus(name, False, None, str(data), version, detail)
    if not running.ready:
        detail += "; it is starting or stopping and accepts no connections now"
    where = f"127.0.0.1:{running.port}, data in {data}"
    return ServiceStatus(name, running.ready, running.pid, where, version, detail)


def _own_postgres(settings: Settings) -> ServiceStatus:
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    try:
        version = postgres_version(url)
    except ServerUnreachable as error:
        return ServiceStatus("PostgreSQL", False, None, _address(url), None, f"your own; {error}")
    return ServiceStatus("PostgreSQL", True, None, _address(url), version, "your own")


def _embedded_valkey(servers: Servers) -> ServiceStatus:
    assert servers.valkey is not None
    folder = str(servers.valkey.data)
    try:
        running = servers.valkey.running()
    except ServerError as error:
        return ServiceStatus("Valkey", False, None, folder, None, str(error))
    if running is None:
        return ServiceStatus("Valkey", False, None, folder, None, "embedded")
    where = f"127.0.0.1:{running.port}, data in {folder}"
    detail = "embedded" if running.ready else "embedded; it is still reading its data"
    return ServiceStatus("Valkey", running.ready, running.pid, where, running.version, detail)


def _own_redis(settings: Settings) -> ServiceStatus:
    url = settings.redis_url.get_secret_value() if settings.redis_url else ""
    try:
        kind, _, version = redis_version(url).partition(" ")
    except ServerUnreachable as error:
        return ServiceStatus("Redis", False, None, _address(url), None, f"your own; {error}")
    return ServiceStatus(kind, True, None, _address(url), version, "your own")


def _prefect_server(settings: Settings, services: Services) -> ServiceStatus:
    own = settings.prefect_api_url is not None
    whose = "your own" if own else "ours"
    pid = None if own else services.processes[PREFECT_SERVER].pid()
    address = services.prefect()
    if address is None:
        return ServiceStatus("Prefect server", False, None, "", _prefect_installed(), whose)
    try:
        version = PrefectApi(*address).version()
    except ServerError as error:
        return ServiceStatus("Prefect server", False, pid, address[0], None, f"{whose}; {error}")
    return ServiceStatus("Prefect server", True, pid, address[0], version, whose)


def _worker(settings: Settings, services: Services, home: Path) -> ServiceStatus:
    pid, name = services.processes[WORKER].pid(), worker_name(home)
    where = f"work pool {settings.work_pool}"
    if pid is None:
        return ServiceStatus(
            "Worker", False, None, where, _prefect_installed(), "scheduled runs do not start"
        )
    address = services.prefect()
    try:
        seen = PrefectApi(*address).workers(settings.work_pool) if address else []
    except ServerError:
        seen = []
    online = any(worker.name == name and worker.online for worker in seen)
    detail = f"{name}, online" if online else f"{name}; its process runs, but Prefect lists it as offline"
    return ServiceStatus("Worker", online, pid, where, _prefect_installed(), detail)


def _relay(services: Services) -> ServiceStatus:
    pid = services.processes[RELAY].pid()
    detail = "passes events to Redis and Prefect" if pid else "events wait in the database until it runs"
    return ServiceStatus("Relay", pid is not None, pid, "", None, detail)


def _supervisor(home: Path) -> ServiceStatus:
    state = StateFile(home).read()
    pid = ManagedProcess(SUPERVISOR, home).pid()
    if not is_held(supervisor_lock(home)):
        failed = f"; the last one failed: {state.error}" if state is not None and state.error else ""
        return ServiceStatus(
            "Supervisor", False, None, "", None, f"services that die are not restarted{failed}"
        )
    phase = state.phase if state is not None else "starting"
    restarts = ", ".join(f"{name} {count} times" for name, count in (state.restarts if state else {}).items())
    return ServiceStatus(
        "Supervisor", True, pid, "", None, f"{phase}; started again: {restarts}" if restarts else phase
    )


def _prefect_installed() -> str:
    return importlib.metadata.version("prefect")


def _address(url: str) -> str:
    """Host and port of a URL; never its password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname or parts.path)
