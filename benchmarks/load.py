"""Bars from PostgreSQL into the final DataFrame, and the same again through the cache, beside every peer."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import BenchmarkSize, Report
from benchmarks.checks import digests, require_same
from benchmarks.data import make_bars
from benchmarks.figures import Figures
from benchmarks.server import private_server
from benchmarks.turns import Candidate, Worker, medians, open_workers, say, take_turns

__all__ = ["PEERS", "PROJECT", "run"]

_COLD = "workbench, cold"
_WARM = "workbench, warm"
_FRESH = "workbench, warm, first load of a process"
_ONE_FRAME = "ArcticDB (LMDB), one frame"
_ARCTICDB = str(Path(__file__).resolve().parents[1] / ".venv-bench-arcticdb" / "bin" / "python")
_PEAK_RUNS = 3
_RUNS = 3
"""How often the race of cold loads is run: one run's ratio differs from the next one's by a fifth."""

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
    Candidate(_ONE_FRAME, "benchmarks.peers_arcticdb:one_frame", python=_ARCTICDB),
)
_FILES = [candidate.name for candidate in PEERS if candidate.python == _ARCTICDB]
_DATABASES = [candidate.name for candidate in PEERS if candidate.python != _ARCTICDB]

Taken = dict[str, dict[str, list[float]]]


def run(size: BenchmarkSize, candidates: Sequence[Candidate] = (*PROJECT, *PEERS)) -> Report:
    """Load the same bars by every candidate in turns, and check that all deliver the same frame.

    "Cold": the project's cache is emptied before each load. "Warm": it holds the bars, and the load asks
    PostgreSQL only whether they are still true. Connections stay open between loads where the candidate
    keeps any. "First load of a process": by a new process each, imports made, the cache filled.

    The cold load races the database's peers in three runs, each with processes of its own; the ratio is the
    median of theirs. The other candidates take part in the first run.

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
        runs = [_race(candidates, task, everything, expected, size.rounds)]
        if {_COLD, *_DATABASES} <= runs[0].keys():
            again = [candidate for candidate in candidates if candidate.name in {_COLD, *_DATABASES}]
            for number in range(1, _RUNS):
                say(f"cold loads and the database's peers: run {number + 1} of {_RUNS}")
                runs.append(_race(again, task, everything, expected, size.rounds))
        present = [candidate for candidate in candidates if candidate.name in runs[0]]
        peaks = _peaks(present, task, everything)
    return _report(len(bars), runs, peaks)


def _race(
    candidates: Sequence[Candidate],
    task: dict[str, Any],
    everything: dict[str, Any],
    expected: dict[str, str],
    rounds: int,
) -> Taken:
    """The seconds of each load, by candidate; where the warm one takes part, new processes do, too."""
    with open_workers(candidates, task) as workers:

        def turn(name: str, number: int) -> dict[str, float]:
            if name == _FRESH:
                return {"load": _first_load(task, everything)}
            worker = workers[name]
            seconds = worker.seconds(everything)
            if number in {0, rounds}:
                require_same(name, worker.ask("digests"), expected)
            worker.ask("drop")
            return {"load": seconds}

        # In round 0 it comes after the warm one, which fills the cache that it finds.
        fresh = [_FRESH] if _WARM in workers else []
        return take_turns(rounds, [*workers, *fresh], turn)


def _first_load(task: dict[str, Any], everything: dict[str, Any]) -> float:
    """Seconds of the first load of a new process, which connects within it; its imports are made before."""
    worker = Worker(PROJECT[1])
    try:
        worker.open(task)
        return worker.seconds(everything)
    finally:
        worker.close()


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


def _report(bars: int, runs: Sequence[Taken], peaks: dict[str, float]) -> Report:
    seconds: dict[str, list[float]] = {}
    for taken in runs:
        for name, of in taken.items():
            seconds.setdefault(name, []).extend(of["load"])
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
    figures, notes = Figures(), []
    if figures.need("load_cold_vs_best_peer", [_COLD, *_DATABASES], runs[0]):
        ratios = [_cold_ratio(taken) for taken in runs]
        figures.told["load_cold_vs_best_peer"] = statistics.median(ratios)
        notes.append(
            f"load_cold_vs_best_peer is the median of {len(ratios)} runs: "
            + ", ".join(f"{ratio:.2f}" for ratio in ratios)
        )
    median = {name: statistics.median(measured) for name, measured in seconds.items()}
    figures.against_best("load_warm_vs_best_db_peer", _WARM, _DATABASES, median)
    figures.against_best("load_warm_vs_arcticdb", _WARM, _FILES, median)
    figures.against_best("load_first_vs_arcticdb", _FRESH, [_ONE_FRAME], median)
    if figures.need("load_peak_memory", [_COLD], peaks):
        figures.told["load_peak_memory"] = peaks[_COLD]
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
        figures=figures.told,
        untold=figures.untold,
        notes=notes,
    )


def _cold_ratio(taken: Taken) -> float:
    """The quickest database peer's median over the cold load's, of one run."""
    median = medians(taken, "load")
    return min(median[name] for name in _DATABASES) / median[_COLD]
