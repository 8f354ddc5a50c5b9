"""Past slots are run in order, as backtests or as shadows, and what was said live stays untouched."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.acceptance.notebooks import write_notebook
from tests.integration.conftest import MakeBars
from workbench import Workbench
from workbench.errors import NotDeployed, SlotRefused
from workbench.headless.notebook_file import open_notebook
from workbench.promotion.contents import Contents
from workbench.promotion.store import NotebookStore
from workbench.runs.versions import DeploymentVersion
from workbench.schedules import Cron

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

NAMING = """
import pandas as pd
from workbench import Workbench

wb = Workbench()
if slot.day == 2:
    raise RuntimeError("told to fail")
bars = wb.data_ingestion.load_market_data("AAPL", source="file")
wb.strategy_engine.write_strategies(
    pd.DataFrame({"strategy_id": [f"{slot:%m-%d}"], "name": [str(len(bars))]})
)
"""


@pytest.fixture
def deployed(wb: Workbench, tmp_path: Path, make_bars: MakeBars) -> str:
    """A notebook that stores how many bars were complete at its slot; it fails on the second."""
    wb.data_ingestion.write_market_data(make_bars("AAPL", days=10, start="2026-01-01"), source="file")
    path = write_notebook(
        tmp_path / "naming.ipynb",
        parameters="from datetime import datetime\nslot: datetime | None = None",
        cells=[NAMING],
    )
    store = NotebookStore(wb.settings.store_folder, Contents(wb.runs.pool))
    stored = store.add(open_notebook(path), {}, {})
    new = DeploymentVersion(
        deployment="daily",
        notebook="naming.ipynb",
        content=stored.sha256,
        parameters={"slot": None},
        options={
            "timeout_seconds": 60.0,
            "memory_limit": None,
            "retries": 0,
            "retry_on": "away",
            "locks": [],
        },
        schedule=Cron("30 22 * * *", "UTC").to_json(),
        code_version="1",
    )
    wb.runs.versions.use("daily", wb.runs.versions.add(new).version)
    return "daily"


def test_past_slots_run_in_order_and_never_live(wb: Workbench, deployed: str) -> None:
    told: list[datetime] = []
    done = wb.deployments.backfill(
        deployed, "2026-01-01", "2026-01-04", progress=lambda one: told.append(one.slot)
    )
    assert told == [datetime(2026, 1, day, 22, 30, tzinfo=UTC) for day in (1, 2, 3)]
    assert done["status"].tolist() == ["completed", "failed", "completed"]
    assert "told to fail" in done["error"].iloc[1]
    runs = [wb.runs.show(run_id) for run_id in done["run_id"]]
    assert {(run["purpose"], run["attempt"], run["deployment_version"]) for run in runs} == {
        ("backfill", None, 1)
    }
    stored = wb.strategy_engine.load_strategies()
    assert sorted(stored["strategy_id"]) == ["01-01", "01-03"]
    # Nothing is said of the slots: they were not run live.
    assert wb.deployments.slots(deployed).empty
    shadow = wb.deployments.backfill(deployed, "2026-01-04", "2026-01-05", kind="shadow")
    assert shadow["status"].tolist() == ["completed"]
    assert len(wb.strategy_engine.load_strategies()) == 2


def test_what_cannot_be_run_is_refused(wb: Workbench, deployed: str) -> None:
    for start, end in (("2026-01-01", "2026-01-01 20:00"), ("2126-01-01", "2126-02-01")):
        with pytest.raises(SlotRefused, match="daily was never due from"):
            wb.deployments.backfill(deployed, start, end)
    with pytest.raises(SlotRefused, match='as "backtest" or as "shadow", and never live'):
        wb.deployments.backfill(deployed, "2026-01-01", "2026-01-04", kind="live")  # type: ignore[arg-type]
    with pytest.raises(NotDeployed, match=r"no versions of dayly \(did you mean daily\?\)"):
        wb.deployments.backfill("dayly", "2026-01-01", "2026-01-04")
