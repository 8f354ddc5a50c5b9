"""Each benchmark runs from end to end at a tiny size, refuses wrong values, and says what it leaves out."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import BenchmarkSize, Report, WrongResult
from benchmarks.__main__ import BENCHMARKS, main
from benchmarks.load import PROJECT
from benchmarks.turns import Candidate

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
)

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


@pytest.fixture
def wrong_peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that the children find, and that holds peers which are wrong."""
    (tmp_path / "wrong_peer.py").write_text(WRONG_LOAD + WRONG_WRITE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "wrong_peer"


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("load", {"load_cold_vs_best_peer", "load_warm_vs_best_db_peer", "load_peak_memory"}),
        ("write", {"write_vs_handwritten_copy", "write_vs_to_sql", "rewrite_vs_write"}),
        ("growth", {"growth_load", "growth_append", "growth_append_daily"}),
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
        ("startup", {"import_vs_its_parts", "first_query_vs_plain", "first_backtest_vs_plain"}),
    ],
)
def test_a_benchmark_runs_from_end_to_end_and_reports_its_figures(name: str, figures: set[str]) -> None:
    report: Report = importlib.import_module(f"benchmarks.{name}").run(TINY)
    # Compared with ArcticDB only where `make bench` has made its environment.
    assert set(report.figures) - {"load_warm_vs_arcticdb"} == figures
    assert all(value > 0 for value in report.figures.values())
    assert all(len(row) == len(report.columns) for row in report.rows)


def test_every_benchmark_that_can_be_named_is_tested_here() -> None:
    assert list(BENCHMARKS) == ["load", "write", "growth", "sweep", "backtest", "startup"]


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
    assert "left out: not installed: no_such_peer is not installed" in said
    assert not {"of another environment", "not installed"} & {str(row[0]) for row in report.rows}
    assert set(report.figures) == {"load_peak_memory"}


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
