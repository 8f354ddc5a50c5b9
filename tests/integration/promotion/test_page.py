"""The page of a run in a real browser: whole on a desk and on a phone, without an error and a network."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tests.acceptance.browser import open_page
from workbench.backtest import backtest
from workbench.headless.html import write_html

ABOUT = [("run", "433ab7a8-245d-4100-8d2d-14b114b67e33"), ("data", "yahoo_adjusted/AAPL at revision 1")]
LONG = (
    "chosen = dict(first=1, second=2, third=3, fourth=4, fifth=5, sixth=6, seventh=7, eighth=8)  # "
    + "x" * 90
)


@pytest.fixture(scope="module")
def run_page(aapl: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backtest's card and picture, below parameters and what is known of the run."""
    bars = aapl[["open", "close"]]
    close = bars["close"].unstack("symbol")
    above = close.rolling(20).mean() > close.rolling(50).mean()
    result = backtest(bars, above, ~above, name="Moving-average crossover, 20/50")
    shown = [
        new_output("display_data", {"application/vnd.plotly.v1+json": json.loads(result.plot().to_json())}),
        new_output("display_data", {"text/html": result._repr_html_()}),
    ]
    note = "# what to trade, with equal shares of the cash, and so on"
    notebook = new_notebook(
        cells=[
            new_code_cell(f"symbols: list[str] = ['AAPL']  {note}", metadata={"tags": ["parameters"]}),
            new_code_cell(LONG, outputs=shown),
        ]
    )
    folder = tmp_path_factory.mktemp("page")
    path = folder / "study.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    write_html(path, folder / "study.html", ABOUT)
    return folder / "study.html"


@pytest.mark.parametrize("width", [1_400, 420])
def test_nothing_is_cut_and_nothing_lies_over_another(run_page: Path, width: int) -> None:
    wrong: list[str] = []
    with open_page("about:blank", width=width) as page:
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda asked: wrong.append(asked.url) if asked.url != run_page.as_uri() else None)
        page.goto(run_page.as_uri())
        page.wait_for_selector(".legend")

        def box(selector: str) -> dict[str, float]:
            found: dict[str, float] = page.evaluate(
                "(selector) => document.querySelector(selector).getBoundingClientRect().toJSON()", selector
            )
            return found

        title, headline, legend = box(".gtitle"), box(".gtitle-subtitle"), box(".legend")
        for text in (title, headline, legend):
            assert 0 <= text["left"] < text["right"] <= width
        assert title["bottom"] <= headline["top"] + 4
        assert legend["top"] >= headline["bottom"]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        clipped = "[...document.querySelectorAll('{}')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
        assert page.evaluate(clipped.format("header *")) == 0
        assert page.evaluate(clipped.format(".jp-OutputArea-output")) == 0
        if width == 420:
            assert page.evaluate(clipped.format(".jp-InputArea-editor")) == 0
        for _, said in ABOUT:
            assert page.get_by_text(said, exact=True).is_visible()
    assert not wrong
