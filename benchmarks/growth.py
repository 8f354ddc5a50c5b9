"""How long one symbol-year's load and one day's append take while the table grows a hundredfold."""

from __future__ import annotations

import contextlib
import shutil
import statistics
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import BenchmarkSize, Report, WrongResult
from benchmarks.data import Bars, make_bars, make_series, minutes_of
from benchmarks.server import TABLE, Server, copy_bars, private_server
from benchmarks.turns import Candidate, CandidateFailed, Worker, say

__all__ = ["run"]

_LOAD = Candidate("workbench", "benchmarks.project:load", {"home": "load", "cold": True})
_WRITE = Candidate("workbench", "benchmarks.project:write", {"home": "write"})
_YEARS = (2024, 2023, 2022, 2021, 2020)
_BUILDERS = 2
# A bar takes about 170 bytes with its key's index, and at first as much and more of the server's log, which
# is kept up to a size.
_BYTES_PER_BAR = 190
_LOG_BYTES_PER_BAR = 400
_LOG_BYTES = 12 << 30
_SOURCES = {"minute": "polygon", "daily": "yahoo"}
_DAY_MICROSECONDS = 86_400_000_000


@dataclass(frozen=True)
class _SymbolYear:
    """One year of minute bars of a symbol that the table holds."""

    symbol: str
    year: int
    seed: int


def run(size: BenchmarkSize) -> Report:
    """At each size of the table: the median of loading a symbol-year, and of appending a day.

    The table: `size.day_symbols` symbols with one session's minute bars ("polygon") and a daily bar ("yahoo")
    each; then whole symbol-years of minute bars, five years a symbol, until it is full. Built by COPY, two at
    a time, triggers on; vacuumed and analysed afterwards.

    A load takes another symbol-year each time, through an emptied cache. An append writes the next session of
    all those symbols, once as minute bars and once as one daily bar each; it is undone before the next,
    untimed. The first of each is not counted.

    Raises
    ------
    WrongResult
        A load or a write is not of as many bars as were generated.
    CandidateFailed
        The disk is too small for the largest table.
    """
    rows: list[tuple[str | float, ...]] = []
    medians: dict[str, list[float]] = {}
    with private_server() as server:
        _require_space(server.folder, size.tables[-1])
        appended = {name: server.folder / f"{name}.npz" for name in _SOURCES}
        for name, path in appended.items():
            _day(size, name, before_last=1).save(path)
        task = {
            "url": server.url,
            "folder": str(server.folder),
            "data": [str(path) for path in appended.values()],
        }
        with _worker(_LOAD, task) as loader, _worker(_WRITE, task) as writer:
            for name, source in _SOURCES.items():
                with server.connect() as connection:
                    copy_bars(connection, _day(size, name, before_last=2), source)
            there: list[_SymbolYear] = []
            for bars in size.tables:
                wanted = _symbol_years(size, bars)
                _build(server, size, wanted[len(there) :])
                there = wanted
                measured = {"load": _loads(loader, size, there)}
                for name, path in appended.items():
                    measured[name] = _appends(writer, server, size, name, path)
                for name, seconds in measured.items():
                    medians.setdefault(name, []).append(statistics.median(seconds))
                rows.append(
                    (
                        f"{_base(size) + len(there) * size.year_bars:,}",
                        _gigabytes(server),
                        *(of[-1] * 1e3 for of in medians.values()),
                    )
                )
                say(f"measured at {rows[-1][0]} bars")
    load, minute, daily = (of[-1] / of[0] for of in medians.values())
    return Report(
        columns=(
            "bars in the table",
            "table GB",
            f"load of a symbol-year ({size.year_bars:,} bars), median ms",
            f"append of a day ({size.day_symbols * size.day_bars:,} minute bars), median ms",
            f"append of a day ({size.day_symbols:,} daily bars), median ms",
        ),
        rows=rows,
        figures={"growth_load": load, "growth_append": minute, "growth_append_daily": daily},
    )


# --------------------------------------------------------------------------------------------- what there is


def _symbols(size: BenchmarkSize) -> list[str]:
    return [f"SYM{number:03d}" for number in range(size.day_symbols)]


def _base(size: BenchmarkSize) -> int:
    """How many bars there are before the first symbol-year."""
    return size.day_symbols * (size.day_bars + 1)


def _symbol_years(size: BenchmarkSize, bars: int) -> list[_SymbolYear]:
    """The symbol-years of a table of about so many bars; a larger table has these first."""
    names = _symbols(size)
    count = max(1, round((bars - _base(size)) / size.year_bars))
    # Seven steps on each time: spread over the alphabet, as they would be.
    return [
        _SymbolYear(names[number // len(_YEARS) * 7 % len(names)], _YEARS[number % len(_YEARS)], number)
        for number in range(count)
    ]


def _day(size: BenchmarkSize, name: str, *, before_last: int) -> Bars:
    """One of the year's last sessions for every symbol, as minute bars or as a daily bar."""
    session = minutes_of(_YEARS[0]).reshape(-1, 390)[-1 - before_last]
    stamps = (
        session[: size.day_bars] if name == "minute" else session[:1] // _DAY_MICROSECONDS * _DAY_MICROSECONDS
    )
    random = np.random.default_rng([before_last, len(stamps)])
    return Bars(
        _symbols(size),
        np.full(size.day_symbols, len(stamps)),
        np.tile(stamps, size.day_symbols),
        np.concatenate([make_series(random, len(stamps)) for _ in range(size.day_symbols)], axis=1),
    )


def _build(server: Server, size: BenchmarkSize, years: Sequence[_SymbolYear]) -> None:
    """Copy the symbol-years into the table, and leave the server as if they had always been there."""
    say(f"building: {len(years):,} symbol-years, {len(years) * size.year_bars:,} bars")
    _set(server, max_wal_size="8GB", checkpoint_timeout="30min")

    shares = [years[first::_BUILDERS] for first in range(_BUILDERS)]

    def copy(share: Sequence[_SymbolYear]) -> None:
        with server.connect() as connection:
            connection.execute("SET synchronous_commit = off")
            for number, one in enumerate(share, 1):
                bars = make_bars(1, size.year_bars, year=one.year, seed=one.seed)
                copy_bars(connection, replace(bars, symbols=[one.symbol]), "polygon")
                if share is shares[0] and number % max(1, len(share) // 20) == 0:
                    say(f"  about {number / len(share):.0%}")

    with ThreadPoolExecutor(_BUILDERS) as threads:
        list(threads.map(copy, shares))
    _set(server, max_wal_size=None, checkpoint_timeout=None)
    with server.connect() as connection:
        connection.execute(f"VACUUM (ANALYZE) {TABLE}".encode())
        connection.execute("CHECKPOINT")


def _set(server: Server, **options: str | None) -> None:
    """Options of the server's; None sets its own again."""
    with server.connect() as connection:
        for name, value in options.items():
            statement = (
                f"ALTER SYSTEM RESET {name}" if value is None else f"ALTER SYSTEM SET {name} = '{value}'"
            )
            connection.execute(statement.encode())
        connection.execute("SELECT pg_reload_conf()")


# ------------------------------------------------------------------------------------------ what is measured


def _loads(loader: Worker, size: BenchmarkSize, there: Sequence[_SymbolYear]) -> list[float]:
    """Seconds of each load of a symbol-year, each time of another one while there are any."""
    order = np.random.default_rng(len(there)).permutation(len(there))
    seconds = []
    for number in range(size.rounds + 1):
        one = there[order[number % len(order)]]
        arguments = {"symbols": [one.symbol], "start": f"{one.year}-01-01", "end": f"{one.year + 1}-01-01"}
        turn = loader.ask("turn", arguments=arguments)
        expected = size.year_bars + (size.day_bars if one.year == _YEARS[0] else 0)
        if turn["result"] != expected:
            raise WrongResult(f"{one.symbol} in {one.year} has {turn['result']} bars and not {expected}")
        seconds.append(turn["seconds"])
    return seconds[1:]


def _appends(writer: Worker, server: Server, size: BenchmarkSize, name: str, path: Path) -> list[float]:
    """Seconds of each append of the same session, which is not there before."""
    bars, source = Bars.load(path), _SOURCES[name]
    seconds = []
    for _ in range(size.rounds + 1):
        with _undone(server, bars, source):
            turn = writer.ask("turn", arguments={"path": str(path), "source": source})
        if turn["result"] != [len(bars), 0, 0]:
            raise WrongResult(f"an append of {len(bars)} bars inserted, updated and kept {turn['result']}")
        seconds.append(turn["seconds"])
    return seconds[1:]


@contextlib.contextmanager
def _undone(server: Server, bars: Bars, source: str) -> Iterator[None]:
    """Take the bars that are written within out of the table again, as if they had never been there."""
    status, part = "data_ingestion.ingestion_status", f"{TABLE}_{_YEARS[0]}"
    with server.connect() as connection:
        connection.execute(f"CREATE TEMPORARY TABLE before AS TABLE {status}".encode())
        yield
        with connection.transaction():
            # The trigger would count each series anew, all hundred million bars of them.
            connection.execute(f"ALTER TABLE {part} DISABLE TRIGGER note_deleted_bars".encode())
            connection.execute(
                f"DELETE FROM {part} WHERE symbol = ANY(%s) AND data_source = %s "
                "AND timestamp >= to_timestamp(%s)".encode(),
                (list(bars.symbols), source, int(bars.stamps.min()) // 1_000_000),
            )
            connection.execute(f"ALTER TABLE {part} ENABLE ALWAYS TRIGGER note_deleted_bars".encode())
            connection.execute(f"DELETE FROM {status}".encode())
            connection.execute(f"INSERT INTO {status} OVERRIDING SYSTEM VALUE TABLE before".encode())
        connection.execute(f"VACUUM {part}".encode())
        connection.execute("CHECKPOINT")


@contextlib.contextmanager
def _worker(candidate: Candidate, task: Mapping[str, Any]) -> Iterator[Worker]:
    worker = Worker(candidate)
    try:
        worker.open(task)
        yield worker
    finally:
        worker.close()


def _require_space(folder: Path, bars: int) -> None:
    needed = bars * _BYTES_PER_BAR + min(bars * _LOG_BYTES_PER_BAR, _LOG_BYTES)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise CandidateFailed(
            f"{bars:,} bars need {needed / 1e9:.0f} GB in {folder.parent}, which has {free / 1e9:.0f} free; "
            "name another folder: TMPDIR=… python -m benchmarks growth"
        )


def _gigabytes(server: Server) -> float:
    with server.connect() as connection:
        found = connection.execute(
            "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree(%s::regclass)", (TABLE,)
        ).fetchone()
    assert found is not None
    return float(found[0]) / 1e9
