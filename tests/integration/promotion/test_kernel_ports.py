"""In a home with a long path a kernel has ports; one that another program takes in between is no failure."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.connect import LocalPortCache

from tests.acceptance.notebooks import write_notebook
from workbench.errors import NotebookFailed
from workbench.headless.execute import execute_notebook


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    return write_notebook(tmp_path / "study.ipynb", parameters="fast = 20", cells=["print(fast)"])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """One below which the sockets of a kernel would have too long names."""
    return tmp_path / ("long-" * 20)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else has."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def _give(monkeypatch: pytest.MonkeyPatch, port: int, times: int) -> list[int]:
    """Have jupyter choose that port so many times, and then as it does; what it was asked so far."""
    choose = LocalPortCache.find_available_port
    given: list[int] = []

    def find(cache: LocalPortCache, ip: str) -> int:
        if len(given) < times:
            given.append(port)
            return port
        return int(choose(cache, ip))

    monkeypatch.setattr(LocalPortCache, "find_available_port", find)
    return given


def test_a_kernel_whose_port_was_taken_is_started_again(
    notebook: Path, home: Path, tmp_path: Path, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = _give(monkeypatch, taken, times=1)
    ran = execute_notebook(notebook, {}, tmp_path / "out", home=home)
    assert given == [taken]
    assert ran.cells == 2
    assert "20" in ran.output.read_text()


def test_after_three_such_starts_it_fails_and_says_why(
    notebook: Path, home: Path, tmp_path: Path, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = _give(monkeypatch, taken, times=1_000)
    with pytest.raises(NotebookFailed, match=r"its kernel did not start \(.*Address already in use"):
        execute_notebook(notebook, {}, tmp_path / "out", home=home)
    assert len(given) == 3 * 5  # five sockets each
