"""Roles and pools: where a role's password comes from, and that nothing is opened before it is used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy.engine import URL

from workbench.db.pool import ServiceConnectionPool
from workbench.db.roles import PREFECT_ROLE, all_roles, role_password, role_url
from workbench.settings import Settings

SERVER = "postgresql://admin:secret@db:5433/postgres"
OWN = Settings(database_url=SecretStr(SERVER))


@pytest.fixture
def embedded(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", database_url=None)


def test_every_role_has_a_password_of_its_own_which_needs_no_escaping(embedded: Settings) -> None:
    for settings in (OWN, embedded):
        passwords = {role_password(settings, SERVER, role) for role in all_roles()}
        assert len(passwords) == len(all_roles())
        assert all(len(password) >= 32 and password.isascii() for password in passwords)
        assert not any(set(password) & set("/+=@:%") for password in passwords)


def test_on_a_server_of_ones_own_it_depends_on_the_servers_secret_and_on_nothing_else() -> None:
    role = all_roles()[0]
    elsewhere = "postgresql://admin:secret@other-name/any"
    assert role_password(OWN, SERVER, role) == role_password(OWN, elsewhere, role)
    assert role_password(OWN, SERVER, role) != role_password(OWN, SERVER.replace("secret", "secret2"), role)


def test_a_guess_at_the_administrators_password_is_slow() -> None:
    """The rule itself is held, so that another version reaches the same passwords and a faster one is seen.

    Expected: Python's hashlib.scrypt(b"secret", salt=b"workbench roles", n=32768, r=8, p=1), then HMAC.
    """
    assert role_password(OWN, SERVER, "workbench_runs") == "ll6t-c9dIM0AVW6kPjyUgJ5DO1etXsp_BzE6dDHD8Xk"


def test_of_an_embedded_server_it_is_random_kept_and_tells_nothing_of_the_administrators(
    embedded: Settings, tmp_path: Path
) -> None:
    role = all_roles()[0]
    password = role_password(embedded, SERVER, role)
    assert role_password(embedded, "postgresql://admin:other@db/postgres", role) == password
    kept = json.loads((embedded.home / "secrets.json").read_text())
    assert kept[role] == password
    other = Settings(home=tmp_path / "other", database_url=None)
    assert role_password(other, SERVER, role) != password


def test_a_role_logs_in_to_its_own_database() -> None:
    for role in all_roles():
        url = role_url(OWN, SERVER, role)
        assert (url.username, url.host, url.port) == (role, "db", 5433)
        assert url.database == ("prefect" if role == PREFECT_ROLE else "trading_system")
        assert url.drivername == "postgresql+psycopg"


def test_a_pool_asks_where_to_connect_at_its_first_use() -> None:
    def not_yet() -> URL:
        raise AssertionError

    pool = ServiceConnectionPool("logging", not_yet)
    assert repr(pool) == "<ServiceConnectionPool logging: not opened yet>"
    pool.close()
    with pytest.raises(AssertionError), pool.begin():
        pass
