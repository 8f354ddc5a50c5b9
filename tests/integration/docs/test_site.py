"""The documentation's site: every public object has a page, links hold, and nothing is asked for outside."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from functools import cached_property, partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.acceptance.browser import open_page
from tests.unit.test_docs import command_line, leaves
from workbench import Settings, Workbench, errors
from workbench.paths import PACKAGE

SPHINX = Path(sys.prefix) / "docs"
MODULES = ["", ".backtest", ".bias", ".marketdata", ".metrics", ".overfitting", ".report", ".sources"]
MODULES += [".strategies", ".sweep", ".validation"]
SERVICES = ["data_ingestion", "strategy_engine", "execution", "risk_management", "analytics"]
SERVICES += ["notification", "logging"]
LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href", "object": "data"}


def sphinx(*words: str) -> subprocess.CompletedProcess[str]:
    """Python with Sphinx beside what is installed here; skips where `make docs` never installed it."""
    if not SPHINX.is_dir():
        pytest.skip(f"no Sphinx is here: {SPHINX} is missing (make docs)")
    environment = {**os.environ, "PYTHONPATH": f"{SPHINX}{os.pathsep}{PACKAGE.parent}"}
    return subprocess.run(
        [sys.executable, *words],
        env=environment,
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = sphinx("-m", "docs.site", str(folder))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The site, served on loopback."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Page(HTMLParser):
    """The anchors of a page, where it leads, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.add(given["href"])
        if LOADS.get(tag, "") in given:
            self.loaded.add(given[LOADS[tag]])
        self.loaded |= {part.split()[0] for part in given.get("srcset", "").split(",") if part.strip()}


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


@pytest.fixture(scope="module")
def documented(site: Path) -> dict[str, str]:
    """Every documented name and its page, as Sphinx's inventory lists them."""
    packed = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    rows = (line.split() for line in zlib.decompress(packed).decode().splitlines())
    return {row[0]: row[3].partition("#")[0] for row in rows if row[1].startswith("py:")}


def names_of(module: str, name: str) -> set[str]:
    """The names under which an object may be documented: it can be imported from several modules."""
    found = getattr(importlib.import_module(module), name)
    others = {one: importlib.import_module(one) for one in (f"workbench{part}" for part in MODULES)}
    homes = {one for one, other in others.items() if getattr(other, name, None) is found}
    return {f"{home}.{name}" for home in homes | {getattr(found, "__module__", module)}}


@pytest.mark.parametrize("module", [f"workbench{part}" for part in MODULES])
def test_every_public_object_has_a_page_of_its_own(module: str, documented: dict[str, str]) -> None:
    for name in importlib.import_module(module).__all__:
        if name == "WorkbenchError":
            continue  # on the page of errors
        found = [documented[one] for one in names_of(module, name) if one in documented]
        assert found, f"{module}.{name} has no page"
        assert Path(found[0]).stem.lower() == name.lower()


def test_every_service_has_a_page_with_each_of_its_methods(documented: dict[str, str]) -> None:
    for name in SERVICES:
        kind = getattr(importlib.import_module(f"workbench.services.{name}"), f"{camel(name)}Service")
        methods = [one for one in dir(kind) if one.startswith(("load_", "write_"))]
        assert len(methods) >= 4
        assert [one for one in methods if f"{kind.__module__}.{kind.__name__}.{one}" not in documented] == []


def test_every_facet_of_the_workbench_has_a_page(site: Path) -> None:
    index = (site / "reference" / "wb" / "index.html").read_text(encoding="utf-8")
    facets = [
        name
        for kind in Workbench.__mro__
        for name, value in vars(kind).items()
        if isinstance(value, cached_property)
    ]
    assert {"runs", "events", "trials", "research", "deployments", *SERVICES} == set(facets)
    assert [name for name in facets if f">wb.{name}<" not in index] == []


def test_every_error_and_every_setting_is_there(documented: dict[str, str], site: Path) -> None:
    assert {documented[f"workbench.errors.{name}"] for name in errors.__all__} == {"reference/errors.html"}
    text = re.sub(r"<[^>]+>", "", (site / "reference" / "settings.html").read_text(encoding="utf-8"))
    assert [name for name in Settings.model_fields if not re.search(rf"\b{name}\b", text)] == []


def test_every_command_is_there_with_its_options(site: Path) -> None:
    text = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    plain = re.sub(r"<[^>]+>", "", text)
    assert [name for name in leaves(command_line()) if f'id="{name.replace(" ", "-")}"' not in text] == []
    promote = command_line().commands["promote"]
    assert [
        one.opts[0] for one in promote.params if one.name != "help" and one.help not in unquoted(plain)
    ] == []


def test_a_class_shows_its_attributes_and_what_it_inherits(site: Path, documented: dict[str, str]) -> None:
    text = (site / "reference" / "backtest" / "BacktestResult.html").read_text(encoding="utf-8")
    assert "<strong>symbols</strong>" in text
    own = "workbench.backtest.BacktestResult"
    shown = ("equity", "trades", "plot", "save", "metrics", "performance")
    assert {f"{own}.{name}" for name in shown} <= set(documented)


def test_a_docstring_that_does_not_render_and_a_dead_link_fail_the_build(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "index.md").write_text("# Start\n\n[gone](nowhere.md#there)\n", encoding="utf-8")
    (source / "bad.rst").write_text(":orphan:\n\nBad\n===\n\n*never closed\n", encoding="utf-8")
    call = "import sys; from pathlib import Path; from docs.site.__main__ import build; "
    done = sphinx("-c", f"{call}sys.exit(build(Path({str(source)!r}), Path({str(tmp_path / 'out')!r})))")
    assert done.returncode != 0
    assert "start-string without end-string" in done.stderr
    assert "nowhere.md" in done.stderr


def test_no_link_is_dead(site: Path, pages: dict[Path, Page]) -> None:
    dead = []
    for path, page in pages.items():
        for link in page.links | page.loaded:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = pages.get(there)
            anchor = unquote(parts.fragment)
            if not there.is_file() or (anchor and target is not None and anchor not in target.anchors):
                dead.append(f"{path.relative_to(site)}: {link}")
    assert len(pages) > 150
    assert dead == []


def test_pages_and_styles_load_nothing_from_outside(site: Path, pages: dict[Path, Page]) -> None:
    outside = re.compile(r"^(\w+:)?//")
    assert {one for page in pages.values() for one in page.loaded if outside.match(one)} == set()
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        loaded = re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')]+)", text)
        assert [one for one in loaded if outside.match(one)] == [], style.name


def test_the_search_index_holds_a_parameter_of_a_function(site: Path) -> None:
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    assert re.search(r'\btrailing_stop"?:', text)


def test_a_browser_finds_a_parameter_and_asks_nobody_else(address: str) -> None:
    with open_page(f"{address}/index.html") as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.reload()
        page.goto(f"{address}/search.html?q=trailing_stop")
        page.locator("#search-results li a", has_text="backtest()").first.wait_for(timeout=20_000)
        page.goto(f"{address}/reference/backtest/backtest.html")
        page.wait_for_load_state("networkidle")
    assert len(asked) > 5
    assert [url for url in asked if not url.startswith((address, "data:"))] == []


def camel(name: str) -> str:
    return "".join(part.title() for part in name.split("_"))


def unquoted(text: str) -> str:
    """Text with plain quotation marks in place of the typographic ones."""
    return re.sub(r"[“”]|&quot;", '"', re.sub(r"[‘’]|&#39;", "'", text)).replace("…", "...")
