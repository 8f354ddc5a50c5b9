"""The flow `sweep-strategy`: from stored bars by way of Dask workers to rows of `performance_metrics`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.servers import Postgres, ServerPark
from workbench import Workbench
from workbench.settings import Settings
from workbench.stack.environment import settings_environment
from workbench.strategies import sma_cross
from workbench.sweep import sweep

CLONE = Path(__file__).resolve().parents[3]
GRID = {"fast": [5, 10, 20], "slow": [20, 50, 100]}
BAD = """
from flows.sweep_strategy import sweep_strategy
for strategy in ("workbench.strategies:quick", "nowhere:sma_cross", "sma_cross", "workbench:Workbench"):
    try:
        sweep_strategy.fn(strategy, ["IBM"], {})
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.fixture
def postgres(servers: ServerPark) -> Postgres:
    """PostgreSQL 18 alone: what 15 may do differently is tested with the services."""
    return servers.postgres("postgresql-18")


@pytest.fixture
def stored(wb: Workbench) -> Workbench:
    """A database with three years of AAPL and IBM."""
    wb.ingest(["AAPL", "IBM"], source="sample", start="2010-01-01", end="2013-01-01")
    return wb


def run_flow(settings: Settings, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The flow in a process and with a Prefect of its own, as a user without a server runs it."""
    environment = {
        **os.environ,
        **settings_environment(settings),
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PYTHONPATH": str(CLONE),
    }
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def sweep_words(*symbols: str) -> list[str]:
    flow = str(CLONE / "flows" / "sweep_strategy.py")
    return [flow, "workbench.strategies:sma_cross", *symbols, "--grid", json.dumps(GRID)]


def test_the_flow_stores_what_a_sweep_in_this_process_finds(
    stored: Workbench, database_settings: Settings, cluster: Any, tmp_path: Path
) -> None:
    bars = stored.data_ingestion.load_market_data(["AAPL", "IBM"], source="yahoo_adjusted")
    expected = sweep(sma_cross, bars, GRID, workers=1, progress=False, fees=0.002).best(10)
    done = run_flow(
        database_settings,
        tmp_path,
        *sweep_words("AAPL", "IBM"),
        *("--source", "yahoo_adjusted", "--rules", '{"fees": 0.002}'),
        *("--scheduler", cluster.scheduler_address),
    )
    assert done.returncode == 0, done.stderr
    rows = stored.analytics.load_performance_metrics(metric="sharpe_ratio")
    rows = rows.assign(rank=[said["rank"] for said in rows["metadata"]]).sort_values("rank")
    assert rows["value"].tolist() == pytest.approx(expected["sharpe_ratio"].tolist(), rel=1e-9)
    assert rows["strategy"].tolist() == [
        f"sma_cross(fast={row.fast}, slow={row.slow}) {row.symbol}" for row in expected.itertuples()
    ]
    # Of 3 × 3 pairs (20, 20) is refused; each symbol is a backtest of its own.
    assert {said["tried"] for said in rows["metadata"]} == {16}


def test_the_flow_starts_workers_of_its_own_where_no_scheduler_is_named(
    stored: Workbench, database_settings: Settings, tmp_path: Path
) -> None:
    done = run_flow(
        database_settings, tmp_path, *sweep_words("IBM"), "--source", "yahoo_adjusted", "--workers", "1"
    )
    assert done.returncode == 0, done.stderr
    assert len(stored.analytics.load_performance_metrics(metric="sharpe_ratio")) == 8


def test_the_flow_says_that_there_is_no_such_strategy(database_settings: Settings, tmp_path: Path) -> None:
    said = run_flow(database_settings, tmp_path, "-c", BAD).stdout.splitlines()
    assert [line.split(" (")[0] for line in said] == [
        "StrategyError There is no strategy 'workbench.strategies:quick'",
        "StrategyError There is no strategy 'nowhere:sma_cross'",
        "StrategyError There is no strategy 'sma_cross'",
        "StrategyError workbench:Workbench is a type; put @strategy above the function.",
    ]
