"""Whatever is written to a series, every earlier state of it loads as it was: by moment and by revision."""

from __future__ import annotations

import contextlib
import random
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import psycopg
import pytest

from tests.conftest import Connection
from tests.integration.conftest import MakeBars
from workbench import Workbench
from workbench.db.bar_history import trim_bar_history
from workbench.db.pool import ServiceConnectionPool
from workbench.errors import DatabaseError, NotKnown, QueryError
from workbench.services import known_bars
from workbench.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore::workbench.errors.NoBarsWarning")

TABLE = "data_ingestion.market_data"
# Across the edge of two partitions.
DAYS = [datetime(2023, 12, 17, tzinfo=UTC) + timedelta(days=day) for day in range(30)]
SYMBOLS = ("AAPL", "IBM")
INSERT = f"INSERT INTO {TABLE} (symbol, timestamp, open, high, low, close, volume, data_source) VALUES "

State = dict[str, dict[datetime, float]]


def row(symbol: str, day: datetime, price: float, source: str = "file") -> str:
    return f"('{symbol}', '{day.isoformat()}', {price}, {price}, {price}, {price}, 1, '{source}')"


def state_of(connection: psycopg.Connection[Any]) -> State:
    """All bars, read from the table itself."""
    found: State = {symbol: {} for symbol in SYMBOLS}
    for symbol, moment, close in connection.execute(
        f"SELECT symbol, timestamp, close::float8 FROM {TABLE} WHERE data_source = 'file'".encode()
    ):
        found[symbol][moment] = close
    return found


def loaded(wb: Workbench, symbol: str, known: Any, **options: Any) -> dict[datetime, float]:
    bars = wb.data_ingestion.load_market_data(symbol, source="file", as_known=known, **options)
    stamps = pd.DatetimeIndex(bars.index.get_level_values("timestamp")).to_pydatetime()
    return dict(zip(stamps, bars["close"].tolist(), strict=True))


def clock(admin: Connection) -> datetime:
    row = admin.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment


class Writer:
    """Writes at random, in every way there is."""

    def __init__(self, seed: int, wb: Workbench) -> None:
        self.random = random.Random(seed)
        self.wb = wb

    def statement(self) -> str:
        some = self.random
        symbol, day, price = some.choice(SYMBOLS), some.choice(DAYS), float(some.randint(1, 1_000_000))
        days = some.sample(DAYS, some.randint(1, 6))
        among = ", ".join(f"'{one.isoformat()}'" for one in days)
        part = some.choice([TABLE, f"{TABLE}_2023", f"{TABLE}_2024"])
        values = ", ".join(row(symbol, one, price + n) for n, one in enumerate(days))
        both = ", ".join(row(one, each, price + n) for n, each in enumerate(days) for one in SYMBOLS)
        keep = "ON CONFLICT DO NOTHING"
        upsert = (
            "ON CONFLICT (symbol, timestamp, data_source) DO UPDATE SET open = excluded.open, "
            "high = excluded.high, low = excluded.low, close = excluded.close"
        )
        columns = "symbol, timestamp, open, high, low, close, volume, data_source"
        # Each bar a day later where that one is free, so also from one partition to the next.
        later = (
            f"UPDATE {TABLE} m SET timestamp = timestamp + interval '1 day' WHERE symbol = '{symbol}' "
            f"AND timestamp IN ({among}) AND timestamp < '{DAYS[-1].isoformat()}' AND NOT EXISTS (SELECT "
            f"FROM {TABLE} o WHERE o.symbol = m.symbol AND o.timestamp = m.timestamp + interval '1 day')"
        )
        # From one series to the other.
        over = (
            f"UPDATE {TABLE} m SET symbol = 'IBM' WHERE symbol = 'AAPL' AND timestamp IN ({among}) AND "
            f"NOT EXISTS (SELECT FROM {TABLE} o WHERE o.symbol = 'IBM' AND o.timestamp = m.timestamp)"
        )
        merge = (
            f"MERGE INTO {TABLE} m USING (VALUES ('{symbol}', '{day.isoformat()}'::timestamptz)) "
            "AS v (symbol, moment) ON m.symbol = v.symbol AND m.timestamp = v.moment "
            f"WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT ({columns}) "
            f"VALUES (v.symbol, v.moment, {price}, {price}, {price}, {price}, 1, 'file')"
        )
        correct = f"UPDATE {part} SET low = 0.5, close = 0.5 + random() * (high - 0.5)"
        return some.choice(
            [
                f"{INSERT}{values} {keep}",
                f"{INSERT}{both} {keep}",
                f"{INSERT}{values} {upsert}",
                f"{INSERT}{both} {upsert}",
                f"{correct} WHERE timestamp IN ({among})",
                f"UPDATE {TABLE} SET volume = volume WHERE symbol = '{symbol}'",
                f"DELETE FROM {part} WHERE symbol = '{symbol}' AND timestamp IN ({among})",
                f"DELETE FROM {part} WHERE timestamp IN ({among})",
                f"DELETE FROM {TABLE} WHERE timestamp {some.choice('<>')} '{day.isoformat()}'",
                later,
                over,
                merge,
                *([f"TRUNCATE {part}"] if some.random() < 0.3 else []),
            ]
        )

    def write(self, connection: Connection) -> None:
        """One transaction of one to three statements, some of it rolled back; or the service's own write."""
        if self.random.random() < 0.25:
            days = sorted(self.random.sample(DAYS, 5))
            frame = pd.DataFrame({"symbol": self.random.choice(SYMBOLS), "timestamp": days})
            price = float(self.random.randint(1, 1_000_000))
            frame = frame.assign(open=price, high=price, low=price, close=price, volume=1.0)
            self.wb.data_ingestion.write_market_data(frame, source="file")
            return
        with connection.transaction():
            for _ in range(self.random.choice([1, 1, 2, 3])):
                connection.execute(self.statement().encode())
            if self.random.random() < 0.2:
                with connection.transaction(force_rollback=True):
                    connection.execute(self.statement().encode())


@pytest.mark.parametrize("seed", range(3))
def test_every_earlier_state_loads_as_it_was(
    wb: Workbench,
    another_wb: Workbench,
    admin: Connection,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    monkeypatch.setattr(known_bars, "WORTH_KEEPING", 1)  # so that repeated loads come from files
    writer = Writer(seed, wb)
    admin.execute((INSERT + ", ".join(row(s, DAYS[10 + n], 5) for s in SYMBOLS for n in range(9))).encode())
    remembered: list[tuple[datetime, dict[str, int], State]] = []
    for step in range(25):
        if step:
            writer.write(admin)
        revisions: dict[str, int] = dict(
            admin.execute("SELECT symbol, revision FROM data_ingestion.ingestion_status").fetchall()
        )
        remembered.append((clock(admin), revisions, state_of(admin)))
        if step % 8 == 0:
            loaded(another_wb, "AAPL", None)  # whose cache then is of an earlier state
    for moment, revisions, state in remembered:
        run = finished_run(wb, {f"file/{symbol}": number for symbol, number in revisions.items()})
        for symbol in SYMBOLS:
            for reader in (wb, another_wb):
                assert loaded(reader, symbol, moment) == state[symbol]
                assert loaded(reader, symbol, run[:13]) == state[symbol]
            wb.data_ingestion.cache.clear()
            assert loaded(wb, symbol, moment) == state[symbol]
            start, end = DAYS[5], DAYS[18]
            part = {day: close for day, close in state[symbol].items() if start <= day < end}
            assert loaded(wb, symbol, moment, start=start, end=end) == part
            latest = dict(sorted(state[symbol].items())[-3:])
            assert loaded(wb, symbol, uuid.UUID(run), latest=3) == latest
        both = wb.data_ingestion.load_market_data(source="file", as_known=moment)
        assert len(both) == sum(map(len, state.values()))
    for symbol in SYMBOLS:  # and today's are as they are, whatever was loaded before
        assert loaded(another_wb, symbol, None) == remembered[-1][2][symbol]
    log = wb.data_ingestion.load_series_revisions()
    assert log["committed_at"].notna().all()
    for _, of_series in log.groupby("symbol"):
        assert of_series["revision"].tolist() == list(range(1, len(of_series) + 1))


def finished_run(wb: Workbench, revisions: dict[str, int]) -> str:
    run_id = wb.runs.start(notebook="study.ipynb", trigger="command")
    wb.runs.note_revisions(run_id, revisions)
    wb.runs.finish(run_id, "completed")
    return str(run_id)


def test_two_writers_at_once_lose_nothing_of_each_other(
    wb: Workbench, admin: Connection, database_url: str
) -> None:
    """Each commit's state, by the log's order, is the one before it with that writer's change."""
    admin.execute((INSERT + ", ".join(row("AAPL", day, 5) for day in DAYS[5:25])).encode())

    def work(seed: int) -> None:
        writer = Writer(seed, wb)
        with psycopg.connect(database_url, autocommit=True) as connection:
            for _ in range(25):
                # Which roll it back, as a whole.
                with contextlib.suppress(
                    psycopg.errors.DeadlockDetected, psycopg.errors.UniqueViolation, DatabaseError
                ):
                    writer.write(connection)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(work, (7, 8)))
    assert loaded(wb, "AAPL", None) == state_of(admin)["AAPL"]
    for symbol in SYMBOLS:
        log = wb.data_ingestion.load_series_revisions(symbol)
        assert log["revision"].tolist() == list(range(1, len(log) + 1))
        assert log["committed_at"].is_monotonic_increasing
        once = ~log["committed_at"].duplicated(keep=False)
        for one in log[once].to_dict("records"):
            # The log's own count and ends, which each writer took from the bars as they were.
            state = loaded(wb, symbol, finished_run(wb, {f"file/{symbol}": one["revision"]}))
            assert len(state) == one["bars"]
            if state:
                assert (min(state), max(state)) == (one["first_bar"], one["last_bar"])


def test_what_a_transaction_wrote_is_known_from_its_commit_on_not_from_its_start(
    wb: Workbench, admin: Connection, database_url: str
) -> None:
    admin.execute((INSERT + row("AAPL", DAYS[0], 5)).encode())
    with psycopg.connect(database_url) as writer:
        writer.execute(f"UPDATE {TABLE} SET low = 4, close = 4".encode())
        writer.execute((INSERT + row("AAPL", DAYS[1], 6)).encode())
        during = clock(admin)
        writer.commit()
    after = clock(admin)
    assert loaded(wb, "AAPL", during) == {DAYS[0]: 5}
    assert loaded(wb, "AAPL", after) == {DAYS[0]: 4, DAYS[1]: 6}
    # Both of its writes have one time, so nobody is shown a state in between.
    assert wb.data_ingestion.load_series_revisions("AAPL")["committed_at"].nunique() == 2


def test_an_append_keeps_no_version_and_one_row_of_the_log(wb: Workbench, make_bars: MakeBars) -> None:
    write = wb.data_ingestion.write_market_data
    write(make_bars(days=20), source="file")
    write(make_bars(days=5, start="2024-03-01"), source="file")
    write(make_bars(days=5, start="2023-12-01"), source="file")  # before the first one
    assert wb.data_ingestion.load_market_data_history().empty
    log = wb.data_ingestion.load_series_revisions("AAPL", source="file")
    assert log["kind"].tolist() == ["inserted"] * 3
    assert log["changed"].tolist() == [20, 5, 5]
    assert log["bars"].tolist() == [20, 25, 30]
    for moment, bars in zip(log["committed_at"], (20, 25, 30), strict=True):
        assert len(wb.data_ingestion.load_market_data(as_known=moment)) == bars


def test_a_partition_that_is_attached_later_is_kept_like_the_others(wb: Workbench, admin: Connection) -> None:
    admin.execute((INSERT + row("AAPL", DAYS[0], 5)).encode())
    for statement in (
        f"ALTER TABLE {TABLE} DETACH PARTITION {TABLE}_2024",
        f"CREATE TABLE {TABLE}_new (LIKE {TABLE} INCLUDING ALL)",
        f"ALTER TABLE {TABLE} ATTACH PARTITION {TABLE}_new FOR VALUES FROM ('2024-01-01Z') TO ('2025-1-1Z')",
        INSERT + row("AAPL", DAYS[20], 6),
        f"UPDATE {TABLE} SET low = 1, close = 1",
        f"TRUNCATE {TABLE}",
    ):
        admin.execute(statement.encode())
    first, second, third, _ = wb.data_ingestion.load_series_revisions()["committed_at"]
    assert loaded(wb, "AAPL", first) == {DAYS[0]: 5}
    assert loaded(wb, "AAPL", second) == {DAYS[0]: 5, DAYS[20]: 6}
    assert loaded(wb, "AAPL", third) == {DAYS[0]: 1, DAYS[20]: 1}
    assert loaded(wb, "AAPL", None) == {}


@pytest.fixture
def corrected(wb: Workbench, make_bars: MakeBars) -> Workbench:
    """Ten bars of AAPL, of which the third was corrected later."""
    bars = make_bars(days=10)
    wb.data_ingestion.write_market_data(bars, source="file")
    wb.data_ingestion.write_market_data(bars.iloc[[2]].assign(close=12.25), source="file")
    return wb


def test_fields_adjustment_coverage_and_the_record_are_of_then(
    corrected: Workbench, make_bars: MakeBars
) -> None:
    first, _ = corrected.data_ingestion.load_series_revisions()["committed_at"]
    service = corrected.data_ingestion
    service.write_market_data(make_bars(days=3, start="2024-01-11", price=20.0), source="file")
    then = service.load_market_data("AAPL", as_known=first, fields=["volume", "close"])
    assert list(then.columns) == ["volume", "close"]
    assert then["close"].tolist() == list(range(10, 20))
    action = {"symbol": "AAPL", "data_source": "file", "ex_date": pd.Timestamp("2024-01-05"), "kind": "split"}
    service.write_corporate_actions(pd.DataFrame([action | {"value": 2.0}]))
    adjusted = service.load_market_data("AAPL", as_known=first, adjust="splits")
    assert adjusted["close"].tolist() == [5, 5.5, 6, 6.5, *range(14, 20)]
    assert service.load_market_data("AAPL", as_known=first, latest=4)["close"].tolist() == [16, 17, 18, 19]
    assert service.coverage("AAPL", calendar="24/7", as_known=first).table["bars"].tolist() == [10]
    assert service.coverage("AAPL", calendar="24/7").table["bars"].tolist() == [13]


def test_a_notebook_that_reads_as_known_has_that_revision_in_its_record(
    corrected: Workbench, another_wb: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = corrected.data_ingestion.load_series_revisions()["committed_at"]
    run_id = corrected.runs.start(notebook="study.ipynb", trigger="command")
    monkeypatch.setenv("WORKBENCH_RUN_ID", str(run_id))
    another_wb.data_ingestion.load_market_data("AAPL", as_known=first)
    assert corrected.runs.show(run_id)["data_revisions"] == {"file/AAPL": 1}


def test_each_bad_as_known_is_refused_with_a_sentence(corrected: Workbench, make_bars: MakeBars) -> None:
    load = corrected.data_ingestion.load_market_data
    with pytest.raises(NotKnown, match=r"^nothing was known of file/AAPL before 2\d{3}-[\d:. -]+Z, when"):
        load("AAPL", as_known="2020-01-01 00:00Z")
    with pytest.raises(NotKnown, match="nothing was known of file/AAPL"):
        load(as_known="2020-01-01 00:00Z")
    with pytest.raises(
        QueryError, match=r"as_known='2020-01-01 10:00' has no time zone.*'2020-01-01 10:00Z'"
    ):
        load("AAPL", as_known="2020-01-01 10:00")
    with pytest.raises(QueryError, match=r"as_known='2200-01-01 00:00:00Z' lies in the future"):
        load("AAPL", as_known="2200-01-01 00:00Z")
    with pytest.raises(QueryError, match="as_known='soon' is neither a moment"):
        load("AAPL", as_known="soon")
    with pytest.raises(NotKnown, match="as_known='0123abcd': there is no such run"):
        load("AAPL", as_known="0123abcd")
    running = corrected.runs.start(notebook="study.ipynb", trigger="command")
    with pytest.raises(NotKnown, match=f"run {str(running)[:8]} is still running"):
        load("AAPL", as_known=running)
    corrected.data_ingestion.write_market_data(make_bars("IBM"), source="file")
    run = finished_run(corrected, {"file/IBM": 1})
    with pytest.raises(
        NotKnown, match=rf"run {run[:8]} did not read file/AAPL, .*; it read file/IBM$"
    ) as caught:
        load(["AAPL", "IBM"], as_known=run)
    assert caught.value.series == ("file/AAPL",)
    assert set(load(as_known=run).index.get_level_values("symbol")) == {"IBM"}
    with pytest.raises(NotKnown, match="the database has no revision 99 of file/AAPL"):
        load("AAPL", as_known=finished_run(corrected, {"file/AAPL": 99}))


def test_a_run_that_knew_one_source_is_asked_of_that_one(corrected: Workbench, make_bars: MakeBars) -> None:
    run = finished_run(corrected, {"file/AAPL": 1})
    corrected.data_ingestion.write_market_data(make_bars(price=99.0), source="yahoo")
    bars = corrected.data_ingestion.load_market_data("AAPL", as_known=run)
    assert bars["close"].tolist() == list(range(10, 20))


def test_after_history_was_trimmed_what_is_left_is_whole_and_the_rest_is_refused(
    corrected: Workbench, make_bars: MakeBars, admin: Connection
) -> None:
    service = corrected.data_ingestion
    service.write_market_data(make_bars(days=4, price=30.0), source="file")
    service.write_market_data(make_bars("IBM", days=2), source="file")
    run = finished_run(corrected, {"file/AAPL": 1})
    admin.execute(
        "UPDATE data_ingestion.series_revisions SET committed_at = clock_timestamp() - interval '10 days' "
        "+ revision * interval '1 day' WHERE symbol = 'AAPL'"
    )
    log = service.load_series_revisions("AAPL")
    states = [loaded(corrected, "AAPL", moment) for moment in log["committed_at"]]
    with corrected.runs.pool.begin() as connection:
        assert trim_bar_history(connection, keep_days=30) == 0
    with corrected.runs.pool.begin() as connection:
        assert trim_bar_history(connection, keep_days=8) == 1  # which revision 2 had replaced
    left = service.load_series_revisions("AAPL")
    assert left["revision"].tolist() == [2, 3]
    assert left["trimmed_at"].notna().tolist() == [True, False]
    assert [loaded(corrected, "AAPL", moment) for moment in left["committed_at"]] == states[1:]
    with pytest.raises(
        NotKnown, match=r"history of file/AAPL is whole since .* \(revision 2\).*history_keep_days"
    ):
        loaded(corrected, "AAPL", log["committed_at"][0])
    with pytest.raises(NotKnown, match=r"earlier versions, revision 1 among them, were removed"):
        loaded(corrected, "AAPL", run)
    assert len(service.load_series_revisions("IBM")) == 1
    with pytest.raises(DatabaseError, match="at least a day"), corrected.runs.pool.begin() as connection:
        trim_bar_history(connection, keep_days=0)


@pytest.mark.parametrize("role", ["workbench_data_ingestion", "workbench_runs", "workbench_analytics"])
@pytest.mark.parametrize("table", ["series_revisions", "market_data_history"])
def test_no_role_changes_history_by_sql(
    corrected: Workbench, connect_as: Callable[[str], Connection], admin: Connection, role: str, table: str
) -> None:
    admin.execute(f"GRANT ALL ON data_ingestion.{table} TO {role}".encode())
    connection = connect_as(role)
    for statement in (
        f"UPDATE data_ingestion.{table} SET symbol = 'IBM'",
        f"DELETE FROM data_ingestion.{table}",
        f"TRUNCATE data_ingestion.{table}",
        f"INSERT INTO data_ingestion.{table} SELECT * FROM data_ingestion.{table} LIMIT 0",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="changed by nobody"):
            connection.execute(statement.encode())
    if role != "workbench_runs":
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT workbench.trim_bar_history(interval '1 day')")


def test_whoever_removes_a_series_row_of_the_status_still_leaves_the_old_version(
    corrected: Workbench, connect_as: Callable[[str], Connection], admin: Connection
) -> None:
    connection = connect_as("workbench_data_ingestion")
    connection.execute("DELETE FROM data_ingestion.ingestion_status")
    before = clock(admin)
    connection.execute(f"UPDATE {TABLE} SET low = 1, close = 1".encode())
    assert loaded(corrected, "AAPL", before)[datetime(2024, 1, 3, tzinfo=UTC)] == 12.25
    assert corrected.data_ingestion.load_series_revisions()["revision"].tolist() == [1, 2, 3]


def test_a_rehearsal_leaves_no_version_and_no_revision(
    corrected: Workbench, database_settings: Settings, make_bars: MakeBars
) -> None:
    undone: list[str] = []
    pool = ServiceConnectionPool(
        "data_ingestion",
        lambda: corrected.data_ingestion.pool.engine.url,
        undone=lambda what, _: undone.append(what),
    )
    history, log = (
        corrected.data_ingestion.load_market_data_history(),
        corrected.data_ingestion.load_series_revisions(),
    )
    with pool.begin("rehearsing") as connection:
        connection.exec_driver_sql(f"DELETE FROM {TABLE}")
    pool.close()
    assert undone == ["rehearsing"]
    pd.testing.assert_frame_equal(corrected.data_ingestion.load_market_data_history(), history)
    pd.testing.assert_frame_equal(corrected.data_ingestion.load_series_revisions(), log)
