"""Runs of notebooks in JupyterLab: closed when their kernel died, and begun anew when that was wrong."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pandas as pd
import pytest

from workbench import Workbench
from workbench.errors import WorkbenchWarning
from workbench.runs import InteractiveRun
from workbench.settings import Settings
from workbench.stack.environment import settings_environment

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

STRATEGY = pd.DataFrame({"strategy_id": ["s"], "name": ["S"]})
DAY = pd.DataFrame({"strategy_id": ["s"], "date": [pd.Timestamp("2024-01-01")], "returns": [0.1]})
KERNEL = """
import os, sys, time
import pandas as pd
from workbench import Workbench
wb = Workbench()
wb.strategy_engine.write_strategies(pd.DataFrame({"strategy_id": ["s"], "name": ["S"]}))
if os.fork() == 0:
    sys.exit()  # with all that is registered for an exit
os.wait()
print(wb.run_id, flush=True)
time.sleep(600)
"""


def test_a_kernel_that_was_killed_is_closed_and_a_forks_end_is_not_its_own(
    wb: Workbench, database_settings: Settings, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        **settings_environment(database_settings),
        "JPY_SESSION_NAME": str(tmp_path / "research.ipynb"),
    }
    with subprocess.Popen(
        [sys.executable, "-c", KERNEL], env=environment, stdout=subprocess.PIPE, text=True
    ) as kernel:
        assert kernel.stdout is not None
        run_id = uuid.UUID(kernel.stdout.readline().strip())
        assert wb.runs.show(run_id)["status"] == "running"
        assert wb.runs.show(run_id)["heartbeat"]["pid"] == kernel.pid
        assert wb.runs.reap() == []
        kernel.send_signal(signal.SIGKILL)
    (done,) = wb.runs.reap()
    assert done.run_id == str(run_id)
    record = wb.runs.show(run_id)
    assert (record["status"], record["trigger"]) == ("crashed", "interactive")
    assert "is gone" in record["error"]


def test_a_notebook_that_was_taken_for_dead_goes_on_in_another_run(
    another_wb: Workbench, database_settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As after a night of a machine that slept: its clock says that it was silent."""
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "research.ipynb"))
    with Workbench(database_settings) as notebook:
        notebook.strategy_engine.write_strategies(STRATEGY)
        first = notebook.run_id
        another_wb.runs.finish(uuid.UUID(str(first)), "crashed", error="no heartbeat for 8 hours")
        scope = notebook.session.run
        assert isinstance(scope, InteractiveRun)
        # This process is no kernel: at its end there is nothing to record.
        atexit.unregister(scope._end)
        assert scope._heartbeat is not None
        scope._heartbeat._told = time.time() - 8 * 3600
        with pytest.warns(WorkbenchWarning, match="was ended by others .*no heartbeat for 8 hours"):
            notebook.strategy_engine.write_strategy_performance(DAY)
        second = notebook.run_id
        assert second != first
    stored = another_wb.strategy_engine.load_strategy_performance()
    assert stored["run_id"].tolist() == [str(second)]
    assert another_wb.runs.show(str(first))["status"] == "crashed"
    assert another_wb.runs.show(str(second))["status"] == "running"
