"""One backtest: warm beside backtesting.py, and the first of a new process beside Numba's compiler."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import BenchmarkSize, Report, WrongResult
from benchmarks.figures import Figures
from benchmarks.swept import make_prices
from benchmarks.turns import (
    Candidate,
    CandidateFailed,
    is_installed,
    medians,
    open_workers,
    say,
    take_turns,
)

__all__ = ["run"]

_MINE = "workbench"
_WARM = (
    Candidate(_MINE, "benchmarks.peers_backtest:workbench"),
    Candidate("backtesting.py", "benchmarks.peers_backtest:backtesting_py"),
)
_COLD_ROUNDS = 3
"""A cold compilation takes long, and differs little from one to the next."""

_WARM_SECONDS = 0.2
"""So long a warm backtest is repeated in each turn."""

# The statements alone are timed: the interpreter's own start is the same for all.
_FIRST = """
import json, sys, time
begun = time.perf_counter()
{statements}
print(json.dumps([time.perf_counter() - begun, float(value)]))
"""
_SIGNALS = """
import pandas
bars = pandas.read_pickle(sys.argv[1])
close = bars["close"].droplevel("symbol")
above = close.rolling(20).mean() > close.rolling(50).mean()
"""
_WORKBENCH = f"""
from workbench.backtest import backtest
{_SIGNALS}
result = backtest(bars, entries=above, exits=~above, fees=0.001)
value = result.metrics["final_equity"]
"""
_VECTORBT = f"""
import warnings
warnings.simplefilter("ignore")
import vectorbt
vectorbt.settings["engine"] = "{{engine}}"
{_SIGNALS}
portfolio = vectorbt.Portfolio.from_signals(
    close, above.shift(1, fill_value=False), (~above).shift(1, fill_value=False),
    price=bars["open"].droplevel("symbol"), fees=0.001, init_cash=100_000.0, freq="1D",
)
portfolio.sharpe_ratio(), portfolio.max_drawdown(), portfolio.trades.count()
value = portfolio.value().iloc[-1]
"""
_COLD = "vectorbt, Numba, cold cache"
_FIRSTS: Mapping[str, str] = {
    "workbench": _WORKBENCH,
    "vectorbt, Rust": _VECTORBT.replace("{engine}", "rust"),
    _COLD: _VECTORBT.replace("{engine}", "numba"),
}
_NEEDS = {"vectorbt, Rust": "vectorbt_rust", _COLD: "vectorbt"}
"""What a program imports that may not be installed."""


def run(size: BenchmarkSize) -> Report:
    """Time one moving-average crossover on `size.swept_bars` daily bars.

    Warm: the same trades of 50 units by both engines, with each one's statistics. First: what a new process
    takes from its first import to the figures.
    """
    with tempfile.TemporaryDirectory(prefix="workbench-bench-") as folder:
        prices = Path(folder) / "prices.pkl"
        make_prices(prices, size.swept_bars)
        warm = _race(prices, size.rounds)
        first = _race_first(prices, min(size.rounds, _COLD_ROUNDS))
    figures = Figures()
    figures.against_best("first_backtest_vs_numba", _MINE, [_COLD], first)
    figures.against_best("backtest_vs_backtesting_py", _MINE, [_WARM[1].name], warm)
    rows: list[tuple[str | float, ...]] = [
        (f"{name}, warm", seconds * 1e3, seconds / warm[_MINE]) for name, seconds in warm.items()
    ]
    rows += [(f"{name}, first", seconds * 1e3, seconds / first[_MINE]) for name, seconds in first.items()]
    return Report(
        columns=("backtest", "median ms", "times workbench's"),
        rows=rows,
        figures=figures.told,
        untold=figures.untold,
    )


def _race(prices: Path, rounds: int) -> dict[str, float]:
    with open_workers(_WARM, {"prices": str(prices)}) as workers:
        expected: dict[str, Any] = {}

        def turn(name: str, _number: int) -> dict[str, float]:
            answer = workers[name].ask("turn", arguments={}, at_least=_WARM_SECONDS)
            found = answer["result"]
            if not expected:
                expected.update(found)
            if not (
                found["entered"] == expected["entered"]
                and found["left"] == expected["left"]
                and np.allclose(found["pnl"], expected["pnl"], rtol=1e-9, atol=1e-6)
                and np.isclose(found["equity"], expected["equity"], rtol=1e-9)
            ):
                raise WrongResult(f"{name} does not trade as the first candidate does")
            return {"backtest": answer["seconds"]}

        return medians(take_turns(rounds, list(workers), turn), "backtest")


def _race_first(prices: Path, rounds: int) -> dict[str, float]:
    """Median seconds of each program in fresh processes, in turns; all must come to the same equity."""
    there = {name: program for name, program in _FIRSTS.items() if is_installed(name, _NEEDS.get(name))}
    taken: dict[str, list[float]] = {name: [] for name in there}
    equities: set[float] = set()
    for number in range(rounds):
        for name, program in there.items():
            seconds, equity = _first(name, program, prices)
            taken[name].append(seconds)
            equities.add(round(equity, 4))
        say(f"new processes, round {number + 1} of {rounds}")
    if len(equities) != 1:
        raise WrongResult(f"the first backtests do not come to the same equity: {sorted(equities)}")
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def _first(name: str, program: str, prices: Path) -> tuple[float, float]:
    with tempfile.TemporaryDirectory(prefix="workbench-numba-") as cache:
        # Numba compiles into a folder of its own, which is empty for the peer; ours was made at installation.
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache} if name == _COLD else dict(os.environ)
        done = subprocess.run(
            [sys.executable, "-c", _FIRST.replace("{statements}", program), str(prices)],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
    if done.returncode:
        raise CandidateFailed(f"{name}: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    seconds, equity = json.loads(done.stdout.strip().splitlines()[-1])
    return seconds, equity
