"""An update: the embedded database is backed up before it is migrated, and can be had back."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest

from workbench import Workbench
from workbench.cli import main
from workbench.db import migrate
from workbench.db.bootstrap import create_databases
from workbench.embedded import EmbeddedPostgres
from workbench.errors import NewerHome, ServerError
from workbench.project.create import create_project
from workbench.settings import Settings
from workbench.stack import Stack
from workbench.stack.restore import restore
from workbench.version import __version__

OLD = "0005"
BARS = """
INSERT INTO data_ingestion.market_data (symbol, "timestamp", open, high, low, close, volume, data_source)
SELECT 'AAPL', '2024-01-01Z'::timestamptz + day * interval '1 day', day, day + 1, day - 0.5, day, 7, 'yahoo'
FROM generate_series(1, 400) AS day
"""
COUNTS = """
SELECT (SELECT count(*) FROM data_ingestion.market_data), (SELECT sum(close) FROM data_ingestion.market_data),
       (SELECT count(*) FROM strategy_engine.strategies)
"""


def quiet(step: str) -> None:
    """Ignore progress."""


def connect(settings: Settings) -> psycopg.Connection[tuple[Any, ...]]:
    url = EmbeddedPostgres(settings).ensure().rpartition("/")[0]
    return psycopg.connect(f"{url}/{settings.trading_database}", autocommit=True)


def counts(settings: Settings) -> tuple[Any, ...] | None:
    with connect(settings) as connection:
        return connection.execute(COUNTS).fetchone()


@pytest.fixture
def outdated(settings: Settings) -> Settings:
    """A home whose database an earlier version has made and filled."""
    settings.home.mkdir(parents=True)
    server = EmbeddedPostgres(settings).ensure()
    create_databases(settings, server)
    migrate.upgrade(settings, server, OLD)
    with connect(settings) as connection:
        connection.execute(BARS)
        connection.execute("INSERT INTO strategy_engine.strategies (strategy_id, name) VALUES ('a', 'A')")
    return settings


def test_an_update_backs_up_and_migrates_and_the_backup_restored_is_the_database_of_before(
    outdated: Settings,
) -> None:
    before, told = counts(outdated), list[str]()
    done = Stack(outdated).upgrade(told.append)
    assert (done.before, done.after) == (OLD, migrate.head())
    assert done.backup is not None
    assert done.backup.parent == outdated.home / "backups"
    assert done.backup.stat().st_mode & 0o777 == 0o600
    assert [text for text in told if text.startswith("Backing up the database")]
    assert list(done.backup.parent.iterdir()) == [done.backup]
    assert counts(outdated) == before
    # A second time there is nothing to do, and so no backup.
    again = Stack(outdated).upgrade()
    assert (again.before, again.after, again.backup) == (migrate.head(), migrate.head(), None)
    with Workbench(outdated) as wb:
        wb.strategy_engine.write_strategies(pd.DataFrame({"strategy_id": ["b"], "name": ["B"]}))
        wb.data_ingestion.pool.close()
    with connect(outdated) as connection:
        connection.execute("DELETE FROM data_ingestion.market_data")
    # Only the database is needed for it; nothing else may be connected.
    Stack(outdated).down()

    revision, saved = restore(outdated, done.backup, quiet)
    assert revision == OLD
    assert counts(outdated) == before
    assert saved is not None
    server = EmbeddedPostgres(outdated).ensure()
    with psycopg.connect(server) as connection:
        names = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
    assert names == {"postgres", "template0", "template1", "trading_system", "prefect"}

    # The next use brings it up to date again, with every permission.
    with Workbench(outdated) as wb:
        assert len(wb.data_ingestion.load_market_data("AAPL")) == 400
        wb.strategy_engine.write_strategies(pd.DataFrame({"strategy_id": ["c"], "name": ["C"]}))
        assert wb.sql("SELECT strategy_id FROM strategy_engine.strategies")["strategy_id"].tolist() == [
            "a",
            "c",
        ]
        assert migrate.check(outdated, server) == []
    Stack(outdated).down()

    # And what was there before the first restoring can be had back.
    assert restore(outdated, saved, quiet)[0] == migrate.head()
    assert counts(outdated) == (0, None, 2)


def test_a_backup_is_restored_into_another_home_as_well(outdated: Settings) -> None:
    """Its passwords are others, and it has never been started."""
    before = counts(outdated)
    done = Stack(outdated).upgrade()
    assert done.backup is not None
    other = Settings(home=outdated.home.parent / "another")
    try:
        assert restore(other, done.backup, quiet) == (OLD, None)
        assert counts(other) == before
        with Workbench(other) as wb:
            wb.strategy_engine.write_strategies(pd.DataFrame({"strategy_id": ["b"], "name": ["B"]}))
            assert len(wb.data_ingestion.load_market_data("AAPL")) == 400
    finally:
        Stack(other).down()


def test_where_the_backup_fails_nothing_is_migrated(outdated: Settings) -> None:
    (outdated.home / "backups").write_text("in the way")
    with pytest.raises(ServerError, match=r"cannot be backed up .*nothing was changed"):
        Stack(outdated).upgrade()
    assert migrate.current(outdated, EmbeddedPostgres(outdated).ensure()) == OLD
    (outdated.home / "backups").unlink()
    assert Stack(outdated).upgrade().after == migrate.head()


def test_a_first_start_and_an_update_without_migrations_make_no_backup(settings: Settings) -> None:
    done = Stack(settings).upgrade()
    assert (done.before, done.after, done.backup) == (None, migrate.head(), None)
    assert not (settings.home / "backups").exists()
    assert json.loads((settings.home / "version.json").read_text()) == {
        "workbench": __version__,
        "layout": 1,
        "revision": migrate.head(),
    }


def test_what_is_no_backup_or_cannot_be_read_to_its_end_changes_nothing(outdated: Settings) -> None:
    done = Stack(outdated).upgrade()
    assert done.backup is not None
    before = counts(outdated)
    Stack(outdated).down()
    part = outdated.home / "part.dump"
    part.write_bytes(done.backup.read_bytes()[:-2000])
    text = outdated.home / "text.dump"
    text.write_text("no dump")
    for file, said in (
        (outdated.home / "none.dump", "there is no file"),
        (text, "is no backup of workbench"),
        (part, r"cannot be restored .*the database is as it was|is no backup of workbench"),
    ):
        with pytest.raises(ServerError, match=said):
            restore(outdated, file, quiet)
    assert counts(outdated) == before


def test_a_database_in_use_is_not_replaced(outdated: Settings) -> None:
    done = Stack(outdated).upgrade()
    assert done.backup is not None
    with connect(outdated), pytest.raises(ServerError, match=r"a client is connected .*workbench down"):
        restore(outdated, done.backup, quiet)


def test_a_home_of_a_newer_version_is_refused_before_anything_starts_and_a_backup_leads_back(
    outdated: Settings,
) -> None:
    done = Stack(outdated).upgrade()
    assert done.backup is not None
    Stack(outdated).down()
    # As the next version leaves it.
    with connect(outdated) as connection:
        connection.execute("UPDATE workbench_meta.schema_version SET version_num = '9999'")
    Stack(outdated).down()
    noted = {"workbench": "9.1.0", "layout": 1, "revision": "9999"}
    (outdated.home / "version.json").write_text(json.dumps(noted))
    starts: list[Callable[[], object]] = [
        Stack(outdated).start_servers,
        Stack(outdated).upgrade,
        Stack(outdated).up,
        Stack(outdated).supervise,
        lambda: Workbench(outdated).sql("SELECT 1"),
    ]
    for start in starts:
        with pytest.raises(
            NewerHome, match=rf"set up by workbench 9\.1\.0.* this is {__version__}.*update it"
        ):
            start()
        assert not [service for service in Stack(outdated).status() if service.running]
    assert restore(outdated, done.backup, quiet)[0] == OLD
    Stack(outdated).down()
    assert Stack(outdated).upgrade().after == migrate.head()


def test_the_commands_tell_what_they_did(
    outdated: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def say(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["workbench", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr().err
        assert not ended.value.code, told
        return told

    root = create_project(tmp_path / "mine")
    monkeypatch.setenv("WORKBENCH_PROJECT", str(root))
    monkeypatch.setenv("WORKBENCH_HOME", str(outdated.home))
    told = say("upgrade")
    (backup,) = (outdated.home / "backups").iterdir()
    assert f"went from revision {OLD} to {migrate.head()}" in told
    assert f"workbench db restore {backup}" in told
    assert "the starter notebooks are those of this version" in told
    (root / "notebooks" / ".starters.json").unlink()
    (root / "notebooks" / "00_start_here.ipynb").write_text("mine")
    (root / "notebooks" / "strategies" / "sma_cross.ipynb").unlink()
    told = say("upgrade")
    assert "is up to date, at revision" in told
    assert "00_start_here.ipynb changed in this version; you have edited yours, which is left" in told
    assert "strategies/sma_cross.ipynb came with this version" in told
    told = say("upgrade", "--notebooks")
    assert "strategies/sma_cross.ipynb is this version's now" in told
    assert (root / "notebooks" / "strategies" / "sma_cross.ipynb").is_file()
    assert (root / "notebooks" / "00_start_here.ipynb").read_text() == "mine"
    Stack(outdated).down()
    told = say("db", "restore", str(backup))
    assert f"is that of {backup}, at revision {OLD}" in told
