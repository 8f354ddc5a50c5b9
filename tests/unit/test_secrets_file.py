"""Secrets reach a kernel by a file of its owner's alone, and by nothing that its code would print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
from pydantic import SecretStr

from workbench.errors import SettingsError
from workbench.secrets_file import SECRET_VARIABLES, SECRETS_FILE, hand_over
from workbench.settings import Settings

SECRETS = {
    "WORKBENCH_DATABASE_URL": "postgresql://me:p%40ss@db:5432/mine",
    "WORKBENCH_REDIS_URL": "redis://:word@cache:6379/1",
    "PREFECT_API_AUTH_STRING": "admin:word",
    "WORKBENCH_POLYGON_API_KEY": "a key",
    "WORKBENCH_ALPACA_API_KEY": "another",
    "WORKBENCH_ALPACA_API_SECRET": "its secret",
}


def test_every_setting_that_is_secret_is_known() -> None:
    secret = {
        name
        for name, field in Settings.model_fields.items()
        if SecretStr in {field.annotation, *get_args(field.annotation)}
    }
    assert set(SECRET_VARIABLES.values()) == secret
    assert set(SECRETS) == set(SECRET_VARIABLES)


def test_a_kernel_reads_the_same_settings_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    before = Settings.load()
    file = tmp_path / "secrets.json"
    given = hand_over({**SECRETS, "PATH": "/bin", "WORKBENCH_HOME": "/srv"}, file)
    assert given == {"PATH": "/bin", "WORKBENCH_HOME": "/srv", SECRETS_FILE: str(file)}
    assert file.stat().st_mode & 0o777 == 0o600
    for name in SECRETS:
        monkeypatch.delenv(name)
    monkeypatch.setenv(SECRETS_FILE, str(file))
    assert Settings.load() == before


def test_what_repeats_a_secret_is_left_out(tmp_path: Path) -> None:
    environment = {
        "PREFECT_CLIENT_CUSTOM_HEADERS": '{"Authorization": "Basic YWRtaW46d29yZA=="}',
        "PREFECT_SERVER_API_AUTH_STRING": "admin:word",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql+asyncpg://a:b@c/d",
        "workbench_database_url": "postgresql://me@db/mine",
        "PGPASSWORD": "word",
    }
    given = hand_over(environment, tmp_path / "secrets.json")
    assert list(given) == [SECRETS_FILE]


def test_without_a_secret_there_is_no_file_and_libpq_s_password_stays(tmp_path: Path) -> None:
    """It is for a server that we know nothing of."""
    environment = {"PATH": "/bin", "PGPASSWORD": "word"}
    assert hand_over(environment, tmp_path / "secrets.json") == environment
    assert list(tmp_path.iterdir()) == []


def test_a_kernel_that_runs_a_notebook_hands_on_what_it_was_given(tmp_path: Path) -> None:
    first = hand_over(SECRETS, tmp_path / "first.json")
    second = hand_over({**first, "WORKBENCH_REDIS_URL": "redis://:new@cache"}, tmp_path / "second.json")
    assert second == {SECRETS_FILE: str(tmp_path / "second.json")}
    held = json.loads((tmp_path / "second.json").read_text())
    assert held == {**SECRETS, "WORKBENCH_REDIS_URL": "redis://:new@cache"}


def test_the_environment_comes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hand_over(SECRETS, tmp_path / "secrets.json")
    monkeypatch.setenv(SECRETS_FILE, str(tmp_path / "secrets.json"))
    monkeypatch.setenv("WORKBENCH_POLYGON_API_KEY", "the cell's own")
    assert Settings.load().polygon_api_key == SecretStr("the cell's own")


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read .No such file"), ("{", "it is not JSON"), ("[1]", "a JSON object of strings")],
)
def test_a_file_that_is_gone_or_damaged_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, said: str
) -> None:
    file = tmp_path / "secrets.json"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv(SECRETS_FILE, str(file))
    with pytest.raises(SettingsError, match=f"{SECRETS_FILE}: .*{said}"):
        Settings.load()
