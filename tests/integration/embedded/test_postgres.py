"""The embedded PostgreSQL: made whole, private, adopted, restarted, stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import psutil
import psycopg
import pytest

from workbench.embedded import EmbeddedPostgres
from workbench.embedded.ports import LOOPBACK, RememberedPort
from workbench.embedded.process import is_alive, wait_until
from workbench.errors import ServerError
from workbench.settings import Settings

ENSURE = (
    "import sys; from pathlib import Path; from workbench.settings import Settings;"
    "from workbench.embedded import EmbeddedPostgres;"
    "print(EmbeddedPostgres(Settings(home=Path(sys.argv[1]))).ensure(), flush=True);"
)


def ask(url: str, question: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(question).fetchone()
        return row[0] if row and len(row) == 1 else row


@pytest.fixture
def postgres(settings: Settings) -> EmbeddedPostgres:
    return EmbeddedPostgres(settings)


def pid_of(postgres: EmbeddedPostgres) -> int:
    running = postgres.running()
    assert running is not None
    return running.pid


def test_a_new_cluster_is_as_promised(postgres: EmbeddedPostgres, settings: Settings) -> None:
    url = postgres.ensure()
    expected = {
        "server_encoding": "UTF8",
        "data_checksums": "on",
        "password_encryption": "scram-sha-256",
        "listen_addresses": LOOPBACK,
        "unix_socket_directories": "",
        "max_connections": "2000",
        "timezone": "UTC",
    }
    for setting, value in expected.items():
        assert ask(url, f"SELECT current_setting('{setting}')") == value
    assert ask(url, "SELECT current_setting('server_version_num')::int / 10000") == 18
    locale = ask(url, "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'template1'")
    assert locale == "bC.UTF-8"
    assert ask(url, "SELECT bool_and(auth_method = 'scram-sha-256') FROM pg_hba_file_rules") is True
    assert (settings.home / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_it_listens_on_loopback_only(postgres: EmbeddedPostgres) -> None:
    postgres.ensure()
    heard = [one for one in psutil.net_connections("tcp") if one.pid == pid_of(postgres)]
    addresses = {one.laddr[0] for one in heard if one.status == psutil.CONN_LISTEN and one.laddr}
    assert addresses == {LOOPBACK}


def test_a_wrong_password_is_refused(postgres: EmbeddedPostgres) -> None:
    url = postgres.ensure()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace(url.split(":")[2].split("@")[0], "wrong"))


def test_a_second_start_is_the_same_server_with_the_same_data(
    postgres: EmbeddedPostgres, settings: Settings
) -> None:
    url = postgres.ensure()
    pid = pid_of(postgres)
    assert EmbeddedPostgres(settings).ensure() == url
    assert pid_of(postgres) == pid


def test_a_stopped_server_keeps_its_data_and_its_address(postgres: EmbeddedPostgres) -> None:
    url = postgres.ensure()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    assert postgres.stop()
    assert not postgres.stop()
    assert postgres.running() is None
    assert postgres.ensure() == url
    assert ask(url, "SELECT answer FROM kept") == 42


def test_a_server_whose_starter_was_killed_is_adopted(postgres: EmbeddedPostgres, settings: Settings) -> None:
    code = ENSURE + "import os; os.kill(os.getpid(), 9)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(settings.home)], stdout=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL
    pid = pid_of(postgres)
    assert postgres.ensure() == done.stdout.strip()
    assert pid_of(postgres) == pid
    assert postgres.stop()
    assert not is_alive(pid)


def test_two_starters_at_once_start_one_server(settings: Settings) -> None:
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", ENSURE, str(settings.home)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    answers = {starter.communicate(timeout=120)[0] for starter in starters}
    assert len(answers) == 1
    assert answers.pop().startswith("postgresql://workbench:")
    data = str(settings.home / "postgres")
    # With the attributes read at once: a process that has just ended is no longer asked.
    running = psutil.process_iter(["name", "cmdline"])
    servers = [p for p in running if p.info["name"] == "postgres" and data in (p.info["cmdline"] or [])]
    assert len(servers) == 1


def test_a_killed_server_is_started_again_with_its_data(postgres: EmbeddedPostgres) -> None:
    url = postgres.ensure()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    killed = pid_of(postgres)
    os.kill(killed, signal.SIGKILL)
    assert wait_until(lambda: not is_alive(killed), 10)
    assert ask(postgres.ensure(), "SELECT answer FROM kept") == 42
    assert pid_of(postgres) != killed


def test_a_pid_file_that_names_another_process_does_not_stop_the_start(
    postgres: EmbeddedPostgres, settings: Settings
) -> None:
    postgres.ensure()
    pid_file = settings.home / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    postgres.stop()
    with subprocess.Popen(["sleep", "60"]) as other:
        pid_file.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        assert postgres.running() is None
        assert ask(postgres.ensure(), "SELECT 1") == 1
        assert other.poll() is None
        other.kill()


def test_a_port_that_somebody_took_is_changed(postgres: EmbeddedPostgres, settings: Settings) -> None:
    postgres.ensure()
    postgres.stop()
    taken = RememberedPort(settings.home / "run" / "postgres.port").read()
    assert taken is not None
    with socket.create_server((LOOPBACK, taken)):
        url = postgres.ensure()
    assert f":{taken}/" not in url
    assert ask(url, "SELECT 1") == 1


def test_what_a_killed_initdb_left_is_done_again(postgres: EmbeddedPostgres, settings: Settings) -> None:
    half = settings.home / "postgres.new-0badcafe" / "data"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    assert ask(postgres.ensure(), "SELECT 1") == 1
    assert not list(settings.home.glob("postgres.new-*"))


def test_a_folder_that_is_no_cluster_is_left_alone(postgres: EmbeddedPostgres, settings: Settings) -> None:
    (settings.home / "postgres").mkdir(parents=True)
    (settings.home / "postgres" / "thesis.txt").write_text("precious")
    with pytest.raises(ServerError, match="is not a PostgreSQL cluster; move it away"):
        postgres.ensure()
    assert (settings.home / "postgres" / "thesis.txt").read_text() == "precious"


def test_a_cluster_of_another_version_is_named_as_such(
    postgres: EmbeddedPostgres, settings: Settings
) -> None:
    postgres.ensure()
    postgres.stop()
    (settings.home / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(ServerError, match=r"is of PostgreSQL 17, .* has PostgreSQL 18"):
        postgres.ensure()


def test_a_configuration_that_cannot_be_used_is_told_in_the_server_s_words(
    postgres: EmbeddedPostgres, settings: Settings
) -> None:
    postgres.ensure()
    postgres.stop()
    with (settings.home / "postgres" / "postgresql.conf").open("a") as configuration:
        configuration.write("shared_buffers = 'very much'\n")
    with pytest.raises(ServerError, match=r"PostgreSQL did not start: .*shared_buffers|configuration file"):
        postgres.ensure()


def test_lost_passwords_are_told_and_the_data_left_alone(
    postgres: EmbeddedPostgres, settings: Settings
) -> None:
    url = postgres.ensure()
    secrets = settings.home / "secrets.json"
    kept = secrets.read_text()
    secrets.unlink()
    with pytest.raises(ServerError, match=r"secrets\.json does not have the password of the cluster"):
        postgres.ensure()
    secrets.write_text(kept)
    assert postgres.ensure() == url


def test_the_wheel_can_host_prefect(postgres: EmbeddedPostgres) -> None:
    """Prefect's migrations need pg_trgm, made by a role that is no superuser."""
    url = postgres.ensure()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE owner LOGIN PASSWORD 'pw'")
        connection.execute("CREATE DATABASE owned OWNER owner")
    port = url.rpartition(":")[2].partition("/")[0]
    with psycopg.connect(f"postgresql://owner:pw@{LOOPBACK}:{port}/owned") as connection:
        connection.execute("CREATE EXTENSION pg_trgm")
