"""`python -m benchmarks NAME… [--json FILE]`: runs benchmarks, prints their tables, then their figures."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import os
import platform
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import BenchmarkSize, Report, WrongResult
from benchmarks.figures import families
from benchmarks.session import session_folder
from benchmarks.turns import CandidateFailed, say
from workbench.version import __version__

__all__ = ["BENCHMARKS", "main"]

BENCHMARKS: Mapping[str, str] = {
    "load": "a million bars from PostgreSQL into a DataFrame, and again through the cache",
    "write": "500,000 new bars into the table, idempotently, and the same bars again",
    "growth": "a symbol's year and a day's append as the table grows",
    "as_known": "bars as they were known, 1 % revised since, beside those of now",
    "lineage": "a row's run, cell and bars, and who read a series, among 100,000 runs",
    "sweep": "thousands of variants beside vectorbt, their memory, and a second Dask worker",
    "backtest": "one backtest beside backtesting.py, and the first of a process beside Numba's compiler",
    "universe": "backtests of one to 500 symbols beside vectorbt, and 3,000 symbols in one process",
    "notebook": "a notebook's run beside papermill's, and from a due slot to its first cell",
    "gates": "all gates of a promotion beside one run of the notebook",
    "startup": "what an import, a first query and a first backtest cost in a fresh process",
}
"""Every benchmark: a module of this package with a function `run(size)`, and what it measures."""

_FEWEST_ROUNDS = 5
_FULL_TABLES = (1_000_000, 10_000_000, 100_000_000)


def main(arguments: list[str] | None = None, size: BenchmarkSize | None = None) -> int:
    """Run what the command line names; 0, 1 for a candidate that fails, 2 for an unusable command line."""
    size = size or BenchmarkSize()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the project and its peers, in turns, in one run.",
        epilog="benchmarks: " + "; ".join(f"{name}: {what}" for name, what in BENCHMARKS.items()),
    )
    parser.add_argument("names", nargs="+", metavar="name", help=", ".join(BENCHMARKS))
    parser.add_argument(
        "--rounds", type=int, default=size.rounds, help=f"how many turns, {_FEWEST_ROUNDS} or more"
    )
    parser.add_argument("--full", action="store_true", help="let growth go on to 100 million bars")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was measured to FILE")
    given = parser.parse_args(arguments)
    for name in given.names:
        if name not in BENCHMARKS:
            parser.error(f"there is no benchmark {name!r}; there are: {', '.join(BENCHMARKS)}")
    if given.rounds < _FEWEST_ROUNDS:
        parser.error(f"--rounds {given.rounds}: a median needs {_FEWEST_ROUNDS} or more")
    size = dataclasses.replace(size, rounds=given.rounds)
    if given.full:
        size = dataclasses.replace(size, tables=_FULL_TABLES)
    reports: dict[str, Report] = {}
    for name in given.names:
        say(f"== {name}: {BENCHMARKS[name]}")
        try:
            reports[name] = importlib.import_module(f"benchmarks.{name}").run(size)
        except (CandidateFailed, WrongResult) as error:
            say(f"{name}: {error}")
            return 1
        _show_table(reports[name])
    if given.json is not None:
        documents = [_document(name, size, report) for name, report in reports.items()]
        given.json.write_text(json.dumps(documents[0] if len(documents) == 1 else documents, indent=2) + "\n")
    for report in reports.values():
        for figure, missing in report.untold.items():
            say(f"{figure}: not told, for {families(missing)} is missing; make bench installs it")
    for report in reports.values():
        for figure, value in report.figures.items():
            print(f"{figure}: {value:.3f}")
    return 0


def _document(name: str, size: BenchmarkSize, report: Report) -> dict[str, object]:
    return {
        "benchmark": name,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "workbench": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "rounds": size.rounds,
        "notes": list(report.notes),
        "untold": {figure: list(missing) for figure, missing in report.untold.items()},
        "rows": [dict(zip(report.columns, row, strict=True)) for row in report.rows],
        **report.figures,
    }


def _show_table(report: Report) -> None:
    shown = [list(report.columns), *([_cell(value) for value in row] for row in report.rows)]
    widths = [max(len(row[column]) for row in shown) for column in range(len(report.columns))]
    for row in shown:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        print("  ".join(cells).rstrip())
    for note in report.notes:
        print(note)
    print(flush=True)


def _cell(value: str | float | int | None) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else value


def _end(*_: object) -> None:
    """Have a SIGTERM stop the servers and delete their data, as an interrupt does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    with session_folder("bench"):
        sys.exit(main())
