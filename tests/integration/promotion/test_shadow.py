"""A shadow runs beside the live version: what it saves is kept and undone, and both are compared."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from tests.conftest import Connection
from tests.integration.conftest import MakeBars
from tests.integration.promotion.conftest import Project
from tests.integration.promotion.test_deployments_listed import VERSION, stored
from tests.integration.promotion.test_rehearsal import _counts
from workbench import Workbench
from workbench.attempt import Purpose
from workbench.errors import NotebookFailed, PromotionRefused
from workbench.promotion.run import NotebookRunResult, Origin
from workbench.runs.record import about
from workbench.runs.versions import DeploymentVersion
from workbench.runs.written import writes_of
from workbench.settings import Settings

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

SLOTS = [datetime(2024, 3, 1, 22, tzinfo=UTC), datetime(2024, 3, 4, 22, tzinfo=UTC)]
CELLS = (
    "from workbench import Workbench\nfrom workbench.backtest import Signals, backtest\nwb = Workbench()",
    (
        "bars = wb.data_ingestion.load_market_data(['AAPL', 'IBM'], source='file')\n"
        "change = bars['close'].unstack('symbol').diff(lag)\n"
        "result = backtest(bars, Signals(change > 0, change < 0), name='rising')"
    ),
    "wb.save(result, strategy_id='rising', bars=bars, report=False)",
    "wb.events.publish_data_event('told.by.hand', 'runs', {'lag': lag})",
)


@pytest.fixture
def stocked(wb: Workbench, make_bars: MakeBars) -> Workbench:
    """Sixty bars of two symbols: one rises, the other turns every third bar."""
    for symbol, closes in (("AAPL", range(60)), ("IBM", [n % 3 for n in range(60)])):
        bars = make_bars(symbol, days=60).assign(close=[100.0 + close for close in closes])
        bars = bars.assign(open=bars.close, high=bars.close + 1, low=bars.close - 1)
        wb.data_ingestion.write_market_data(bars, source="file")
    return wb


@pytest.fixture
def versions(
    stocked: Workbench, database_settings: Settings, project: Project
) -> tuple[DeploymentVersion, DeploymentVersion]:
    """The version in use, and another, which looks two bars back."""
    path = project.notebook(*CELLS, parameters="lag: int = 1")
    found = [stored(stocked, database_settings, path, parameters={"lag": lag}) for lag in (1, 2)]
    stocked.runs.versions.use("nightly", found[0].version)
    stocked.runs.versions.set_shadow("nightly", found[1].version, 5)
    return found[0], found[1]


def run(
    wb: Workbench, version: DeploymentVersion, slot: datetime, purpose: Purpose, **facts: Any
) -> NotebookRunResult:
    origin = Origin(
        "deployment",
        deployment="nightly",
        version=version.version,
        slot=slot,
        purpose=purpose,
        flow_run_id=None,
        **facts,
    )
    return wb.run(version.notebook, version.parameters, sha256=version.content, origin=origin)


def test_both_are_compared_and_nothing_of_the_shadow_stays_but_its_record(
    stocked: Workbench, versions: tuple[DeploymentVersion, DeploymentVersion], admin: Connection
) -> None:
    live, shadow = versions
    runs = [run(stocked, live, slot, "live") for slot in SLOTS]
    before = _counts(admin)
    said = stocked.strategy_engine.load_strategy_signals("rising", kind="backtest")
    done = run(stocked, shadow, SLOTS[1], "shadow", environment=["numpy 2, was 1"])
    added = {name: before[name] + 1 for name in ("workbench.runs", "workbench.heartbeats")}
    assert _counts(admin) == before | added, "no row, no event, no trial"
    pd.testing.assert_frame_equal(
        stocked.strategy_engine.load_strategy_signals("rising", kind="backtest"), said
    )
    record = stocked.runs.show(done.run_id)
    assert (record["purpose"], record["deployment_version"], record["status"]) == ("shadow", 2, "completed")
    assert {write.table for write in writes_of(record["evidence"])} >= {"strategy_engine.strategy_signals"}
    assert record["evidence"]["environment"] == ["numpy 2, was 1"]
    assert ("environment differs", "numpy 2, was 1") in about(record)
    lines = [json.loads(line) for line in record["evidence"]["shadow_said"]]
    assert [line["symbol"] for line in lines] == ["AAPL", "IBM"]
    found = stocked.deployments.compare("nightly")
    assert found["slot"].unique().tolist() == [pd.Timestamp(SLOTS[1])]
    assert found["symbol"].tolist() == ["AAPL", "IBM"]
    told = stocked.strategy_engine.load_strategy_signals(deployment="nightly", slot=SLOTS[1])
    assert found["live"].tolist() == told["signal"].tolist()
    assert found["shadow"].tolist() == [line["signal"] for line in lines]
    assert found["live_run_id"].tolist() == [runs[1].run_id] * 2
    assert found["shadow_run_id"].tolist() == [done.run_id] * 2
    # Both hold AAPL, which rises at any lag, though bought a day apart; of IBM they see different turns.
    assert (found["live"][0], found["shadow"][0]) == ("hold", "hold")
    assert found["same"].tolist() == [False, False]
    # What is the same is said to be.
    run(stocked, live, SLOTS[0], "shadow")
    assert stocked.deployments.compare("nightly", 1)["same"].tolist() == [True, True]
    # Of the last shadow there was, too.
    stocked.runs.versions.set_shadow("nightly", None)
    assert len(stocked.deployments.compare("nightly")) == 2
    assert len(stocked.deployments.compare("nightly", 2)) == 2


def test_there_is_nothing_to_compare_without_a_shadow(stocked: Workbench) -> None:
    stocked.runs.versions.use("nightly", stocked.runs.versions.add(VERSION).version)
    with pytest.raises(PromotionRefused, match="nightly has no shadow to compare with"):
        stocked.deployments.compare("nightly")


def test_a_backfill_is_undone_too_unless_it_is_asked_to_stay(
    stocked: Workbench, versions: tuple[DeploymentVersion, DeploymentVersion], admin: Connection
) -> None:
    live, _ = versions
    before = _counts(admin)
    run(stocked, live, SLOTS[0], "backfill")
    added = {name: before[name] + 1 for name in ("workbench.runs", "workbench.heartbeats")}
    assert _counts(admin) == before | added
    run(stocked, live, SLOTS[0], "backfill", undone=False)
    rows = stocked.strategy_engine.load_strategy_signals("rising")
    assert set(rows["kind"]) == {"backtest"}
    assert rows["timestamp"].max() <= pd.Timestamp(SLOTS[0])


def test_a_shadow_may_not_promote(stocked: Workbench, database_settings: Settings, project: Project) -> None:
    path = project.notebook(
        "from workbench import Workbench\nWorkbench().deployments.pause('nightly')", name="study"
    )
    version = stored(stocked, database_settings, path, parameters={})
    stocked.runs.versions.use("nightly", version.version)
    with pytest.raises(NotebookFailed, match="a shadow may not pause: that could not be undone"):
        run(stocked, version, SLOTS[0], "shadow")
