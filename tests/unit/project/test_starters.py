"""Starter notebooks: a newer version's are told and taken, and what was edited is never touched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from workbench.errors import ProjectRefused
from workbench.paths import shipped
from workbench.project import starters
from workbench.project.create import create_project
from workbench.project.starters import RECORD, Starter, compare_starters, content_hash, take_starters

START, SMA, VECTORBT = "00_start_here.ipynb", "strategies/sma_cross.ipynb", "research/06_vectorbt.ipynb"


@pytest.fixture
def notebooks(tmp_path: Path) -> Path:
    """The notebooks of a project that this version has made."""
    return create_project(tmp_path / "mine") / "notebooks"


@pytest.fixture
def newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The notebooks of the next version: as yet the same."""
    folder = tmp_path / "newer"
    shutil.copytree(shipped("notebooks"), folder)
    monkeypatch.setattr(starters, "shipped", lambda _: folder)
    return folder


def edit(path: Path, source: str = "# edited") -> None:
    document = json.loads(path.read_text())
    document["cells"][0]["source"] = source
    path.write_text(json.dumps(document))


def run(path: Path) -> None:
    """What JupyterLab leaves where a notebook was run and saved."""
    document = json.loads(path.read_text())
    for cell in document["cells"]:
        cell["source"] = "".join(cell["source"])
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "7"}]
            cell["execution_count"] = 7
    document["metadata"]["language_info"] = {"name": "python"}
    path.write_text(json.dumps(document, indent=4))


def test_a_new_project_has_a_record_of_every_starter_and_there_is_no_news(notebooks: Path) -> None:
    recorded = json.loads((notebooks / RECORD).read_text())
    assert {START, SMA, VECTORBT} <= set(recorded)
    assert set(recorded) == {path.relative_to(notebooks).as_posix() for path in notebooks.rglob("*.ipynb")}
    assert compare_starters(notebooks) == []
    assert take_starters(notebooks) == []


def test_each_kind_of_news_is_told_and_nothing_changed(notebooks: Path, newer: Path) -> None:
    edit(newer / START)
    edit(newer / SMA)
    edit(notebooks / SMA, "# mine")
    (newer / VECTORBT).unlink()
    shutil.copy(newer / START, newer / "research" / "99_new.ipynb")
    (notebooks / "own.ipynb").write_text("{}")
    before = {path: path.read_bytes() for path in notebooks.rglob("*") if path.is_file()}
    assert compare_starters(notebooks) == [
        Starter(START, "changed"),
        Starter(VECTORBT, "removed"),
        Starter("research/99_new.ipynb", "new"),
        Starter(SMA, "edited"),
    ]
    assert {path: path.read_bytes() for path in notebooks.rglob("*") if path.is_file()} == before


def test_what_was_not_edited_is_taken_and_what_was_edited_is_never_touched(
    notebooks: Path, newer: Path
) -> None:
    for folder, source in ((newer, "# newer"), (notebooks, "# mine")):
        edit(folder / SMA, source)
    mine = (notebooks / SMA).read_bytes()
    edit(newer / START)
    assert take_starters(notebooks) == [Starter(START, "changed")]
    assert (notebooks / START).read_bytes() == (newer / START).read_bytes()
    assert (notebooks / SMA).read_bytes() == mine
    assert compare_starters(notebooks) == [Starter(SMA, "edited")]
    # The next version of a starter that was taken is told again.
    edit(newer / START, "# newer still")
    assert Starter(START, "changed") in compare_starters(notebooks)


def test_a_starter_that_was_only_run_counts_as_it_came(notebooks: Path, newer: Path) -> None:
    run(notebooks / START)
    assert compare_starters(notebooks) == []
    edit(newer / START)
    assert compare_starters(notebooks) == [Starter(START, "changed")]


def test_an_edited_starter_that_did_not_change_is_no_news(notebooks: Path, newer: Path) -> None:
    edit(notebooks / START)
    assert compare_starters(notebooks) == []
    (notebooks / START).write_text("no notebook any more")
    edit(newer / START)
    assert compare_starters(notebooks) == [Starter(START, "edited")]


def test_a_starter_that_was_deleted_or_moved_stays_away(notebooks: Path, newer: Path) -> None:
    (notebooks / START).rename(notebooks / "moved.ipynb")
    edit(newer / START)
    assert compare_starters(notebooks) == []
    assert take_starters(notebooks) == []
    assert not (notebooks / START).exists()


def test_a_project_without_a_record_gets_one_and_what_differs_counts_as_edited(
    notebooks: Path, newer: Path
) -> None:
    (notebooks / RECORD).unlink()
    edit(newer / START)
    (notebooks / VECTORBT).write_text("no notebook, and not known")
    assert compare_starters(notebooks) == [Starter(START, "edited"), Starter(VECTORBT, "edited")]
    assert take_starters(notebooks) == []
    shutil.copy(newer / VECTORBT, notebooks / VECTORBT)
    assert SMA in json.loads((notebooks / RECORD).read_text())
    edit(newer / SMA)
    assert compare_starters(notebooks) == [Starter(START, "edited"), Starter(SMA, "changed")]


def test_a_change_made_here_as_in_the_newer_version_is_no_news(notebooks: Path, newer: Path) -> None:
    for folder in (notebooks, newer):
        edit(folder / START)
    assert compare_starters(notebooks) == []
    edit(newer / START, "# newer still")
    assert compare_starters(notebooks) == [Starter(START, "changed")]


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1}'])
def test_a_damaged_record_is_named(notebooks: Path, content: str) -> None:
    (notebooks / RECORD).write_text(content)
    with pytest.raises(ProjectRefused, match=r"\.starters\.json is damaged.*Delete it"):
        compare_starters(notebooks)


@pytest.mark.parametrize("content", [None, "{", "[]", '{"cells": 1}', '{"cells": [{}]}'])
def test_what_is_no_notebook_has_no_hash(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "a.ipynb").write_text(content)
    assert content_hash(tmp_path / "a.ipynb") is None
