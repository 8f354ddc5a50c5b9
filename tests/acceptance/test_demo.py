"""The main job from end to end, as `make demo` runs it, twice, with both kinds of servers."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import nbformat
import pandas as pd
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
def second(first: Any, demo_site: Site) -> subprocess.CompletedProcess[str]:
    """What the second demo tells people."""
    done = demo_site.run("demo")
    assert done.returncode == 0, done.stderr
    return done


@dataclass
class Stored:
    """What is there after both demos."""

    signals: pd.DataFrame
    live: pd.DataFrame
    traced: dict[str, Any]
    scheduled: list[dict[str, Any]]
    events: dict[str, int]


@pytest.fixture(scope="module")
def stored(second: Any, demo_site: Site) -> Iterator[Stored]:
    demo_site.run("db", "upgrade")  # starts the servers
    with demo_site.workbench() as wb:
        signals = wb.strategy_engine.load_strategy_signals()
        runs = [wb.runs.show(run_id) for run_id in wb.runs.list(latest=1000)["run_id"]]
        found = Stored(
            signals,
            wb.strategy_engine.load_strategy_signals(kind="live"),
            wb.runs.show(signals["run_id"].iloc[0]),
            [run for run in runs if run["scheduled_for"] is not None],
            wb.events.counts(),
        )
    yield found
    demo_site.run("down")


def number(second: subprocess.CompletedProcess[str], label: str) -> int:
    """The number beside that label in the summary for people."""
    (found,) = re.findall(rf" {label} +([\d,]+) ", second.stdout)
    return int(found.replace(",", ""))


def test_every_bar_is_there_once(first: Any, second: subprocess.CompletedProcess[str]) -> None:
    assert first["bars"] == {"yahoo": BARS, "yahoo_adjusted": BARS}
    assert {source: number(second, f"bars, {source}") for source in first["bars"]} == first["bars"]


def test_signals_and_performance_are_written_once(
    first: Any, second: subprocess.CompletedProcess[str]
) -> None:
    # One day of performance for each of AAPL's bars, by each of the two strategies.
    assert first["performance"] == 2 * 3_270
    assert first["signals"] > 100
    for name, label in (("signals", "signals"), ("performance", "days of performance")):
        assert number(second, label) == first[name]


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


def test_a_run_was_started_by_the_schedule(first: Any) -> None:
    run = first["scheduled_run"]
    assert (run["notebook"], run["status"]) == ("strategies/sma_cross.ipynb", "completed")
    assert run["id"] not in {other["id"] for other in first["runs"]}
    slot, started = (datetime.fromisoformat(run[name]) for name in ("scheduled_for", "started_at"))
    assert slot <= started
    assert Path(run["html"]).is_file()


def test_one_live_signal_was_said_for_each_symbol_of_the_newest_bar_and_stays(
    first: Any, second: subprocess.CompletedProcess[str], stored: Stored
) -> None:
    said = first["said"]
    assert [row["symbol"] for row in said] == ["AAPL", "IBM", "MSFT"]
    for row in said:
        assert row["bar"].startswith("2013-03-01")
        assert row["signal"] in ("buy", "sell", "hold")
        assert 0.0 <= row["target"] <= 1.0
    assert "Said live" in second.stdout
    for part in (" was saved by cell ", "sma_cross.ipynb; none of its ", " series has changed since"):
        assert part in first["why"]
    assert f"why: {first['why'][:20]}" in second.stdout
    # The second demo brought no new bar: its scheduled run ran, and says so.
    assert "no new bar since 2013-03-01" in second.stdout
    decided = stored.live[stored.live["reason"].isna()]
    assert dict(zip(decided["symbol"], decided["signal"], strict=True)) == {
        row["symbol"]: row["signal"] for row in said
    }
    assert len(decided) == len(said)
    assert stored.live[["slot", "symbol"]].duplicated().sum() == 0


def test_events_arrived_on_redis(first: Any) -> None:
    for event_type in (
        "market_data.written",
        "strategies.written",
        "strategy_signals.written",
        "strategy_performance.written",
        "signals.said",
        "notebook_run.started",
        "notebook_run.completed",
    ):
        assert first["events"][event_type] >= 1


def test_the_summary_for_people_says_where_things_are(second: subprocess.CompletedProcess[str]) -> None:
    for words in (
        "12,154",
        "pending for the next bar",
        "Sharpe",
        "sma_cross.html",
        "sma-cross-demo",
        "http://127.0.0.1",
        "lab",
    ):
        assert words in second.stdout
    for step in ("Servers", "Prices", "Backtest", "Gates", "Promotion", "Schedule", "Events", "Stopping"):
        assert f"✓ {step}" in second.stderr
    with pytest.raises(json.JSONDecodeError):
        json.loads(second.stdout)


def test_nothing_is_left_running_and_the_users_own_folders_are_untouched(
    second: Any, demo_site: Site
) -> None:
    assert demo_site.processes() == []
    assert not (demo_site.user / ".prefect").exists()


def test_each_demo_had_a_run_of_its_own_started_by_the_schedule(first: Any, stored: Stored) -> None:
    assert len(stored.scheduled) == 2
    assert first["scheduled_run"]["id"] in {run["run_id"] for run in stored.scheduled}
    for run in stored.scheduled:
        assert (run["notebook"], run["status"]) == ("strategies/sma_cross.ipynb", "completed")
        assert run["scheduled_for"] <= run["started_at"]
        assert Path(run["html_path"]).is_file()


def test_what_changed_nothing_is_no_news_and_what_ran_is(
    first: Any, second: subprocess.CompletedProcess[str], stored: Stored
) -> None:
    assert stored.events["market_data.written"] == first["events"]["market_data.written"]
    assert stored.events["notebook_run.completed"] == first["events"]["notebook_run.completed"] + 3
    assert number(second, "events on Redis") == sum(stored.events.values())


def test_every_row_can_be_traced_to_notebook_parameters_and_data(
    second: subprocess.CompletedProcess[str], stored: Stored, demo_site: Site
) -> None:
    assert stored.signals["run_id"].notna().all()
    assert number(second, "pending for the next bar") == stored.signals["pending"].sum()
    run = stored.traced
    assert run["notebook"] == "strategies/sma_cross.ipynb"
    assert run["parameters"]["fast"] == 20
    assert run["data_revisions"]["yahoo_adjusted/AAPL"] >= 1
    assert len(run["notebook_sha256"]) == 64
    # The sample has odd bars, which are noted and stored, and nothing that was refused.
    assert "no row was refused; 5 notes on odd bars" in demo_site.run("quality").stderr
    assert demo_site.run("down").returncode == 0
    assert demo_site.processes() == []
