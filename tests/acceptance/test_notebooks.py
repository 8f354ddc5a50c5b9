"""The notebooks that come with the project, run from top to bottom as a newcomer would."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import psutil
import pytest

from tests.acceptance.browser import open_page
from tests.acceptance.conftest import CLONE, Site
from tests.acceptance.lab import open_kernel, running_lab
from workbench.stack import Stack

pytestmark = [pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def start_here(site: Site) -> nbformat.NotebookNode:
    """00_start_here.ipynb as it looks when every cell was run."""
    ran = site.ask("run", str(CLONE / "notebooks" / "00_start_here.ipynb"))
    return nbformat.read(ran["output"], as_version=4)


def test_start_here_runs_top_to_bottom(start_here: nbformat.NotebookNode) -> None:
    code = [cell for cell in start_here.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    figures = [
        output
        for cell in code
        for output in cell.outputs
        if "application/vnd.plotly.v1+json" in output.get("data", {})
    ]
    # The price chart, and the backtest's picture.
    assert len(figures) == 2


def test_start_here_ends_in_rows_and_in_a_scheduled_twin(
    start_here: nbformat.NotebookNode, site: Site
) -> None:
    with site.workbench() as wb:
        assert len(wb.strategy_engine.load_strategy_performance("start-here")) > 1_000
        runs = wb.runs.list(latest=50)
    twin = runs[runs["deployment"] == "sma-cross-start-here"]
    assert list(twin["status"]) == ["completed"]


@pytest.fixture(scope="module")
def lab(site: Site) -> Iterator[str]:
    """`workbench lab`, running; the address that it prints, with its token."""
    with running_lab(site) as address:
        yield address


def test_lab_opens_the_start_page_on_loopback_and_wants_its_token(lab: str, tmp_path: Path) -> None:
    assert re.match(r"http://127\.0\.0\.1:\d+/lab/tree/00_start_here\.ipynb", lab)
    without_token = urllib.request.urlopen(lab.split("?")[0], timeout=30)
    assert "/login" in without_token.geturl()
    with open_page(lab) as page:
        page.get_by_role("heading", name="Start here").wait_for(timeout=90_000)
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
        # The question whether to fetch Jupyter's news would lie over the page by now.
        assert not page.get_by_text("Jupyter news").count()
        page.screenshot(path=tmp_path / "lab.png")


def test_down_names_jupyterlab_and_its_kernels_and_ends_them_when_told_so(lab: str, site: Site) -> None:
    open_kernel(lab)
    working = Stack(site.settings).labs()
    assert {one.what for one in working} == {"JupyterLab", "kernel of 00_start_here.ipynb"}
    # On a terminal it asks; who says no keeps them, and all the rest is stopped.
    said = on_a_terminal(site, "down", answer="n")
    assert all(f"{one.what} (process {one.pid}, " in said for one in working)
    assert "End them, too?" in said
    assert [one.pid for one in Stack(site.settings).labs()] == [one.pid for one in working]
    assert not any(service.running for service in Stack(site.settings).status())
    done = site.run("down")
    assert done.returncode == 0, done.stderr
    assert "stopped JupyterLab, kernel of 00_start_here.ipynb" in done.stderr
    assert not any(psutil.pid_exists(one.pid) for one in working)
    assert Stack(site.settings).labs() == []


def on_a_terminal(site: Site, *words: str, answer: str) -> str:
    """What `workbench WORDS` shows on a terminal where its question is answered so."""
    ours, its = os.openpty()
    command = [sys.executable, "-m", "workbench.cli", *words]
    environment = site.environment() | {"TERM": "dumb", "COLUMNS": "200"}
    with subprocess.Popen(
        command, cwd=site.folder, env=environment, stdin=its, stdout=its, stderr=its, start_new_session=True
    ) as process:
        os.close(its)
        said = ""
        while "[y/N]" not in said:
            said += os.read(ours, 4096).decode()
        os.write(ours, f"{answer}\n".encode())
        with contextlib.suppress(OSError):  # which tells that nobody writes there any more
            while more := os.read(ours, 4096).decode():
                said += more
        assert process.wait(240) == 0, said
    os.close(ours)
    return said
