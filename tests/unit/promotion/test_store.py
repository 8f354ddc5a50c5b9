"""The store keeps a notebook by what it does, and gives back nothing else."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import NotebookError
from workbench.promotion.notebook_file import NotebookFile
from workbench.promotion.store import NotebookStore
from workbench.runs.notebook import notebook_sha256

MakeNotebook = Callable[..., Path]


def _edit(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document, indent=4))
    return path


def test_to_run_or_to_fold_a_notebook_does_not_change_its_hash(make_notebook: MakeNotebook) -> None:
    before = notebook_sha256(make_notebook("fast = 20", "x = 1\ny = 2"))

    def run(document: dict[str, Any]) -> None:
        cell = document["cells"][1]
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["hello\n"]}]
        cell["execution_count"] = 7
        cell["id"] = "another"
        cell["metadata"]["collapsed"] = True
        cell["source"] = "".join(cell["source"])
        document["metadata"]["language_info"] = {"name": "python"}

    assert notebook_sha256(_edit(make_notebook("fast = 20", "x = 1\ny = 2"), run)) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document["cells"][1].update(source="x = 2"),
        lambda document: document["cells"][1].update(cell_type="raw"),
        lambda document: document["cells"][1]["metadata"].update(tags=["skip-execution"]),
        lambda document: document["cells"].reverse(),
        lambda document: document["cells"].pop(),
        lambda document: document["metadata"].update(kernelspec={"name": "julia"}),
    ],
)
def test_what_changes_a_run_changes_the_hash(
    make_notebook: MakeNotebook, change: Callable[[Any], object]
) -> None:
    path = make_notebook("fast = 20", "x = 1")
    before = notebook_sha256(path)
    assert notebook_sha256(_edit(path, change)) != before


def test_a_stored_notebook_is_a_read_only_copy_without_outputs(
    make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    path = make_notebook("fast = 20", "x = 1")
    _edit(
        path,
        lambda d: d["cells"][1].update(outputs=[{"output_type": "stream", "name": "stdout", "text": "1"}]),
    )
    store = NotebookStore(tmp_path / "store")
    stored = store.add(NotebookFile.read(path))
    sha256 = notebook_sha256(path)
    assert stored.sha256 == sha256
    assert stored.path == tmp_path / "store" / sha256[:2] / sha256 / "study.ipynb"
    assert stat.S_IMODE(stored.path.stat().st_mode) == 0o444
    assert json.loads(stored.path.read_text())["cells"][1]["outputs"] == []
    assert store.open(sha256) == stored
    path.unlink()
    assert store.open(sha256) == stored


def test_adding_twice_changes_nothing(make_notebook: MakeNotebook, tmp_path: Path) -> None:
    store = NotebookStore(tmp_path / "store")
    first = store.add(NotebookFile.read(make_notebook("fast = 20")))
    before = first.path.stat()
    assert store.add(NotebookFile.read(make_notebook("fast = 20"))) == first
    assert first.path.stat().st_ino == before.st_ino
    assert sorted(path.name for path in first.path.parent.iterdir()) == ["study.ipynb"]


def test_a_damaged_notebook_is_refused_and_adding_it_again_mends_it(
    make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    store = NotebookStore(tmp_path / "store")
    stored = store.add(NotebookFile.read(make_notebook("fast = 20")))
    for damage in ('{"cells"', stored.path.read_text().replace("20", "99")):
        stored.path.chmod(0o644)
        stored.path.write_text(damage)
        with pytest.raises(NotebookError, match="was changed or damaged; promote it again"):
            store.open(stored.sha256)
        store.add(NotebookFile.read(make_notebook("fast = 20")))
        assert store.open(stored.sha256) == stored


@pytest.mark.parametrize("sha256", ["../../etc", "", "A" * 64, "0" * 63])
def test_what_is_no_hash_opens_nothing(tmp_path: Path, sha256: str) -> None:
    with pytest.raises(NotebookError, match="is not the hash of a notebook"):
        NotebookStore(tmp_path).open(sha256)


def test_an_unknown_hash_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotebookError, match="holds no notebook"):
        NotebookStore(tmp_path).open("0" * 64)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.txt", "", "does not end in .ipynb"),
        ("a.ipynb", "{", "it is not JSON"),
        ("a.ipynb", "[]", "it has no list of cells"),
        ("a.ipynb", '{"nbformat": 3, "worksheets": []}', "Open it in JupyterLab and save it"),
        ("a.ipynb", '{"nbformat": 5, "cells": []}', "a notebook of format 5"),
        ("a.ipynb", '{"nbformat": 4, "cells": [1]}', "cell 1 is neither code"),
        ("a.ipynb", '{"nbformat": 4, "cells": [{"cell_type": "code", "source": 1}]}', "cell 1 has no source"),
        ("missing.ipynb", None, "There is no notebook at"),
    ],
)
def test_what_is_no_notebook_is_refused(
    tmp_path: Path, name: str, content: str | None, complaint: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(NotebookError, match=complaint):
        NotebookStore(tmp_path / "store").add(NotebookFile.read(path))
    assert not (tmp_path / "store").exists()
