"""A PostgreSQL of the benchmarks' own with the migrated trading database, gone without a trace afterwards."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from pydantic import SecretStr

from benchmarks.data import Bars
from benchmarks.rows import binary_rows
from workbench.db.bootstrap import create_databases
from workbench.db.migrate import upgrade
from workbench.db.roles import admin_url, role_of, role_url
from workbench.embedded import EmbeddedPostgres
from workbench.settings import Settings

__all__ = ["TABLE", "Server", "private_server"]

TABLE = "data_ingestion.market_data"

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Server:
    """A running server that the project and all its peers share.

    Attributes
    ----------
    url : str
        The administrator's, as `WORKBENCH_DATABASE_URL` takes it.
    admin_url, service_url : str
        The trading database, as the administrator and as the login role of `data_ingestion`, which is
        the one that the project itself and so every peer reads and writes as.
    folder : Path
        For whatever a benchmark writes; deleted with the server.
    """

    url: str
    admin_url: str
    service_url: str
    folder: Path

    def connect(self) -> Connection:
        """An autocommit connection as the administrator."""
        return psycopg.connect(self.admin_url, autocommit=True)

    def fill(self, bars: Bars, source: str = "polygon") -> None:
        """Put bars into the table by COPY, and have PostgreSQL learn what is there."""
        with self.connect() as connection:
            copy_bars(connection, bars, source)
            connection.execute(f"VACUUM (ANALYZE) {TABLE}")
            connection.execute("CHECKPOINT")


def copy_bars(connection: Connection, bars: Bars, source: str, table: str = TABLE) -> None:
    """Copy bars into `table`, one symbol after another, within one COPY."""
    columns = 'symbol, "timestamp", open, high, low, close, volume, data_source'
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} ({columns}) FROM STDIN (FORMAT BINARY)".encode()) as copy,
    ):
        for piece in binary_rows(bars, source):
            copy.write(piece)


@contextlib.contextmanager
def private_server() -> Iterator[Server]:
    """Start it in a temporary folder; stop it and delete the folder at the end, whatever happens."""
    # Not pytest's own folders, nor 0700: the account that runs PostgreSQL has to be able to enter.
    folder = Path(tempfile.mkdtemp(prefix="workbench-bench-"))
    folder.chmod(0o755)
    postgres = EmbeddedPostgres(Settings(home=folder / "home"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(postgres.stop)
        url = postgres.ensure()
        settings = Settings(home=folder / "home", database_url=SecretStr(url))
        create_databases(settings, url)
        upgrade(settings, url)
        admin = admin_url(url, settings.trading_database).set(drivername="postgresql")
        service = role_url(settings, url, role_of("data_ingestion")).set(drivername="postgresql")
        yield Server(
            url,
            admin.render_as_string(hide_password=False),
            service.render_as_string(hide_password=False),
            folder,
        )
