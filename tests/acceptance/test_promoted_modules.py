"""What was promoted is what runs: in a project, by a schedule that fires by itself, after edits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Site, end_site, make_site
from tests.acceptance.notebooks import write_notebook
from tests.servers import wait_for
from workbench.project.create import create_project

pytestmark = [pytest.mark.timeout(600)]

CELLS = [
    "import importlib, pathlib\nimport pandas as pd",
    "from workbench import Workbench, project_file\nwb = Workbench()",
    "from strategies.rule import SAID\nuniverse = project_file('data/universe.csv').read_text()",
    (
        "frame = pd.DataFrame({'strategy_id': ['mine'], 'name': [f'{SAID} on {universe}']})\n"
        "wb.strategy_engine.write_strategies(frame)"
    ),
    "if pathlib.Path(late).exists():\n    importlib.import_module('re' 'ports.daily')",
]


@pytest.fixture(scope="module")
def project() -> Iterator[Site]:
    """A project, as `workbench init` makes it, with everything up."""
    site = make_site()
    create_project(site.folder)
    try:
        assert site.run("up", "--detach").returncode == 0
        yield site
    finally:
        end_site(site)


def completed_since(site: Site, moment: datetime, status: str) -> list[dict[str, Any]]:
    """The records of runs for slots after that moment."""
    with site.workbench() as wb:
        listed = wb.runs.list(latest=100, status=status)["run_id"]
        records = [wb.runs.show(run_id) for run_id in listed]
    return [record for record in records if record["scheduled_for"] and record["scheduled_for"] > moment]


def names(site: Site) -> list[str]:
    with site.workbench() as wb:
        return list(wb.strategy_engine.load_strategies("mine")["name"])


def test_the_schedule_runs_the_rule_and_the_file_that_were_promoted(project: Site, tmp_path: Path) -> None:
    rule, universe = project.folder / "strategies" / "rule.py", project.folder / "data" / "universe.csv"
    universe.parent.mkdir()
    rule.write_text("SAID = 'as promoted'")
    universe.write_text("AAPL")
    late = tmp_path / "late"
    write_notebook(
        project.folder / "notebooks" / "own.ipynb", parameters=f"late: str = {str(late)!r}", cells=CELLS
    )
    promoted = project.ask(
        *("promote", "own", "--name", "own", "--cron", "* * * * *", "--timezone", "UTC"),
        *("--file", "data/universe.csv"),
    )
    assert promoted["modules"] == ["strategies/__init__.py", "strategies/breakout.py", "strategies/rule.py"]
    assert promoted["files"] == ["data/universe.csv"]
    # The run that found the modules left no row.
    before = datetime.now(UTC)
    rule.write_text("SAID = 'as edited'")
    universe.write_text("IBM")
    (run, *_) = wait_for(
        lambda: completed_since(project, before, "completed"), "the schedule has fired", seconds=150
    )
    assert names(project) == ["as promoted on AAPL"]
    assert (run["deployment"], run["version_sha256"]) == ("own", promoted["sha256"])
    shown = project.ask("runs", "show", run["run_id"])
    assert sorted(shown["modules"]) == promoted["modules"]
    assert list(shown["files"]) == ["data/universe.csv"]
    page = Path(run["html_path"]).read_text()
    assert "strategies/rule.py" in page
    # By hand it is the working tree that runs.
    by_hand = project.ask("runs", "show", project.ask("run", "own")["run_id"])
    edited = hashlib.sha256(rule.read_bytes()).hexdigest()
    assert by_hand["modules"]["strategies/rule.py"] == edited != run["modules"]["strategies/rule.py"]
    # What nobody promoted is not found in the project, either.
    (project.folder / "reports").mkdir()
    (project.folder / "reports" / "__init__.py").touch()
    (project.folder / "reports" / "daily.py").touch()
    late.touch()
    added = datetime.now(UTC)
    (failed, *_) = wait_for(
        lambda: completed_since(project, added, "failed"), "the schedule has fired again", seconds=150
    )
    assert "reports is a module of the project that was not promoted with the notebook" in failed["error"]
