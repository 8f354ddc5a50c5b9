"""Each benchmark runs from end to end at a tiny size, refuses wrong values, and says what it leaves out."""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import BenchmarkSize, Report, WrongResult, backtest, load, startup, sweep, universe, write
from benchmarks.__main__ import BENCHMARKS, main
from benchmarks.load import PROJECT
from benchmarks.shapes import Shape
from benchmarks.turns import Candidate

# Dozens of processes import each peer, and vectorbt's compile what it computes its figures with.
pytestmark = [pytest.mark.timeout(900)]

TINY = BenchmarkSize(
    rounds=1,
    symbols=3,
    bars=200,
    written_bars=100,
    tables=(1_000, 3_000),
    year_bars=200,
    day_symbols=20,
    day_bars=10,
    swept_bars=250,
    swept_windows=5,
    swept_in_python=5,
    swept_for_memory=(10, 30),
    swept_on_dask=20,
    traded_symbols=(1, 2, 5),
    traded_days=150,
    traded_minutes=300,
    revised_bars=300,
    universe_symbols=10,
    universe_days=150,
    explained_deployments=10,
    explained_runs=600,
    explained_signals=3_000,
    notebook_seconds=(0.1,),
    slots=1,
)

# What only `make bench` installs, and the figures that cannot be told without it.
DATABASE_PEERS = ("adbc_driver_postgresql", "connectorx")
FIGURES_OF_DATABASE_PEERS = {"load_cold_vs_best_peer", "load_warm_vs_best_db_peer"}
FIGURES_OF_ARCTICDB = {"load_warm_vs_arcticdb", "load_first_vs_arcticdb"}

# One value in the last bar, changed by the least that the column can tell.
WRONG_LOAD = """
import contextlib
from benchmarks import Timed
from benchmarks.peers_load import read_sql

@contextlib.contextmanager
def load(task):
    with read_sql(task) as peer:
        def run(symbols):
            frame = peer.run(symbols)
            frame.iloc[-1, 3] += 1e-8
            return frame
        yield Timed(run)
"""
WRONG_WRITE = """
import contextlib
from benchmarks import Timed

@contextlib.contextmanager
def write(task):
    yield Timed(lambda path: 0)
"""

WRONG_TRADE = """
import contextlib
from benchmarks import Timed
from benchmarks.peers_universe import workbench

@contextlib.contextmanager
def trade(task, change):
    with workbench(task) as right:
        def run(**told):
            found = right.run(**told)
            return {
                name: value + change.get(name, 0) * (value if name == "equity" else 1)
                for name, value in found.items()
            }
        yield Timed(run)
"""


@pytest.fixture
def wrong_peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that the children find, and that holds peers which are wrong."""
    (tmp_path / "wrong_peer.py").write_text(WRONG_LOAD + WRONG_WRITE + WRONG_TRADE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "wrong_peer"


def arcticdb_is_there() -> bool:
    """Whether `make bench` has made its environment, and could install it."""
    python = Path(load.PEERS[-1].python)
    return python.exists() and not subprocess.run([python, "-c", "import arcticdb"], check=False).returncode


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("load", {*FIGURES_OF_DATABASE_PEERS, *FIGURES_OF_ARCTICDB, "load_peak_memory"}),
        ("write", {"write_vs_handwritten_copy", "write_vs_to_sql", "rewrite_vs_write"}),
        ("growth", {"growth_load", "growth_append", "growth_append_daily"}),
        ("as_known", {"as_known_load_vs_load"}),
        ("lineage", {"why_ms", "runs_of_ms"}),
        (
            "sweep",
            {
                "sweep_vs_vectorbt",
                "sweep_vs_vectorbt_python_strategy",
                "sweep_memory_growth",
                "sweep_dask_scaling",
            },
        ),
        ("backtest", {"backtest_vs_backtesting_py", "first_backtest_vs_numba"}),
        (
            "universe",
            {
                "backtest_vs_vectorbt",
                "backtest_vs_vectorbt_by_hand",
                "metrics_vs_vectorbt_stats",
                "metrics_vs_vectorbt_stats_by_hand",
                "peak_memory_vs_vectorbt",
                "universe_peak_gib",
            },
        ),
        (
            "notebook",
            {
                "notebook_overhead_vs_papermill",
                "slot_to_first_cell_seconds",
                "slot_to_first_cell_our_seconds",
            },
        ),
        ("gates", {"gates_vs_one_run", "gates_seconds"}),
        ("startup", {"import_vs_its_parts", "first_query_vs_plain", "first_backtest_vs_plain"}),
    ],
)
def test_a_benchmark_runs_from_end_to_end_and_reports_its_figures(name: str, figures: set[str]) -> None:
    report: Report = importlib.import_module(f"benchmarks.{name}").run(TINY)
    untold: set[str] = set()
    if not all(map(importlib.util.find_spec, DATABASE_PEERS)):
        untold |= FIGURES_OF_DATABASE_PEERS & figures
    if not arcticdb_is_there():
        untold |= FIGURES_OF_ARCTICDB & figures
    assert set(report.figures) == figures - untold
    assert set(report.untold) == untold
    assert all(value > 0 for value in report.figures.values())
    assert all(len(row) == len(report.columns) for row in report.rows)


def test_every_benchmark_that_can_be_named_is_tested_here() -> None:
    assert list(BENCHMARKS) == [
        "load",
        "write",
        "growth",
        "as_known",
        "lineage",
        "sweep",
        "backtest",
        "universe",
        "notebook",
        "gates",
        "startup",
    ]


def test_a_peer_that_loads_another_value_is_refused(wrong_peer: str) -> None:
    wrong = Candidate("a wrong peer", f"{wrong_peer}:load")
    with pytest.raises(WrongResult, match=r"a wrong peer does not deliver the same frame: other close$"):
        importlib.import_module("benchmarks.load").run(TINY, [wrong])


def test_a_peer_that_does_not_write_is_refused(wrong_peer: str) -> None:
    wrong = Candidate("a lazy peer", f"{wrong_peer}:write")
    with pytest.raises(WrongResult, match="a lazy peer does not deliver the same frame"):
        importlib.import_module("benchmarks.write").run(TINY, [wrong])


def test_a_peer_that_is_not_here_is_left_out_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    absent = [
        Candidate(
            "of another environment", "benchmarks.project:load", python="/nowhere/.venv-peer/bin/python"
        ),
        Candidate("not installed", "no_such_peer:load"),
    ]
    report = importlib.import_module("benchmarks.load").run(TINY, [*PROJECT, *absent])
    said = capsys.readouterr().err
    assert "left out: of another environment: there is no .venv-peer; make bench makes it" in said
    assert "left out: not installed: no_such_peer is not installed; make bench installs it" in said
    assert not {"of another environment", "not installed"} & {str(row[0]) for row in report.rows}
    assert set(report.figures) == {"load_peak_memory"}
    assert set(report.untold) == FIGURES_OF_DATABASE_PEERS | FIGURES_OF_ARCTICDB


ABSENT = "no_such_peer:run"


def test_a_ratio_to_the_best_peer_is_not_told_while_a_peer_is_missing() -> None:
    """The slowest peer that is left would flatter."""
    left = {"workbench, cold": 1.0, "workbench, warm": 0.1, "pandas.read_sql": 3.5}
    loads = [{name: {"load": [seconds]} for name, seconds in left.items()}]
    loaded = load._report(100, loads, {"workbench, cold": 1.3})
    assert loaded.figures == {"load_peak_memory": 1.3}
    assert set(loaded.untold) == FIGURES_OF_DATABASE_PEERS | FIGURES_OF_ARCTICDB
    assert "ConnectorX, 1 connection" in loaded.untold["load_cold_vs_best_peer"]
    assert loaded.notes == []

    writes = {
        name: {"write": [seconds], "rewrite": [seconds]}
        for name, seconds in {"workbench": 1.0, "psycopg, CSV COPY by hand, upsert": 4.0}.items()
    }
    written = write._report(100, writes)
    assert written.figures == {"rewrite_vs_write": 1.0}
    assert set(written.untold) == {"write_vs_handwritten_copy", "write_vs_to_sql"}

    shape = Shape("signals", 5, 100)
    there = {"workbench": 1.0, "vectorbt": 3.5}
    memory = dict.fromkeys(there, 1024)
    measured = universe._Measured(9, there, there, memory, memory)
    alone = {"seconds": 1.0, "process": 2**30, "result": {"orders": 3}}
    traded = universe._report({shape: measured}, [shape], TINY, alone)
    assert traded.figures == {
        "backtest_vs_vectorbt": 3.5,
        "metrics_vs_vectorbt_stats": 3.5,
        "universe_peak_gib": 1.0,
    }
    assert traded.untold == dict.fromkeys(
        (
            "backtest_vs_vectorbt_by_hand",
            "metrics_vs_vectorbt_stats_by_hand",
            "peak_memory_vs_vectorbt",
        ),
        ("vectorbt, by hand",),
    )


def test_the_slowest_shape_is_told_against_its_quickest_peer() -> None:
    small, large = Shape("signals", 1, 100), Shape("signals", 5, 100)
    measured = {
        small: universe._Measured(
            1, _seconds(1.0, 5.0, 4.0), _seconds(1.0, 9.0, 9.0), _bytes(9, 1, 1), _bytes(9, 1, 1)
        ),
        large: universe._Measured(
            1, _seconds(1.0, 2.0, 3.0), _seconds(1.0, 11.0, 9.5), _bytes(6, 8, 12), _bytes(1, 1, 1)
        ),
    }
    alone = {"seconds": 1.0, "process": 2**30, "result": {"orders": 3}}
    report = universe._report(measured, [large], TINY, alone)
    assert report.figures == {
        "backtest_vs_vectorbt": 3.0,
        "backtest_vs_vectorbt_by_hand": 2.0,
        "metrics_vs_vectorbt_stats": 9.0,
        "metrics_vs_vectorbt_stats_by_hand": 9.0,
        "peak_memory_vs_vectorbt": 0.75,
        "universe_peak_gib": 1.0,
    }
    assert report.notes == [
        "backtest_vs_vectorbt is that of the slowest shape: signals, 5 × 100",
        "backtest_vs_vectorbt_by_hand is that of the slowest shape: signals, 5 × 100",
        "metrics_vs_vectorbt_stats is that of the slowest shape: signals, 1 × 100",
        "metrics_vs_vectorbt_stats_by_hand is that of the slowest shape: signals, 1 × 100",
    ]


def _seconds(*seconds: float) -> dict[str, float]:
    return dict(zip(("workbench", *universe._NAMES), seconds, strict=True))


def _bytes(*held: int) -> dict[str, int]:
    return dict(zip(("workbench", *universe._NAMES), held, strict=True))


@pytest.mark.parametrize("module", [sweep, startup])
def test_so_is_none_of_sweeps_and_starts(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for race in ("_AVERAGES", "_PYTHON"):
        mine, peer, *others = getattr(sweep, race)
        monkeypatch.setattr(sweep, race, (mine, replace(peer, target=ABSENT), *others))
    tasks = [replace(task, needs=task.needs and "no_such_peer") for task in startup._TASKS]
    monkeypatch.setattr(startup, "_TASKS", tasks)
    report = module.run(TINY)
    if module is sweep:
        peers = {"sweep_vs_vectorbt", "sweep_vs_vectorbt_python_strategy"}
        assert set(report.figures) == {"sweep_memory_growth", "sweep_dask_scaling"}
    else:
        peers = {"first_backtest_vs_plain"}
        assert set(report.figures) == {"import_vs_its_parts", "first_query_vs_plain"}
    assert set(report.untold) == peers


def test_a_run_says_which_peer_is_missing_and_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, peer = backtest._WARM
    monkeypatch.setattr(backtest, "_WARM", (mine, replace(peer, target=ABSENT)))
    monkeypatch.setattr(backtest, "_NEEDS", dict.fromkeys(backtest._NEEDS, "no_such_peer"))
    file = tmp_path / "backtest.json"
    assert main(["backtest", "--rounds", "5", "--json", str(file)], replace(TINY, rounds=5)) == 0
    out, said = capsys.readouterr()
    assert "_vs_" not in out
    assert "left out: vectorbt, Numba, cold cache: no_such_peer is not installed; make bench" in said
    assert "first_backtest_vs_numba: not told, for vectorbt is missing; make bench installs it" in said
    assert "backtest_vs_backtesting_py: not told, for backtesting.py is missing; make bench" in said
    assert json.loads(file.read_text())["untold"] == {
        "first_backtest_vs_numba": ["vectorbt, Numba, cold cache"],
        "backtest_vs_backtesting_py": ["backtesting.py"],
    }


def test_the_first_load_of_a_process_is_compared_with_arcticdbs_one_frame() -> None:
    seconds = {
        "workbench, warm": 1.0,
        "workbench, warm, first load of a process": 4.0,
        "ArcticDB (LMDB), one frame": 10.0,
        "ArcticDB (LMDB), read_batch": 6.0,
    }
    report = load._report(100, [{name: {"load": [taken]} for name, taken in seconds.items()}], {})
    assert report.figures == {"load_warm_vs_arcticdb": 6.0, "load_first_vs_arcticdb": 2.5}


def test_the_cold_ratio_is_the_median_of_three_runs() -> None:
    def taken(cold: float) -> load.Taken:
        seconds = {name: {"load": [10.0 + place]} for place, name in enumerate(load._DATABASES)}
        return {"workbench, cold": {"load": [cold]}, **seconds}

    report = load._report(100, [taken(5.0), taken(10.0), taken(2.0)], {"workbench, cold": 1.0})
    assert report.figures["load_cold_vs_best_peer"] == 2.0
    assert report.notes == ["load_cold_vs_best_peer is the median of 3 runs: 2.00, 1.00, 5.00"]


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"orders": 1}, r"a wrong peer places \d+ orders of signals"),
        ({"equity": 2e-6}, "a wrong peer comes to .* with signals"),
    ],
)
def test_a_backtest_that_trades_something_else_is_refused(
    wrong_peer: str, change: dict[str, float], refusal: str
) -> None:
    wrong = Candidate("a wrong peer", f"{wrong_peer}:trade", {"change": change})
    with pytest.raises(WrongResult, match=refusal):
        universe.run(TINY, [universe.PROJECT, wrong])


def test_the_last_lines_are_the_figures_and_the_file_holds_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "growth.json"
    assert main(["growth", "--rounds", "5", "--json", str(file)], replace(TINY, rounds=5)) == 0
    last = capsys.readouterr().out.splitlines()[-3:]
    stored = json.loads(file.read_text())
    names = ["growth_load", "growth_append", "growth_append_daily"]
    assert last == [f"{name}: {stored[name]:.3f}" for name in names]
    assert [row["bars in the table"] for row in stored["rows"]] == ["1,020", "3,020"]


@pytest.mark.parametrize("arguments", [["nonsense"], ["load", "--rounds", "4"], []])
def test_a_command_line_that_cannot_be_used_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2
