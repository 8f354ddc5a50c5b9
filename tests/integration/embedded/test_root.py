"""As root: PostgreSQL runs as an unprivileged account, wherever that account can really reach."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import psutil
import psycopg
import pytest

from workbench.embedded import EmbeddedPostgres, place
from workbench.embedded.accounts import server_account
from workbench.embedded.binaries import PostgresPrograms, find_postgres
from workbench.errors import ServerError
from workbench.settings import Settings

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="what root does can be seen as root only")


@pytest.fixture
def postgres(settings: Settings) -> EmbeddedPostgres:
    return EmbeddedPostgres(settings)


def runner(postgres: EmbeddedPostgres) -> psutil.Process:
    running = postgres.running()
    assert running is not None
    return psutil.Process(running.pid)


def away(settings: Settings) -> Path:
    return place.away_folder(settings.home)


def shared_copy() -> Path:
    """The one copy of the programs for every home, of the version that is installed."""
    return place.AWAY / f"postgresql-{find_postgres().wheel}"


def modes(folder: Path) -> dict[str, int]:
    return {str(path): stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.parents]}


def test_in_a_home_that_it_can_reach_everything_stays(postgres: EmbeddedPostgres, settings: Settings) -> None:
    postgres.ensure()
    account = server_account(None)
    assert account is not None
    assert runner(postgres).uids().real == account.uid
    assert runner(postgres).gids().real == account.gid
    assert postgres.data() == settings.home / "postgres"
    assert not place.AWAY.exists()


def test_another_account_can_be_named(settings: Settings) -> None:
    postgres = EmbeddedPostgres(settings.model_copy(update={"postgres_user": "nobody"}))
    postgres.ensure()
    assert runner(postgres).username() == "nobody"


def test_a_closed_clone_is_left_closed_and_the_cluster_goes_elsewhere(
    postgres: EmbeddedPostgres, settings: Settings
) -> None:
    settings.home.mkdir(parents=True)
    settings.home.parent.chmod(0o700)
    before = modes(settings.home)
    url = postgres.ensure()
    assert modes(settings.home) == before
    assert postgres.data() == away(settings) / "postgres"
    assert stat.S_IMODE((away(settings) / "postgres").stat().st_mode) == 0o700
    for folder in (place.AWAY, away(settings)):
        assert folder.stat().st_uid == 0
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert Path(runner(postgres).exe()).is_relative_to(shared_copy())
    assert not (settings.home / "postgres").exists()
    postgres.stop()
    assert postgres.ensure() == url


def test_programs_that_it_cannot_read_are_copied(
    settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a .venv below a closed folder, or one that was installed with a tight umask."""
    wheel = find_postgres()
    closed = PostgresPrograms(folder / "venv", wheel.wheel)
    for source, target in zip(wheel.folders(), closed.folders(), strict=True):
        shutil.copytree(source, target, symlinks=True)
    hidden = closed.install / "share" / "postgresql.conf.sample"
    hidden.chmod(0o600)
    monkeypatch.setattr(place, "find_postgres", lambda: closed)
    postgres = EmbeddedPostgres(settings)
    postgres.ensure()
    assert Path(runner(postgres).exe()).is_relative_to(shared_copy())
    assert stat.S_IMODE(hidden.stat().st_mode) == 0o600


def test_a_cluster_in_the_home_stays_there_when_only_the_programs_get_closed(
    postgres: EmbeddedPostgres, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.ensure()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    postgres.stop()
    monkeypatch.setattr(place, "can_run", lambda account, programs: place.AWAY in programs.root.parents)
    with psycopg.connect(postgres.ensure()) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    assert postgres.data() == settings.home / "postgres"
    assert Path(runner(postgres).exe()).is_relative_to(shared_copy())


def test_a_home_that_was_closed_since_is_told(postgres: EmbeddedPostgres, settings: Settings) -> None:
    postgres.ensure()
    postgres.stop()
    settings.home.parent.chmod(0o700)
    with pytest.raises(ServerError, match=r"can no longer enter .*postgres; give it back the permission"):
        postgres.ensure()
    assert not place.AWAY.exists()


def test_the_cluster_of_a_deleted_home_is_set_aside_and_kept(
    postgres: EmbeddedPostgres, settings: Settings
) -> None:
    settings.home.mkdir(parents=True)
    settings.home.parent.chmod(0o700)
    with psycopg.connect(postgres.ensure()) as connection:
        connection.execute("CREATE TABLE old AS SELECT 1 AS one")
    # Not even stopped: the clone was simply removed and made again.
    shutil.rmtree(settings.home)
    with psycopg.connect(EmbeddedPostgres(settings).ensure()) as connection:
        assert connection.execute("SELECT to_regclass('old')").fetchone() == (None,)
    aside = list(place.AWAY.glob("*.old-*"))
    assert len(aside) == 1
    assert (aside[0] / "postgres" / "PG_VERSION").exists()
