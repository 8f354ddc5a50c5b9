"""The page of a notebook: all in one file, figures alive, nothing asked of a network."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import NotebookError
from workbench.headless.html import FAILURE_TAG, write_html

MakeNotebook = Callable[..., Path]

FIGURE = {
    "data": [{"type": "scatter", "y": [1, 2], "name": "</script><b>"}],
    "layout": {"title": {"text": "Equity"}},
}


class _References(HTMLParser):
    """Collects every address that a browser would fetch for the page itself, and every script."""

    FETCHED = (("script", "src"), ("img", "src"), ("iframe", "src"), ("link", "href"))

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.fetched += [value or "" for name, value in attrs if (tag, name) in self.FETCHED]


def _output(**data: Any) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "metadata": {},
        "source": ["show()\n", "again()"],
        "execution_count": 1,
        "outputs": [{"output_type": "display_data", "metadata": {}, "data": data}],
    }


def _heading(text: str, *tags: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {"tags": list(tags)}, "source": text}


def _page(notebook: Path) -> str:
    target = notebook.with_suffix(".html")
    write_html(notebook, target)
    return target.read_text(encoding="utf-8")


def test_figures_are_drawn_from_one_plotly_in_the_page(make_notebook: MakeNotebook) -> None:
    figure = _output(**{"application/vnd.plotly.v1+json": FIGURE, "text/html": "<p>not this</p>"})
    page = _page(make_notebook("fast = 20", _heading("# Moving *averages*"), figure, figure))
    assert "<title>Moving averages</title>" in page
    assert len(re.findall(r"\* plotly\.js v\d", page)) == 1
    held = re.findall(r'<script type="application/json">(.*?)</script>', page)
    assert [json.loads(text) for text in held] == [FIGURE, FIGURE]
    assert "not this" not in page


def test_nothing_is_asked_of_a_network(make_notebook: MakeNotebook) -> None:
    figure = _output(**{"application/vnd.plotly.v1+json": FIGURE})
    widget = _output(
        **{"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "a widget"}
    )
    image = _output(**{"image/png": "iVBORw0KGgo="})
    page = _page(make_notebook(None, "$x^2$", figure, widget, image))
    references = _References()
    references.feed(page)
    assert [address for address in references.fetched if not address.startswith("data:")] == []
    assert not re.search(r"@import|url\(\s*['\"]?https?:", page)
    assert not re.search(r"mathjax|require\.min\.js|mermaid\.esm", page.lower().partition("plotly.js v")[0])
    assert "a widget" in page


def test_a_page_without_figures_carries_no_script(make_notebook: MakeNotebook) -> None:
    page = _page(
        make_notebook("fast = 20", _output(**{"text/html": ["<table>\n", "<tr><td>cell</td></tr></table>"]}))
    )
    references = _References()
    references.feed(page)
    assert references.scripts == 0
    assert re.search(r"<table>\n<tbody><tr><td>cell</td></tr></tbody></table>", page), "its lines are joined"
    assert len(page) < 1_000_000


def test_parameters_stand_at_the_top_and_cannot_break_the_page(make_notebook: MakeNotebook) -> None:
    path = make_notebook("fast: int = 20  # bars & more\nname = 'x'")
    document = json.loads(path.read_text())
    document["metadata"]["papermill"] = {"parameters": {"name": "</code><script>alert(1)</script>"}}
    path.write_text(json.dumps(document))
    header = _page(path).partition("<header")[2].partition("</header>")[0]
    assert "fast" in header
    assert "<code>20</code>" in header
    assert "bars &amp; more" in header
    assert "&lt;script&gt;alert(1)" in header
    assert "<script" not in header
    assert '(default "x")' in header


def test_the_header_says_what_is_known_of_the_run_and_escapes_it(make_notebook: MakeNotebook) -> None:
    target = make_notebook("fast = 20").with_suffix(".html")
    about = [("run", "433ab7a8"), ("deployment", "<b>sma</b>"), ("slot", "2026-11-27 22:30:00 UTC")]
    write_html(target.with_suffix(".ipynb"), target, about)
    header = target.read_text(encoding="utf-8").partition("<header")[2].partition("</header>")[0]
    for text in ("433ab7a8", "&lt;b&gt;sma&lt;/b&gt;", "2026-11-27 22:30:00 UTC"):
        assert text in header
    assert "<b>sma" not in header


def test_the_cells_of_parameters_are_not_repeated_unless_they_put_something_out(
    make_notebook: MakeNotebook,
) -> None:
    path = make_notebook("fast: int = 20  # bars", _output(**{"text/plain": "shown"}))
    document = json.loads(path.read_text())
    injected = {**_output(), "outputs": [], "source": "fast = 30"}
    injected["metadata"] = {"tags": ["injected-parameters"]}
    document["cells"].insert(1, injected)
    path.write_text(json.dumps(document))
    body = _page(path).partition("</header>")[2]
    assert "fast" not in body
    assert "again" in body
    document["cells"][1]["outputs"] = _output(**{"text/plain": "a warning"})["outputs"]
    path.write_text(json.dumps(document))
    assert "a warning" in _page(path).partition("</header>")[2]


def test_a_failed_run_says_so_at_the_top(make_notebook: MakeNotebook) -> None:
    page = _page(make_notebook(None, _heading("**This run failed**", FAILURE_TAG), _heading("# Study")))
    assert '<header class="run failed">' in page
    assert f"celltag_{FAILURE_TAG}" in page
    assert "<title>Study</title>" in page


def test_a_page_that_cannot_be_written_is_an_error_and_leaves_nothing(
    make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(NotebookError, match=r"folder\.html cannot be written"):
        write_html(make_notebook(None, "x = 1"), tmp_path / "folder.html")
    assert not list(tmp_path.glob(".*.partial"))
