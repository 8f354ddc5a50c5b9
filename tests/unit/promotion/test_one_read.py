"""A command reads its notebook's file once: what was checked is what is stored, or runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy.engine import URL

from workbench.cli import notebooks
from workbench.db.pool import ServiceConnectionPool
from workbench.headless.execute import execute_notebook
from workbench.headless.notebook_file import NotebookFile, open_notebook
from workbench.promotion.held import HeldRun
from workbench.promotion.store import NotebookStore
from workbench.runs import RunStore
from workbench.session import Session

MakeNotebook = Callable[..., Path]

_WATCHED: dict[str, int] = {}


def _count(event: str, arguments: tuple[Any, ...]) -> None:
    if _WATCHED and event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        path = os.fsdecode(arguments[0])
        if path in _WATCHED:
            _WATCHED[path] += 1


sys.addaudithook(_count)  # Sees every file that Python opens; it cannot be removed, and counts only below.


@contextmanager
def reads_of(path: Path) -> Iterator[Callable[[], int]]:
    """How often the file is opened within."""
    _WATCHED[str(path)] = 0
    try:
        yield lambda: _WATCHED[str(path)]
    finally:
        del _WATCHED[str(path)]


class Answering:
    """A Prefect that takes every deployment."""

    def __init__(self) -> None:
        self.deployed: list[Any] = []

    def ask(self, path: str, body: Any = None, **_: object) -> Any:
        if path == "/deployments/":
            self.deployed.append(body)
        if path.endswith("/schedules"):
            return [{"id": "s", "schedule": self.deployed[-1]["schedules"][0]["schedule"]}]
        return (
            []
            if path.endswith("/filter")
            else {
                "id": "1",
                "name": "yearly",
                "work_pool_name": "workbench",
                "schedules": [],
            }
        )


@pytest.fixture
def prefect(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Answering:
    """In place of the servers of a home of the test's own."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    answering = Answering()
    monkeypatch.setattr(Session, "prefect", lambda *_: answering)
    return answering


def test_what_counts_does_count(make_notebook: MakeNotebook) -> None:
    path = make_notebook("fast = 20")
    with reads_of(path) as reads:
        NotebookFile.read(path)
        path.read_bytes()
        assert reads() == 2


def test_promote_reads_the_notebook_once(
    make_notebook: MakeNotebook, prefect: Answering, tmp_path: Path
) -> None:
    path = make_notebook("fast = 20", "print(fast)")
    yearly: dict[str, Any] = {"name": "yearly", "cron": "0 0 29 2 *", "timezone": "UTC"}
    with reads_of(path) as reads:
        notebooks.promote(str(path), parameter=["fast=7"], json=True, **yearly)
        assert reads() == 1
    (deployed,) = prefect.deployed
    assert deployed["parameters"]["parameters"] == {"fast": 7}
    stored = NotebookStore(tmp_path / "home" / "store").open(deployed["parameters"]["sha256"])
    assert stored.file.sha256 == NotebookFile.read(path).sha256


def test_a_run_reads_the_notebook_once(make_notebook: MakeNotebook, tmp_path: Path) -> None:
    path = make_notebook("fast = 20", "print(fast)")
    with reads_of(path) as reads:
        file = open_notebook(path)
        values = file.parameters.parse(["fast=7"])
        executed = execute_notebook(open_notebook(file), values, tmp_path / "out")
        assert reads() == 1
    assert executed.cells == 3, "two of the notebook, and what papermill injects"


def test_a_notebook_that_was_edited_after_it_was_read_runs_as_it_was_read(
    make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    path = make_notebook("fast = 20", "print('as read')")
    file = open_notebook(path)
    path.write_text(path.read_text().replace("as read", "as edited"))
    executed = execute_notebook(file, {}, tmp_path / "out")
    assert "as read" in executed.output.read_text()
    assert "as edited" not in executed.output.read_text()


def test_the_command_run_reads_the_notebook_once(
    make_notebook: MakeNotebook, prefect: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to where the run would be recorded: what follows is `execute_notebook`."""
    path = make_notebook("fast = 20")
    seen: list[Any] = []

    def record(_: object, **facts: Any) -> None:
        seen.append(facts)
        raise typer.Exit(3)

    def unopened() -> URL:
        raise AssertionError("a run that is not recorded opens no connection")

    monkeypatch.setattr(Session, "runs", RunStore(ServiceConnectionPool("runs", unopened)))
    monkeypatch.setattr(HeldRun, "start", record)
    monkeypatch.setattr(Session, "endpoints", None)
    with reads_of(path) as reads:
        with pytest.raises(typer.Exit):
            notebooks.run(str(path), parameter=["fast=7"])
        assert reads() == 1
    assert seen[0]["parameters"] == {"fast": 7}
