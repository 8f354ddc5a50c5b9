"""Full disks, for real: PostgreSQL's data, its log, the cache of bars, each on a small disk of its own."""

from __future__ import annotations

import collections
import itertools
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from tests.integration.conftest import MakeBars
from tests.servers import DEBIAN_POSTGRES, BarePostgres, ServerPark, wait_for
from workbench import Workbench
from workbench.embedded.binaries import find_postgres
from workbench.errors import DatabaseError, ServerUnreachable
from workbench.settings import Settings


@dataclass
class Disk:
    """A file system in memory."""

    folder: Path

    def fill(self, *, leave: int = 0) -> None:
        """Leave no room but for so many bytes."""
        facts = os.statvfs(self.folder)
        with (self.folder / "fill").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, facts.f_bavail * facts.f_bsize - leave))

    def make_room(self) -> None:
        (self.folder / "fill").unlink(missing_ok=True)


MakeDisk = Callable[[int], Disk]


@pytest.fixture
def make_disk() -> Iterator[MakeDisk]:
    """`make_disk(megabytes)`: a disk that every account may enter."""
    made: list[Path] = []
    above = Path(tempfile.mkdtemp(prefix="workbench-test-"))
    above.chmod(0o755)

    def make(megabytes: int) -> Disk:
        folder = above / str(len(made))
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("a small disk cannot be had here: mounting one needs root")
        made.append(folder)
        return Disk(folder)

    yield make
    for folder in made:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()
    above.rmdir()


@dataclass
class Server:
    """A PostgreSQL whose data lies on one disk and whose log on another."""

    postgres: BarePostgres
    data: Disk
    log: Disk


@pytest.fixture(params=["postgresql-18", "postgresql-15"])
def server(request: pytest.FixtureRequest, make_disk: MakeDisk) -> Iterator[Server]:
    programs = find_postgres().install / "bin" if request.param == "postgresql-18" else DEBIAN_POSTGRES
    if not (programs / "postgres").exists():
        pytest.skip(f"PostgreSQL 15 is not here: {programs} is missing (apt-get install postgresql-15)")
    data, log = make_disk(200), make_disk(70)
    postgres = BarePostgres(programs, data.folder)
    wal = data.folder / "data" / "pg_wal"
    subprocess.run(["cp", "-a", str(wal), str(log.folder / "wal")], check=True)
    subprocess.run(["rm", "-r", str(wal)], check=True)
    wal.symlink_to(log.folder / "wal")
    postgres.start()
    yield Server(postgres, data, log)
    for disk in (data, log):
        disk.make_room()  # or a test that failed would leave a server that cannot stop
    if not postgres.has_ended():
        postgres.stop()


@pytest.fixture
def own_wb(server: Server, servers: ServerPark, tmp_path: Path) -> Iterator[Workbench]:
    """An open notebook's."""
    urls = {"database_url": SecretStr(server.postgres.url), "redis_url": SecretStr(servers.valkey())}
    with Workbench(Settings(home=tmp_path / "home", **urls)) as wb:  # type: ignore[arg-type]
        yield wb


def test_a_write_that_finds_no_room_says_so_and_the_next_one_succeeds(
    server: Server, own_wb: Workbench, make_bars: MakeBars
) -> None:
    own_wb.data_ingestion.write_market_data(make_bars("AAPL"), source="file")
    server.data.fill()
    for days in (2_000, 300_000):
        with pytest.raises(DatabaseError, match="PostgreSQL's disk is full; nothing was written"):
            own_wb.data_ingestion.write_market_data(_minutes(make_bars, days), source="file")
    assert len(own_wb.data_ingestion.load_market_data("AAPL", source="file")) == 5
    server.data.make_room()
    written = own_wb.data_ingestion.write_market_data(_minutes(make_bars, 2_000), source="file")
    assert written.inserted == 2_000


def test_a_server_that_died_of_a_full_disk_is_waited_for_by_an_open_notebook(
    server: Server, own_wb: Workbench, make_bars: MakeBars
) -> None:
    """Without room for its log PostgreSQL stops, so the next connection is not told the reason."""
    own_wb.data_ingestion.write_market_data(make_bars("AAPL"), source="file")
    server.log.fill()
    numbers = itertools.count()

    def write() -> None:
        bars = _minutes(make_bars, 3_000, f"S{next(numbers)}")
        own_wb.data_ingestion.write_market_data(bars, source="file")

    with pytest.raises(DatabaseError, match="PostgreSQL's disk is full; nothing was written"):
        collections.deque(iter(write, "never"), maxlen=0)
    with pytest.raises(ServerUnreachable, match=r"PostgreSQL (is starting|does not answer)[^\n]*$"):
        own_wb.data_ingestion.load_market_data("AAPL", source="file", start="2024-01-02")
    server.log.make_room()
    # It replays its log by itself, or has given up, and is started again as a supervisor would.
    wait_for(lambda: server.postgres.has_ended() or _answers(server), "PostgreSQL ends or is back")
    if server.postgres.has_ended():
        server.postgres.start(port=make_url(server.postgres.url).port)
    write()


def test_a_full_disk_of_the_cache_makes_no_load_fail(
    wb: Workbench, make_bars: MakeBars, make_disk: MakeDisk
) -> None:
    disk = make_disk(2)
    cache = wb.data_ingestion.cache
    cache.folder = disk.folder / "cache"
    disk.fill(leave=100_000)
    bars = _minutes(make_bars, 20_000)
    wb.data_ingestion.write_market_data(bars, source="file")
    for _ in range(2):
        assert len(wb.data_ingestion.load_market_data("MANY", source="file")) == 20_000
    assert not list(cache.folder.glob("*/*"))
    disk.make_room()
    assert len(wb.data_ingestion.load_market_data("MANY", source="file")) == 20_000
    assert list(cache.folder.glob("*/*.arrow"))


def _answers(server: Server) -> bool:
    try:
        server.postgres.connect().close()
    except psycopg.OperationalError:
        return False
    return True


def _minutes(make_bars: MakeBars, count: int, symbol: str = "MANY") -> pd.DataFrame:
    bars = make_bars(symbol, days=1).iloc[[0] * count].reset_index(drop=True)
    return bars.assign(
        timestamp=pd.date_range("1990-01-01", periods=count, freq="min", tz="UTC").as_unit("us")
    )
