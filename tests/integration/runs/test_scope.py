"""On whose behalf a process writes: the run it was given, an interactive one, or none."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import uuid
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from tests.integration.conftest import MakeBars
from workbench import Workbench
from workbench.errors import SettingsError
from workbench.runs.notebook import notebook_sha256
from workbench.settings import Settings

# What PostgreSQL 15 may do differently lies beneath this, and is tested there.
pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

DAY = pd.DataFrame({"strategy_id": ["s"], "date": [pd.Timestamp("2024-01-01")], "returns": [0.1]})
STRATEGY = pd.DataFrame({"strategy_id": ["s"], "name": ["S"]})


def test_a_script_writes_outside_of_any_run(wb: Workbench) -> None:
    wb.strategy_engine.write_strategies(STRATEGY)
    wb.strategy_engine.write_strategy_performance(DAY)
    assert wb.run_id is None
    assert wb.strategy_engine.load_strategy_performance()["run_id"].isna().all()
    assert wb.runs.list().empty


def test_a_headless_notebook_writes_for_the_run_it_was_given(
    wb: Workbench, database_settings: Settings, make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = wb.runs.start(notebook="a.ipynb", trigger="command")
    wb.data_ingestion.write_market_data(make_bars(), source="file")
    monkeypatch.setenv("WORKBENCH_RUN_ID", str(run_id))
    monkeypatch.setenv("JPY_SESSION_NAME", "other.ipynb")
    with Workbench(database_settings) as kernel:
        assert kernel.run_id == run_id
        kernel.data_ingestion.load_market_data("AAPL")
        kernel.strategy_engine.write_strategies(STRATEGY)
        kernel.strategy_engine.write_strategy_performance(DAY)
    assert wb.runs.show(run_id)["data_revisions"] == {"file/AAPL": 1}
    assert len(wb.strategy_engine.load_strategy_performance(run_id=run_id)) == 1
    assert len(wb.runs.list()) == 1


def test_an_id_that_is_none_is_named(database_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_RUN_ID", "not-a-run")
    kernel = Workbench(database_settings)
    with pytest.raises(SettingsError, match="WORKBENCH_RUN_ID: 'not-a-run' is not a run's id"):
        _ = kernel.run_id


KERNEL = """
import pandas as pd
import rule
from workbench import Workbench

wb = Workbench()
bars = wb.data_ingestion.load_market_data("AAPL", source="file")
assert wb.runs.list().empty, "reading alone begins no run"
wb.strategy_engine.write_strategies(pd.DataFrame({"strategy_id": ["s"], "name": ["S"]}))
assert wb.runs.list()["status"].tolist() == ["running"]
wb.data_ingestion.load_market_data("IBM")
print(wb.run_id)
"""


def test_an_interactive_run_begins_with_the_first_write_and_ends_with_its_process(
    wb: Workbench, database_settings: Settings, make_bars: MakeBars, tmp_path: Path
) -> None:
    for symbol in ("AAPL", "IBM"):
        wb.data_ingestion.write_market_data(make_bars(symbol), source="file")
    notebook = tmp_path / "research.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")]), notebook)
    (tmp_path / "workbench.toml").touch()
    (tmp_path / "rule.py").touch()
    assert database_settings.database_url is not None
    assert database_settings.redis_url is not None
    environment = {
        **os.environ,
        "JPY_SESSION_NAME": str(notebook),
        "WORKBENCH_PROJECT": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
        "WORKBENCH_HOME": str(database_settings.home),
        "WORKBENCH_DATABASE_URL": database_settings.database_url.get_secret_value(),
        "WORKBENCH_REDIS_URL": database_settings.redis_url.get_secret_value(),
    }
    done = subprocess.run(
        [sys.executable, "-c", KERNEL], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    run = wb.runs.show(uuid.UUID(done.stdout.strip()))
    assert (run["trigger"], run["status"], run["notebook"]) == ("interactive", "completed", str(notebook))
    assert run["notebook_sha256"] == notebook_sha256(notebook)
    assert run["data_revisions"] == {"file/AAPL": 1, "file/IBM": 1}
    assert run["modules"] == {"rule.py": hashlib.sha256(b"").hexdigest()}
