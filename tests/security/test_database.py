"""Each login role, logged in directly as psql would: what it may not do, it is refused."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from tests.servers import BarePostgres, ServerPark
from workbench.db import migrate
from workbench.db.adhoc import query
from workbench.db.bootstrap import create_databases
from workbench.db.doors import open_doors
from workbench.db.pool import ServiceConnectionPool
from workbench.db.roles import PREFECT_ROLE, READONLY_ROLE, RUNS_ROLE, SERVICES, all_roles, role_of, role_url
from workbench.errors import DatabaseError
from workbench.settings import Settings
from workbench.stack import doctor

OURS = [role for role in all_roles() if role != PREFECT_ROLE]
WRITERS = [role_of(service) for service in SERVICES]
EVENT = "INSERT INTO workbench.events (type, service) VALUES ('thing.done', %s)"
Connection = psycopg.Connection[tuple[Any, ...]]


class Place:
    """A server with our databases, and logins to it.

    Parameters
    ----------
    server : BarePostgres
    settings : Settings
        With a `database_url`, it is a server of the user's own; else one that we made.
    """

    def __init__(self, server: BarePostgres, settings: Settings) -> None:
        self.server = server
        self.settings = settings
        url = settings.database_url
        self.url = url.get_secret_value() if url else server.url

    def set_up(self) -> None:
        """What `workbench up` does."""
        create_databases(self.settings, self.url)
        migrate.upgrade(self.settings, self.url)

    @contextlib.contextmanager
    def logged_in(self, role: str, database: str | None = None) -> Iterator[Connection]:
        url = role_url(self.settings, self.url, role).set(drivername="postgresql")
        url = url.set(database=database) if database else url
        with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
            yield connection

    def as_superuser(self, statement: str, database: str = "trading_system") -> list[tuple[Any, ...]]:
        with self.server.connect(database) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module", params=["postgresql-18", "postgresql-15"])
def server(request: pytest.FixtureRequest, servers: ServerPark) -> Iterator[BarePostgres]:
    """One of its own, and bare."""
    bare = servers.bare_postgres(request.param)
    bare.make_bare()
    yield bare
    bare.make_bare()


@pytest.fixture(scope="module")
def place(server: BarePostgres, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Set up as the embedded server is."""
    place = Place(server, Settings(home=tmp_path_factory.mktemp("home")))
    place.set_up()
    return place


@pytest.mark.parametrize("role", all_roles())
def test_a_role_connects_to_its_own_database_and_to_no_other(place: Place, role: str) -> None:
    own = "prefect" if role == PREFECT_ROLE else "trading_system"
    entered = set()
    for (name,) in place.as_superuser("SELECT datname FROM pg_database WHERE datallowconn"):
        with contextlib.suppress(psycopg.OperationalError), place.logged_in(role, name):
            entered.add(name)
    assert entered == {own}


@pytest.mark.parametrize("role", OURS)
def test_only_services_make_temporary_tables(place: Place, role: str) -> None:
    with place.logged_in(role) as connection:
        refused = contextlib.nullcontext() if role in WRITERS else _refused()
        with refused:
            connection.execute("CREATE TEMPORARY TABLE mine AS SELECT 1")


@pytest.mark.parametrize("role", OURS)
def test_no_role_makes_or_opens_large_objects(place: Place, role: str) -> None:
    place.as_superuser("SELECT lo_create(4711) WHERE NOT EXISTS (SELECT FROM pg_largeobject_metadata)")
    place.as_superuser("GRANT SELECT, UPDATE ON LARGE OBJECT 4711 TO PUBLIC")
    with place.logged_in(role) as connection:
        for call in (
            "lo_create(0)",
            "lo_creat(-1)",
            "lo_from_bytea(0, 'x')",
            "lo_put(4711, 0, 'x')",
            "lo_get(4711)",
            "lo_open(4711, 131072)",
            "lowrite(0, 'x')",
            "loread(0, 1)",
            "lo_truncate(0, 1)",
            "lo_import('/etc/hostname')",
            "lo_export(4711, '/tmp/never')",
            "lo_unlink(4711)",
        ):
            with _refused():
                connection.execute(f"SELECT {call}".encode())


def test_the_read_only_role_takes_no_advisory_lock_and_writers_do(place: Place) -> None:
    calls = [
        f"pg_{tried}advisory_{until}lock{shared}({arguments})"
        for tried in ("", "try_")
        for until in ("", "xact_")
        for shared in ("", "_shared")
        for arguments in ("42", "4, 2")
    ]
    with place.logged_in(READONLY_ROLE) as connection:
        for call in calls:
            with _refused():
                connection.execute(f"SELECT {call}".encode())
    for role in (*WRITERS, RUNS_ROLE):
        with place.logged_in(role) as connection:
            for call in calls:
                connection.execute(f"SELECT {call}".encode())


def test_the_read_only_role_begins_with_limits_and_wb_sql_has_its_own_time(place: Place) -> None:
    with place.logged_in(READONLY_ROLE) as connection:
        names = (
            "work_mem", "lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout",
            "temp_file_limit",
        )  # fmt: skip
        found = [_one(connection, f"SHOW {name}") for name in names]
        assert found == ["32MB", "30s", "10min", "5min", "5GB"]
        with _refused():
            connection.execute("SET temp_file_limit = -1")
    pool = ServiceConnectionPool("readonly", lambda: role_url(place.settings, place.url, READONLY_ROLE))
    with contextlib.closing(pool):
        asked = "SELECT current_setting('statement_timeout') AS t"
        assert query(pool, asked, {}, timeout=1800).loc[0, "t"] == "30min"
        assert query(pool, asked, {}).loc[0, "t"] == "1min"


def test_a_statement_that_needs_more_room_or_waits_too_long_is_told_what_to_do(place: Place) -> None:
    place.as_superuser(f"ALTER ROLE {READONLY_ROLE} SET temp_file_limit = '1MB'; "
                       f"ALTER ROLE {READONLY_ROLE} SET lock_timeout = '200ms'")  # fmt: skip
    pool = ServiceConnectionPool("readonly", lambda: role_url(place.settings, place.url, READONLY_ROLE))
    try:
        with contextlib.closing(pool), place.server.connect("trading_system") as admin:
            with pytest.raises(DatabaseError, match="too much space for temporary files"):
                query(pool, "SELECT n FROM generate_series(1, 3000000) AS n ORDER BY n::text", {})
            with admin.transaction():
                admin.execute("LOCK TABLE logging.system_logs")
                with pytest.raises(DatabaseError, match="waited too long for a table"):
                    query(pool, "SELECT * FROM logging.system_logs", {})
    finally:
        place.set_up()


def test_a_service_tells_events_in_its_own_name_only(place: Place) -> None:
    for service in SERVICES:
        with place.logged_in(role_of(service)) as connection:
            connection.execute(EVENT, [service])
            _copy_event(connection, service)
            for other in {*SERVICES, "runs", "events", "prefect", "research", ""} - {service}:
                told = f"{role_of(service)} may not write an event of the service {other}: that is for"
                with pytest.raises(psycopg.errors.InsufficientPrivilege, match=told):
                    connection.execute(EVENT, [other])
                with _refused():
                    _copy_event(connection, other)
            with _refused():
                connection.execute("UPDATE workbench.events SET service = 'runs'")


def test_notebooks_and_the_relay_tell_events_in_the_name_of_no_service(place: Place) -> None:
    place.as_superuser("INSERT INTO workbench.events (type, service) VALUES ('thing.done', 'logging')")
    with place.logged_in(RUNS_ROLE) as connection:
        for own in ("runs", "events", "research", "'; --", "x" * 100):
            connection.execute(EVENT, [own])
        connection.execute("UPDATE workbench.events SET published_at = now(), data = '{}'")
        for service in (*SERVICES, "prefect", "readonly"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"that is for {role_of(service)}"):
                connection.execute(EVENT, [service])
            with _refused():
                _copy_event(connection, service)
        with _refused():
            connection.execute("UPDATE workbench.events SET service = 'logging' WHERE service = 'research'")
        with pytest.raises(psycopg.errors.NotNullViolation):
            connection.execute(EVENT, [None])


def test_what_an_earlier_version_granted_is_taken_back(place: Place) -> None:
    everyone = ", ".join(OURS)
    place.as_superuser(
        f"GRANT CONNECT, TEMPORARY ON DATABASE trading_system TO {everyone}; "
        f"GRANT CONNECT, TEMPORARY ON DATABASE trading_system, prefect TO PUBLIC, {PREFECT_ROLE}; "
        f"GRANT CONNECT, TEMPORARY ON DATABASE prefect TO {everyone}; "
        "GRANT CONNECT, TEMPORARY ON DATABASE postgres, template1 TO PUBLIC; "
        "GRANT EXECUTE ON FUNCTION pg_advisory_lock(bigint), lo_create(oid) TO PUBLIC"
    )
    assert len(open_doors(place.settings, place.url)) == 2
    place.set_up()
    assert open_doors(place.settings, place.url) == []
    rights = place.as_superuser(
        "SELECT datname, grantee::regrole::text, array_agg(privilege_type ORDER BY privilege_type) "
        "FROM pg_database, aclexplode(datacl) WHERE datname <> 'template0' AND grantee <> datdba "
        "GROUP BY 1, 2"
    )
    assert {(name, role): tuple(given) for name, role, given in rights} == {
        ("trading_system", role): ("CONNECT", "TEMPORARY") if role in WRITERS else ("CONNECT",)
        for role in OURS
    }


# ------------------------------------------------------------------------------ a server of the user's own


@pytest.fixture
def their_server(server: BarePostgres, place: Place, servers: ServerPark, tmp_path: Path) -> Iterator[Place]:
    """One with a login that is no superuser, and with a database of somebody else's."""
    server.make_bare()
    with server.connect() as connection:
        connection.execute("CREATE ROLE dba LOGIN PASSWORD 'dba' CREATEDB CREATEROLE")
        connection.execute('CREATE DATABASE "Their own"')
    url = make_url(server.url).set(username="dba", password="dba").render_as_string(hide_password=False)
    theirs = Place(
        server,
        Settings(home=tmp_path, database_url=SecretStr(url), redis_url=SecretStr(servers.valkey())),
    )
    theirs.set_up()
    yield theirs
    server.make_bare()
    place.set_up()


def test_on_a_server_of_the_users_own_doctor_says_what_to_type(their_server: Place) -> None:
    others = (
        "SELECT datname, datacl::text FROM pg_database WHERE datname NOT IN ('trading_system', 'prefect') "
        "ORDER BY 1"
    )
    before = their_server.as_superuser(others)
    their_server.set_up()
    assert their_server.as_superuser(others) == before
    databases, files, functions, sessions = open_doors(their_server.settings, their_server.url)
    assert databases.what == (
        "Every login, and so each of workbench's, may connect to databases that are not its own: Their own, "
        "postgres, template1"
    )
    assert files.what.startswith("A statement of workbench_readonly may fill the server's disk")
    assert "take advisory locks, and so block writers, and make large objects: dba may not" in functions.what
    assert sessions.what.startswith("dba may not end the sessions of a run that is dead: ")
    told = {finding.what: finding for finding in doctor.findings_of(their_server.settings)}
    assert all(told[door.what].level == "warn" for door in (databases, files, functions, sessions))

    their_server.as_superuser(databases.advice.partition(": ")[2].rpartition(";")[0])
    their_server.as_superuser(files.advice.partition(": ")[2])
    their_server.as_superuser(sessions.advice.partition(": ")[2])
    script = functions.advice.partition(" -f ")[2]
    their_server.as_superuser(Path(script).read_text())
    assert open_doors(their_server.settings, their_server.url) == []
    with their_server.logged_in(READONLY_ROLE) as connection, _refused():
        connection.execute("SELECT pg_advisory_lock(1)")

    # What the superuser typed stands, and an upgrade, which takes a lock, works as before.
    their_server.set_up()
    assert open_doors(their_server.settings, their_server.url) == []


def test_the_administrator_who_is_no_superuser_tells_events_in_every_name(their_server: Place) -> None:
    url = make_url(their_server.url).set(database="trading_system")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        for name in (*SERVICES, "runs", "events", "research"):
            connection.execute(EVENT, [name])


def _refused() -> contextlib.AbstractContextManager[Any]:
    return pytest.raises(psycopg.errors.InsufficientPrivilege)


def _one(connection: Connection, statement: str) -> Any:
    row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]


def _copy_event(connection: Connection, service: str) -> None:
    statement = sql.SQL("COPY workbench.events (type, service) FROM STDIN")
    with connection.cursor().copy(statement) as copy:
        copy.write_row(("thing.done", service))
