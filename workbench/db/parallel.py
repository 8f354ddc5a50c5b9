"""Reads many bars: binary COPY over several connections that share one snapshot, decoded while received."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Sequence
from typing import Any

import asyncpg
import numpy as np
import psycopg
import sqlalchemy as sa

from workbench.db import wire
from workbench.db.bar_range import READERS, BarRange, conditions
from workbench.db.pool import application_name
from workbench.errors import DatabaseError
from workbench.marketdata.series import SeriesBars

__all__ = ["read_in_parallel"]

# Enough rows per call of compiled code, and few enough for the processor's cache.
_DECODE_BYTES = 1 << 18
_CONNECT_SECONDS = 10
_TRANSACTION = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{}'"
_COLUMNS = "symbol, timestamp, open, high, low, close, volume"


def read_in_parallel(
    connection: sa.Connection, source: str, ranges: Sequence[BarRange]
) -> tuple[dict[str, SeriesBars], list[BarRange]]:
    """Read bars over `READERS` connections.

    Returns
    -------
    (dict, list)
        The bars by symbol, and the ranges that must be read another way: their numbers have more digits
        than the decoder supports, or the additional connections failed.
    """
    room = _Room(ranges)
    snapshot = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
    begin = _TRANSACTION.format(snapshot)
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    jobs = [
        [
            f"SELECT {_COLUMNS} FROM data_ingestion.market_data WHERE "
            f"{conditions(source, symbols, start, end).as_string(driver)}"
            for symbols, start, end in portion
        ]
        for portion in _shares(ranges)
    ]
    address = connection.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        _run(_read_all(address, begin, jobs, room))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        # The caller reads over its one connection, which is slower; if that fails too, it raises the error.
        return {}, list(ranges)
    return room.series()


class _Room:
    """Memory for the decoded bars: one block, with a part for each symbol.

    Memory that is never written is never made resident, so allocating too much costs nothing.
    """

    def __init__(self, ranges: Sequence[BarRange]) -> None:
        self.ranges = sorted(ranges, key=lambda one: one.symbol)
        self.table = wire.SymbolTable([one.symbol for one in self.ranges])
        self.room = np.array([one.room for one in self.ranges], dtype=np.int64)
        self.first = np.concatenate([[0], np.cumsum(self.room)[:-1]]).astype(np.int64)
        self.counts = np.zeros(len(self.ranges), dtype=np.int64)
        self.flags = np.zeros(len(self.ranges), dtype=np.int64)
        self.times = np.empty(int(self.room.sum()), dtype=np.int64)
        self.values = np.empty((5, int(self.room.sum())))

    def decode(self, data: bytearray, position: int) -> int:
        """Decode the complete rows in `data`; return the position of the first incomplete one."""
        at: int = wire.decode_bars(
            np.frombuffer(data, dtype=np.uint8),
            position,
            self.table.text,
            self.table.starts,
            self.table.slots,
            self.first,
            self.room,
            self.counts,
            self.flags,
            self.times,
            self.values,
        )
        if at == wire.UNKNOWN_SYMBOL:
            raise DatabaseError("loading bars: the server sent a symbol that was not requested")
        return at

    def series(self) -> tuple[dict[str, SeriesBars], list[BarRange]]:
        """The bars read, and the ranges that must be read another way."""
        found: dict[str, SeriesBars] = {}
        left = []
        for number, one in enumerate(self.ranges):
            if self.flags[number] & (wire.HARD | wire.OVERFULL):
                left.append(one)
                continue
            first = int(self.first[number])
            last = first + int(self.counts[number])
            times, values = self.times[first:last], self.values[:, first:last]
            if self.flags[number] & wire.UNSORTED:
                order = np.argsort(times, kind="stable")
                times[:] = times[order]
                for row in values:
                    row[:] = row[order]
            if last > first:
                # A view keeps the whole block in memory, which is fine if most of it is used.
                found[one.symbol] = SeriesBars(one.symbol, times, values)
        return found if self._mostly_full() else _copies(found), left

    def _mostly_full(self) -> bool:
        return bool(self.counts.sum() * 10 >= len(self.times) * 9)


def _copies(found: dict[str, SeriesBars]) -> dict[str, SeriesBars]:
    return {name: SeriesBars(name, one.times.copy(), one.values.copy()) for name, one in found.items()}


Query = tuple[list[str], int, int]


def _shares(ranges: Sequence[BarRange]) -> list[list[Query]]:
    """The queries of each reader: symbols with the same bounds together, about equal bars per reader."""
    shares: list[list[Query]] = [[] for _ in range(READERS)]
    if len(ranges) == 1:
        # One long series is split by time; the halves need not have equal numbers of bars.
        (one,) = ranges
        middle = one.start + (one.end - one.start) // 2
        return [[([one.symbol], one.start, middle)], [([one.symbol], middle, one.end)]]
    for bounds in sorted({(one.start, one.end) for one in ranges}):
        alike = [one for one in ranges if (one.start, one.end) == bounds]
        alike.sort(key=lambda one: one.likely, reverse=True)
        loads = np.zeros(READERS)
        symbols: list[list[str]] = [[] for _ in range(READERS)]
        for one in alike:
            lightest = int(loads.argmin())
            symbols[lightest].append(one.symbol)
            loads[lightest] += one.likely
        for share, names in zip(shares, symbols, strict=True):
            if names:
                share.append((names, *bounds))
    return shares


async def _read_all(address: str, begin: str, jobs: Sequence[Sequence[str]], room: _Room) -> None:
    async with asyncio.TaskGroup() as readers:
        for queries in jobs:
            if queries:
                readers.create_task(_read(address, begin, queries, room))


async def _read(address: str, begin: str, queries: Sequence[str], room: _Room) -> None:
    connection = await asyncpg.connect(
        address,
        timeout=_CONNECT_SECONDS,
        statement_cache_size=0,
        server_settings={
            "application_name": application_name("bars"),
            "search_path": "public",
            "timezone": "UTC",
        },
    )
    try:
        await connection.execute(begin)
        for query in queries:
            waiting, position = bytearray(), len(wire.HEADER)

            async def take(data: bytes) -> None:
                nonlocal waiting, position
                waiting += data
                if len(waiting) >= _DECODE_BYTES:
                    done = room.decode(waiting, position)
                    waiting, position = waiting[done:], 0

            await connection.copy_from_query(query, output=take, format="binary")
            room.decode(waiting, position)
    finally:
        await connection.close(timeout=_CONNECT_SECONDS)


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run it on its own thread, because a notebook's thread already has an event loop; cancellable."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(work)
    failures: list[BaseException] = []

    def drive() -> None:
        try:
            loop.run_until_complete(task)
        except BaseExceptionGroup as group:
            failures.append(group.exceptions[0])
        except BaseException as error:  # noqa: BLE001  raised by the waiting thread
            failures.append(error)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    thread = threading.Thread(target=drive, name="workbench-bars", daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        # Ctrl-C: cancel the statement on the server too.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(task.cancel)
        thread.join()
        raise
    if failures:
        raise failures[0]
