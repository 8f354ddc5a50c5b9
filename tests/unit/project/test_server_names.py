"""What a home's databases, work pool and events are called where several projects use one server."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from workbench.errors import SettingsError
from workbench.project.create import create_project
from workbench.project.server_names import Names, keep_names, names_of, renamed
from workbench.settings import Settings

SERVER = SecretStr("postgresql://admin:secret@db")
REDIS = SecretStr("redis://cache")
SHARED = Names()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project my-fund, in which this process works."""
    made = create_project(tmp_path / "my-fund")
    monkeypatch.chdir(made)
    return made


def _used(home: Path, *ports: str) -> Path:
    """A home that an earlier version used, with these servers embedded."""
    for folder in ("run", "logs"):
        (home / folder).mkdir(parents=True)
    (home / "run" / "setup.stamp").touch()
    (home / "logs" / "worker.log").touch()
    for server in ports:
        (home / "run" / f"{server}.port").write_text("1")
    return home


def test_the_names_are_the_projects(root: Path) -> None:
    names = names_of(root / ".workbench")
    assert names == Names("my-fund", "trading_my_fund", "workbench-my-fund", "data_sync.trading_my_fund")


def test_the_clone_keeps_the_names_that_it_had(tmp_path: Path) -> None:
    assert names_of(tmp_path) == Names("workbench", "trading_system", "workbench", "data_sync")


def test_settings_take_them_for_servers_of_ones_own(root: Path) -> None:
    settings = Settings(database_url=SERVER, redis_url=REDIS, prefect_api_url="http://prefect/api")
    assert settings.home == root / ".workbench"
    assert (settings.trading_database, settings.prefect_database) == (
        "trading_my_fund",
        "trading_my_fund_prefect",
    )
    assert settings.event_prefix == "data_sync.trading_my_fund"
    assert settings.work_pool == "workbench-my-fund"
    assert settings.has_shared_names


def test_embedded_servers_are_one_projects_and_keep_the_plain_names(root: Path) -> None:
    settings = Settings()
    assert settings.home == root / ".workbench"
    assert (settings.trading_database, settings.prefect_database) == ("trading_system", "prefect")
    assert (settings.event_prefix, settings.work_pool) == ("data_sync", "workbench")
    assert not settings.has_shared_names


def test_each_kind_of_server_has_them_by_itself(root: Path) -> None:
    assert Settings(redis_url=REDIS).event_prefix == "data_sync.trading_my_fund"
    assert Settings(redis_url=REDIS).trading_database == "trading_system"
    assert Settings(prefect_api_url="http://prefect/api").work_pool == "workbench-my-fund"
    assert Settings(database_url=SERVER).event_prefix == "data_sync"


def test_what_is_named_by_hand_is_not_the_projects(root: Path) -> None:
    named = SecretStr("postgresql://admin:secret@db/research")
    settings = Settings(
        database_url=named, redis_url=REDIS, prefect_api_url="http://p/api", work_pool="nightly"
    )
    assert (settings.trading_database, settings.work_pool) == ("research", "nightly")
    assert settings.event_prefix == "data_sync.research"
    assert not settings.has_project_database


def test_the_names_are_those_of_where_the_settings_were_read(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path / "home", database_url=SERVER)
    monkeypatch.chdir(create_project(tmp_path / "other"))
    assert settings.trading_database == "trading_my_fund"


def test_a_home_keeps_its_names_for_whoever_uses_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "shared home"
    keep_names(home, names_of(home))
    monkeypatch.chdir(create_project(tmp_path / "other"))
    assert names_of(home).database == "trading_my_fund"
    keep_names(home, names_of(tmp_path / "new home"))
    assert names_of(home).database == "trading_my_fund"
    assert renamed(home) is None


def test_a_renamed_project_is_noticed_in_its_own_home(root: Path) -> None:
    home = root / ".workbench"
    keep_names(home, names_of(home))
    assert renamed(home) is None
    (root / "workbench.toml").write_text('[project]\nname = "big-fund"\n')
    assert renamed(home) == "big-fund"


@pytest.mark.parametrize(
    ("embedded", "names"),
    [
        ((), SHARED),
        (("valkey", "prefect"), Names("my-fund", database="trading_system")),
        (("postgres",), Names("my-fund", database="trading_my_fund")),
    ],
)
def test_a_home_of_an_earlier_version_goes_on_with_the_names_of_then(
    root: Path, embedded: tuple[str, ...], names: Names
) -> None:
    found = names_of(_used(root / ".workbench", *embedded))
    assert found.project == "my-fund"
    assert found.database == names.database
    by_name = names_of(root / "unused")
    assert found.events == (by_name.events if "valkey" in embedded else "data_sync")
    assert found.work_pool == (by_name.work_pool if "prefect" in embedded else "workbench")


def test_names_that_cannot_be_read_are_refused_rather_than_made_anew(root: Path) -> None:
    home = root / ".workbench"
    keep_names(home, names_of(home))
    (home / "run" / "names.json").write_text("{")
    with pytest.raises(SettingsError, match=r"names\.json.*cannot be read"):
        names_of(home)


def test_a_copy_of_settings_with_another_home_has_that_homes_names(root: Path, tmp_path: Path) -> None:
    settings = Settings(database_url=SERVER)
    assert settings.trading_database == "trading_my_fund"
    other = tmp_path / "other home"
    keep_names(other, Names("other", "trading_other", "workbench-other", "data_sync.trading_other"))
    assert settings.model_copy(update={"home": other}).trading_database == "trading_other"
    assert settings.model_copy().trading_database == "trading_my_fund"
