"""What Tab offers in a fresh shell, before anything is opened."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

OFFERED = {
    "wb.": {"data_ingestion", "strategy_engine", "logging", "events", "runs", "ingest", "run", "promote"},
    "wb.s": {"sql", "sweep", "save", "strategy_engine", "settings"},
    "wb.research.": {"sweep", "honesty", "tearsheet", "save"},
    "wb.deployments.": {"promote", "trigger", "list"},
    "wb.data_ingestion.": {"load_market_data", "write_market_data", "load_ingestion_status"},
    "wb.strategy_engine.load_": {"load_strategies", "load_strategy_signals", "load_strategy_performance"},
    "wb.runs.": {"list", "show", "compare"},
    "workbench.backtest.": {"backtest", "sweep", "Signals"},
}


@pytest.fixture(scope="module")
def completed() -> dict[str, list[str]]:
    """What completion offers for each text, in a shell of its own: that is asked once for all of them."""
    program = (
        "import json\n"
        "from IPython.core.interactiveshell import InteractiveShell as Shell\n"
        "from IPython.core.completer import provisionalcompleter\n"
        "shell = Shell.instance()\n"
        "shell.run_cell('import workbench.backtest; from workbench import Workbench; wb = Workbench()')\n"
        "with provisionalcompleter():\n"
        "    print(json.dumps({\n"
        "        typed: [c.text for c in shell.Completer.completions(typed, len(typed))]\n"
        f"        for typed in {list(OFFERED)!r}\n"
        "    }))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )
    answers: dict[str, list[str]] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize("typed", OFFERED)
def test_tab_completion_teaches_the_api_before_anything_is_opened(
    completed: dict[str, list[str]], typed: str
) -> None:
    found = set(completed[typed])
    assert OFFERED[typed] <= found
    assert not found & {"pool", "start", "finish", "note_headline", "ledger", "walk", "annotations"}
    assert not found & {"session", "save_backtest", "save_sweep", "save_validation"}
