"""What the gates of a promotion cost beside one run of the same notebook."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import BenchmarkSize, Report, WrongResult
from benchmarks.turns import say
from workbench import Settings, Workbench
from workbench.headless.notebook_file import open_notebook
from workbench.project.modules import import_rules
from workbench.promotion.gates.floors import Floors
from workbench.promotion.gates.kernels import Kernels, Subject
from workbench.promotion.gates.passing import pass_gates
from workbench.stack import Stack
from workbench.stack.environment import settings_environment

__all__ = ["run"]

_NOTEBOOK = "strategies/sma_cross.ipynb"
_START = "2003-03-01"  # to the sample's end: ten years of daily bars
_ROUNDS = 3


def run(size: BenchmarkSize) -> Report:
    """Run the moving-average notebook once, and for all of its gates, by turns.

    The run is one as the gates make it, from a clean kernel, without a record or a page.
    """
    once, gates = list[float](), list[float]()
    with TemporaryDirectory(prefix="workbench-gates-", ignore_cleanup_errors=True) as folder:
        # The account that runs PostgreSQL must be able to enter.
        Path(folder).chmod(0o755)
        settings = Settings(home=Path(folder) / "home")
        try:
            say("starting the servers")
            with Workbench(settings) as wb:
                wb.ingest("AAPL", source="sample")
                file = open_notebook(_NOTEBOOK)
                values = file.parameters.complete(file.parameters.validate({"start": _START}))
                rules = import_rules(file.path.parent, settings.home)
                subject = Subject(file, values, rules, settings.home, settings_environment(settings))
                for number in range(min(size.rounds, _ROUNDS)):
                    begun = time.perf_counter()
                    with Kernels(subject, _quiet) as kernels:
                        kernels.result(kernels.start("once"))
                    once.append(time.perf_counter() - begun)
                    begun = time.perf_counter()
                    _, results = pass_gates(subject, Floors(), force=False, progress=_quiet)
                    gates.append(time.perf_counter() - begun)
                    if len(results[2].details["moments"]) < 3:
                        raise WrongResult("the notebook was cut at fewer than three moments")
                    say(f"round {number + 1}: one run {once[-1]:.1f} s, all gates {gates[-1]:.1f} s")
        finally:
            Stack(settings).down()
    return Report(
        columns=("", "median s"),
        rows=[("one run", statistics.median(once)), ("all gates, eight runs", statistics.median(gates))],
        figures={
            "gates_vs_one_run": statistics.median(gates) / statistics.median(once),
            "gates_seconds": statistics.median(gates),
        },
    )


def _quiet(step: str) -> None:
    """Ignore progress."""
