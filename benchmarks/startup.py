"""What `from workbench import Workbench` costs, beside an import of the libraries that it stands on."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

from benchmarks import Report

__all__ = ["run"]

_PARTS = "import pandas, sqlalchemy, psycopg"
_STATEMENTS = ("from workbench import Workbench", _PARTS)
# The statement alone is timed: the interpreter's own start is the same for both.
_PROGRAM = """
import json, time
wall, cpu = time.perf_counter(), time.process_time()
{statement}
print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]))
"""


def run(rounds: int) -> Report:
    """Time each statement in `rounds` fresh processes, in turns, so that both see the same machine.

    The order changes with each round, and one round before the first fills the caches and is not counted.
    """
    seconds: dict[str, list[tuple[float, float]]] = {statement: [] for statement in _STATEMENTS}
    for number in range(rounds + 1):
        for statement in _STATEMENTS if number % 2 else reversed(_STATEMENTS):
            taken = _seconds(statement)
            if number:
                seconds[statement].append(taken)
    rows = []
    for statement, measured in seconds.items():
        wall, cpu = [one for one, _ in measured], [one for _, one in measured]
        median, cpu_median = statistics.median(wall), statistics.median(cpu)
        rows.append((statement, median * 1e3, min(wall) * 1e3, cpu_median * 1e3, len(measured)))
    medians = {str(row[0]): float(row[1]) for row in rows}
    whole, parts = (medians[statement] for statement in _STATEMENTS)
    return Report(
        columns=("statement", "median ms", "fastest ms", "median CPU ms", "processes"),
        rows=rows,
        figures={"import_vs_its_parts": whole / parts},
    )


def _seconds(statement: str) -> tuple[float, float]:
    """Wall-clock and processor seconds of one statement in a process of its own."""
    done = subprocess.run(
        # Isolated: what the shell has set, or the folder we are in, changes neither side.
        [sys.executable, "-I", "-c", _PROGRAM.format(statement=statement)],
        capture_output=True,
        text=True,
        check=True,
    )
    wall, cpu = json.loads(done.stdout)
    return wall, cpu
