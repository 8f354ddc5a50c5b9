"""Several projects on one server of one's own: each has its databases, and none takes another's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from tests.servers import BarePostgres, ServerPark
from workbench.db.bootstrap import create_databases
from workbench.db.owners import projects_of
from workbench.db.roles import READONLY_ROLE, all_roles, role_url
from workbench.errors import SettingsError
from workbench.project.create import create_project
from workbench.settings import Settings
from workbench.stack import Stack


@pytest.fixture(params=["postgresql-18", "postgresql-15"])
def bare(request: pytest.FixtureRequest, servers: ServerPark) -> Iterator[BarePostgres]:
    """A server with nothing in it but PostgreSQL's own databases and its administrator."""
    server = servers.bare_postgres(request.param)
    server.make_bare()
    yield server
    server.make_bare()


class Projects:
    """Makes projects, and works in them, on one server."""

    def __init__(self, folder: Path, server: str, redis: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self._redis, self._monkeypatch = folder, redis, monkeypatch
        self.server = server

    def settings(self, name: str, *, server: str | None = None) -> Settings:
        """The settings in the project's folder, which is made where it is missing."""
        root = self._folder / name
        if not root.exists():
            create_project(root)
        self._monkeypatch.chdir(root)
        return Settings(database_url=SecretStr(server or self.server), redis_url=SecretStr(self._redis))

    def create(self, name: str, *, server: str | None = None) -> Settings:
        """Settings whose databases are made."""
        settings = self.settings(name, server=server)
        create_databases(settings, server or self.server)
        return settings


@pytest.fixture
def projects(
    bare: BarePostgres, servers: ServerPark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Projects:
    return Projects(tmp_path, bare.url, servers.valkey(), monkeypatch)


def _databases(server: BarePostgres) -> set[str]:
    with server.connect() as connection:
        rows = connection.execute(
            "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'"
        )
        return {str(name) for (name,) in rows.fetchall()}


def _comment(server: BarePostgres, database: str, text: str | None) -> None:
    with server.connect() as connection:
        connection.execute(
            sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(database), sql.Literal(text))
        )


def test_each_project_has_databases_that_bear_its_name(bare: BarePostgres, projects: Projects) -> None:
    made = [projects.create(name) for name in ("my-fund", "other") for _ in range(2)]
    assert {settings.trading_database for settings in made} == {"trading_my_fund", "trading_other"}
    assert _databases(bare) == {
        *("trading_my_fund", "trading_my_fund_prefect"),
        *("trading_other", "trading_other_prefect"),
    }
    with bare.connect() as connection:
        assert projects_of(connection, "trading_my_fund") == ["my-fund"]
        assert projects_of(connection, "trading_other_prefect") == ["other"]


def test_the_clone_and_a_named_database_are_marked_as_nobodys(bare: BarePostgres, projects: Projects) -> None:
    create_databases(Settings(database_url=SecretStr(bare.url)), bare.url)
    projects.create("my-fund", server=bare.url_of("research"))
    assert _databases(bare) == {"trading_system", "prefect", "research", "research_prefect"}
    with bare.connect() as connection:
        for database in ("trading_system", "prefect", "research", "research_prefect"):
            assert projects_of(connection, database) == []


def test_a_project_does_not_take_anothers_database_and_changes_nothing(
    bare: BarePostgres, projects: Projects
) -> None:
    """The names of databases differ where those of projects do; a comment can still say another owner."""
    projects.create("my-fund")
    _comment(bare, "trading_my_fund", 'workbench: {"projects": ["your-fund"]}')
    before = _roles(bare)
    with pytest.raises(
        SettingsError, match=r"trading_my_fund .*belongs to the project 'your-fund'.*'my-fund'"
    ):
        projects.create("my-fund")
    assert _roles(bare) == before


def test_a_database_that_was_made_by_hand_is_taken_and_its_comment_is_kept(
    bare: BarePostgres, projects: Projects
) -> None:
    with bare.connect() as connection:
        connection.execute("CREATE DATABASE trading_my_fund")
    _comment(bare, "trading_my_fund", "Ask Ada.\nBackups: nightly.")
    for _ in range(2):
        projects.create("my-fund")
    with bare.connect() as connection:
        row = connection.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'trading_my_fund'"
        ).fetchone()
    assert row == ('Ask Ada.\nBackups: nightly.\nworkbench: {"projects": ["my-fund"]}',)


def test_a_home_of_an_earlier_version_finds_its_data_again(bare: BarePostgres, projects: Projects) -> None:
    settings = projects.settings("my-fund")
    _use_as_before(settings, bare)
    settings = projects.settings("my-fund")
    assert settings.trading_database == "trading_system"
    for _ in range(2):
        Stack(settings).start_servers()
        settings = projects.settings("my-fund")
        assert settings.trading_database == "trading_system"
    with psycopg.connect(bare.url_of("trading_system")) as connection:
        assert connection.execute("SELECT strategy_id FROM strategy_engine.strategies").fetchall() == [
            ("kept",)
        ]
    assert _databases(bare) == {"trading_system", "prefect"}


def test_another_home_of_a_project_that_works_in_the_old_database_is_told_so(
    bare: BarePostgres, projects: Projects, tmp_path: Path
) -> None:
    settings = projects.settings("my-fund")
    _use_as_before(settings, bare)
    Stack(projects.settings("my-fund")).start_servers()
    (tmp_path / "my-fund").rename(tmp_path / "on another machine")
    with pytest.raises(SettingsError, match=r"'my-fund' has its data in the database trading_system"):
        Stack(projects.settings("my-fund")).start_servers()
    assert _databases(bare) == {"trading_system", "prefect"}
    _comment(bare, "trading_system", None)
    Stack(projects.settings("my-fund")).start_servers()
    assert "trading_my_fund" in _databases(bare)


def test_a_renamed_project_is_not_given_empty_databases(
    bare: BarePostgres, projects: Projects, tmp_path: Path
) -> None:
    stack = Stack(projects.settings("my-fund"))
    stack.start_servers()
    assert stack.is_set_up()
    (tmp_path / "my-fund" / "workbench.toml").write_text('[project]\nname = "big-fund"\n')
    stack = Stack(projects.settings("my-fund"))
    assert not stack.is_set_up()
    with pytest.raises(SettingsError, match=r"called 'big-fund' now.*worked as 'my-fund'.*trading_my_fund"):
        stack.start_servers()
    (tmp_path / "my-fund" / ".workbench" / "run" / "names.json").unlink()
    Stack(projects.settings("my-fund")).start_servers()
    assert {"trading_my_fund", "trading_big_fund"} <= _databases(bare)


def test_two_projects_do_not_change_each_others_passwords(bare: BarePostgres, projects: Projects) -> None:
    one = projects.create("one")
    before = _roles(bare)
    other = projects.create("other")
    for settings in (one, other):
        url = role_url(settings, bare.url, READONLY_ROLE).set(drivername="postgresql")
        with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
            row = connection.execute("SELECT current_database()").fetchone()
        assert row == (settings.trading_database,)
    assert set(before) == set(_roles(bare)) == set(all_roles())


def test_a_second_login_would_change_them_and_is_refused(bare: BarePostgres, projects: Projects) -> None:
    projects.create("one")
    before = _roles(bare)
    with bare.connect() as connection:
        connection.execute("CREATE ROLE dba LOGIN SUPERUSER PASSWORD 'dba'")
    second = make_url(bare.url).set(username="dba", password="dba").render_as_string(hide_password=False)
    with pytest.raises(SettingsError, match=r"come from the login 'admin'.*'dba' in WORKBENCH_DATABASE_URL"):
        projects.create("other", server=second)
    assert _roles(bare) == before
    with bare.connect() as connection:
        connection.execute("COMMENT ON ROLE workbench_runs IS NULL")
    projects.create("other", server=second)
    assert _roles(bare) != before


def _use_as_before(settings: Settings, bare: BarePostgres) -> None:
    """Leave the home and the server as the version did that gave every project one database."""
    old = settings.model_copy(update={"database_url": SecretStr(bare.url_of("trading_system"))})
    Stack(old).start_servers()
    run = settings.home / "run"
    assert not (run / "names.json").exists()
    (run / "databases.stamp").rename(run / "setup.stamp")
    with psycopg.connect(bare.url_of("trading_system"), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO strategy_engine.strategies (strategy_id, name) VALUES ('kept', 'kept')"
        )
        connection.execute("COMMENT ON ROLE workbench_runs IS NULL")


def _roles(server: BarePostgres) -> dict[str, str]:
    """Our roles, each with what the server keeps of its password."""
    with server.connect() as connection:
        rows = connection.execute(
            r"SELECT rolname, rolpassword FROM pg_authid WHERE rolname LIKE 'workbench\_%'"
        )
        return {str(name): str(password) for name, password in rows.fetchall()}
