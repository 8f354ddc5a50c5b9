"""Variants a second beside vectorbt's, memory as variants grow, and a second Dask worker's worth."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import BenchmarkSize, Report, WrongResult
from benchmarks.figures import Figures
from benchmarks.swept import METRICS, make_prices, pairs
from benchmarks.turns import Candidate, CandidateFailed, medians, open_workers, say, take_turns

__all__ = ["run"]

_AVERAGES = (
    Candidate("workbench, averages", "benchmarks.peers_sweep:workbench_averages"),
    Candidate("vectorbt, Rust", "benchmarks.peers_sweep:vectorbt_at_once", {"engine": "rust"}),
    Candidate("vectorbt, Numba", "benchmarks.peers_sweep:vectorbt_at_once", {"engine": "numba"}),
)
_PYTHON = (
    Candidate("workbench, plain pandas", "benchmarks.peers_sweep:workbench_python"),
    Candidate("vectorbt in a loop, Rust", "benchmarks.peers_sweep:vectorbt_in_a_loop", {"engine": "rust"}),
    Candidate("vectorbt in a loop, Numba", "benchmarks.peers_sweep:vectorbt_in_a_loop", {"engine": "numba"}),
)
_CLOSE = 1e-9
"""How far figures may lie apart, relatively, and absolutely where they are below one."""

# A fresh process, its memory at the highest.
_MEMORY = """
import re, sys
from pathlib import Path
from benchmarks.swept import momentum, read_prices
from workbench.sweep import Random, sweep

found = sweep(momentum, read_prices(sys.argv[1]), Random(int(sys.argv[2]), seed=1), progress=False)
assert len(found) == int(sys.argv[2]) and len(found.best(3)) == 3
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def run(size: BenchmarkSize) -> Report:
    """Sweep moving-average pairs, a strategy in plain pandas, and ever more variants, in turns.

    All candidates have to find the same four figures of each variant.
    """
    rows: list[tuple[str | float | int | None, ...]] = []
    with tempfile.TemporaryDirectory(prefix="workbench-bench-") as folder:
        prices = Path(folder) / "prices.pkl"
        make_prices(prices, size.swept_bars)
        figures = Figures()
        for figure, candidates, variants, task in (
            ("sweep_vs_vectorbt", _AVERAGES, pairs(size.swept_windows), {"windows": size.swept_windows}),
            (
                "sweep_vs_vectorbt_python_strategy",
                _PYTHON,
                size.swept_in_python,
                {"variants": size.swept_in_python},
            ),
        ):
            say(f"{variants:,} variants on {size.swept_bars:,} bars")
            seconds = _race(candidates, {"prices": str(prices), **task}, size.rounds)
            mine, *others = (candidate.name for candidate in candidates)
            figures.against_best(figure, mine, others, seconds)
            rows += [(name, variants, taken * 1e3, variants / taken, None) for name, taken in seconds.items()]
        few, many = size.swept_for_memory
        peaks = {count: _peak(prices, count) for count in (few, many)}
        figures.told["sweep_memory_growth"] = peaks[many] / peaks[few]
        rows += [("workbench, memory", count, None, None, peak) for count, peak in peaks.items()]
        dask = _race_on_dask(prices, size)
        figures.told["sweep_dask_scaling"] = dask["1 Dask worker"] / dask["2 Dask workers"]
        rows += [
            (name, size.swept_on_dask, taken * 1e3, size.swept_on_dask / taken, None)
            for name, taken in dask.items()
        ]
    return Report(
        columns=("sweep", "variants", "median ms", "variants/s", "peak MB"),
        rows=rows,
        figures=figures.told,
        untold=figures.untold,
    )


def _race(candidates: Sequence[Candidate], task: Mapping[str, Any], rounds: int) -> dict[str, float]:
    """Median seconds by name; every result is compared with the first candidate's."""
    with open_workers(candidates, task) as workers:
        expected: dict[str, Any] = {}

        def turn(name: str, _number: int) -> dict[str, float]:
            answer = workers[name].ask("turn", arguments={})
            _compare(name, answer["result"], expected)
            return {"sweep": answer["seconds"]}

        return medians(take_turns(rounds, list(workers), turn), "sweep")


def _compare(name: str, found: Mapping[str, Any], expected: dict[str, Any]) -> None:
    if not expected:
        expected.update(found)
    for metric in METRICS:
        one, other = (np.asarray(each[metric], dtype=np.float64) for each in (found, expected))
        if not (
            one.shape == other.shape and np.allclose(one, other, rtol=_CLOSE, atol=_CLOSE, equal_nan=True)
        ):
            raise WrongResult(f"{name} does not find the same {metric} as the first candidate")


def _peak(prices: Path, variants: int) -> float:
    """Megabytes that a fresh process holds at the most while it sweeps."""
    done = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(prices), str(variants)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[1],
    )
    if done.returncode:
        raise CandidateFailed((done.stderr.strip().splitlines() or ["it said nothing"])[-1])
    say(f"{variants:,} variants: {int(done.stdout) / 1024:,.0f} MB at the most")
    return int(done.stdout) / 1024


def _race_on_dask(prices: Path, size: BenchmarkSize) -> dict[str, float]:
    """Median seconds of the same sweep on a local cluster of one worker process, and of two."""
    from benchmarks.swept import channel, read_prices
    from workbench.sweep import sweep

    bars = read_prices(str(prices))
    grid = {"window": range(2, 2 + size.swept_on_dask)}
    found: dict[str, Any] = {}
    with _cluster(1) as one, _cluster(2) as two:
        clusters = {"1 Dask worker": one, "2 Dask workers": two}

        def turn(name: str, _number: int) -> dict[str, float]:
            swept = sweep(channel, bars, grid, cluster=clusters[name], progress=False)
            _compare(name, {metric: swept.frame[metric].tolist() for metric in METRICS}, found)
            return {"sweep": swept.seconds}

        rounds = min(size.rounds, 5)
        return medians(take_turns(rounds, list(clusters), turn), "sweep")


@contextmanager
def _cluster(workers: int) -> Iterator[Any]:
    from distributed import Client

    from workbench.sweep.executors.dask_cluster import private_cluster

    with (
        private_cluster(workers) as cluster,
        Client(cluster) as client,
    ):
        yield client
