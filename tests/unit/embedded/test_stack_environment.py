"""The environment variables of the stack's processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from workbench.settings import Settings
from workbench.stack import Endpoints, Stack, prefect_environment
from workbench.stack.environment import (
    prefect_server_environment,
    process_environment,
    settings_environment,
)
from workbench.stack.services import Services
from workbench.stack.state import StackState, StateFile


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    return Settings(home=tmp_path)


def test_the_same_settings_come_out_of_the_environment_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        home=tmp_path,
        database_url=SecretStr("postgresql://me:p%40ss@db:5432/mine"),
        redis_url=SecretStr("redis://:pw@cache:6379/1"),
        prefect_api_url="http://prefect:4200/api",
        prefect_api_auth_string=SecretStr("admin:pw"),
        work_pool="nightly",
        postgres_user="nobody",
        polygon_api_key=SecretStr("a-key"),
        alpaca_api_key=SecretStr("another"),
        alpaca_api_secret=SecretStr("its secret"),
        polygon_per_minute=0,
        alpaca_per_minute=1000,
        yahoo_url="http://yahoo.proxy",
        polygon_url="http://polygon.proxy",
        alpaca_url="http://alpaca.proxy",
    )
    for name, value in settings_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings.load() == settings


def test_prefect_never_uses_the_folder_in_the_user_s_home(settings: Settings) -> None:
    environment = prefect_environment(settings, Endpoints("", "", "http://127.0.0.1:1/api", "admin:pw"))
    folders = [value for name, value in environment.items() if name.endswith(("_HOME", "_PATH"))]
    assert len(folders) == 5
    assert all(Path(value).is_relative_to(settings.home / "prefect") for value in folders)
    assert environment["PREFECT_API_AUTH_STRING"] == "admin:pw"


def test_prefect_s_server_answers_its_own_pages_only_and_asks_for_a_password(settings: Settings) -> None:
    environment = prefect_server_environment(
        settings,
        database_url="postgresql://p:w@db:5432/prefect?sslmode=require",
        auth_string="a:b",
        port=4242,
    )
    assert environment["PREFECT_SERVER_API_AUTH_STRING"] == "a:b"
    assert environment["PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"] == "http://127.0.0.1:4242"
    assert environment["PREFECT_SERVER_UI_API_URL"] == "/api"
    # base64 of "a:b", by coreutils' base64
    assert json.loads(environment["PREFECT_CLIENT_CUSTOM_HEADERS"]) == {"Authorization": "Basic YTpi"}
    # SQLAlchemy's asyncpg dialect takes `ssl`, not libpq's `sslmode` (SQLAlchemy, PostgreSQL dialects).
    assert environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] == (
        "postgresql+asyncpg://p:w@db:5432/prefect?ssl=require"
    )


def test_a_variable_of_another_project_does_not_reach_the_processes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_PROFILE", "elsewhere")
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", "sqlite://")
    monkeypatch.setenv("WORKBENCH_HOME", "/elsewhere")
    environment = process_environment(settings, {})
    assert "PREFECT_PROFILE" not in environment
    assert "PREFECT_API_DATABASE_CONNECTION_URL" not in environment
    assert environment["WORKBENCH_HOME"] == str(settings.home)


def test_with_a_prefect_server_of_one_s_own_none_is_started(tmp_path: Path) -> None:
    services = Services(Settings(home=tmp_path, prefect_api_url="http://prefect:4200/api"))
    assert services.names() == ["relay", "worker"]
    assert services.prefect() == ("http://prefect:4200/api", None)


def test_looking_at_a_home_that_does_not_exist_makes_nothing(settings: Settings) -> None:
    stack = Stack(settings.model_copy(update={"home": settings.home / "none"}))
    assert not any(service.running for service in stack.status())
    assert not stack.is_up()
    assert not stack.is_set_up()
    assert stack.down() == []
    assert {finding.level for finding in stack.doctor()} <= {"ok", "warn"}
    assert not (settings.home / "none").exists()


def test_a_supervisor_s_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = StateFile(tmp_path)
    assert file.read() is None
    state = StackState(7, phase="failed", steps=["Starting"], error="no room", restarts={"worker": 2})
    file.write(state)
    assert file.read() == state
