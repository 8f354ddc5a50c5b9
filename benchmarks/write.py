"""New bars into the table, idempotently, and the same bars again, beside every peer."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks import BenchmarkSize, Report, WrongResult
from benchmarks.checks import digests, require_same
from benchmarks.data import Bars, make_bars
from benchmarks.figures import Figures
from benchmarks.peers_load import psycopg_copy
from benchmarks.server import TABLE, Server, private_server
from benchmarks.turns import Candidate, Worker, medians, open_workers, say, take_turns

__all__ = ["PEERS", "PROJECT", "run"]

PROJECT = Candidate("workbench", "benchmarks.project:write", {"home": "home"})
_TO_SQL = "pandas.to_sql (append)"
# It takes a minute and more for each.
_TO_SQL_ROUNDS = 3

PEERS = (
    Candidate("psycopg, binary COPY by hand, upsert", "benchmarks.peers_write:copy_binary"),
    Candidate("psycopg, CSV COPY by hand, upsert", "benchmarks.peers_write:copy_csv"),
    Candidate("ADBC ingest, upsert", "benchmarks.peers_write:adbc"),
    Candidate(_TO_SQL, "benchmarks.peers_write:to_sql"),
)
_BY_HAND = [candidate.name for candidate in PEERS if candidate.name.startswith("psycopg")]


def run(size: BenchmarkSize, candidates: Sequence[Candidate] = (PROJECT, *PEERS)) -> Report:
    """Write the same new bars by every candidate in turns, then the same bars again, and check the table.

    The table holds the bars of other symbols in the same months already. Before each turn the written ones
    are deleted, the table vacuumed and a checkpoint made, all untimed. `to_sql`, by far the slowest, takes
    part in the first rounds only.

    Raises
    ------
    WrongResult
        What a candidate left in the table is not what was generated, or rewriting it changed rows.
    """
    new = make_bars(size.symbols, size.written_bars, prefix="NEW", seed=8)
    expected = digests(new.frame())
    with private_server() as server:
        say("filling the table")
        server.fill(make_bars(size.symbols, size.bars))
        path = server.folder / "new.npz"
        new.save(path)
        task = {
            "url": server.url,
            "service_url": server.service_url,
            "folder": str(server.folder),
            "data": [str(path)],
        }
        arguments = {"path": str(path)}
        with open_workers(candidates, task) as workers:

            def turn(name: str, number: int) -> dict[str, float]:
                if name == _TO_SQL and number > _TO_SQL_ROUNDS:
                    return {}
                _empty(server, new)
                seconds = {"write": workers[name].seconds(arguments)}
                if number in {0, size.rounds}:
                    _check(name, server, new, expected)
                if name != _TO_SQL:
                    seconds["rewrite"] = _rewrite(name, workers[name], path=str(path))
                if number == 0:
                    _check(name, server, new, expected)
                return seconds

            taken = take_turns(size.rounds, list(workers), turn)
    return _report(len(new), taken)


def _empty(server: Server, bars: Bars) -> None:
    with server.connect() as connection:
        for table in (TABLE, "data_ingestion.ingestion_status"):
            connection.execute(f"DELETE FROM {table} WHERE symbol = ANY(%s)".encode(), (list(bars.symbols),))
        connection.execute(f"VACUUM (ANALYZE) {TABLE}".encode())
        connection.execute("CHECKPOINT")


def _check(name: str, server: Server, bars: Bars, expected: dict[str, str]) -> None:
    with psycopg_copy({"service_url": server.service_url}) as stored:
        require_same(name, digests(stored.run(list(bars.symbols))), expected)


def _rewrite(name: str, worker: Worker, **arguments: str) -> float:
    """The seconds of writing what is there already; it must change no row."""
    turn = worker.ask("turn", arguments=arguments)
    # A peer tells how many rows it changed; the project how many it inserted, updated and left unchanged.
    changed = turn["result"] if isinstance(turn["result"], int) else sum(turn["result"][:2])
    if changed:
        raise WrongResult(f"{name} changes {changed:,} rows when it writes bars that are there already")
    return float(turn["seconds"])


def _report(bars: int, taken: dict[str, dict[str, list[float]]]) -> Report:
    rows = []
    for name, seconds in taken.items():
        again = statistics.median(seconds["rewrite"]) if "rewrite" in seconds else None
        median = statistics.median(seconds["write"])
        rows.append(
            (
                name,
                median * 1e3,
                min(seconds["write"]) * 1e3,
                bars / median / 1e3,
                None if again is None else again * 1e3,
                len(seconds["write"]),
            )
        )
    write, rewrite = medians(taken, "write"), medians(taken, "rewrite")
    figures = Figures()
    figures.against_best("write_vs_handwritten_copy", PROJECT.name, _BY_HAND, write)
    figures.against_best("write_vs_to_sql", PROJECT.name, [_TO_SQL], write)
    if figures.need("rewrite_vs_write", [PROJECT.name], rewrite):
        figures.told["rewrite_vs_write"] = write[PROJECT.name] / rewrite[PROJECT.name]
    return Report(
        columns=(
            f"write of {bars:,} bars",
            "median ms",
            "fastest ms",
            "krows/s",
            "the same bars again, median ms",
            "rounds",
        ),
        rows=rows,
        figures=figures.told,
        untold=figures.untold,
    )
