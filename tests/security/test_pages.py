"""Pages that we make run nothing but their own scripts, whatever stands in the data: seen in chromium."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import Page

from tests.acceptance.browser import open_page
from workbench.backtest import backtest
from workbench.display.pages import content_policy, safe_html
from workbench.errors import NotebookFailed
from workbench.headless.execute import execute_notebook, output_paths
from workbench.headless.html import FAILURE_TAG, write_html
from workbench.report.tearsheet import tearsheet

MARK = "window.ran = (window.ran || []).concat('{name}')"
HOSTILE = [
    "<script>{}</script>",
    "</script><script>{}</script>",
    '<img src=x onerror="{}">',
    '<svg onload="{}"><script>{}</script></svg>',
    '"><script>{}</script>',
    '\'><img src=x onerror="{}">',
    '<a href="javascript:{}" id=press>press</a>',
    '<iframe srcdoc="<script>parent.{}</script>"></iframe>',
    '<iframe src="javascript:{}"></iframe>',
    '<details open ontoggle="{}">x</details>',
    "<style>@import 'http://127.0.0.1:9/x.css';</style><style onload=\"{}\">*{{}}</style>",
    '<meta http-equiv="refresh" content="0;url=http://127.0.0.1:9/{}">',
    '<base href="http://127.0.0.1:9/"><form action="http://127.0.0.1:9/">',
    '<input autofocus onfocus="{}">',
    '<math><mtext><table><mglyph><style><img src=x onerror="{}">',
    '<noscript><p title="</noscript><img src=x onerror={}>">',
    '\n~~~~~~~~\n<script>{}</script>\n~~~~~~~~~~~~~~~~\n<img src=x onerror="{}">',
    "\n```\n<script>{}</script>\n",
    "\n</pre></div><script>{}</script><pre>",
    "\x1b]8;;javascript:{}\x1b\\press\x1b]8;;\x1b\\",
    "{{{{ 7*7 }}}}{{% raw %}}<script>{}</script>",
    "--><script>{}</script><!--",
    "]]><script>{}</script>",
    "\u2028<script>{}</script>\u2029",
]
FIGURE = {
    "data": [{"type": "scatter", "y": [1, 2], "name": "curve"}, {"type": "scattergl", "y": [2, 1]}],
    "layout": {"title": {"text": "Equity"}, "height": 300},
}


def texts(name: str) -> list[str]:
    """Every hostile text, each of which would leave its name behind if it ran."""
    return [text.format(*[MARK.format(name=name)] * text.count("{}")) for text in HOSTILE]


def everything(name: str) -> str:
    return "\n".join(texts(name))


@pytest.fixture(scope="module")
def looked_at() -> Iterator[Page]:
    with open_page("about:blank") as page:
        yield page


def look(page: Page, path: Path) -> list[str]:
    """What went wrong as the page was opened and everything on it was pressed."""
    wrong: list[str] = []
    listeners: dict[str, Any] = {
        "requestfinished": lambda asked: wrong.append(asked.url) if not _own(asked.url, path) else None,
        "requestfailed": lambda asked: wrong.append(asked.url) if asked.failure != "csp" else None,
        "dialog": lambda dialog: wrong.append(dialog.message),
        "pageerror": lambda error: wrong.append(str(error)),
    }
    for event, listener in listeners.items():
        page.on(event, listener)  # type: ignore[call-overload]
    page.goto(path.as_uri())
    page.wait_for_timeout(500)
    for link in page.locator("a#press").all():
        link.dispatch_event("click")
    page.wait_for_timeout(500)
    wrong += page.evaluate("window.ran || []")
    if page.url.partition("#")[0] != path.as_uri():
        wrong.append(page.url)
    for event, listener in listeners.items():
        page.remove_listener(event, listener)
    return wrong


def _own(url: str, path: Path) -> bool:
    return url.partition("#")[0] == path.as_uri() or url.startswith(("data:", "blob:", "about:"))


def hostile_notebook() -> dict[str, Any]:
    """A run's output notebook with hostile texts in every field."""
    outputs = [
        new_output("stream", name="stdout", text=everything("stdout")),
        new_output("stream", name="stderr", text=everything("stderr")),
        new_output(
            "error", ename=everything("ename"), evalue=everything("evalue"), traceback=texts("traceback")
        ),
        new_output("display_data", {"application/javascript": MARK.format(name="javascript")}),
        new_output("display_data", {"image/png": everything("png"), "text/plain": everything("alternative")}),
        new_output("display_data", {"application/vnd.plotly.v1+json": _hostile_figure()}),
        new_output(
            "display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": everything("widget")}}
        ),
    ]
    for kind in (
        "text/html",
        "text/markdown",
        "text/latex",
        "text/plain",
        "image/svg+xml",
        "application/json",
    ):
        outputs += [new_output("display_data", {kind: text}) for text in texts(kind)]
    parameters = new_code_cell(
        f"symbol: str = 'A'  # {' '.join(everything('described').split())}", metadata={"tags": ["parameters"]}
    )
    code = new_code_cell(everything("source"), outputs=outputs, execution_count=1)
    code["metadata"]["tags"] = [everything("tag")]
    cells = [parameters, new_markdown_cell("# Title " + everything("heading")), code]
    cells += [new_markdown_cell(text) for text in texts("markdown")]
    failure = new_markdown_cell(
        f"**This run failed**\n\n{everything('failure')}", metadata={"tags": [FAILURE_TAG]}
    )
    notebook = new_notebook(cells=[failure, *cells])
    notebook["metadata"]["title"] = everything("title")
    notebook["metadata"]["papermill"] = {
        "parameters": {"symbol": everything("value")},
        "start_time": everything("start"),
    }
    return dict(notebook)


def _hostile_figure() -> dict[str, Any]:
    layout: dict[str, Any] = {"title": {"text": everything("figure-title")}, "height": 300}
    layout["annotations"] = [{"text": text, "x": 0, "y": 0} for text in texts("annotation")]
    names = [{"type": "bar", "x": texts("x"), "y": [1] * len(HOSTILE), "name": everything("trace")}]
    return {"data": [*names, *FIGURE["data"]], "layout": layout}


def test_a_run_s_page_runs_nothing_of_its_notebook_and_draws_its_figures(
    looked_at: Page, tmp_path: Path
) -> None:
    notebook = tmp_path / "hostile.ipynb"
    notebook.write_text(json.dumps(hostile_notebook()), encoding="utf-8")
    page = tmp_path / "hostile.html"
    write_html(notebook, page, [(everything("name"), everything("about"))])
    assert look(looked_at, page) == []
    assert looked_at.locator(".run-figure .main-svg").count() > 0


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_an_error_s_text_stays_a_text_on_the_page_of_the_failed_run(
    looked_at: Page, tmp_path: Path, number: int
) -> None:
    """The run itself, so that the page is made as a run makes it."""
    text = texts("error")[number]
    notebook = tmp_path / "failing.ipynb"
    notebook.write_text(json.dumps(new_notebook(cells=[new_code_cell(f"raise ValueError({text!r})")])))
    with pytest.raises(NotebookFailed):
        execute_notebook(notebook, {}, tmp_path / "out")
    _, page = output_paths(notebook, tmp_path / "out")
    assert look(looked_at, page) == []
    shown = " ".join(looked_at.locator(".celltag_papermill-error-cell-tag").inner_text().split())
    said = re.sub(r"\x1b\]8;;.*?\x1b\\\\|[\x00-\x1f\u2028\u2029]", " ", text)
    assert all(word in shown for word in said.split() if word.isalnum()), shown


def test_what_a_page_shows_of_html_is_what_a_notebook_shows(looked_at: Page, tmp_path: Path) -> None:
    """Frames with styles, cards, drawings and figures: nothing of them is lost."""
    frame = pd.DataFrame({"return": [0.1, -0.2]}, index=["AAPL", "IBM"])
    styled = frame.style.background_gradient("RdYlGn").format("{:+.1%}").to_html()
    drawing = (
        '<svg viewBox="0 0 10 10" width="40" height="40"><rect width="10" height="10" fill="#123456"/></svg>'
    )
    outputs = [
        new_output("display_data", {"text/html": frame._repr_html_()}),  # type: ignore[operator]
        new_output("display_data", {"text/html": styled}),
        new_output("display_data", {"text/html": drawing}),
        new_output("display_data", {"application/vnd.plotly.v1+json": FIGURE}),
    ]
    notebook = tmp_path / "fair.ipynb"
    source = new_notebook(cells=[new_code_cell("1", outputs=outputs, execution_count=1)])
    notebook.write_text(json.dumps(source), encoding="utf-8")
    page = tmp_path / "fair.html"
    write_html(notebook, page)
    assert look(looked_at, page) == []
    assert looked_at.locator("table").count() == 2
    green = looked_at.get_by_text("+10.0%").evaluate("cell => getComputedStyle(cell).backgroundColor")
    assert green == "rgb(0, 104, 55)"  # the scale's highest colour, 006837
    assert (
        looked_at.locator("svg rect[fill='#123456']").evaluate("r => r.getBoundingClientRect().width") == 40
    )
    assert looked_at.locator(".run-figure .gl-canvas").count() > 0


def test_a_tearsheet_runs_nothing_of_its_names_and_draws_its_figures(looked_at: Page, tmp_path: Path) -> None:
    days = pd.date_range("2020-01-01", periods=300, tz="UTC", name="timestamp")
    symbol = "<script>window.ran=['symbol']</script>"
    wave = pd.Series(range(300), index=days).mod(40).sub(20).abs().add(100.0)
    bars = pd.concat({symbol: pd.DataFrame({"open": wave, "close": wave})}, names=["symbol"])
    close = bars["close"].unstack("symbol")
    above = close > close.rolling(10).mean()
    result = backtest(bars, above, ~above, name=everything("name"))
    sheet = tearsheet(result, bars=bars, title=everything("title"))
    sheet.save(tmp_path / "sheet.html")
    assert look(looked_at, tmp_path / "sheet.html") == []
    assert looked_at.locator(".chart .main-svg").count() > 0


def test_the_policy_names_the_scripts_that_were_there_before_the_data() -> None:
    # sha256 of "alert(1)", by coreutils' sha256sum and base64
    assert "'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='" in content_policy(["alert(1)"])
    assert "script-src 'none'" in content_policy([])


@given(
    st.lists(
        st.sampled_from([*"<>/=\"' abst", "script", "style", "svg", "onload", "&lt;", "<!--", "]]>", "title"])
    )
)
def test_what_is_kept_of_html_is_kept_again(parts: list[str]) -> None:
    once = safe_html("".join(parts))
    assert safe_html(once) == once
    assert "<script" not in once
