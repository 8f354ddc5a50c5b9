"""Bars from PostgreSQL into the final DataFrame, and the same again through the cache, beside every peer."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import BenchmarkSize, Report
from benchmarks.checks import digests, require_same
from benchmarks.data import make_bars
from benchmarks.server import private_server
from benchmarks.turns import Candidate, Worker, medians, open_workers, say, take_turns

__all__ = ["PEERS", "PROJECT", "run"]

_COLD = "workbench, cold"
_WARM = "workbench, warm"
_FRESH = "workbench, warm, first load of a process"
_ARCTICDB = str(Path(__file__).resolve().parents[1] / ".venv-bench-arcticdb" / "bin" / "python")
_PEAK_RUNS = 3

PROJECT = (
    Candidate(_COLD, "benchmarks.project:load", {"home": "cold", "cold": True}),
    Candidate(_WARM, "benchmarks.project:load", {"home": "warm", "cold": False}),
)

PEERS = (
    *(
        Candidate(
            f"ADBC, {parts} connection{'s' if parts > 1 else ''}, numerics as {cast}",
            "benchmarks.peers_load:adbc",
            {"parts": parts, "cast": cast},
        )
        for parts in (1, 2, 4)
        for cast in ("float8", "text")
    ),
    *(
        Candidate(
            f"ConnectorX, {parts} connection{'s' if parts > 1 else ''}",
            "benchmarks.peers_load:connectorx",
            {"parts": parts},
        )
        for parts in (1, 2, 4)
    ),
    Candidate("psycopg, binary COPY by hand", "benchmarks.peers_load:psycopg_copy"),
    Candidate("pandas.read_sql", "benchmarks.peers_load:read_sql"),
    Candidate("ArcticDB (LMDB), read_batch", "benchmarks.peers_arcticdb:read_batch", python=_ARCTICDB),
    Candidate("ArcticDB (LMDB), one frame", "benchmarks.peers_arcticdb:one_frame", python=_ARCTICDB),
)


def run(size: BenchmarkSize, candidates: Sequence[Candidate] = (*PROJECT, *PEERS)) -> Report:
    """Load the same bars by every candidate in turns, and check that all deliver the same frame.

    "Cold": the project's cache is emptied before each load. "Warm": it holds the bars, and the load asks
    PostgreSQL only whether they are still true. Connections stay open between loads where the candidate
    keeps any.

    Peak memory: in a fresh process each, cold, the resident memory at its highest during the load, less what
    the process held before it (imports made, one symbol loaded), over the final frame's size with its index.

    Raises
    ------
    WrongResult
        A candidate does not deliver the frame that was generated.
    """
    bars = make_bars(size.symbols, size.bars)
    expected = digests(bars.frame())
    everything = {"symbols": list(bars.symbols)}
    with private_server() as server:
        say(f"filling the table with {len(bars):,} bars")
        server.fill(bars)
        data = server.folder / "bars.npz"
        bars.save(data)
        task = {
            "url": server.url,
            "service_url": server.service_url,
            "folder": str(server.folder),
            "data": [str(data)],
        }
        with open_workers(candidates, task) as workers:

            def turn(name: str, number: int) -> dict[str, float]:
                worker = workers[name]
                seconds = worker.seconds(everything)
                if number in {0, size.rounds}:
                    require_same(name, worker.ask("digests"), expected)
                worker.ask("drop")
                return {"load": seconds}

            taken = take_turns(size.rounds, list(workers), turn)
        present = [candidate for candidate in candidates if candidate.name in taken]
        fresh = _fresh(task, size.rounds, everything) if _WARM in taken else []
        peaks = _peaks(present, task, everything)
    return _report(len(bars), taken, fresh, peaks)


def _fresh(task: dict[str, Any], rounds: int, everything: dict[str, Any]) -> list[float]:
    """The first load of so many processes that find the cache filled; imports and connecting included."""
    seconds = []
    for _ in range(rounds):
        worker = Worker(PROJECT[1])
        try:
            worker.open(task)
            seconds.append(worker.seconds(everything))
        finally:
            worker.close()
    return seconds


def _peaks(
    candidates: Sequence[Candidate], task: dict[str, Any], everything: dict[str, Any]
) -> dict[str, float]:
    """Peak memory over the frame's size: of the project the median of several processes, of a peer one."""
    tiny = {"symbols": everything["symbols"][:1]}
    ratios: dict[str, float] = {}
    for candidate in candidates:
        measured = []
        for _ in range(_PEAK_RUNS if candidate in PROJECT else 1):
            worker = Worker(candidate)
            try:
                worker.open(task)
                peak = worker.ask("peak", tiny=tiny, arguments=everything)
                measured.append(peak["peak"] / peak["frame"])
            finally:
                worker.close()
        ratios[candidate.name] = statistics.median(measured)
    say("measured peak memory in fresh processes")
    return ratios


def _report(
    bars: int, taken: dict[str, dict[str, list[float]]], fresh: list[float], peaks: dict[str, float]
) -> Report:
    seconds = {name: of["load"] for name, of in taken.items()}
    if fresh:
        seconds[_FRESH] = fresh
    rows = [
        (
            name,
            statistics.median(measured) * 1e3,
            min(measured) * 1e3,
            bars / statistics.median(measured) / 1e6,
            peaks.get(name),
            len(measured),
        )
        for name, measured in seconds.items()
    ]
    median = medians(taken, "load")
    arcticdb = [median[name] for name in median if name.startswith("ArcticDB")]
    databases = [median[name] for name in median if not name.startswith(("ArcticDB", "workbench"))]
    figures = {}
    if databases and _COLD in median:
        figures["load_cold_vs_best_peer"] = min(databases) / median[_COLD]
    if databases and _WARM in median:
        figures["load_warm_vs_best_db_peer"] = min(databases) / median[_WARM]
    if arcticdb and _WARM in median:
        figures["load_warm_vs_arcticdb"] = min(arcticdb) / median[_WARM]
    if _COLD in peaks:
        figures["load_peak_memory"] = peaks[_COLD]
    return Report(
        columns=(
            f"load of {bars:,} bars",
            "median ms",
            "fastest ms",
            "M rows/s",
            "peak memory / frame",
            "rounds",
        ),
        rows=rows,
        figures=figures,
    )
