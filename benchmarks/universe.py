"""Backtests of one to 500 symbols beside vectorbt, their figures and memory; 3,000 symbols in one process."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import BenchmarkSize, Report, WrongResult
from benchmarks.figures import Figures
from benchmarks.server import private_server
from benchmarks.shapes import Shape, make_daily, shapes_of, write_shape
from benchmarks.turns import Candidate, Worker, medians, open_workers, say, take_turns

__all__ = ["PEERS", "PROJECT", "run"]

PROJECT = Candidate("workbench", "benchmarks.peers_universe:workbench")
PEERS = (
    Candidate("vectorbt, by hand", "benchmarks.peers_universe:vectorbt_by_hand"),
    Candidate("vectorbt", "benchmarks.peers_universe:vectorbt_as_documented"),
)
_NAMES = [peer.name for peer in PEERS]
_DOCUMENTED = "vectorbt"
_CLOSE = 1e-6
"""How far final equities may lie apart, relatively."""
_TINY_SYMBOLS, _TINY_BARS = 2, 100
_MIB, _GIB = 2**20, 2**30


@dataclass
class _Measured:
    """What one shape took, by candidate: seconds of the backtest and of its figures, bytes of memory."""

    orders: int = 0
    backtest: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    process: dict[str, int] = field(default_factory=dict)
    added: dict[str, int] = field(default_factory=dict)


def run(size: BenchmarkSize, candidates: Sequence[Candidate] = (PROJECT, *PEERS)) -> Report:
    """Trade six shapes by every candidate in turns, weigh the large ones, and trade a whole universe.

    Each starts from the same tidy bars and the same frames of decisions, and ends with orders, trades and the
    account's equity. All have to place as many orders, and to come to the same equity.

    Memory is that of a fresh process for each candidate: at its peak during one backtest, and what that is
    more than it held before it (imports, compiled code, bars and decisions).

    Raises
    ------
    WrongResult
        A candidate trades something else.
    """
    shapes = shapes_of(size)
    with tempfile.TemporaryDirectory(prefix="workbench-bench-") as folder:
        paths = _write(shapes, Path(folder))
        measured = _race(candidates, shapes, paths, size.rounds)
        many = [shape for shape in shapes if shape.symbols == size.traded_symbols[-1]]
        for shape in many:
            _weigh([candidate for candidate in candidates if candidate.name in measured[shape].backtest],
                   shape, paths, measured[shape])  # fmt: skip
    return _report(measured, many, size, _trade_universe(size))


def _write(shapes: Sequence[Shape], folder: Path) -> dict[str, str]:
    """A file for each shape, and for the tiny one of each kind; by name."""
    paths = {}
    for number, shape in enumerate((*shapes, *(_tiny(kind.kind) for kind in shapes))):
        if shape.name not in paths:
            path = folder / f"{number}.pkl"
            write_shape(shape, path)
            paths[shape.name] = str(path)
    return paths


def _tiny(kind: Any) -> Shape:
    return Shape(kind, _TINY_SYMBOLS, _TINY_BARS)


def _race(
    candidates: Sequence[Candidate], shapes: Sequence[Shape], paths: Mapping[str, str], rounds: int
) -> dict[Shape, _Measured]:
    measured = {shape: _Measured() for shape in shapes}
    with open_workers(candidates, {"shapes": {shape.name: paths[shape.name] for shape in shapes}}) as workers:
        for shape in shapes:
            say(shape.name)
            expected: dict[str, float] = {}

            def turn(
                name: str, _number: int, shape: Shape = shape, expected: dict[str, float] = expected
            ) -> dict[str, float]:
                asked = {"shape": shape.name}
                traded = workers[name].ask("turn", arguments=asked)
                _compare(name, shape, traded["result"], expected)
                figures = workers[name].ask("turn", arguments={**asked, "step": "figures"})
                workers[name].ask("turn", arguments={**asked, "step": "forget"})
                return {"backtest": traded["seconds"], "figures": figures["seconds"]}

            taken = take_turns(rounds, list(workers), turn)
            measured[shape].orders = int(expected["orders"])
            measured[shape].backtest = medians(taken, "backtest")
            measured[shape].figures = medians(taken, "figures")
    return measured


def _compare(name: str, shape: Shape, found: Mapping[str, float], expected: dict[str, float]) -> None:
    if not expected:
        expected.update(found)
    if found["orders"] != expected["orders"]:
        raise WrongResult(
            f"{name} places {found['orders']:,} orders of {shape.name}, "
            f"and the first candidate {expected['orders']:,}"
        )
    if not np.isclose(found["equity"], expected["equity"], rtol=_CLOSE, atol=0.0):
        raise WrongResult(
            f"{name} comes to {found['equity']:,.2f} with {shape.name}, "
            f"and the first candidate to {expected['equity']:,.2f}"
        )


def _weigh(
    candidates: Sequence[Candidate], shape: Shape, paths: Mapping[str, str], measured: _Measured
) -> None:
    """The memory of one backtest in a fresh process of each candidate, which has traded a tiny one before."""
    tiny = _tiny(shape.kind)
    for candidate in candidates:
        worker = Worker(candidate)
        try:
            worker.open({"shapes": {of.name: paths[of.name] for of in (shape, tiny)}})
            peak = worker.ask("peak", tiny={"shape": tiny.name}, arguments={"shape": shape.name})
        finally:
            worker.close()
        measured.process[candidate.name] = peak["process"]
        measured.added[candidate.name] = peak["peak"]
    say(f"measured the memory of {shape.name}")


def _trade_universe(size: BenchmarkSize) -> dict[str, Any]:
    """One process that loads daily bars of all symbols and trades them monthly: seconds, orders, peak."""
    bars = make_daily(size.universe_symbols, size.universe_days)
    expected = len(bars)
    with private_server() as server:
        say(f"filling the table with {expected:,} daily bars")
        server.fill(bars, "yahoo")
        task = {"url": server.url, "folder": str(server.folder)}
        arguments = {"symbols": list(bars.symbols)}
        del bars
        worker = Worker(Candidate(PROJECT.name, "benchmarks.project:universe", {"home": "universe"}))
        try:
            worker.open(task)
            turn: dict[str, Any] = worker.ask("turn", arguments=arguments)
        finally:
            worker.close()
    if turn["result"]["bars"] != expected:
        raise WrongResult(f"{turn['result']['bars']:,} daily bars were loaded, and not {expected:,}")
    return turn


def _report(
    measured: Mapping[Shape, _Measured],
    many: Sequence[Shape],
    size: BenchmarkSize,
    universe: Mapping[str, Any],
) -> Report:
    rows: list[tuple[str | float | int | None, ...]] = []
    ours = PROJECT.name
    for shape, of in measured.items():
        for name, seconds in of.backtest.items():
            rows.append(
                (
                    f"{shape.name}: {name}",
                    of.orders,
                    seconds * 1e3,
                    seconds / of.backtest[ours] if ours in of.backtest else None,
                    of.figures[name] * 1e3,
                    of.figures[name] / of.figures[ours] if ours in of.figures else None,
                    of.process[name] / _MIB if name in of.process else None,
                    of.added[name] / _MIB if name in of.added else None,
                )
            )
    rows.append(
        (
            f"load and monthly weights, {size.universe_symbols:,} × {size.universe_days:,}: {ours}",
            universe["result"]["orders"],
            universe["seconds"] * 1e3,
            None,
            None,
            None,
            universe["process"] / _MIB,
            None,
        )
    )
    figures, notes = Figures(), []
    backtests = {shape: of.backtest for shape, of in measured.items()}
    stats = {shape: of.figures for shape, of in measured.items()}
    for figure, seconds_of, peers in (
        ("backtest_vs_vectorbt", backtests, [_DOCUMENTED]),
        ("backtest_vs_vectorbt_by_hand", backtests, _NAMES),
        ("metrics_vs_vectorbt_stats", stats, [_DOCUMENTED]),
        ("metrics_vs_vectorbt_stats_by_hand", stats, _NAMES),
    ):
        ratios = {
            shape: figures.against_best(figure, ours, peers, seconds) for shape, seconds in seconds_of.items()
        }
        told = {shape: ratio for shape, ratio in ratios.items() if ratio is not None}
        if told:
            slowest = min(told, key=lambda shape: told[shape])
            figures.told[figure] = told[slowest]
            notes.append(f"{figure} is that of the slowest shape: {slowest.name}")
    if all(
        figures.need("peak_memory_vs_vectorbt", [ours, *_NAMES], measured[shape].process) for shape in many
    ):
        figures.told["peak_memory_vs_vectorbt"] = max(
            measured[shape].process[ours] / min(measured[shape].process[name] for name in _NAMES)
            for shape in many
        )
    figures.told["universe_peak_gib"] = universe["process"] / _GIB
    return Report(
        columns=(
            "backtest, symbols × bars",
            "orders",
            "median ms",
            "times workbench's",
            "figures ms",
            "times workbench's figures",
            "peak MiB",
            "added MiB",
        ),
        rows=rows,
        figures=figures.told,
        untold=figures.untold,
        notes=notes,
    )
