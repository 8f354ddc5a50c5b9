"""`wb.sql`: what PostgreSQL holds comes back typed, parameters stay values, and nothing can be changed."""

from __future__ import annotations

import datetime
import os
import signal
import threading
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import psutil
import psycopg
import pytest
from pydantic import SecretStr

from tests.conftest import Connection
from tests.integration.conftest import MakeBars
from tests.servers import ServerPark, wait_for
from workbench import Settings, Workbench
from workbench.db.bounded import BoundedQuery
from workbench.errors import DatabaseError, PermissionRefused, QueryError, ServerUnreachable

BARS = "data_ingestion.market_data"


@pytest.fixture(scope="module", params=["postgresql-18", "postgresql-15"])
def reader(
    request: pytest.FixtureRequest, servers: ServerPark, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workbench]:
    """A Workbench for tests that change nothing: two bars of AAPL are there, for all of them."""
    server = servers.postgres(request.param)
    name = server.clone()
    settings = Settings(
        home=tmp_path_factory.mktemp("home"),
        database_url=SecretStr(server.url_of(name)),
        redis_url=SecretStr(servers.valkey()),
    )
    with server.connect(name) as connection, Workbench(settings) as wb:
        connection.execute(
            f"INSERT INTO {BARS} (symbol, timestamp, open, high, low, close, volume, data_source) "
            "SELECT 'AAPL', '2024-01-01Z'::timestamptz + n * interval '1 day', 10, 11, 9, 10 + n, 1, 'file' "
            "FROM generate_series(0, 1) AS n".encode()
        )
        # A service's session, which the read-only role might try to end.
        wb.logging.load_system_logs()
        yield wb
    server.drop(name)


@pytest.fixture
def owner(reader: Workbench) -> Iterator[Connection]:
    """The administrator, on the database of `reader`."""
    assert reader.settings.database_url is not None
    with psycopg.connect(reader.settings.database_url.get_secret_value(), autocommit=True) as connection:
        yield connection


# The value as PostgreSQL writes it, the dtype that is promised, and the value in Python.
TYPES = [
    (
        "'2024-01-02 03:04:05.678901+00'::timestamptz",
        "datetime64[us, UTC]",
        "2024-01-02 03:04:05.678901+00:00",
    ),
    ("'2024-01-02 03:04:05'::timestamp", "datetime64[us]", "2024-01-02 03:04:05"),
    ("'2024-01-02'::date", "datetime64[s]", "2024-01-02 00:00:00"),
    ("'1 day 02:00:00.5'::interval", "timedelta64[us]", "1 days 02:00:00.500000"),
    ("1.25::numeric", "float64", "1.25"),
    ("1.25::float4", "float64", "1.25"),
    ("1e300::float8", "float64", "1e+300"),
    ("9223372036854775807::int8", "Int64", "9223372036854775807"),
    ("1::int2", "Int64", "1"),
    ("true", "boolean", "True"),
    ("'é😀'::text", "str", "é😀"),
    ("'a'::varchar(3)", "str", "a"),
    ("'6f2c0a3e-0000-4000-8000-000000000001'::uuid", "str", "6f2c0a3e-0000-4000-8000-000000000001"),
    ("'10.0.0.1'::inet", "str", "10.0.0.1"),
    ("int4range(1, 5)", "str", "[1,5)"),
    ("""'{"a": [1, null]}'::jsonb""", "object", "{'a': [1, None]}"),
    ("ARRAY[1, 2]", "object", "[1, 2]"),
    ("ARRAY[1.5::numeric]", "object", "[1.5]"),
    ("'10:30'::time", "object", "10:30:00"),
    ("'\\x6162'::bytea", "object", "b'ab'"),
]


@pytest.mark.parametrize(("written", "dtype", "value"), TYPES, ids=[written for written, _, _ in TYPES])
def test_each_type_comes_back_as_promised_null_and_nothing_too(
    reader: Workbench, written: str, dtype: str, value: str
) -> None:
    frame = reader.sql(f"SELECT {written} AS x UNION ALL SELECT NULL")
    assert frame["x"].dtype == dtype
    assert str(frame["x"].iloc[0]) == value
    assert frame["x"].isna().tolist() == [False, True]
    nothing = reader.sql(f"SELECT {written} AS x WHERE false -- a comment at the end")
    assert nothing["x"].dtype == dtype
    assert nothing.empty


def test_the_columns_of_bars_have_the_types_that_loads_give(wb: Workbench, make_bars: MakeBars) -> None:
    wb.data_ingestion.write_market_data(make_bars("AAPL", days=3), source="file")
    loaded = wb.data_ingestion.load_market_data("AAPL", source="file").reset_index()
    asked = wb.sql(f"SELECT {', '.join(loaded.columns)} FROM {BARS} ORDER BY timestamp")
    pd.testing.assert_frame_equal(asked, loaded)


def test_an_enum_is_text_and_a_name_that_comes_twice_gets_a_number(wb: Workbench, admin: Connection) -> None:
    admin.execute("CREATE TYPE public.mood AS ENUM ('calm', 'wild')")
    admin.execute("GRANT USAGE ON SCHEMA public TO workbench_readonly")
    frame = wb.sql("SELECT 'wild'::public.mood AS a, 1 AS a, 2 AS a_1, 3 AS b, 4 AS a")
    assert frame.columns.tolist() == ["a", "a_1", "a_1_1", "b", "a_2"]
    assert frame["a"].tolist() == ["wild"]
    assert frame["a"].dtype == "str"


def test_statements_of_every_reading_kind_are_answered(reader: Workbench) -> None:
    assert reader.sql("WITH x AS (SELECT 1 AS a) SELECT a FROM x;").loc[0, "a"] == 1
    assert reader.sql("VALUES (1), (2)").iloc[:, 0].tolist() == [1, 2]
    assert reader.sql("(SELECT 1 AS a) UNION (SELECT 1)").shape == (1, 1)
    assert reader.sql("TABLE data_ingestion.ingestion_status").shape[0] == 1
    assert reader.sql("SHOW timezone").iloc[0, 0] == "UTC"
    assert reader.sql(f"EXPLAIN SELECT * FROM {BARS}").iloc[:, 0].str.len().gt(0).all()
    assert reader.sql("SELECT 5 % 3 AS rest, '100%' AS all").iloc[0].tolist() == [2, "100%"]


@pytest.mark.parametrize(
    ("value", "cast", "expected"),
    [
        (5, "", 5),
        (2**40, "", 2**40),
        (np.int64(5), "", 5),
        (np.float64(0.1), "", 0.1),
        (np.bool_(True), "", True),
        (Decimal("1.5"), "", 1.5),
        ("text", "", "text"),
        ("2024-01-02", "::timestamptz", pd.Timestamp("2024-01-02", tz="UTC")),
        (
            pd.Timestamp("2024-01-02 03:04", tz="America/New_York"),
            "",
            pd.Timestamp("2024-01-02 08:04", tz="UTC"),
        ),
        (datetime.date(2024, 1, 2), "", pd.Timestamp("2024-01-02")),
        (np.datetime64("2024-01-02", "ns"), "", pd.Timestamp("2024-01-02")),
        (pd.Timedelta("1h"), "", pd.Timedelta("1h")),
        (uuid.UUID(int=7), "", str(uuid.UUID(int=7))),
        ({"a": [1, None]}, "", {"a": [1, None]}),
        (["a", "b"], "", ["a", "b"]),
        (("a", None), "", ["a", None]),
        (np.array([1.5, 2.0]), "", [1.5, 2.0]),
        ([1, 2.5], "", [1.0, 2.5]),
        (pd.Series(["a", "b"]), "", ["a", "b"]),
    ],
)
def test_a_parameter_arrives_as_the_value_that_was_given(
    reader: Workbench, value: object, cast: str, expected: object
) -> None:
    assert reader.sql(f"SELECT :x{cast} AS x", x=value).loc[0, "x"] == expected


@pytest.mark.parametrize("nothing", [None, pd.NA, pd.NaT])
def test_what_is_missing_is_null(reader: Workbench, nothing: object) -> None:
    assert reader.sql("SELECT :x::text IS NULL AS x", x=nothing).loc[0, "x"]


def test_parameters_find_the_rows_they_mean(wb: Workbench, make_bars: MakeBars) -> None:
    for symbol in ("AAPL", "IBM", "O'Neil\""):
        wb.data_ingestion.write_market_data(make_bars(symbol, days=4), source="file")
    found = wb.sql(
        f"SELECT DISTINCT symbol FROM {BARS} WHERE symbol = ANY(:symbols) AND timestamp >= :start ORDER BY 1",
        symbols=["O'Neil\"", "IBM"],
        start=pd.Timestamp("2024-01-02"),
    )
    assert found["symbol"].tolist() == ["IBM", "O'Neil\""]
    assert wb.sql(f"SELECT * FROM {BARS} WHERE symbol = ANY(:none)", none=[]).empty


@pytest.mark.parametrize(
    "attack",
    [
        "x'; DROP TABLE data_ingestion.market_data; --",
        "' OR '1'='1",
        "$1",
        ":other",
        "%s %(x)s",
        "\\'; SELECT 1; --",
        "{x}",
        "'); INSERT INTO strategy_engine.strategies (name) VALUES ('",
    ],
)
def test_a_parameter_is_never_part_of_the_statement(reader: Workbench, attack: str) -> None:
    assert reader.sql("SELECT :x AS x", x=attack).loc[0, "x"] == attack
    assert reader.sql(f"SELECT * FROM {BARS} WHERE symbol = :x", x=attack).empty
    assert reader.sql(f"SELECT * FROM {BARS} WHERE symbol = ANY(:x)", x=[attack]).empty
    assert len(reader.sql(f"SELECT * FROM {BARS}")) == 2


@pytest.mark.parametrize(
    ("statement", "parameters", "said"),
    [
        ("SELECT :symbol", {}, "uses the parameter :symbol, which has no value"),
        ("SELECT 1", {"symbol": 1}, "a value is given for :symbol, which"),
        ("SELECT :x", {"x": object()}, ":x is of type object"),
        ("SELECT :x", {"x": pd.DataFrame({"a": [1]})}, ":x is of type DataFrame"),
        ("SELECT :x", {"x": [1, "a"]}, r"mixed types \(int, str\)"),
        ("SELECT :x", {"x": pd.Timestamp(1, unit="ns")}, "finer than a microsecond"),
        ("SELECT :x", {"x": "a\x00b"}, "NUL"),
        ("SELECT :x", {"x": "\ud800"}, "not valid Unicode"),
        ("SELECT :x IS NULL", {"x": None}, "data type of parameter :x; state the type"),
        (f"SELECT * FROM {BARS} WHERE symbol IN (:x)", {"x": ["a"]}, r"with = ANY\(:x\)"),
        (f"SELECT * FROM {BARS} WHERE symbol = :x", {"x": ["a"]}, r"with = ANY\(:x\)"),
        (f"SELECT * FROM {BARS} WHERE symbol IN :x", {"x": ["a"]}, r"near \":x\"; a parameter is one value"),
        ("SELECT * FROM :x", {"x": BARS}, "name of a table or column cannot be a parameter"),
        (f"SELECT * FROM {BARS} WHERE symbol = :x", {"x": 5}, "different types: cast one"),
        (f"SELECT * FROM {BARS} WHERE timestamp > :x", {"x": "2024-13-01"}, 'out of range: "2024-13-01"'),
    ],
)
def test_a_parameter_that_cannot_be_is_named(
    reader: Workbench, statement: str, parameters: dict[str, Any], said: str
) -> None:
    with pytest.raises(QueryError, match=said):
        reader.sql(statement, **parameters)


@pytest.mark.parametrize(
    ("statement", "sentence", "marked"),
    [
        (f"SELECT clsoe FROM {BARS}", 'column "clsoe" does not exist; did you mean close?', "clsoe"),
        (f"SELECT m.clsoe FROM {BARS} m", "column m.clsoe does not exist; did you mean close?", "m.clsoe"),
        (
            "SELECT * FROM market_data",
            f'relation "market_data" does not exist; did you mean {BARS}?',
            "market_data",
        ),
        (
            "SELECT * FROM data_ingestion.markt_data",
            f'relation "data_ingestion.markt_data" does not exist; did you mean {BARS}?',
            "data_ingestion.markt_data",
        ),
        ("SELECT * FRM x", 'syntax error at or near "FRM"', "FRM"),
        (
            "SELECT fast(1)",
            "function fast(integer) does not exist; there is no function of that name",
            "fast",
        ),
        ("SELECT 'abc", 'unterminated quoted string at or near "\'abc"', "'abc"),
    ],
)
def test_an_error_is_one_sentence_with_the_place_marked(
    reader: Workbench, statement: str, sentence: str, marked: str
) -> None:
    with pytest.raises(QueryError) as caught:
        reader.sql(statement)
    said, _, place = str(caught.value).partition("\n\n")
    assert said.startswith(sentence)
    line, caret = place.splitlines()
    assert line == statement
    assert line[caret.index("^") :].startswith(marked)


def test_the_place_is_right_behind_parameters_and_in_its_line(reader: Workbench) -> None:
    with pytest.raises(QueryError) as caught:
        reader.sql(f"SELECT *\nFROM {BARS}\nWHERE symbol = :symbol AND oops = :start", symbol="A", start=1)
    line, caret = str(caught.value).splitlines()[-2:]
    assert line.startswith("line 3: WHERE symbol = :symbol")
    assert line[caret.index("^") :].startswith("oops")


@pytest.mark.parametrize("unit", ["infinity", "-infinity", "0044-03-15 BC"])
def test_times_that_python_does_not_know_are_refused_with_what_to_do(reader: Workbench, unit: str) -> None:
    with pytest.raises(QueryError, match="cast it to text"):
        reader.sql("SELECT :x::timestamptz", x=unit)
    assert reader.sql("SELECT :x::timestamptz::text AS x", x=unit).loc[0, "x"]


def test_a_number_beyond_float64_is_refused_with_what_to_do(reader: Workbench) -> None:
    for statement in ("SELECT 1e100000", "SELECT generate_series(1, 3), -1e400"):
        with pytest.raises(QueryError, match=r"beyond float64, whose largest is 1\.8e308: cast it to text"):
            reader.sql(statement)
    assert reader.sql("SELECT (1e400)::text AS x").loc[0, "x"] == "1" + "0" * 400
    with pytest.raises(QueryError, match=r"^:x is a list with a number beyond float64"):
        reader.sql("SELECT :x", x=[10**400, 0.5])


def test_an_interval_of_months_is_not_made_into_days(reader: Workbench) -> None:
    with pytest.raises(QueryError, match="'2 mons' has no fixed length"):
        reader.sql("SELECT interval '2 months'")


@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT INTO {BARS} (symbol) VALUES ('A')",
        f"UPDATE {BARS} SET close = 0",
        f"DELETE FROM {BARS}",
        f"TRUNCATE {BARS}",
        f"MERGE INTO {BARS} USING (SELECT 1) x ON true WHEN MATCHED THEN DELETE",
        "CREATE TABLE public.mine (a int)",
        "CREATE TEMPORARY TABLE mine (a int)",
        f"DROP TABLE {BARS}",
        f"ALTER TABLE {BARS} DISABLE TRIGGER ALL",
        "GRANT SELECT ON ALL TABLES IN SCHEMA logging TO PUBLIC",
        "SET ROLE workbench_logging",
        "SET SESSION AUTHORIZATION workbench_logging",
        "RESET ROLE",
        "SET TRANSACTION READ WRITE",
        "COMMIT",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        f"COPY {BARS} FROM '/etc/passwd'",
        "DO $$ BEGIN PERFORM 1; END $$",
        "CALL something()",
        "LISTEN x",
        "VACUUM",
        "LOCK TABLE data_ingestion.market_data",
        # What begins as a statement that reads:
        f"WITH gone AS (DELETE FROM {BARS} RETURNING 1) SELECT * FROM gone",
        f"WITH new AS (INSERT INTO {BARS} (symbol) VALUES ('A') RETURNING 1) TABLE new",
        f"EXPLAIN ANALYZE DELETE FROM {BARS}",
        f"SELECT * INTO public.mine FROM {BARS}",
        f"SELECT * FROM {BARS} FOR UPDATE",
        "SELECT set_config('role', 'workbench_logging', false)",
        "SELECT set_config('session_authorization', 'workbench_logging', false)",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_advisory_lock(42)",
        "SELECT lo_create(0)",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'workbench_logging'",
        "SELECT * FROM pg_authid",
        "SELECT workbench.require_live_run(gen_random_uuid())",
        "SELECT nextval(pg_get_serial_sequence('data_ingestion.market_data', 'id'))",
    ],
)
def test_every_write_is_refused(reader: Workbench, statement: str) -> None:
    with pytest.raises(PermissionRefused, match=r"wb\.sql and %%sql"):
        reader.sql(statement)
    assert reader.sql(f"SELECT close FROM {BARS} ORDER BY 1")["close"].tolist() == [10, 11]


def test_a_refused_write_says_which_method_writes(reader: Workbench) -> None:
    for statement in (
        "INSERT INTO strategy_engine.strategies (name) VALUES ('a')",
        "WITH x AS (UPDATE strategy_engine.strategies SET name = 'a' RETURNING 1) TABLE x",
    ):
        with pytest.raises(PermissionRefused, match=r"use wb\.strategy_engine\.write_strategies\(frame\)$"):
            reader.sql(statement)


def test_a_statement_that_ends_the_read_only_transaction_gains_nothing(reader: Workbench) -> None:
    """The role may not write in any transaction, so a statement that got through would be refused, too."""
    with pytest.raises(QueryError, match="several statements"):
        reader.sql("SELECT 1; COMMIT; INSERT INTO logging.system_logs (service) VALUES ('x')")
    engine = reader.session.pool("readonly").engine
    with pytest.raises(Exception, match="permission denied"), engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO logging.system_logs (service) VALUES ('x')")


def test_nothing_of_one_statement_stays_for_the_next(reader: Workbench, owner: Connection) -> None:
    reader.sql(
        "SELECT set_config('statement_timeout', '1', false), set_config('timezone', 'Asia/Tokyo', false)"
    )
    # As where the administrator is no superuser, and could not take it from the role.
    owner.execute("GRANT EXECUTE ON FUNCTION pg_advisory_lock(bigint) TO workbench_readonly")
    reader.sql("SELECT pg_advisory_lock(42)::text")
    owner.execute("REVOKE EXECUTE ON FUNCTION pg_advisory_lock(bigint) FROM workbench_readonly")
    kept = reader.sql(
        "SELECT current_setting('statement_timeout') AS timeout, current_setting('timezone') AS zone"
    )
    assert kept.iloc[0].tolist() == ["1min", "UTC"]
    locks = owner.execute(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 42"
    ).fetchone()
    assert locks == (0,)


def test_a_statement_many_times_over_is_answered_each_time(reader: Workbench) -> None:
    """The driver prepares what comes often; that must outlive what is cleaned up between."""
    assert [reader.sql("SELECT :x AS x", x=n).loc[0, "x"] for n in range(20)] == list(range(20))


def test_a_statement_that_runs_too_long_is_cancelled_on_the_server(
    reader: Workbench, owner: Connection
) -> None:
    with pytest.raises(DatabaseError, match=r"longer than its 0\.2 s.*timeout=600.*--timeout 600"):
        reader.sql("SELECT pg_sleep(60)", timeout=0.2)
    assert _active(owner) == 0
    assert reader.sql("SELECT 1 AS x").loc[0, "x"] == 1


def test_an_interrupt_cancels_the_statement_on_the_server(reader: Workbench, owner: Connection) -> None:
    reader.sql("SELECT 1")

    def interrupt() -> None:
        wait_for(lambda: _active(owner) == 1, "the statement runs")
        os.kill(os.getpid(), signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        reader.sql("SELECT pg_sleep(60)")
    interrupter.join()
    assert _active(owner) == 0
    assert reader.sql("SELECT 1 AS x").loc[0, "x"] == 1


def test_a_cancel_by_somebody_else_and_a_lost_session_are_told_apart(
    reader: Workbench, owner: Connection
) -> None:
    for function, error, said in (
        ("pg_cancel_backend", DatabaseError, "cancelled on the server"),
        ("pg_terminate_backend", ServerUnreachable, "does not answer or went away"),
    ):

        def strike(function: str = function) -> None:
            wait_for(lambda: _active(owner) == 1, "the statement runs")
            owner.execute(f"SELECT {function}(pid) FROM pg_stat_activity WHERE {_ACTIVE}".encode())

        striker = threading.Thread(target=strike)
        striker.start()
        with pytest.raises(error, match=said):
            reader.sql("SELECT pg_sleep(60)")
        striker.join()
    assert reader.sql("SELECT 1 AS x").loc[0, "x"] == 1


def test_more_rows_than_allowed_are_refused_and_as_many_as_allowed_are_not(
    reader: Workbench, owner: Connection
) -> None:
    assert reader.sql("SELECT generate_series(1, 25000) AS n", max_rows=25_000)["n"].tolist() == [
        *range(1, 25_001)
    ]
    with pytest.raises(QueryError, match="more than 25,000 rows: add LIMIT"):
        reader.sql("SELECT generate_series(1, 100000000)", max_rows=25_000)
    assert _active(owner) == 0


# Each value, and how many bytes it has as PostgreSQL writes it; most are far smaller where they are stored.
LARGE = [
    ("repeat('x', 1000000)", 1_000_000),
    ("repeat('é', 500000)", 1_000_000),
    ("repeat('x', 1000000)::varchar(1000000)", 1_000_000),
    ("convert_to(repeat('x', 500000), 'UTF8')", 1_000_000),
    ("to_jsonb(repeat('x', 999998))", 1_000_000),
    ("to_json(repeat('x', 999998))", 1_000_000),
    ("array_fill(7, ARRAY[500000])", 1_000_001),
    ("'1e-16000'::numeric", 16_002),
    ("ROW(n % 2, repeat('x', 1000000))", 1_000_004),
    ("int8range(n, n + 1)", 5),
    ("n::numeric(10, 2)", 8),
    ("n", 8),
    ("now()", 8),
    ("n % 2 = 0", 8),
]


@pytest.mark.parametrize(("value", "octets"), LARGE, ids=[value for value, _ in LARGE])
def test_more_bytes_than_allowed_are_refused_and_as_many_as_allowed_are_not(
    reader: Workbench, value: str, octets: int
) -> None:
    """Ten would be as many as allowed, and each is less than a quarter of it."""
    allowed = 10 * octets
    few = f"SELECT {value} AS x FROM generate_series(1, :rows) AS n"
    assert reader.sql(few, rows=9, max_bytes=allowed).shape == (9, 1)
    with pytest.raises(
        QueryError, match=rf"returns more than {allowed:,} bytes: .*max_bytes={2 * allowed:_}"
    ):
        reader.sql(few, rows=12, max_bytes=allowed)
    with pytest.raises(QueryError, match=r"a row of the statement has .* \(a quarter of max_bytes"):
        reader.sql(few, rows=1, max_bytes=4 * octets - 4)


def test_a_row_that_is_too_large_does_not_reach_the_client(reader: Workbench, owner: Connection) -> None:
    reader.sql("SELECT 1")
    before = _memory()
    with pytest.raises(QueryError) as caught:
        reader.sql("SELECT 1 AS n, repeat('x', 200000000) AS x, ARRAY[repeat('y', 50000000)] AS y")
    assert str(caught.value) == (
        "a row of the statement has 250,000,010 bytes, and one row may have 125,000,000 (a quarter of "
        "max_bytes): cut its values on the server, as in left(text, 1000), or allow more: "
        "wb.sql(…, max_bytes=1_000_000_040), %%sql --max-bytes 1000000040"
    )
    assert _memory() - before < 50_000_000
    assert _active(owner) == 0
    # As advised.
    assert reader.sql("SELECT length(x) AS n FROM repeat('x', 200000000) AS x").loc[0, "n"] == 200_000_000


def test_many_rows_that_are_too_large_together_do_not_reach_the_client(reader: Workbench) -> None:
    before = _memory()
    with pytest.raises(QueryError, match="returns more than 20,000,000 bytes"):
        reader.sql(
            "SELECT n, repeat('x', 1000000) AS x FROM generate_series(1, 5000) AS n", max_bytes=20_000_000
        )
    assert _memory() - before < 150_000_000


def test_a_value_and_its_size_are_computed_once(reader: Workbench, owner: Connection) -> None:
    sent = f"SELECT lpad(symbol, 1000000) AS x FROM {BARS}"
    with psycopg.RawCursor(owner) as cursor:
        columns = cursor.execute(f"{sent} LIMIT 0".encode()).description or []
        bounded = BoundedQuery(cursor, sent, columns, 500_000_000)
        plan = cursor.execute(f"EXPLAIN VERBOSE {bounded.text}".encode()).fetchall()
    told = "\n".join(line for (line,) in plan)
    assert "octet_length(apart.c1)" in told
    # In brackets of its own stands what a step takes from the one below it.
    assert "sum(((LEAST" in told


def _memory() -> int:
    """The bytes of memory that this process has now."""
    return psutil.Process().memory_info().rss


def test_what_has_few_or_many_columns_or_odd_ones_is_answered(reader: Workbench) -> None:
    assert reader.sql("SELECT FROM generate_series(1, 3)").shape == (3, 0)
    assert reader.sql("SELECT WHERE false").shape == (0, 0)
    wide = ", ".join(f"{n} AS c{n}" for n in range(1600))
    assert reader.sql(f"SELECT {wide} FROM generate_series(1, 500)").iloc[-1].tolist() == [*range(1600)]
    assert not reader.sql("SELECT * FROM pg_stats").empty
    frame = reader.sql("SELECT c2, octets FROM (VALUES (1, 2)) AS counted (c2, octets)")
    assert frame.to_dict("records") == [{"c2": 1, "octets": 2}]


def test_rows_come_in_the_order_that_was_asked_for(reader: Workbench) -> None:
    shuffled = "SELECT n FROM generate_series(1, 50000) AS n ORDER BY hashint4(n), n"
    assert reader.sql(f"SELECT array_agg(n) AS n FROM ({shuffled}) AS s").loc[0, "n"] == (
        reader.sql(shuffled)["n"].tolist()
    )


@pytest.mark.parametrize(
    "limits",
    [
        *({"timeout": seconds} for seconds in (0, float("nan"), float("inf"), "1", True)),
        *({"max_rows": rows} for rows in (0, 1.5)),
        *({"max_bytes": octets} for octets in (0, 1.5, 10**18)),
    ],
)
def test_limits_that_are_none_are_refused(reader: Workbench, limits: dict[str, Any]) -> None:
    with pytest.raises(QueryError, match=f"^{next(iter(limits))}=.*expected"):
        reader.sql("SELECT 1", **limits)


_ACTIVE = (
    "usename = 'workbench_readonly' AND state = 'active' AND datname = current_database() "
    "AND query ~ 'pg_sleep|generate_series'"
)


def _active(admin: Connection) -> int:
    row = admin.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {_ACTIVE}".encode()).fetchone()
    assert row is not None
    return int(row[0])
