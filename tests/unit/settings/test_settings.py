"""Settings: read once from the environment, frozen, and a wrong variable is named."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from workbench.errors import SettingsError
from workbench.paths import PACKAGE
from workbench.settings import Settings


def test_without_variables_everything_is_embedded_and_below_the_clone() -> None:
    settings = Settings.load()
    assert settings.home == PACKAGE.parent / ".workbench"
    assert settings.database_url is None
    assert settings.redis_url is None
    assert settings.prefect_api_url is None
    assert (settings.trading_database, settings.prefect_database) == ("trading_system", "prefect")
    for folder in (settings.runs_folder, settings.store_folder, settings.logs_folder):
        assert folder.parent == settings.home


def test_variables_are_read_by_their_documented_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", "/srv/workbench")
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", "postgresql://me:secret@db:5432/research")
    monkeypatch.setenv("WORKBENCH_REDIS_URL", "redis://:secret@cache:6379/1")
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect:4200/api")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:secret")
    settings = Settings.load()
    assert settings.home == Path("/srv/workbench")
    assert settings.prefect_api_url == "http://prefect:4200/api"
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value().endswith("/research")
    assert ":secret" not in repr(settings)


@pytest.mark.parametrize(
    ("path", "trading", "prefect"),
    [
        ("", "trading_system", "prefect"),
        ("/", "trading_system", "prefect"),
        ("/postgres", "trading_system", "prefect"),
        ("/template1", "trading_system", "prefect"),
        ("/trading_system", "trading_system", "prefect"),
        ("/research", "research", "research_prefect"),
        ("/r%C3%A9search%20x", "résearch x", "résearch x_prefect"),
    ],
)
def test_a_url_that_names_a_database_names_ours(path: str, trading: str, prefect: str) -> None:
    settings = Settings(database_url=SecretStr(f"postgresql://u:p@h{path}"))
    assert (settings.trading_database, settings.prefect_database) == (trading, prefect)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("WORKBENCH_DATABASE_URL", "mysql://u@h/x", "expected postgresql://.*scheme 'mysql'"),
        ("WORKBENCH_DATABASE_URL", "localhost:5432", "expected postgresql://"),
        ("WORKBENCH_DATABASE_URL", "postgresql://u@/x", "the host None"),
        ("WORKBENCH_DATABASE_URL", "postgresql://host/x", "has no user"),
        ("WORKBENCH_REDIS_URL", "http://cache", "expected redis://.*scheme 'http'"),
        ("WORKBENCH_YAHOO_URL", "proxy:3128", "expected https://host"),
        ("WORKBENCH_POLYGON_PER_MINUTE", "-1", r"expected 0 or more \(got '-1'\)"),
        ("WORKBENCH_CACHE_SIZE", "lots", r"expected a number of bytes, such as 4GB.* \(got 'lots'\)"),
        ("WORKBENCH_CACHE_SIZE", "1.5XB", r"expected a number of bytes"),
        ("WORKBENCH_POOL_SIZE", "many", r"expected a whole number \(got 'many'\)"),
        ("WORKBENCH_FRAMES", "pretty", r"expected 'short' or 'plain' \(got 'pretty'\)"),
        ("WORKBENCH_HOME", "/dev/null", "/dev/null cannot be a folder, because it is a file"),
        (
            "WORKBENCH_HOME",
            "/dev/null/deeper/x",
            "/dev/null/deeper/x cannot be a folder, because /dev/null is a file",
        ),
    ],
)
def test_a_wrong_variable_is_named_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"^{variable}: .*{said}") as caught:
        Settings.load()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("WORKBENCH_DATABASE_URL", "postgresql://u:Canary7/x@host:5432/db", "the port is not a number.*%2F"),
        ("WORKBENCH_DATABASE_URL", "postgresql://u:Canary7@host:port/db", "the port is not a number"),
        ("WORKBENCH_DATABASE_URL", "postgresql://u:Canary7@host:99999/db", "the port is not a number"),
        ("WORKBENCH_DATABASE_URL", "postgresql://u:Canary7#x@host/db", "the port is not a number.*%23 for #"),
        ("WORKBENCH_DATABASE_URL", "mysql://u:Canary7@host/db", "expected postgresql://"),
        ("WORKBENCH_DATABASE_URL", "postgresql://u:Can[ary7@host/db", "the port is not a number"),
        ("WORKBENCH_REDIS_URL", "redis://:Canary7/x@host:6379", "the port is not a number"),
        ("PREFECT_API_URL", "http://u:Canary7@host:4200/api", "PREFECT_API_AUTH_STRING"),
    ],
)
def test_no_part_of_a_password_is_in_an_error(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"^{variable}: .*{said}") as caught:
        Settings.load()
    told = "".join(traceback.format_exception(caught.value))
    assert "ary7" not in told


@pytest.mark.parametrize("variable", ["WORKBENCH_DATABASE_URL", "WORKBENCH_REDIS_URL", "PREFECT_API_URL"])
def test_a_blank_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    unset = Settings()
    monkeypatch.setenv(variable, "  ")
    assert Settings.load() == unset


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    unset = Settings()
    for name in Settings.model_fields:
        monkeypatch.setenv(f"WORKBENCH_{name.upper()}", "")
    assert Settings.load() == unset


def test_a_wrong_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", "postgres-is-at://me:hidden@db")
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert "hidden" not in str(caught.value)


def test_a_relative_home_is_made_absolute_and_a_tilde_is_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert Settings(home=Path("~/wb")).home == Path("/home/me/wb")
    assert Settings(home=Path("a/../b")).home == Path.cwd() / "b"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().home = Path("/elsewhere")  # type: ignore[misc]
