"""The store keeps a notebook by what it does, and gives back nothing else."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import NotebookError
from workbench.headless.notebook_file import NotebookFile
from workbench.promotion.store import NotebookStore
from workbench.promotion.version import Version
from workbench.runs.notebook import notebook_sha256

MakeNotebook = Callable[..., Path]
MODULES = {"rules/__init__.py": b"", "rules/rule.py": b"fast = 20\n"}


def add(
    store: NotebookStore, path: Path, modules: dict[str, bytes] = MODULES, universe: str = "AAPL"
) -> Version:
    """Store the notebook with modules and a file."""
    file = path.parent / "universe.csv"
    # Not written again: another thread may be reading it.
    if not file.exists() or file.read_text() != universe:
        file.write_text(universe)
    return store.add(
        NotebookFile.read(path), modules, {"data/universe.csv": file}, paths=["notebooks", "."], commit="gabc"
    )


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


def test_a_stored_version_is_a_read_only_copy_of_the_notebook_without_outputs_its_modules_and_files(
    make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    path = make_notebook("fast = 20", "x = 1")
    _edit(
        path,
        lambda d: d["cells"][1].update(outputs=[{"output_type": "stream", "name": "stdout", "text": "1"}]),
    )
    store = NotebookStore(tmp_path / "store")
    stored = add(store, path)
    place = tmp_path / "store" / stored.sha256[:2] / stored.sha256
    assert stored.file.sha256 == notebook_sha256(path)
    assert stored.file.path == place / "study.ipynb"
    assert stored.tree == place / "project"
    found = [one for one in place.rglob("*") if one.is_file()]
    assert {one.relative_to(place).as_posix() for one in found} == {
        "study.ipynb",
        "version.json",
        "project/rules/__init__.py",
        "project/rules/rule.py",
        "project/data/universe.csv",
    }
    assert {stat.S_IMODE(one.stat().st_mode) for one in found} == {0o444}
    assert json.loads(stored.file.path.read_text())["cells"][1]["outputs"] == []
    assert (stored.tree / "rules" / "rule.py").read_bytes() == MODULES["rules/rule.py"]
    assert (stored.paths, stored.commit) == (("notebooks", "."), "gabc")
    assert store.open(stored.sha256) == stored
    path.unlink()
    (tmp_path / "universe.csv").unlink()
    assert store.open(stored.sha256) == stored


def test_the_versions_hash_covers_its_modules_and_files(make_notebook: MakeNotebook, tmp_path: Path) -> None:
    store = NotebookStore(tmp_path / "store")
    path = make_notebook("fast = 20")
    stored = [add(store, path), add(store, path, {"rules/rule.py": b"other"}), add(store, path, {})]
    stored.append(add(store, path, universe="IBM"))
    stored.append(add(store, path, {"rules/__init__.py": b"", "rules/moved.py": MODULES["rules/rule.py"]}))
    assert len({version.sha256 for version in stored}) == len(stored)
    assert len({version.file.sha256 for version in stored}) == 1


def test_adding_twice_changes_nothing(make_notebook: MakeNotebook, tmp_path: Path) -> None:
    store = NotebookStore(tmp_path / "store")
    first = add(store, make_notebook("fast = 20"))
    before = first.file.path.stat()
    assert add(store, make_notebook("fast = 20")) == first
    assert first.file.path.stat().st_ino == before.st_ino
    assert len(list((tmp_path / "store").glob("*/*"))) == 1
    assert list((tmp_path / "tmp").iterdir()) == []


def test_two_who_add_the_same_at_once_both_have_it(make_notebook: MakeNotebook, tmp_path: Path) -> None:
    path = make_notebook("fast = 20")
    (path.parent / "universe.csv").write_text("AAPL")
    with ThreadPoolExecutor(8) as threads:
        added = list(threads.map(lambda _: add(NotebookStore(tmp_path / "store"), path), range(8)))
    assert {version.sha256 for version in added} == {added[0].sha256}
    assert NotebookStore(tmp_path / "store").open(added[0].sha256) == added[0]


@pytest.mark.parametrize("name", ["study.ipynb", "version.json", "project/rules/rule.py"])
@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_damaged_version_is_refused_by_name_and_adding_it_again_mends_it(
    make_notebook: MakeNotebook, tmp_path: Path, name: str, damage: str
) -> None:
    store = NotebookStore(tmp_path / "store")
    stored = add(store, make_notebook("fast = 20"))
    path = stored.file.path.parent / name
    before = path.read_bytes()
    path.unlink()
    if damage == "changed":
        path.write_bytes(before.replace(b"2", b"3"))
    with pytest.raises(NotebookError, match=r"promote it again") as refusal:
        store.open(stored.sha256)
    if name != "version.json" or damage == "changed":
        assert name in str(refusal.value)
    add(store, make_notebook("fast = 20"))
    assert store.open(stored.sha256) == stored


def test_a_module_that_was_put_into_the_store_later_is_refused(
    make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    store = NotebookStore(tmp_path / "store")
    stored = add(store, make_notebook("fast = 20"))
    assert stored.tree is not None
    (stored.tree / "rules" / "__pycache__").mkdir()
    (stored.tree / "rules" / "__pycache__" / "rule.py311.nbi").touch()
    assert store.open(stored.sha256) == stored
    (stored.tree / "pandas.py").touch()
    with pytest.raises(NotebookError, match=r"pandas\.py was changed or damaged"):
        store.open(stored.sha256)


def test_nothing_is_left_where_a_file_cannot_be_copied(make_notebook: MakeNotebook, tmp_path: Path) -> None:
    store = NotebookStore(tmp_path / "store")
    file = NotebookFile.read(make_notebook("fast = 20"))
    with pytest.raises(NotebookError, match=r"study\.ipynb cannot be stored in"):
        store.add(file, {}, {"gone.csv": tmp_path / "gone.csv"})
    assert not (tmp_path / "store").exists()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_notebook_promoted_by_an_earlier_version_is_opened_as_it_was(
    make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    path = make_notebook("fast = 20")
    sha256 = notebook_sha256(path)
    place = tmp_path / "store" / sha256[:2] / sha256
    place.mkdir(parents=True)
    path.rename(place / "study.ipynb")
    store = NotebookStore(tmp_path / "store")
    stored = store.open(sha256)
    assert (stored.sha256, stored.file.sha256, stored.tree) == (sha256, sha256, None)
    _edit(place / "study.ipynb", lambda document: document["cells"].pop())
    with pytest.raises(
        NotebookError, match=r"study\.ipynb was changed or damaged in the store; promote it again"
    ):
        store.open(sha256)


@pytest.mark.parametrize("sha256", ["../../etc", "", "A" * 64, "0" * 63])
def test_what_is_no_hash_opens_nothing(tmp_path: Path, sha256: str) -> None:
    with pytest.raises(NotebookError, match="is not the hash of a promoted notebook"):
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
