"""What loading bars as they were known costs beside loading those of now, and what keeping versions does."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

import pandas as pd
from pydantic import SecretStr

from benchmarks import BenchmarkSize, Report, WrongResult
from benchmarks.data import make_bars
from benchmarks.server import TABLE, Server, private_server
from benchmarks.turns import medians, say, take_turns

__all__ = ["run"]

_WARM, _COLD = "load, warm", "load, cold"
_WARM_THEN, _COLD_THEN = "as known, warm", "as known, cold"
_EVERY = 100
_SYMBOL = "SYM000"
_REPEAT_SECONDS = 0.2


def run(size: BenchmarkSize) -> Report:
    """Revise one bar in a hundred of a series, and load it as it is and as it was, in turns.

    `as_known_load_vs_load` is the larger ratio of two: of loads through an emptied cache, and of repeats,
    whose mean over 0.2 s counts in each turn, since one of them takes a millisecond.
    """
    from workbench import Workbench
    from workbench.settings import Settings
    from workbench.stack import Stack

    bars = make_bars(1, size.revised_bars)
    # What a large load imports, before anything is timed.
    importlib.import_module("workbench.db.parallel")
    with private_server() as server:
        say(f"filling the table with {len(bars):,} bars")
        server.fill(bars)
        settings = Settings(home=server.folder / "mine", database_url=SecretStr(server.url))
        with Workbench(settings) as wb:
            service = wb.data_ingestion
            before = service.load_market_data(_SYMBOL, source="polygon")
            moment = pd.Timestamp.now("UTC")
            _revise(server)
            now = service.load_market_data(_SYMBOL, source="polygon")
            differ = int((now["volume"] != before["volume"]).sum())
            if differ != -(-len(bars) // _EVERY):
                raise WrongResult(f"{differ:,} of {len(bars):,} bars were revised")

            def turn(name: str, _round: int) -> dict[str, float]:
                known = moment if name in {_WARM_THEN, _COLD_THEN} else None
                if name in {_COLD, _COLD_THEN}:
                    service.cache.clear()
                else:
                    for _ in range(2):  # the second of which writes a file, if it is worth one
                        service.load_market_data(_SYMBOL, source="polygon", as_known=known)
                seconds, loaded = _timed(
                    lambda: service.load_market_data(_SYMBOL, source="polygon", as_known=known)
                )
                if not loaded.equals(now if known is None else before):
                    raise WrongResult(f"{name}: other bars than were written")
                if name in {_WARM, _WARM_THEN}:
                    seconds = _repeated(
                        lambda: service.load_market_data(_SYMBOL, source="polygon", as_known=known)
                    )
                return {"load": seconds}

            taken = take_turns(size.rounds, [_WARM, _WARM_THEN, _COLD, _COLD_THEN], turn)
        # Writing has started a server for events.
        Stack(settings).down()
        grown = _whole_rewrites(server, size.revised_bars)
    median = medians(taken, "load")
    rows: list[tuple[str, float, float | None, float | None]] = [
        (name, median[name] * 1e3, median[name] / median[_COLD if "cold" in name else _WARM], None)
        for name in taken
    ]
    rows.append(("rewriting all of it once", grown["seconds"] * 1e3, None, grown["bytes"]))
    return Report(
        columns=(f"{len(bars):,} bars, 1 % revised", "median ms", "/ as they are", "bytes kept a bar"),
        rows=rows,
        figures={
            "as_known_load_vs_load": max(
                median[_COLD_THEN] / median[_COLD], median[_WARM_THEN] / median[_WARM]
            )
        },
        notes=["rewriting: as series derived with dividends are, at each one; every bar gets a new value"],
    )


def _revise(server: Server) -> None:
    with server.connect() as connection:
        connection.execute(
            f"UPDATE {TABLE} SET volume = volume + 1 FROM (SELECT timestamp AS moment, row_number() OVER "
            f"(ORDER BY timestamp) AS place FROM {TABLE} WHERE symbol = '{_SYMBOL}') AS numbered "
            f"WHERE symbol = '{_SYMBOL}' AND timestamp = moment AND place % {_EVERY} = 1".encode()
        )
        connection.execute(f"VACUUM (ANALYZE) {TABLE}")


def _whole_rewrites(server: Server, bars: int) -> dict[str, Any]:
    """How long it takes to give every bar another value, and how many bytes the history then has per bar."""
    size = "SELECT pg_total_relation_size('data_ingestion.market_data_history')"
    with server.connect() as connection:
        connection.execute("VACUUM FULL data_ingestion.market_data_history")
        before = connection.execute(size).fetchone()
        seconds, _ = _timed(lambda: connection.execute(f"UPDATE {TABLE} SET volume = volume + 1".encode()))
        after = connection.execute(size).fetchone()
    assert before is not None
    assert after is not None
    return {"seconds": seconds, "bytes": (after[0] - before[0]) / bars}


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    done = work()
    return time.perf_counter() - started, done


def _repeated(work: Callable[[], Any]) -> float:
    """The mean seconds of as many repeats as fit."""
    started = time.perf_counter()
    times = 0
    while (taken := time.perf_counter() - started) < _REPEAT_SECONDS or not times:
        work()
        times += 1
    return taken / times
