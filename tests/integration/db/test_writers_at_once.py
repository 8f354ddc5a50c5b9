"""Several writers at once, and a server that dies under one of them: no row lost, none twice, none half."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import psycopg
import pytest
import sqlalchemy as sa

from tests.conftest import Connection
from tests.integration.conftest import MakeBars
from tests.servers import Postgres, wait_for
from workbench import Workbench
from workbench.db import frames
from workbench.errors import DatabaseError, ServerUnreachable
from workbench.settings import Settings
from workbench.tables.data_ingestion import ingestion_status, market_data

ROUNDS = 100


def _waiting(admin: Connection) -> Callable[[], int | None]:
    """The pid of a backend of the data_ingestion pool that waits for a lock."""

    def pid() -> int | None:
        row = admin.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'workbench:data_ingestion:%' "
            "AND datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchone()
        return int(row[0]) if row else None

    return pid


@contextlib.contextmanager
def _no_writes(admin: Connection) -> Iterator[None]:
    """Bars can be read but not written: a writer copies its frame to the server, and has to wait then."""
    holder = psycopg.connect(admin.info.dsn, password=admin.info.password)
    try:
        holder.execute("LOCK TABLE data_ingestion.market_data IN SHARE MODE")
        yield
    finally:
        holder.close()


def test_writers_of_the_same_bars_lose_none_and_make_none_twice(
    wb: Workbench, another_wb: Workbench, make_bars: MakeBars, admin: Connection
) -> None:
    """Overlapping frames, in opposite orders, from two pools and four threads."""
    barrier = threading.Barrier(4)

    def write(number: int) -> int:
        workbench = wb if number % 2 else another_wb
        inserted = 0
        for turn in range(ROUNDS):
            frame = pd.concat([make_bars("AAPL", days=5 + turn), make_bars("IBM", days=5 + turn)])
            barrier.wait(60)
            inserted += workbench.data_ingestion.write_market_data(
                frame.iloc[:: 1 if number < 2 else -1], source="file"
            ).inserted
        return inserted

    with ThreadPoolExecutor(4) as threads:
        inserted = sum(threads.map(write, range(4)))
    expected = 2 * (5 + ROUNDS - 1)
    assert inserted == expected
    assert admin.execute("SELECT count(*) FROM data_ingestion.market_data").fetchall() == [(expected,)]
    status = wb.data_ingestion.load_ingestion_status()
    assert status["bars"].tolist() == [expected // 2] * 2


def test_a_writer_of_bars_and_one_of_their_status_do_not_wait_for_each_other(
    wb: Workbench, another_wb: Workbench, make_bars: MakeBars, admin: Connection
) -> None:
    """Bars change their status by a trigger: so an ingestion asks for both before it touches either."""
    wb.data_ingestion.write_market_data(make_bars(), source="file")
    nothing_refused = pd.DataFrame(
        columns=["symbol", "data_source", "origin", "row_number", "rule", "reason", "raw"]
    )
    status = pd.DataFrame({"symbol": ["AAPL"], "data_source": ["file"], "last_error": ["timed out"]})
    with ThreadPoolExecutor(1) as threads:
        with another_wb.data_ingestion.pool.begin() as connection:
            frames.take_turns(connection, ingestion_status)
            ingesting = threads.submit(
                wb.data_ingestion.write_checked_bars, make_bars(days=6), nothing_refused, source="file"
            )
            wait_for(_waiting(admin), "the ingestion waits")
            frames.write(connection, ingestion_status, status, key=("symbol", "data_source"))
        assert ingesting.result(60).inserted == 1
    (row,) = wb.data_ingestion.load_ingestion_status("AAPL").to_dict("records")
    assert (row["bars"], row["last_error"]) == (6, "timed out")


def test_transactions_that_take_two_tables_in_opposite_order_do_not_hang(
    wb: Workbench, another_wb: Workbench
) -> None:
    """PostgreSQL ends one of the two, which is told so in a sentence; the other goes on."""
    barrier = threading.Barrier(2)

    def take(workbench: Workbench, *tables: sa.Table) -> str:
        try:
            with workbench.data_ingestion.pool.begin("writing two tables") as connection:
                frames.take_turns(connection, tables[0])
                barrier.wait(30)
                frames.take_turns(connection, tables[1])
        except DatabaseError as error:
            return str(error)
        return "done"

    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(take, wb, market_data, ingestion_status)
        other = threads.submit(take, another_wb, ingestion_status, market_data)
        outcomes = sorted([one.result(60), other.result(60)])
    assert outcomes[0] == "done"
    assert outcomes[1].startswith("writing two tables: it conflicted with another writer (deadlock detected")


def test_a_server_process_killed_in_the_middle_of_a_write_leaves_nothing_of_it(
    wb: Workbench,
    make_bars: MakeBars,
    admin: Connection,
    postgres: Postgres,
    database_settings: Settings,
) -> None:
    wb.data_ingestion.write_market_data(make_bars(days=2), source="file")
    frame = make_bars(days=1000)
    with ThreadPoolExecutor(1) as threads, _no_writes(admin):
        writing = threads.submit(wb.data_ingestion.write_market_data, frame, source="file")
        os.kill(wait_for(_waiting(admin), "the writer waits"), signal.SIGKILL)
        with pytest.raises(ServerUnreachable, match=r"went away .* nothing of this transaction was writ"):
            writing.result(60)
    wait_for(lambda: _bars(postgres, database_settings) == 2, "PostgreSQL has recovered")
    written = wb.data_ingestion.write_market_data(frame, source="file")
    assert (written.inserted, written.unchanged) == (998, 2)


def _bars(postgres: Postgres, settings: Settings) -> int | None:
    try:
        with postgres.connect(settings.trading_database) as connection:
            row = connection.execute("SELECT count(*) FROM data_ingestion.market_data").fetchone()
            return int(row[0]) if row else None
    except psycopg.OperationalError:
        return None


def test_a_write_that_is_cancelled_leaves_nothing_and_says_so(
    wb: Workbench, make_bars: MakeBars, admin: Connection
) -> None:
    wb.data_ingestion.load_ingestion_status()
    with ThreadPoolExecutor(1) as threads, _no_writes(admin):
        writing = threads.submit(wb.data_ingestion.write_market_data, make_bars(), source="file")
        pid = wait_for(_waiting(admin), "the writer waits")
        admin.execute("SELECT pg_cancel_backend(%s)", (pid,))
        with pytest.raises(DatabaseError, match=r"was cancelled .*; nothing was written"):
            writing.result(60)
    assert admin.execute("SELECT count(*) FROM data_ingestion.market_data").fetchall() == [(0,)]
