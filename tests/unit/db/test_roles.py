"""Roles and pools: passwords come from the server's secret, and nothing is opened before it is used."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from sqlalchemy.engine import URL

from workbench.db.pool import ServiceConnectionPool
from workbench.db.roles import PREFECT_ROLE, all_roles, role_password, role_url
from workbench.settings import Settings

SERVER = "postgresql://admin:secret@db:5433/postgres"


def test_every_role_has_a_password_of_its_own_which_needs_no_escaping() -> None:
    passwords = {role_password(SERVER, role) for role in all_roles()}
    assert len(passwords) == len(all_roles())
    assert all(len(password) == 43 and password.isascii() for password in passwords)
    assert not any(set(password) & set("/+=@:%") for password in passwords)


def test_a_password_depends_on_the_servers_secret_and_on_nothing_else() -> None:
    role = all_roles()[0]
    elsewhere = "postgresql://admin:secret@other-name/any"
    assert role_password(SERVER, role) == role_password(elsewhere, role)
    assert role_password(SERVER, role) != role_password(SERVER.replace("secret", "secret2"), role)


def test_a_role_logs_in_to_its_own_database() -> None:
    settings = Settings(database_url=SecretStr(SERVER))
    for role in all_roles():
        url = role_url(settings, SERVER, role)
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
