"""No run dies silently: what was killed is told within 90 s, tried again, and leaves no row.

`KILLS=50 pytest -o log_cli=1 --log-level=INFO tests/acceptance/test_killed_runs.py` kills more often than the
suite does, and tells of each; another `SEED` kills other things.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.acceptance.conftest import Site
from tests.acceptance.killing import TARGETS, Killing
from tests.acceptance.notebooks import write_notebook
from tests.servers import wait_for
from workbench.embedded.process import ManagedProcess, is_alive

KILLS = int(os.environ.get("KILLS", "6"))
SEED = int(os.environ.get("SEED", "13"))
AT_ONCE = min(KILLS, 6)

logger = logging.getLogger(__name__)

pytestmark = [pytest.mark.timeout(600 + 120 * KILLS)]


def test_runs_that_are_killed_at_random_moments_leave_nothing_and_are_told(site: Site) -> None:
    killing = Killing(site, deployments=AT_ONCE, seed=SEED)
    targets = [TARGETS[number % len(TARGETS)] for number in range(KILLS)]
    done = []
    for number in range(math.ceil(KILLS / AT_ONCE)):
        rounds = killing.round(targets[number * AT_ONCE : (number + 1) * AT_ONCE])
        killing.check(rounds)
        done += rounds
    for one in done:
        told = f"{one.target}, after {one.after:.1f} s: {len(one.killed)} killed, {one.running_for:.0f} s"
        logger.info(told)
    assert len(done) == KILLS
    assert sum(bool(one.killed) for one in done) >= KILLS / 2, "most of them hit something"


WRITING = """
import time
import pandas as pd
from workbench import Workbench
wb = Workbench()
for number in range(10_000):
    try:
        wb.strategy_engine.write_strategies(pd.DataFrame({{"strategy_id": [f"w{{number}}"], "name": ["w"]}}))
    except Exception as error:
        with open({said!r}, "w") as file:
            file.write(f"{{type(error).__name__}}: {{error}}")
        raise
    time.sleep(0.5)
"""


def _begin(site: Site, notebook: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "workbench.cli", "run", str(notebook)],
        cwd=site.folder,
        env=site.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _heartbeat(site: Site, cell: int) -> dict[str, object] | None:
    with site.workbench() as wb:
        found = wb.runs.list(status="running")
        if found.empty:
            return None
        record = wb.runs.show(found["run_id"].iloc[0])
    heartbeat = record["heartbeat"]
    ready = heartbeat is not None and heartbeat["cell"] == cell
    return {**heartbeat, "run_id": record["run_id"]} if ready else None


def test_a_run_whose_process_hangs_is_reaped_by_itself_and_ends_when_it_goes_on(site: Site) -> None:
    notebook = write_notebook(
        site.folder / "hung.ipynb", parameters="", cells=["import time\ntime.sleep(900)"]
    )
    with _begin(site, notebook) as command:
        beat = wait_for(lambda: _heartbeat(site, 1), "its cell runs", seconds=120)
        command.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        with site.workbench() as wb:
            wait_for(
                lambda: wb.runs.show(str(beat["run_id"]))["status"] == "crashed", "it is reaped", seconds=120
            )
            assert time.monotonic() - stopped < 100
            assert "hangs: no heartbeat for" in wb.runs.show(str(beat["run_id"]))["error"]
        wait_for(lambda: not is_alive(int(str(beat["kernel_pid"]))), "its kernel is ended")
        command.send_signal(signal.SIGCONT)
        assert command.wait(60) == 1


def test_a_run_that_was_taken_for_dead_writes_nothing_more(site: Site) -> None:
    """As if its machine could not be reached: its kernel is alive, and its next write is refused."""
    said = site.folder / "said"
    notebook = write_notebook(
        site.folder / "far.ipynb", parameters="", cells=[WRITING.format(said=str(said))]
    )
    with _begin(site, notebook) as command:
        beat = wait_for(lambda: _heartbeat(site, 1), "its cell runs", seconds=120)
        command.send_signal(signal.SIGSTOP)
        with site.workbench() as wb, wb.runs.pool.begin() as connection:
            connection.exec_driver_sql(
                f"UPDATE workbench.heartbeats SET boot = 'elsewhere' WHERE run_id = '{beat['run_id']}'"
            )
        wait_for(said.exists, "a write is refused", seconds=120)
        assert said.read_text().startswith(("RunFenced: ", "ServerUnreachable: "))
        with site.workbench() as wb:
            written = set(wb.strategy_engine.load_strategies()["strategy_id"])
            record = wb.runs.show(str(beat["run_id"]))
        assert record["status"] == "crashed"
        assert "has sent no heartbeat for" in record["error"]
        command.send_signal(signal.SIGCONT)
        _, errors = command.communicate(timeout=60)
        assert command.returncode == 1
        assert "declared dead" in errors or "its run is over" in errors or "failed in cell 1" in errors
    with site.workbench() as wb:
        assert set(wb.strategy_engine.load_strategies()["strategy_id"]) == written


def test_a_run_outlives_a_postgresql_that_is_killed_in_its_middle(site: Site) -> None:
    go = site.folder / "go"
    cells = [
        f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists():\n    time.sleep(0.1)",
        (
            "import pandas as pd\nfrom workbench import Workbench\n"
            "frame = pd.DataFrame({'strategy_id': ['after'], 'name': ['a']})\n"
            "Workbench().strategy_engine.write_strategies(frame)"
        ),
    ]
    notebook = write_notebook(site.folder / "outlives.ipynb", parameters="", cells=cells)
    with _begin(site, notebook) as command:
        beat = wait_for(lambda: _heartbeat(site, 1), "its cell runs", seconds=120)
        pid = ManagedProcess("postgres", site.home).pid()
        assert pid is not None
        psutil.Process(pid).kill()

        def beats_again() -> bool:
            try:
                now = _heartbeat(site, 1)
            except Exception:  # noqa: BLE001 - the server is away
                return False
            return bool(now and now["beat_at"] > beat["beat_at"])

        wait_for(beats_again, "it beats again", seconds=120)
        go.touch()
        _, errors = command.communicate(timeout=120)
        assert command.returncode == 0, errors
    with site.workbench() as wb:
        assert wb.runs.show(str(beat["run_id"]))["status"] == "completed"
