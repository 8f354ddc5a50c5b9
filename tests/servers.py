"""The real servers that tests talk to: PostgreSQL 18 and 15, Valkey and Redis, one of each per test process.

Servers start when a test first asks for them and stop at the end of the session. Each PostgreSQL has one
migrated template database; a test gets a clone of it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
import redis
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from workbench.db.bootstrap import create_databases
from workbench.db.migrate import upgrade
from workbench.embedded import EmbeddedPostgres, EmbeddedValkey
from workbench.embedded.accounts import clean_environment, own, run_as, server_account
from workbench.embedded.binaries import find_postgres
from workbench.settings import Settings

__all__ = [
    "DEBIAN_POSTGRES",
    "BarePostgres",
    "Postgres",
    "RedisServer",
    "ServerPark",
    "free_port",
    "wait_for",
]

DEBIAN_POSTGRES = Path("/usr/lib/postgresql/15/bin")
TEMPLATE = "workbench_template"
# Tests survive the end of PostgreSQL, but need not survive the end of the machine. Each clone is a
# checkpoint, and after one pages would be logged as a whole.
_SETTINGS = {"fsync": "off", "full_page_writes": "off"}
# What people choose: it must come through every URL.
_PASSWORD = "p@ss w/o:rd%"


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """What `condition` returns as soon as it is true; AssertionError where it does not become so."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"in {seconds:.0f} s it did not come true that {what}"
        time.sleep(0.01)
    return answer


class Postgres:
    """A running PostgreSQL: its administrator's URL, and databases of its own for whoever asks."""

    _numbers = itertools.count(1)

    def __init__(self, url: str) -> None:
        self.url = url
        self._template_made = False
        self._kept: psycopg.Connection[tuple[Any, ...]] | None = None

    def url_of(self, database: str) -> str:
        """The administrator's URL for one database."""
        url = make_url(self.url).set(database=database).render_as_string(hide_password=False)
        return url.replace(" ", "%20")

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """An autocommit connection as the administrator."""
        return psycopg.connect(self.url_of(database), autocommit=True, connect_timeout=10)

    def clone(self) -> str:
        """The name of a new, migrated, empty database."""
        if not self._template_made:
            settings = Settings(database_url=SecretStr(self.url_of(TEMPLATE)))
            create_databases(settings, self.url)
            upgrade(settings, self.url)
            self._template_made = True
        name = f"test_{next(self._numbers)}"
        # Copied as files: quicker than through the log, and with the caches that first connections read.
        self._administrator().execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy")
        return name

    def drop(self, database: str) -> None:
        """Drop a database and its Prefect's, whoever is still connected, also after a crash of the server."""
        names = (database, f"{database}_prefect")
        there = self._administrator().execute(
            "SELECT datname FROM pg_database WHERE datname = ANY(%s)", [list(names)]
        )
        for (name,) in there.fetchall():
            self._administrator().execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def close(self) -> None:
        """Close the connection that clones and drops."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _administrator(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection that is kept, opened anew after a crash or a new start of the server."""
        try:
            if self._kept is not None:
                self._kept.execute("SELECT 1")
        except psycopg.OperationalError:
            self.close()
        if self._kept is None:
            wait_for(self._answers, "PostgreSQL answers again")
            self._kept = self.connect()
        return self._kept

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True


class BarePostgres(Postgres):
    """A PostgreSQL for one test module alone: it is empty at first, and tests may break it.

    Parameters
    ----------
    programs : Path
        The folder of `initdb` and `postgres`.
    folder : Path
        Where the cluster goes; the account that runs it must be able to enter.
    """

    def __init__(self, programs: Path, folder: Path) -> None:
        self._account = server_account(None)
        self._programs = programs
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        own(folder, self._account, 0o700)
        password_file = folder / "password"
        password_file.write_text(_PASSWORD)
        own(password_file, self._account, 0o600)
        done = run_as(
            self._account,
            [
                str(programs / "initdb"),
                f"--pgdata={self._data}",
                "--username=admin",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--no-sync",
            ],
            seconds=120,
        )
        assert done.returncode == 0, done.stdout
        self.log = folder / "log"
        super().__init__("")

    def start(self, *, max_connections: int = 200, port: int | None = None) -> None:
        """Start, on that port where one is given, and wait until it takes connections."""
        for _ in range(5):
            port = port or free_port()
            options = {
                "listen_addresses": "127.0.0.1",
                "unix_socket_directories": "",
                "max_connections": str(max_connections),
                **_SETTINGS,
            }
            command = [str(self._programs / "postgres"), "-D", str(self._data), "-p", str(port)]
            with self.log.open("ab") as output:
                self._process = subprocess.Popen(
                    [*command, *(f"--{name}={value}" for name, value in options.items())],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=clean_environment(),
                    cwd="/",
                    user=self._account.uid if self._account else None,
                    group=self._account.gid if self._account else None,
                    extra_groups=[] if self._account else None,
                    start_new_session=True,
                )
            self.url = f"postgresql://admin:{quote(_PASSWORD, safe='')}@127.0.0.1:{port}/postgres"
            wait_for(lambda: self.has_ended() or self._answers(), "PostgreSQL starts")
            if not self.has_ended():
                return
            port = None
        raise AssertionError(self.log.read_text())

    def make_bare(self) -> None:
        """Drop every database and role that is not PostgreSQL's own."""
        with self.connect() as connection:
            for (name,) in connection.execute(
                "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'"
            ).fetchall():
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            roles = connection.execute(
                "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'admin' "
                "ORDER BY rolname LIKE 'workbench_%' DESC"
            ).fetchall()
            for (name,) in roles:
                connection.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(name)))
            for (name,) in roles:
                connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
            connection.execute("GRANT CONNECT, TEMPORARY ON DATABASE postgres TO PUBLIC")
            connection.execute("GRANT CONNECT ON DATABASE template1 TO PUBLIC")

    def stop(self) -> None:
        """A fast shutdown."""
        self.close()
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(60)

    def has_ended(self) -> bool:
        """Whether it does not run, stopped or crashed."""
        return self._process is None or self._process.poll() is not None


class RedisServer:
    """A Redis of Debian's package, without persistence, that can be stopped and started on the same port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.url = f"redis://:secret@127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "redis-server",
                    *("--port", str(self.port), "--bind", "127.0.0.1", "--requirepass", "secret"),
                    *("--save", "", "--appendonly", "no", "--dir", str(self._folder)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_for(self._answers, "Redis answers")

    def stop(self) -> None:
        """Stop; what it held is gone."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def _answers(self) -> bool:
        with contextlib.closing(redis.Redis.from_url(self.url)) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False


class ServerPark:
    """Every server of a test process; each starts at the first request and stops in `stop`."""

    def __init__(self) -> None:
        # Not one of pytest's own folders: the account that runs PostgreSQL cannot enter those.
        self._folder = Path(tempfile.mkdtemp(prefix="workbench-test-"))
        self._folder.chmod(0o755)
        self._stops: list[Callable[[], Any]] = []
        self._running: dict[str, Any] = {}

    def postgres(self, name: str) -> Postgres:
        """By name: "postgresql-18" (the embedded one) or "postgresql-15" (Debian's)."""
        if name not in self._running:
            self._running[name] = (
                self._embedded_postgres()
                if name == "postgresql-18"
                else self._bare(_programs(name), self._new_folder(name))
            )
        server: Postgres = self._running[name]
        return server

    def bare_postgres(self, name: str) -> BarePostgres:
        """One of that version that no other test uses."""
        key = f"bare-{name}"
        if key not in self._running:
            self._running[key] = self._bare(_programs(name), self._new_folder(key))
        server: BarePostgres = self._running[key]
        return server

    def valkey(self) -> str:
        """The URL of an embedded Valkey."""
        if "valkey" not in self._running:
            server = EmbeddedValkey(Settings(home=self._new_folder("valkey")))
            self._stops.append(server.stop)
            self._running["valkey"] = server.ensure()
        url: str = self._running["valkey"]
        return url

    def redis(self) -> RedisServer:
        """Debian's Redis 7."""
        if "redis" not in self._running:
            if shutil.which("redis-server") is None:
                pytest.skip(
                    "Redis 7 is not here: redis-server is not installed (apt-get install redis-server)"
                )
            server = RedisServer(self._new_folder("redis"))
            self._stops.append(server.stop)
            server.start()
            self._running["redis"] = server
        running: RedisServer = self._running["redis"]
        return running

    def stop(self) -> None:
        """Stop all of them, and remove what they wrote."""
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
            for stop in self._stops:
                stack.callback(stop)

    def _embedded_postgres(self) -> Postgres:
        home = self._new_folder("home")
        server = EmbeddedPostgres(Settings(home=home))
        self._stops.append(server.stop)
        running = Postgres(server.ensure())
        self._stops.append(running.close)
        with running.connect() as connection:
            for name, value in _SETTINGS.items():
                connection.execute(
                    sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
                )
            connection.execute("SELECT pg_reload_conf()")
        return running

    def _bare(self, programs: Path, folder: Path) -> BarePostgres:
        server = BarePostgres(programs, folder)
        self._stops.append(server.stop)
        server.start()
        return server

    def _new_folder(self, name: str) -> Path:
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._folder))
        folder.chmod(0o755)
        return folder


@contextlib.contextmanager
def server_park() -> Iterator[ServerPark]:
    """A park whose servers stop at the end, also after an error."""
    park = ServerPark()
    try:
        yield park
    finally:
        park.stop()


def _programs(name: str) -> Path:
    if name == "postgresql-18":
        return find_postgres().install / "bin"
    if not os.access(DEBIAN_POSTGRES / "postgres", os.X_OK):
        pytest.skip(
            f"PostgreSQL 15 is not here: {DEBIAN_POSTGRES} is missing (apt-get install postgresql-15)"
        )
    return DEBIAN_POSTGRES


def free_port() -> int:
    """A port of the loopback interface that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
