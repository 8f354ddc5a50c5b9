"""The research notebooks run from top to bottom as a newcomer would run them, each ending in rows written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.acceptance.browser import open_page
from tests.acceptance.conftest import CLONE, Site

pytestmark = [pytest.mark.timeout(600)]

RESEARCH = CLONE / "notebooks" / "research"
NAMES = ["01_explore", "02_develop", "03_sweep", "04_validate", "05_compare", "06_vectorbt"]
FIGURES = {
    "01_explore": 3,
    "02_develop": 1,
    "03_sweep": 3,
    "04_validate": 2,
    "05_compare": 2,
    "06_vectorbt": 1,
}


@pytest.fixture(scope="module")
def ran(site: Site) -> dict[str, Any]:
    """What `workbench run` said of each, one after the other on one database."""
    return {name: site.ask("run", str(RESEARCH / f"{name}.ipynb")) for name in NAMES}


def test_every_research_notebook_is_run_here() -> None:
    assert sorted(path.stem for path in RESEARCH.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_from_top_to_bottom_with_its_pictures(name: str, ran: dict[str, Any]) -> None:
    code = [
        cell for cell in nbformat.read(ran[name]["output"], as_version=4).cells if cell.cell_type == "code"
    ]
    assert all(cell.execution_count for cell in code)
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    figures = [o for o in outputs if "application/vnd.plotly.v1+json" in o.get("data", {})]
    assert len(figures) == FIGURES[name]


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        ("01_explore", "buy-and-hold"),
        ("02_develop", "channel-develop"),
        ("03_sweep", "sma-cross-best"),
        ("04_validate", "sma-cross-walk-forward"),
        ("05_compare", "compare-sma_cross"),
        ("06_vectorbt", "vectorbt-averages"),
    ],
)
def test_it_ends_in_rows_that_name_its_run(name: str, strategy: str, ran: dict[str, Any], site: Site) -> None:
    run_id = ran[name]["run_id"]
    with site.workbench() as wb:
        days = wb.strategy_engine.load_strategy_performance(strategy)
        figures = wb.analytics.load_performance_metrics(strategy, run_id=run_id)
    assert len(days) > 1_000
    assert set(days["run_id"]) == {run_id}
    assert "sharpe_ratio" in set(figures["metric"])


def test_what_was_tried_is_counted_over_all_of_them(ran: dict[str, Any], site: Site) -> None:
    with site.workbench() as wb:
        kinds = wb.trials.list("sma_cross", latest=100)
        found = wb.analytics.load_analytics_cache("sweep/sma-cross-sweep")
    assert {"sweep", "walk_forward", "backtest"} <= set(kinds["kind"])
    value: Any = found["value"].iloc[0]
    # 30 fast and 40 slow averages on three symbols, less the pairs that are not allowed.
    allowed = sum(fast < slow for fast in range(2, 62, 2) for slow in range(20, 220, 5))
    assert value["variants"] == 3 * allowed


def test_the_stored_tearsheet_opens_in_a_browser_without_a_network(
    ran: dict[str, Any], site: Site, tmp_path: Path
) -> None:
    with site.workbench() as wb:
        content: Any = wb.analytics.load_reports("sma-cross-best/tearsheet.html")["content"].iloc[0]
    page_file = tmp_path / "tearsheet.html"
    page_file.write_text(content, encoding="utf-8")
    with open_page(page_file.as_uri()) as page:
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url))
        page.reload()
        page.locator(".plotly .main-svg").first.wait_for(timeout=60_000)
        assert "variants tried" in page.inner_text("body")
        assert [text for text in complaints if not text.startswith(("file:", "blob:", "data:"))] == []
