"""COPY to the server: its own error is raised, also where the connection is lost right after it."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import psycopg
import pytest

from tests.conftest import Connection
from tests.servers import Postgres
from workbench.db.copying import copying
from workbench.db.translate import translated
from workbench.errors import DatabaseError

COPY = "COPY pg_temp.copied FROM STDIN"


@pytest.fixture
def connection(postgres: Postgres) -> Iterator[Connection]:
    with postgres.connect() as connected:
        connected.execute("CREATE TEMPORARY TABLE copied (n integer)")
        yield connected


def test_what_is_written_is_there(connection: Connection) -> None:
    with connection.cursor() as cursor:
        with copying(cursor, COPY) as copy:
            copy.write(b"1\n2\n")
        assert cursor.rowcount == 2
        assert cursor.execute("SELECT sum(n) FROM copied").fetchone() == (3,)


def test_a_row_that_is_refused_raises_what_the_server_says(connection: Connection) -> None:
    with connection.cursor() as cursor:
        with pytest.raises(psycopg.errors.InvalidTextRepresentation), copying(cursor, COPY) as copy:
            copy.write(b"x\n")
        assert cursor.execute("SELECT count(*) FROM copied").fetchone() == (0,)


def test_an_error_of_the_caller_s_stores_nothing(connection: Connection) -> None:
    def fail() -> None:
        with copying(cursor, COPY) as copy:
            copy.write(b"1\n")
            raise ZeroDivisionError

    with connection.cursor() as cursor:
        with pytest.raises(ZeroDivisionError):
            fail()
        assert cursor.execute("SELECT count(*) FROM copied").fetchone() == (0,)


@pytest.mark.parametrize("size", [10, 30_000_000])
def test_a_server_that_goes_away_in_the_middle_is_an_error_of_the_driver_s(
    connection: Connection, size: int
) -> None:
    connection.execute(
        "CREATE FUNCTION pg_temp.leave() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END'"
    )
    connection.execute(
        "CREATE TRIGGER leave BEFORE INSERT ON copied FOR EACH ROW EXECUTE FUNCTION pg_temp.leave()"
    )
    with pytest.raises(psycopg.OperationalError), copying(connection.cursor(), COPY) as copy:
        copy.write(b"1\n" * (size // 2))
    assert connection.broken


@pytest.fixture
def dying_server() -> Iterator[str]:
    """The URL of what answers the end of a COPY as a server in distress does: two errors, and it is gone.

    A real one does so at moments that cannot be had at will. Source: PostgreSQL's documentation, "Message
    Formats".
    """

    def message(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("!i", len(body) + 4) + body

    def refusal(severity: bytes, code: bytes, text: bytes) -> bytes:
        fields = ((b"S", severity), (b"V", severity), (b"C", code), (b"M", text))
        return message(b"E", b"".join(kind + value + b"\0" for kind, value in fields) + b"\0")

    def serve() -> None:
        with listener.accept()[0] as client, client.makefile("rb") as asked:
            asked.read(struct.unpack("!i", asked.read(4))[0] - 4)
            client.sendall(message(b"R", struct.pack("!i", 0)) + message(b"Z", b"I"))
            while kind := asked.read(1):
                asked.read(struct.unpack("!i", asked.read(4))[0] - 4)
                if kind == b"Q":
                    client.sendall(message(b"G", struct.pack("!bh", 0, 0)))
                elif kind == b"c":
                    client.sendall(
                        refusal(b"ERROR", b"53100", b"could not write: No space left on device")
                        + refusal(b"FATAL", b"57P02", b"terminating connection because of a crash")
                    )
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"postgresql://u@127.0.0.1:{listener.getsockname()[1]}/d?sslmode=disable&gssencmode=disable"
        thread.join()


def test_of_two_errors_at_the_end_the_first_is_told(dying_server: str) -> None:
    def copy_one() -> None:
        with translated("writing bars"), copying(dying.cursor(), COPY) as copy:
            copy.write(b"1\n")

    with psycopg.connect(dying_server, autocommit=True) as dying:
        with pytest.raises(DatabaseError, match="writing bars: PostgreSQL's disk is full"):
            copy_one()
        dying.close()
