"""What `wb.deployments` tells of deployments without Prefect: the list, one, its versions, what differs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.integration.conftest import MakeBars
from tests.integration.live.conftest import Kernel, bars_of, kernel, say
from tests.integration.promotion.conftest import Project
from workbench import Workbench
from workbench.errors import NotDeployed, QueryError
from workbench.headless.notebook_file import NotebookFile
from workbench.promotion.contents import Contents
from workbench.promotion.store import NotebookStore
from workbench.runs.locks import RunLocks, resource_lock
from workbench.runs.packages import installed_packages
from workbench.runs.versions import DeploymentVersion
from workbench.settings import Settings

__all__ = ["kernel"]

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

VERSION = DeploymentVersion(
    deployment="nightly",
    notebook="study.ipynb",
    content=None,
    parameters={"fast": 20},
    options={
        "timeout_seconds": 60.0,
        "memory_limit": None,
        "retries": 2,
        "retry_on": "away",
        "locks": ["gpu"],
    },
    schedule={"kind": "cron", "cron": "30 17 * * mon-fri", "timezone": "America/New_York"},
    code_version="0.1.0",
    evidence=[{"gate": "headless", "outcome": "passed", "summary": "ran in 2 s"}],
    note="as researched",
)


def stored(wb: Workbench, settings: Settings, path: Path, **changes: Any) -> DeploymentVersion:
    store = NotebookStore(settings.store_folder, Contents(wb.session.pool("runs")))
    return wb.runs.versions.add(
        replace(VERSION, content=store.add(NotebookFile.read(path)).sha256, **changes)
    )


def test_the_list_says_how_each_stands_what_it_said_and_when_it_runs_next(
    wb: Workbench,
    kernel: Kernel,
) -> None:
    for name in ("nightly", "idle", "old"):
        wb.runs.versions.use(name, wb.runs.versions.add(replace(VERSION, deployment=name)).version)
    wb.runs.versions.set_state("old", "retired", "nobody trades it")
    run = kernel("2026-11-25")
    say(run, bars_of({"AAPL": [100.0, 101.0], "IBM": [50.0, 49.0, 51.0], "MSFT": [30.0, 30.0, 30.0]}))
    listed = wb.deployments.list().set_index("name")
    assert listed.index.tolist() == ["idle", "nightly", "old"]
    assert listed["state"].tolist() == ["active", "active", "retired"]
    assert listed["version"].tolist() == [1, 1, 1]
    idle, one, old = listed.to_dict("records")
    assert (one["outcome"], one["last_slot"]) == ("completed", pd.Timestamp("2026-11-25 22:00Z"))
    assert one["run_id"] == str(run.run_id)
    said = wb.strategy_engine.load_strategy_signals(deployment="nightly")["signal"].value_counts()
    assert {name: one[name] for name in ("buy", "sell", "hold") if one[name]} == said.to_dict()
    assert one["schedules"] == "30 17 * * mon-fri (America/New_York)"
    assert one["next_run"].tz_convert("America/New_York").strftime("%H:%M") == "17:30"
    assert timedelta(0) < one["next_run"] - datetime.now(UTC) <= timedelta(days=4)
    assert pd.isna(idle["outcome"])
    assert (idle["buy"], idle["sell"], idle["hold"]) == (0, 0, 0)
    assert pd.isna(old["next_run"])
    # What only Prefect knows is not made up.
    assert listed["late"].isna().all()
    assert listed["problem"].isna().all()


def test_the_next_moments_are_those_of_the_schedule(wb: Workbench) -> None:
    wb.runs.versions.use("nightly", wb.runs.versions.add(VERSION).version)
    found = wb.deployments.next("nightly", 12)
    local = found["slot"].dt.tz_convert("America/New_York")
    assert len(found) == 12
    assert set(local.dt.strftime("%H:%M")) == {"17:30"}
    assert local.dt.day_of_week.max() == 4
    assert found["slot"].is_monotonic_increasing
    assert found["local"].str.endswith(" America/New_York").all()
    wb.runs.versions.set_state("nightly", "paused")
    assert wb.deployments.next("nightly").empty
    with pytest.raises(QueryError, match="count=0: expected 1 or more"):
        wb.deployments.next("nightly", 0)
    with pytest.raises(NotDeployed, match=r"no versions of nightyl .did you mean nightly"):
        wb.deployments.next("nightyl")


def test_show_tells_all_of_one_and_what_is_amiss(
    wb: Workbench, database_settings: Settings, project: Project, make_bars: MakeBars
) -> None:
    path = project.notebook("fast", parameters="fast: int = 1")
    version = stored(
        wb, database_settings, path, packages={**installed_packages(), "numpy": "1.0", "gone": "2"}
    )
    wb.runs.versions.use("nightly", version.version)
    shown = wb.deployments.show("nightly")
    assert shown.problems == ()
    assert shown.packages == (
        "gone is gone, was 2",
        f"numpy {installed_packages()['numpy']}, was 1.0",
    )
    text = dict(shown.rows())
    assert text["gate headless"] == "passed: ran in 2 s"
    assert text["note"] == "as researched"
    assert text["parameter fast"] == "20"
    assert text["locks"] == "['gpu']"
    assert len(shown.next) == 5
    assert "as researched" in shown._repr_html_()
    # A series that is read, that nothing ingests, and that is old; a notebook that has gone; a lock.
    wb.data_ingestion.write_market_data(make_bars("AAPL"), source="file")
    run_id = wb.runs.start(notebook="study.ipynb", trigger="deployment", deployment="nightly")
    wb.runs.note_revisions(run_id, {"file/AAPL": 1})
    path.unlink()
    locks = RunLocks(wb.session.pool("runs"), run_id)
    assert locks.take(resource_lock("gpu"), patience=0) is None
    try:
        problems = wb.deployments.show("nightly").problems
    finally:
        locks.close()
    assert len(problems) == 3
    assert "study.ipynb has gone from the project; what was promoted of it still runs" in problems
    assert f"the lock gpu is held by run {run_id}" in problems
    assert "it reads series that no deployment ingests and that lack newer bars: file/AAPL" in problems[1]
    # One that a deployment ingests is looked after.
    ingest = replace(VERSION, deployment="prices", content=None, parameters={"symbols": ["AAPL"]})
    wb.runs.versions.use("prices", wb.runs.versions.add(ingest).version, kind="ingest")
    assert len(wb.deployments.show("nightly").problems) == 1


def test_diff_tells_cells_parameters_and_packages(
    wb: Workbench, database_settings: Settings, project: Project
) -> None:
    before = project.notebook("import this", "fast", "print(fast)", parameters="fast: int = 1")
    stored(wb, database_settings, before, packages={"numpy": "1.0", "same": "1"})
    after = project.notebook("fast * 2", "print(fast)", "'<new>'", parameters="fast: int = 1")
    two = stored(
        wb,
        database_settings,
        after,
        parameters={"fast": 30, "slow": 5},
        packages={"numpy": "2.0", "same": "1"},
        schedule={**VERSION.schedule, "cron": "0 6 * * *"},
        options={**VERSION.options, "retries": 0},
    )
    wb.runs.versions.use("nightly", two.version)
    diff = wb.deployments.diff("nightly")
    assert (diff.before, diff.now, diff.same) == (1, 2, False)
    assert [one.what for one in diff.sources] == ["cell 2", "cell 3 (gone)", "cell 4 (new)"]
    assert diff.sources[0].lines[1:] == ("-import this", "+fast * 2")
    rows = diff.differences.astype(object).to_numpy().tolist()
    assert rows == [
        ["parameter", "fast", "20", "30"],
        ["parameter", "slow", None, "5"],
        ["option", "retries", "2", "0"],
        ["schedule", "", "30 17 * * mon-fri (America/New_York)", "0 6 * * * (America/New_York)"],
        ["package", "numpy", "1.0", "2.0"],
    ]
    assert "+'<new>'" in str(diff)
    assert "&lt;new&gt;" in diff._repr_html_()
    assert "<new>" not in diff._repr_html_()
    assert wb.deployments.diff("nightly", 2, 2).same
    versions = wb.deployments.versions("nightly")
    assert versions[["version", "use", "made"]].to_numpy().tolist() == [
        [2, "in use", "promoted"],
        [1, "", "promoted"],
    ]
