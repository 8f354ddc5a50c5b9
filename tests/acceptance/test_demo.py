"""The main job from end to end, as `make demo` runs it, twice, with both kinds of servers."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import nbformat
import pytest

from tests.acceptance.browser import open_page
from tests.acceptance.conftest import Site

pytestmark = [pytest.mark.timeout(900)]

BARS = 12_154
"""AAPL, IBM, MSFT 3,270 each, GOOG 2,148, FB 196: the rows of bokeh_sampledata."""


@pytest.fixture(scope="module")
def first(demo_site: Site) -> Any:
    return demo_site.ask("demo")


@pytest.fixture(scope="module")
def second(first: Any, demo_site: Site) -> Any:
    return demo_site.ask("demo")


def test_every_bar_is_there_once(first: Any, second: Any) -> None:
    assert first["bars"] == {"yahoo": BARS, "yahoo_adjusted": BARS}
    assert second["bars"] == first["bars"]


def test_signals_and_performance_are_written_once(first: Any, second: Any) -> None:
    # One day of performance for each of AAPL's bars, by each of the two strategies.
    assert first["performance"] == 2 * 3_270
    assert first["signals"] > 100
    assert (second["signals"], second["performance"]) == (first["signals"], first["performance"])


def test_two_runs_completed_and_left_their_notebooks_with_a_picture(first: Any) -> None:
    assert [run["status"] for run in first["runs"]] == ["completed", "completed"]
    for run in first["runs"]:
        assert run["notebook"] == "strategies/sma_cross.ipynb"
        notebook = nbformat.read(run["output"], as_version=4)
        kinds = {
            kind
            for cell in notebook.cells
            for output in cell.get("outputs", [])
            for kind in output.get("data", {})
        }
        assert "application/vnd.plotly.v1+json" in kinds
        assert 'src="http' not in Path(run["html"]).read_text(encoding="utf-8")


def test_the_page_shows_the_picture_without_a_network(first: Any, tmp_path: Path) -> None:
    with open_page(f"file://{first['runs'][0]['html']}") as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.reload()
        page.locator("svg.main-svg").first.wait_for(timeout=60_000)
        # Equity with its fills, buy and hold, and the drawdown beneath.
        assert page.locator("g.trace.scatter").count() >= 3
        page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_the_deployment_has_a_schedule_in_a_named_time_zone(first: Any) -> None:
    deployment = first["deployment"]
    assert (deployment["name"], deployment["schedule"]) == ("sma-cross-demo", "30 17 * * mon-fri")
    assert deployment["timezone"] == "America/New_York"
    local = datetime.fromisoformat(deployment["next_run"]).astimezone(ZoneInfo("America/New_York"))
    assert (local.hour, local.minute) == (17, 30)
    assert local.weekday() < 5


def test_a_run_was_started_by_the_schedule(first: Any, second: Any) -> None:
    for facts in (first, second):
        run = facts["scheduled_run"]
        assert (run["notebook"], run["status"]) == ("strategies/sma_cross.ipynb", "completed")
        assert run["id"] not in {other["id"] for other in facts["runs"]}
        slot, started = (datetime.fromisoformat(run[name]) for name in ("scheduled_for", "started_at"))
        assert slot <= started
        assert Path(run["html"]).is_file()


def test_events_arrived_on_redis(first: Any, second: Any) -> None:
    for event_type in (
        "market_data.written",
        "strategies.written",
        "strategy_signals.written",
        "strategy_performance.written",
        "notebook_run.started",
        "notebook_run.completed",
    ):
        assert first["events"][event_type] >= 1
    # What changed nothing is no news; what ran, is.
    assert second["events"]["market_data.written"] == first["events"]["market_data.written"]
    assert second["events"]["notebook_run.completed"] == first["events"]["notebook_run.completed"] + 3


def test_nothing_is_left_running_and_the_users_own_folders_are_untouched(
    second: Any, demo_site: Site
) -> None:
    assert demo_site.processes() == []
    assert not (demo_site.user / ".prefect").exists()


def test_every_row_can_be_traced_to_notebook_parameters_and_data(second: Any, demo_site: Site) -> None:
    demo_site.run("db", "upgrade")  # starts the servers
    with demo_site.workbench() as wb:
        signals = wb.strategy_engine.load_strategy_signals()
        assert signals["run_id"].notna().all()
        assert second["pending"] == signals["pending"].sum()
        run = wb.runs.show(signals["run_id"].iloc[0])
    assert run["notebook"] == "strategies/sma_cross.ipynb"
    assert run["parameters"]["fast"] == 20
    assert run["data_revisions"]["yahoo_adjusted/AAPL"] >= 1
    assert len(run["notebook_sha256"]) == 64
    # The sample has odd bars, which are noted and stored, and nothing that was refused.
    assert "no row was refused; 5 notes on odd bars" in demo_site.run("quality").stderr
    assert demo_site.run("down").returncode == 0
    assert demo_site.processes() == []


def test_the_summary_for_people_says_where_things_are(second: Any, demo_site: Site) -> None:
    done = demo_site.run("demo")
    assert done.returncode == 0, done.stderr
    for words in (
        "12,154",
        "pending for the next bar",
        "Sharpe",
        "sma_cross.html",
        "sma-cross-demo",
        "http://127.0.0.1",
        "lab",
    ):
        assert words in done.stdout
    for step in ("Servers", "Prices", "Backtest", "Promotion", "Schedule", "Events", "Stopping"):
        assert f"✓ {step}" in done.stderr
    with pytest.raises(json.JSONDecodeError):
        json.loads(done.stdout)
