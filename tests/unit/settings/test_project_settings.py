"""Settings of a project's file: below the environment and arguments; each is known by its origin."""

from __future__ import annotations

import json
import os
import pickle
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from workbench.cli import main
from workbench.errors import SettingsError
from workbench.project import find as finding
from workbench.secrets_file import SECRETS_FILE, hand_over
from workbench.settings import Settings
from workbench.settings.table import table_of
from workbench.settings.urls import masked
from workbench.sources import SOURCES
from workbench.stack.environment import process_environment, settings_environment

Write = Callable[[str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """The project that this process works in, by the text of its file."""
    monkeypatch.chdir(tmp_path)

    def of(text: str) -> None:
        (tmp_path / "workbench.toml").write_text(text)

    return of


def origins(settings: Settings) -> dict[str, str]:
    return {name: str(origin) for name, origin in settings.origins.items() if origin.kind != "default"}


def test_an_argument_comes_before_the_environment_and_that_before_the_file(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('[project]\nhome = "here"\n[pools]\nsize = 2\noverflow = 3\nwork_pool = "nightly"')
    monkeypatch.setenv("WORKBENCH_POOL_OVERFLOW", "4")
    monkeypatch.setenv("WORKBENCH_WORK_POOL", "daily")
    settings = Settings(work_pool="now")
    assert settings.home == tmp_path / "here"
    assert (settings.pool_size, settings.pool_overflow, settings.work_pool) == (2, 4, "now")
    assert origins(settings) == {
        "home": "workbench.toml: [project] home",
        "pool_size": "workbench.toml: [pools] size",
        "pool_overflow": "WORKBENCH_POOL_OVERFLOW",
        "work_pool": "argument",
    }
    assert origins(settings.model_copy(update={"pool_size": 7}))["pool_size"] == "argument"
    assert origins(pickle.loads(pickle.dumps(settings))) == origins(settings)


def test_a_server_is_named_by_the_variable_that_holds_its_url(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        '[servers]\ndatabase = "FUND_DB"\nredis = "FUND_REDIS"\n'
        'prefect = "FUND_PREFECT"\nprefect_auth = "FUND_AUTH"'
    )
    monkeypatch.setenv("FUND_DB", "postgresql://me:word@db/research")
    monkeypatch.setenv("FUND_REDIS", "redis://:word@cache")
    monkeypatch.setenv("FUND_PREFECT", "http://prefect:4200/api")
    monkeypatch.setenv("FUND_AUTH", "admin:word")
    settings = Settings.load()
    assert settings.trading_database == "research"
    assert settings.redis_url == SecretStr("redis://:word@cache")
    assert settings.prefect_api_url == "http://prefect:4200/api"
    assert settings.prefect_api_auth_string == SecretStr("admin:word")
    assert origins(settings)["database_url"] == "FUND_DB, named in workbench.toml: [servers] database"
    monkeypatch.setenv("PREFECT_API_URL", "http://other/api")
    assert Settings.load().prefect_api_url == "http://other/api"
    assert origins(Settings.load())["prefect_api_url"] == "PREFECT_API_URL"


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_named_variable_that_is_not_set_is_an_error_and_not_the_embedded_server(
    write: Write, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    write('[servers]\ndatabase = "FUND_DB"')
    if value is not None:
        monkeypatch.setenv("FUND_DB", value)
    with pytest.raises(
        SettingsError, match=r"\[servers\] database \(line 2\) names the .* FUND_DB, which is not set; set it"
    ):
        Settings.load()
    # What is set above does not need it.
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", "postgresql://u@h/other")
    assert Settings.load().trading_database == "other"


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_variable_leaves_the_word_to_the_file(
    write: Write, monkeypatch: pytest.MonkeyPatch, blank: str
) -> None:
    write('[servers]\ndatabase = "FUND_DB"')
    monkeypatch.setenv("FUND_DB", "postgresql://u@h/fund")
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", blank)
    assert Settings.load().trading_database == "fund"


def test_the_embedded_servers_can_be_asked_for_whatever_the_file_names(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('[servers]\ndatabase = "FUND_DB"\nredis = "FUND_REDIS"')
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", "embedded")
    monkeypatch.setenv("WORKBENCH_REDIS_URL", "Embedded")
    settings = Settings.load()
    assert (settings.database_url, settings.redis_url) == (None, None)
    assert origins(settings)["database_url"] == "WORKBENCH_DATABASE_URL"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[pools]\nsize = 0", r"workbench\.toml: \[pools\] size \(line 2\): expected 1 or more \(got 0\)"),
        ('[cache]\nsize = "lots"', r"\[cache\] size \(line 2\): expected a number of bytes.*\(got 'lots'\)"),
        (
            '[defaults]\nsource = "yaho"',
            r"\[defaults\] source \(line 2\): expected 'sample', 'file', 'yahoo'",
        ),
        ('[defaults]\ntimezone = "America/NewYork"', r"\(line 2\): .*did you mean America/New_York\?"),
        ('[defaults]\ntimezone = "../etc/passwd"', r"\(line 2\): expected a time zone"),
        ('[defaults]\ncurrency = "dollars"', r"\(line 2\): expected a currency's code.*\(got 'dollars'\)"),
        ('[project]\nhome = "workbench.toml"', r"\[project\] home \(line 2\): .* because it is a file"),
        (
            '[servers]\ndatabase = "FUND_DB"',
            r"^FUND_DB, named in .*: \[servers\] database \(line 2\): expected",
        ),
    ],
)
def test_a_wrong_value_is_told_by_its_key(
    write: Write, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    write(text)
    monkeypatch.setenv("FUND_DB", "mysql://u:Canary7@h")
    with pytest.raises(SettingsError, match=said) as caught:
        Settings.load()
    assert "Canary7" not in "".join(traceback.format_exception(caught.value))


def test_a_wrong_variable_is_told_by_its_name_also_where_the_file_has_the_key(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("[pools]\nsize = 2")
    monkeypatch.setenv("WORKBENCH_POOL_SIZE", "many")
    with pytest.raises(SettingsError, match=r"^WORKBENCH_POOL_SIZE: expected a whole number \(got 'many'\)"):
        Settings.load()


def test_the_default_source_is_one_that_there_is() -> None:
    for name in SOURCES:
        assert Settings(source=name).source == name


def test_processes_of_the_stack_keep_its_servers_and_read_the_rest_of_the_file_themselves(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('[project]\nhome = "h"\n[servers]\nredis = "FUND_REDIS"\n[defaults]\nsource = "yahoo"\n')
    monkeypatch.setenv("FUND_REDIS", "redis://:word@cache")
    monkeypatch.setenv("WORKBENCH_CALENDAR", "XLON")
    given = process_environment(Settings(pool_size=3), {})
    assert {name: value for name, value in given.items() if name.startswith("WORKBENCH_")} == {
        "WORKBENCH_PROJECT": str(tmp_path),
        "WORKBENCH_STACK": os.path.realpath(tmp_path / "h"),
        "WORKBENCH_HOME": str(tmp_path / "h"),
        "WORKBENCH_DATABASE_URL": "embedded",
        "WORKBENCH_REDIS_URL": "redis://:word@cache",
        "WORKBENCH_WORK_POOL": "workbench",
        "WORKBENCH_CALENDAR": "XLON",
        "WORKBENCH_POOL_SIZE": "3",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    # As in a scheduled run, after somebody has changed the file.
    write('[project]\nhome = "other"\n[servers]\ndatabase = "FUND_DB"\n[defaults]\nsource = "polygon"\n')
    settings = Settings.load()
    assert (settings.home, settings.database_url) == (tmp_path / "h", None)
    assert settings.redis_url == SecretStr("redis://:word@cache")
    assert (settings.source, settings.calendar, settings.pool_size) == ("polygon", "XLON", 3)


def test_a_kernel_of_a_run_gets_the_settings_as_they_are(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('[defaults]\nsource = "yahoo"\n[cache]\nsize = "1GB"\n')
    before = Settings.load()
    given = settings_environment(before)
    assert (given["WORKBENCH_SOURCE"], given["WORKBENCH_CACHE_SIZE"]) == ("yahoo", "1000000000")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    write("")
    assert Settings.load() == before


def test_a_named_variable_is_not_in_a_kernel_s_environment_and_its_value_is_among_the_secrets(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('[servers]\ndatabase = "FUND_DB"')
    monkeypatch.setenv("FUND_DB", "postgresql://me:Canary7@db/fund")
    before = Settings.load()
    shell = {"FUND_DB": "postgresql://me:Canary7@db/fund", **settings_environment(before)}
    given = hand_over(shell, tmp_path / "secrets.json")
    assert "Canary7" not in str(given)
    monkeypatch.delenv("FUND_DB")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert Settings.load() == before
    assert origins(Settings.load())["database_url"] == "WORKBENCH_DATABASE_URL, handed over to this kernel"


def test_the_word_embedded_is_no_secret(tmp_path: Path) -> None:
    given = {"WORKBENCH_DATABASE_URL": "embedded", "PGPASSWORD": "word"}
    assert hand_over(given, tmp_path / "secrets.json") == given
    with_key = hand_over({**given, "WORKBENCH_POLYGON_API_KEY": "key"}, tmp_path / "secrets.json")
    assert with_key == {**given, SECRETS_FILE: str(tmp_path / "secrets.json")}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:w%40rd@db:5432/x?sslmode=require", "postgresql://me:***@db:5432/x?sslmode=require"),
        ("postgresql://me@db/x?password=word&sslkey=k", "postgresql://me@db/x?password=***&sslkey=***"),
        ("redis://:word@cache:6379/1", "redis://:***@cache:6379/1"),
        ("https://proxy.example", "https://proxy.example"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert masked(url) == shown


SECRETS = {
    "FUND_DB": "postgresql://me:Canary1@db/fund",
    "WORKBENCH_REDIS_URL": "redis://:Canary2@cache",
    "PREFECT_API_AUTH_STRING": "admin:Canary3",
    "WORKBENCH_POLYGON_API_KEY": "Canary4",
    "WORKBENCH_ALPACA_API_KEY": "Canary5",
    "WORKBENCH_ALPACA_API_SECRET": "Canary6:x",
    "WORKBENCH_YAHOO_URL": "https://me:Canary7@proxy",
}


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_the_command_shows_each_value_and_origin_without_a_secret_and_starts_nothing(
    write: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
) -> None:
    write('[servers]\ndatabase = "FUND_DB"\n[defaults]\nsource = "yahoo"\n')
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", ["workbench", "config", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    out, err = capsys.readouterr()
    assert "Canary" not in out + err
    assert [path.name for path in tmp_path.iterdir()] == ["workbench.toml"]
    if not words:
        assert str(tmp_path) in err
        return
    shown = json.loads(out)
    assert shown["project"] == str(tmp_path)
    rows = {row["setting"]: row for row in shown["settings"]}
    assert set(rows) == set(Settings.model_fields)
    assert rows["source"] == {
        "setting": "source",
        "value": "yahoo",
        "from": "workbench.toml: [defaults] source",
        "key": "[defaults] source",
        "variable": "WORKBENCH_SOURCE",
    }
    assert rows["database_url"]["value"] == "postgresql://me:***@db/fund"
    assert rows["prefect_api_auth_string"]["value"] == "admin:***"
    assert rows["alpaca_api_secret"]["value"] == "***"


def test_outside_of_a_project_the_command_shows_all_but_a_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(finding, "PACKAGE", tmp_path / "site-packages" / "workbench")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_SOURCE", "yahoo")
    monkeypatch.setattr(sys, "argv", ["workbench", "config", "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    shown = json.loads(capsys.readouterr().out)
    rows = {row["setting"]: row for row in shown["settings"]}
    assert shown["project"] is None
    assert rows["home"]["value"].startswith("none; ")
    assert (rows["source"]["value"], rows["source"]["from"]) == ("yahoo", "WORKBENCH_SOURCE")


def test_a_notebook_shows_the_settings_with_their_origins_and_no_secret(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('[defaults]\nsource = "yahoo"\n')
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", "postgresql://me:Canary7@db/fund")
    settings = Settings.load()
    html = settings._repr_html_()
    assert "yahoo (workbench.toml: [defaults] source)" in html
    assert "Canary7" not in html + repr(settings)
    assert {row.name for row in table_of(settings, settings.origins)} == set(Settings.model_fields)
