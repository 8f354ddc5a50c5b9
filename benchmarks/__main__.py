"""`python -m benchmarks NAME [--json FILE]`: runs one benchmark, prints its table, then its figures."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import Report
from workbench.version import __version__

__all__ = ["BENCHMARKS", "main"]

BENCHMARKS: Mapping[str, str] = {
    "startup": "what `from workbench import Workbench` costs, beside the libraries it stands on",
}
"""Every benchmark: a module of this package with a function `run(rounds)`, and what it measures."""

_FEWEST_ROUNDS = 5


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line names; 0, or 2 for a command line that cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure one thing and its peers, in turns, in one run.",
        epilog="benchmarks: " + "; ".join(f"{name}: {what}" for name, what in BENCHMARKS.items()),
    )
    parser.add_argument("name", help=", ".join(BENCHMARKS))
    parser.add_argument("--rounds", type=int, default=9, help=f"how many turns, {_FEWEST_ROUNDS} or more")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was measured to FILE")
    given = parser.parse_args(arguments)
    if given.name not in BENCHMARKS:
        parser.error(f"there is no benchmark {given.name!r}; there are: {', '.join(BENCHMARKS)}")
    if given.rounds < _FEWEST_ROUNDS:
        parser.error(f"--rounds {given.rounds}: a median needs {_FEWEST_ROUNDS} or more")
    report: Report = importlib.import_module(f"benchmarks.{given.name}").run(given.rounds)
    if given.json is not None:
        given.json.write_text(json.dumps(_document(given.name, given.rounds, report), indent=2) + "\n")
    _show(report)
    return 0


def _document(name: str, rounds: int, report: Report) -> dict[str, object]:
    return {
        "benchmark": name,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "workbench": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "rounds": rounds,
        "rows": [dict(zip(report.columns, row, strict=True)) for row in report.rows],
        **report.figures,
    }


def _show(report: Report) -> None:
    shown = [list(report.columns), *([_cell(value) for value in row] for row in report.rows)]
    widths = [max(len(row[column]) for row in shown) for column in range(len(report.columns))]
    for row in shown:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        print("  ".join(cells))
    for name, value in report.figures.items():
        print(f"{name}: {value:.3f}")


def _cell(value: str | float | int) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
