"""The database keeps what was promoted; a home without it, or with a damaged copy, fetches it from there."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.notebooks import write_notebook
from tests.conftest import Connection
from workbench import Workbench
from workbench.db.roles import SERVICES, role_of
from workbench.errors import NotebookError
from workbench.headless.notebook_file import NotebookFile
from workbench.promotion import contents as keeping
from workbench.promotion.contents import Contents
from workbench.promotion.store import NotebookStore
from workbench.promotion.version import Version

MODULES = {"rules/__init__.py": b"", "rules/rule.py": b"fast = 20\n"}


@pytest.fixture
def contents(wb: Workbench) -> Contents:
    return Contents(wb.session.pool("runs"))


@pytest.fixture
def here(tmp_path: Path, contents: Contents) -> NotebookStore:
    return NotebookStore(tmp_path / "a" / "store", contents)


@pytest.fixture
def there(tmp_path: Path, contents: Contents) -> NotebookStore:
    """Another home's on the same database."""
    return NotebookStore(tmp_path / "b" / "store", contents)


def add(store: NotebookStore, folder: Path, cell: str = "1", universe: bytes = b"AAPL") -> Version:
    path = write_notebook(folder / "study.ipynb", parameters="fast = 20", cells=[cell])
    (folder / "universe.csv").write_bytes(universe)
    files = {"data/universe.csv": folder / "universe.csv"}
    return store.add(NotebookFile.read(path), MODULES, files, paths=["."], commit="gabc")


def counts(admin: Connection) -> tuple[int, ...]:
    tables = ("versions", "contents", "content_parts")
    return tuple(
        int(admin.execute(f"SELECT count(*) FROM workbench.{table}".encode()).fetchone()[0])  # type: ignore[index]
        for table in tables
    )


def tree_of(version: Version) -> dict[str, bytes]:
    place = version.file.path.parent
    return {
        path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*.*") if path.is_file()
    }


def test_a_home_that_never_saw_it_opens_the_same_and_keeps_a_copy(
    here: NotebookStore, there: NotebookStore, tmp_path: Path, admin: Connection
) -> None:
    added = add(here, tmp_path)
    opened = there.open(added.sha256)
    assert tree_of(opened) == tree_of(added)
    assert (opened.commit, opened.paths, opened.modules) == ("gabc", (".",), added.modules)
    admin.execute("DELETE FROM workbench.versions")
    assert NotebookStore(there.folder).open(added.sha256) == opened


def test_a_file_that_did_not_change_is_stored_once(
    here: NotebookStore, tmp_path: Path, admin: Connection
) -> None:
    add(here, tmp_path)
    # The notebook, the rule and the universe have a part each, the empty file has none.
    assert counts(admin) == (1, 4, 3)
    add(here, tmp_path)
    assert counts(admin) == (1, 4, 3)
    add(here, tmp_path, cell="2")
    assert counts(admin) == (2, 5, 4)


@pytest.mark.parametrize("name", ["study.ipynb", "version.json", "project/rules/rule.py"])
def test_a_copy_that_is_damaged_is_fetched_anew(here: NotebookStore, tmp_path: Path, name: str) -> None:
    added = add(here, tmp_path)
    before = tree_of(added)
    path = added.file.path.parent / name
    path.unlink()
    path.write_text("{}")
    assert tree_of(here.open(added.sha256)) == before


def test_what_only_the_folder_has_is_stored_when_it_is_opened(
    here: NotebookStore, there: NotebookStore, tmp_path: Path, admin: Connection
) -> None:
    alone = NotebookStore(here.folder)
    added = add(alone, tmp_path)
    # As a notebook was promoted before it had modules.
    before = NotebookFile.read(write_notebook(tmp_path / "old.ipynb", parameters="slow = 1", cells=["2"]))
    place = here.folder / before.sha256[:2] / before.sha256
    place.mkdir(parents=True)
    before.path.rename(place / "old.ipynb")
    assert counts(admin) == (0, 0, 0)
    for sha256 in (added.sha256, before.sha256):
        with pytest.raises(NotebookError, match=r"holds no notebook .*, and neither does the database"):
            there.open(sha256)
        here.open(sha256)
        assert tree_of(there.open(sha256)) == tree_of(here.open(sha256))
    assert there.open(before.sha256).tree is None
    assert counts(admin)[0] == 2


def test_an_upgrade_stores_all_that_is_whole(here: NotebookStore, tmp_path: Path, admin: Connection) -> None:
    alone = NotebookStore(here.folder)
    for number in range(3):
        damaged = add(alone, tmp_path, cell=str(number))
    damaged.file.path.unlink()
    assert here.put_all() == 2
    assert counts(admin)[0] == 2


def test_a_damaged_database_is_said_to_be_and_mended_as_it_says(
    here: NotebookStore, there: NotebookStore, tmp_path: Path, admin: Connection
) -> None:
    added = add(here, tmp_path)
    rule = added.modules["rules/rule.py"]
    admin.execute("ALTER TABLE workbench.content_parts DISABLE TRIGGER content_parts_kept")
    admin.execute("UPDATE workbench.content_parts SET bytes = 'fast = 30' WHERE sha256 = %s", [rule])
    with pytest.raises(
        NotebookError, match=r"rule\.py of study\.ipynb is damaged in the database"
    ) as refusal:
        there.open(added.sha256)
    assert not list(there.folder.glob("*/*"))
    statement = str(refusal.value).partition(" run ")[2].partition(", then")[0]
    admin.execute("ALTER TABLE workbench.content_parts ENABLE ALWAYS TRIGGER content_parts_kept")
    admin.execute(statement.encode())
    here.open(added.sha256)
    assert tree_of(there.open(added.sha256)) == tree_of(added)


def test_a_manifest_that_was_changed_is_refused_before_its_paths_are_used(
    here: NotebookStore, there: NotebookStore, tmp_path: Path, admin: Connection
) -> None:
    added = add(here, tmp_path)
    admin.execute("ALTER TABLE workbench.versions DISABLE TRIGGER versions_kept")
    admin.execute(
        "UPDATE workbench.versions SET manifest = jsonb_set(manifest, '{modules}', %s::jsonb)",
        [json.dumps({"../../outside.py": added.modules["rules/rule.py"]})],
    )
    with pytest.raises(NotebookError, match="its manifest is not what was promoted"):
        there.open(added.sha256)
    assert not list(tmp_path.rglob("outside.py"))


@pytest.mark.parametrize("table", ["contents", "content_parts", "versions"])
def test_no_login_of_ours_changes_or_removes_what_was_promoted(
    here: NotebookStore,
    tmp_path: Path,
    admin: Connection,
    connect_as: Callable[[str], Connection],
    table: str,
) -> None:
    add(here, tmp_path)
    before = counts(admin)
    statements = [
        f"UPDATE workbench.{table} SET sha256 = repeat('0', 64)",
        f"DELETE FROM workbench.{table}",
        f"TRUNCATE workbench.{table} CASCADE",
    ]
    for role in ["workbench_runs", "workbench_readonly", *map(role_of, SERVICES)]:
        for statement in statements:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connect_as(role).execute(statement.encode())
    for statement in statements[::2]:
        for setting in ("SET session_replication_role = replica", "RESET session_replication_role"):
            admin.execute(setting.encode())
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="is never changed"):
                admin.execute(statement.encode())
    assert counts(admin) == before


def test_of_a_promotion_that_dies_on_the_way_nothing_is_there(
    here: NotebookStore, tmp_path: Path, admin: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = keeping._put_file
    done: list[str] = []

    def dies_at_the_third(connection: object, content: str, path: Path) -> None:
        done.append(content)
        if len(done) == 3:
            raise OSError("the disk is full")
        put(connection, content, path)  # type: ignore[arg-type]

    monkeypatch.setattr(keeping, "_put_file", dies_at_the_third)
    with pytest.raises(NotebookError, match="the disk is full"):
        add(here, tmp_path)
    assert counts(admin) == (0, 0, 0)
    assert not here.folder.exists()


def test_many_that_promote_the_same_at_once_store_it_once(
    contents: Contents, tmp_path: Path, admin: Connection
) -> None:
    begin = threading.Barrier(6)

    def promote(number: int) -> str:
        folder = tmp_path / str(number)
        folder.mkdir()
        begin.wait()
        return add(NotebookStore(folder / "store", contents), folder).sha256

    with ThreadPoolExecutor(6) as threads:
        assert len(set(threads.map(promote, range(6)))) == 1
    assert counts(admin) == (1, 4, 3)


STREAMED = """
import resource, sys
from pathlib import Path
from sqlalchemy.engine import make_url
from workbench.db.pool import ServiceConnectionPool
from workbench.promotion.contents import Contents
from workbench.headless.notebook_file import NotebookFile
from workbench.promotion.store import NotebookStore
folder, url = Path(sys.argv[1]), make_url(sys.argv[2]).set(drivername="postgresql+psycopg")
pool = ServiceConnectionPool("runs", lambda: url)
contents = Contents(pool)
small = NotebookStore(folder / "a" / "store", contents).add(NotebookFile.read(folder / "small.ipynb"))
NotebookStore(folder / "b" / "store", contents).open(small.sha256)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
file = NotebookFile.read(folder / "study.ipynb")
added = NotebookStore(folder / "a" / "store", contents).add(file, {}, {"large.bin": folder / "large.bin"})
NotebookStore(folder / "b" / "store", contents).open(added.sha256)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_a_large_file_is_never_whole_in_memory(tmp_path: Path, database_url: str, admin: Connection) -> None:
    size = 200 * 2**20
    for name in ("small", "study"):
        write_notebook(tmp_path / f"{name}.ipynb", parameters="fast = 20", cells=[name])
    chunk = bytes(range(256)) * 4096
    digest = hashlib.sha256()
    with (tmp_path / "large.bin").open("wb") as stream:
        for number in range(size // len(chunk)):
            piece = number.to_bytes(8) + chunk[8:]
            digest.update(piece)
            stream.write(piece)
    command = [sys.executable, "-c", STREAMED, str(tmp_path), database_url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stderr
    grown = float(done.stdout)
    assert grown < 60, f"{grown:.0f} MB for a file of {size / 2**20:.0f} MB"
    (copy,) = tmp_path.glob("b/store/*/*/project/large.bin")
    with copy.open("rb") as stream:
        assert hashlib.file_digest(stream, "sha256").hexdigest() == digest.hexdigest()
    stored = admin.execute("SELECT max(size), count(*) FILTER (WHERE size > 1e6) FROM workbench.contents")
    assert stored.fetchone() == (size, 1)
