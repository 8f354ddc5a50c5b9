"""Roles' passwords: random where the server is ours, in no server's log, moved over by an upgrade."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from tests.servers import BarePostgres, ServerPark
from workbench import Settings, Workbench
from workbench.db.bootstrap import create_databases
from workbench.db.roles import all_roles, role_password, role_url
from workbench.stack import Stack

pytestmark = [pytest.mark.timeout(300)]


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="workbench-test-"))
    folder.chmod(0o755)
    yield folder / "home"
    Stack(Settings(home=folder / "home")).down()
    shutil.rmtree(folder, ignore_errors=True)


def as_before(administrator: str, role: str) -> str:
    """The password by the rule of version 0.4: an HMAC under the administrator's."""
    digest = hmac.new(administrator.encode(), f"workbench:{role}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def test_a_home_of_an_earlier_version_moves_over_at_its_next_use(home: Path) -> None:
    settings = Settings(home=home)
    server = Stack(settings).start_servers().database_url
    administrator = str(make_url(server).password)
    with psycopg.connect(server, autocommit=True) as connection:
        for role in all_roles():
            connection.execute(f"ALTER ROLE {role} PASSWORD '{as_before(administrator, role)}'".encode())
    held = json.loads((home / "secrets.json").read_text())
    (home / "secrets.json").write_text(
        json.dumps({name: value for name, value in held.items() if name not in all_roles()})
    )
    with Workbench(settings) as wb:
        assert wb.sql("SELECT 1 AS one").loc[0, "one"] == 1
    for role in all_roles():
        assert role_password(settings, server, role) not in {held[role], as_before(administrator, role)}
        url = role_url(settings, server, role).set(drivername="postgresql")
        psycopg.connect(url.render_as_string(hide_password=False)).close()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(
                url.set(password=as_before(administrator, role)).render_as_string(hide_password=False)
            )


def test_a_server_that_logs_every_statement_logs_no_password(servers: ServerPark) -> None:
    bare: BarePostgres = servers.bare_postgres("postgresql-15")
    settings = Settings(database_url=SecretStr(bare.url))
    with bare.connect() as connection:
        connection.execute("ALTER SYSTEM SET log_statement = 'all'")
        connection.execute("SELECT pg_reload_conf()")
    try:
        create_databases(settings, bare.url)
    finally:
        with bare.connect() as connection:
            connection.execute("ALTER SYSTEM RESET log_statement")
            connection.execute("SELECT pg_reload_conf()")
    log = bare.log.read_text(errors="replace")
    for role in all_roles():
        assert f'ROLE "{role}" LOGIN PASSWORD' in log
        assert role_password(settings, bare.url, role) not in log
