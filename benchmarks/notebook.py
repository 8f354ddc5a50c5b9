"""What running a notebook costs beside plain papermill, and how soon a due slot's first cell runs."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from benchmarks import BenchmarkSize, Report
from benchmarks.turns import CandidateFailed, say, take_turns
from workbench import Settings, Workbench
from workbench.stack import Stack

__all__ = ["run"]

_MINE, _PLAIN = "workbench run", "papermill"
_ROUNDS = 5
"""A run of a notebook is long beside what differs from one to the next."""
_MARK = "first cell at"
_WORK = """import time
begun = time.perf_counter()
while time.perf_counter() - begun < seconds:
    sum(range(1_000))"""
# What a worker's process has imported when it comes to our flow, and then our flow.
_IMPORT_FLOW = """
import time
import prefect, prefect.flow_engine, prefect.runtime, prefect.client.orchestration
begun = time.perf_counter()
import flows.run_notebook
print(time.perf_counter() - begun)
"""


def run(size: BenchmarkSize) -> Report:
    """Run one notebook by both, in whole processes by turns; then have a schedule fire.

    The notebook works for `size.notebook_seconds`, and nothing else. Ours checks its parameters, records the
    run with what it read and imported, and makes a page; papermill writes the notebook with its outputs.

    From a slot to the first cell: Prefect's part is from the slot to its own "running", less the import of
    our flow, which lies within; ours is that import, and what comes between "running" and the cell.
    """
    rows: list[tuple[str | float | None, ...]] = []
    ratios: list[float] = []
    with _site() as site:
        for seconds in size.notebook_seconds:
            path = site.notebook(f"work_{seconds:g}", f"seconds: float = {seconds}", [_WORK])
            taken = take_turns(min(size.rounds, _ROUNDS), [_MINE, _PLAIN], site.timing(path))
            wall, cpu = (
                {name: statistics.median(taken[name][what]) for name in taken} for what in ("wall", "cpu")
            )
            rows += [(f"{name}, {seconds:g} s of work", wall[name], cpu[name]) for name in wall]
            ratios += [wall[_MINE] / wall[_PLAIN], cpu[_MINE] / cpu[_PLAIN]]
        slots = site.watch(size.slots)
        ours = [of["import"] + of["cell"] - of["running"] for of in slots]
        theirs = [of["running"] - of["import"] for of in slots]
    rows.append(("from the slot to the first cell: ours", statistics.median(ours), None))
    rows.append(("from the slot to the first cell: Prefect's", statistics.median(theirs), None))
    return Report(
        columns=("whole processes", "median s", "median CPU s"),
        rows=rows,
        figures={
            "notebook_overhead_vs_papermill": max(ratios),
            "slot_to_first_cell_seconds": statistics.median(ours) + statistics.median(theirs),
            "slot_to_first_cell_our_seconds": statistics.median(ours),
        },
        notes=["notebook_overhead_vs_papermill is the largest of the ratios of wall-clock and CPU seconds"],
    )


@dataclass(frozen=True)
class _Site:
    """A home with everything up, and a folder for notebooks."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        return {**kept, "WORKBENCH_HOME": str(self.home)}

    def notebook(self, name: str, parameters: str, cells: Sequence[str]) -> Path:
        document = new_notebook(
            cells=[
                new_code_cell(parameters, metadata={"tags": ["parameters"]}),
                *(new_code_cell(source) for source in cells),
            ],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        path = self.folder / f"{name}.ipynb"
        nbformat.write(document, path)
        return path

    def timing(self, path: Path) -> Callable[[str, int], dict[str, float]]:
        """What takes one turn with a notebook."""
        return lambda name, _number: self._time(name, path)

    def _time(self, name: str, path: Path) -> dict[str, float]:
        """Wall-clock and CPU seconds of a whole process, and of all that it started."""
        words = {
            _MINE: ["-m", "workbench.cli", "run", str(path)],
            _PLAIN: ["-m", "papermill", "--no-progress-bar", str(path), str(self.folder / "out.ipynb")],
        }[name]
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        self.run(words)
        wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
        return {"wall": wall, "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}

    def run(self, words: Sequence[str]) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env={**self.environment(), "PYTHONPATH": str(Path(__file__).parents[1])},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CandidateFailed(f"{' '.join(words)}: {done.stderr[-2_000:]}")
        return done.stdout

    def watch(self, count: int) -> list[dict[str, float]]:
        """Have a schedule fire each minute; when each run was running, and its first cell, after the slot."""
        path = self.notebook("slot", "", [f"import time\nprint('{_MARK}', time.time())"])
        loading = statistics.median(float(self.run(["-c", _IMPORT_FLOW])) for _ in range(3))
        with Workbench(Settings(home=self.home)) as wb:
            deployment = wb.promote(
                str(path), name="first-cell", cron="* * * * *", timezone="UTC", force="it reads no bars"
            )
            prefect = wb.deployments._session.prefect()
            begun = datetime.now(UTC)
            found: dict[str, dict[str, float]] = {}
            while len(found) < count:
                if datetime.now(UTC) - begun > timedelta(minutes=count + 5):
                    raise CandidateFailed(f"the schedule ran {len(found)} of {count} slots")
                time.sleep(5)
                for one in _completed(prefect, deployment.deployment_id, begun):
                    slot = datetime.fromisoformat(one["expected_start_time"])
                    running = datetime.fromisoformat(one["start_time"])
                    record = _record(wb, one["id"])
                    if record is not None and one["id"] not in found:
                        found[one["id"]] = {
                            "import": loading,
                            "running": (running - slot).total_seconds(),
                            "cell": _first_cell(Path(record["output_path"])) - slot.timestamp(),
                        }
                        say(f"slot {len(found)} of {count}: {found[one['id']]}")
            return list(found.values())


_FOREIGN = ("WORKBENCH_", "PREFECT_", "JPY_")


@contextmanager
def _site() -> Iterator[_Site]:
    with TemporaryDirectory(prefix="workbench-notebook-", ignore_cleanup_errors=True) as folder:
        # The account that runs PostgreSQL must be able to enter.
        Path(folder).chmod(0o755)
        site = _Site(Path(folder))
        try:
            say("starting the servers")
            site.run(["-m", "workbench.cli", "up", "--detach"])
            yield site
        finally:
            Stack(Settings(home=site.home)).down()


def _completed(prefect: Any, deployment_id: str, begun: datetime) -> list[Mapping[str, Any]]:
    wanted = {
        "deployments": {"id": {"any_": [deployment_id]}},
        "flow_runs": {
            "state": {"type": {"any_": ["COMPLETED"]}},
            "expected_start_time": {"after_": begun.isoformat()},
        },
    }
    return list(prefect.ask("/flow_runs/filter", wanted))


def _record(wb: Workbench, flow_run_id: str) -> Mapping[str, Any] | None:
    """The record of the run that a flow run made."""
    for run_id in wb.runs.list(latest=20)["run_id"]:
        record = wb.runs.show(run_id)
        if str(record["flow_run_id"]) == flow_run_id and record["status"] == "completed":
            return record
    return None


def _first_cell(output: Path) -> float:
    """The moment that the notebook's first cell printed, seconds since 1970."""
    document = json.loads(output.read_text(encoding="utf-8"))
    texts = (
        "".join(one["text"])
        for cell in document["cells"]
        for one in cell.get("outputs", ())
        if one["output_type"] == "stream" and one["name"] == "stdout"
    )
    return float(next(text for text in texts if _MARK in text).split()[-1])
