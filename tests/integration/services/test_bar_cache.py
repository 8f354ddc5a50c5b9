"""Repeated loads read no bar from the database, and still see every committed change, also plain SQL's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest

from tests.conftest import Connection
from tests.integration.conftest import MakeBars
from workbench import Workbench
from workbench.db.bars import read_bars
from workbench.errors import PermissionRefused
from workbench.services import bar_store

INSERT = (
    "INSERT INTO data_ingestion.market_data (symbol, timestamp, open, high, low, close, volume, data_source) "
    "VALUES ('AAPL', '{day}', 1, 1, 1, 1, 0, 'file')"
)

MERGE = (
    "MERGE INTO data_ingestion.market_data m USING (SELECT 1) s ON m.timestamp = '2024-01-03' "
    "WHEN MATCHED THEN UPDATE SET volume = 9, close = m.close + 0.125"
)
COPY = (
    "COPY data_ingestion.market_data (symbol, timestamp, open, high, low, close, volume, data_source) "
    "FROM PROGRAM 'echo AAPL,2024-06-01,1,1,1,1,0,file' (FORMAT csv)"
)


@pytest.fixture
def stocked(wb: Workbench, make_bars: MakeBars) -> Workbench:
    """Forty daily bars each of AAPL and IBM."""
    wb.data_ingestion.write_market_data(make_bars("AAPL", days=40), source="file")
    wb.data_ingestion.write_market_data(make_bars("IBM", days=40, price=50.0), source="file")
    return wb


@pytest.fixture
def travelled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bars each read from the database brought."""
    counts: list[int] = []
    read = read_bars

    def counting(*arguments: Any) -> Any:
        found = read(*arguments)
        counts.append(sum(len(one) for one in found.values()))
        return found

    monkeypatch.setattr(bar_store, "read_bars", counting)
    return counts


def _truth(admin: Connection, symbol: str = "AAPL") -> list[tuple[Any, ...]]:
    return admin.execute(
        "SELECT timestamp, close::float8 FROM data_ingestion.market_data "
        "WHERE symbol = %s AND data_source = 'file' ORDER BY timestamp",
        (symbol,),
    ).fetchall()


def _loaded(wb: Workbench, symbol: str = "AAPL") -> list[tuple[Any, ...]]:
    bars = wb.data_ingestion.load_market_data(symbol, source="file")
    stamps = pd.DatetimeIndex(bars.index.get_level_values("timestamp")).to_pydatetime()
    return list(zip(stamps, bars["close"].tolist(), strict=True))


def test_a_repeated_load_reads_no_bar(stocked: Workbench, another_wb: Workbench, admin: Connection) -> None:
    """Not even by another process: the right to read the bars can be taken away."""
    first = stocked.data_ingestion.load_market_data(["AAPL", "IBM"])
    admin.execute("REVOKE SELECT ON data_ingestion.market_data FROM workbench_data_ingestion")
    pd.testing.assert_frame_equal(stocked.data_ingestion.load_market_data(["AAPL", "IBM"]), first)
    pd.testing.assert_frame_equal(another_wb.data_ingestion.load_market_data(["AAPL", "IBM"]), first)
    within = another_wb.data_ingestion.load_market_data("IBM", "2024-01-03", "2024-01-05", fields=["close"])
    assert within["close"].tolist() == [52, 53]
    stocked.data_ingestion.cache.clear()
    with pytest.raises(PermissionRefused):
        stocked.data_ingestion.load_market_data(["AAPL", "IBM"])


@pytest.mark.filterwarnings("ignore::workbench.errors.NoBarsWarning")  # nothing is left of some
@pytest.mark.parametrize(
    "statements",
    [
        [INSERT.format(day="2024-05-01")],
        [INSERT.format(day="2030-05-01"), INSERT.format(day="2024-05-01")],
        [INSERT.format(day="2023-05-01")],
        ["UPDATE data_ingestion.market_data SET close = close - 0.25 WHERE timestamp = '2024-01-07'"],
        ["UPDATE data_ingestion.market_data_2024 SET low = 1 WHERE timestamp = '2024-01-07'"],
        ["UPDATE data_ingestion.market_data SET symbol = 'MSFT' WHERE symbol = 'AAPL' AND close < 20"],
        ["UPDATE data_ingestion.market_data SET data_source = 'yahoo' WHERE close < 20"],
        ["DELETE FROM data_ingestion.market_data WHERE timestamp = '2024-01-09'"],
        [
            "DELETE FROM data_ingestion.market_data WHERE timestamp > '2024-02-01'",
            INSERT.format(day="2024-02-05"),
        ],
        ["DELETE FROM data_ingestion.market_data", INSERT.format(day="2024-01-01")],
        ["TRUNCATE data_ingestion.market_data", INSERT.format(day="2024-01-01")],
        ["TRUNCATE data_ingestion.market_data_2024", INSERT.format(day="2024-01-01")],
        [MERGE],
        [
            "ALTER TABLE data_ingestion.market_data DETACH PARTITION data_ingestion.market_data_2024",
            INSERT.format(day="2023-05-01"),
        ],
        ["SET session_replication_role = replica", INSERT.format(day="2024-05-01")],
        [COPY],
    ],
)
def test_after_a_committed_change_the_next_load_sees_it(
    stocked: Workbench, admin: Connection, statements: list[str]
) -> None:
    assert _loaded(stocked) == _truth(admin)
    for statement in statements:
        admin.execute(statement.encode())
        assert _loaded(stocked) == _truth(admin)
    assert len(_truth(admin)) > 0


@pytest.mark.filterwarnings("ignore::workbench.errors.NoBarsWarning")  # nothing is left of some
def test_a_detached_partition_takes_its_bars_out_of_the_next_load(
    stocked: Workbench, admin: Connection
) -> None:
    assert len(_loaded(stocked)) == 40
    admin.execute("ALTER TABLE data_ingestion.market_data DETACH PARTITION data_ingestion.market_data_2024")
    assert _loaded(stocked) == []


def test_what_is_not_committed_is_seen_by_nobody_and_a_rollback_leaves_no_trace(
    stocked: Workbench, admin: Connection, database_url: str
) -> None:
    with psycopg.connect(database_url) as writer:
        writer.execute(INSERT.format(day="2024-05-01").encode())
        assert len(_loaded(stocked)) == 40
        writer.rollback()
    assert len(_loaded(stocked)) == 40
    admin.execute(INSERT.format(day="2024-05-02").encode())
    assert _loaded(stocked) == _truth(admin)


def test_after_an_append_only_the_new_bars_travel(
    stocked: Workbench, make_bars: MakeBars, travelled: list[int]
) -> None:
    load = stocked.data_ingestion.load_market_data
    load(["AAPL", "IBM"])
    assert travelled == [80]
    stocked.data_ingestion.write_market_data(make_bars("AAPL", days=3, start="2024-03-01"), source="file")
    travelled.clear()
    assert len(load(["AAPL", "IBM"])) == 83
    assert travelled == [3]
    for day in range(5):
        stocked.data_ingestion.write_market_data(
            make_bars("AAPL", days=1, start=f"2024-04-0{day + 1}"), source="file"
        )
    travelled.clear()
    assert len(load(["AAPL", "IBM"])) == 88
    assert travelled == [5]


def test_after_more_appends_than_are_remembered_the_series_is_read_anew(
    stocked: Workbench, admin: Connection, travelled: list[int]
) -> None:
    _loaded(stocked)
    for day in range(1, 21):
        admin.execute(INSERT.format(day=f"2024-05-{day:02d}").encode())
    travelled.clear()
    assert _loaded(stocked) == _truth(admin)
    assert travelled == [60]


def test_of_a_longer_range_only_what_is_missing_travels(stocked: Workbench, travelled: list[int]) -> None:
    load = stocked.data_ingestion.load_market_data
    assert len(load("AAPL", "2024-01-10", "2024-01-20")) == 10
    assert len(load("AAPL", "2024-01-12", "2024-01-15")) == 3
    assert len(load("AAPL", "2024-01-05", "2024-01-22")) == 17
    assert len(load("AAPL")) == 40
    assert len(load("AAPL", "2023-01-01", "2025-01-01")) == 40
    assert travelled == [10, 5, 2, 4, 19]
    assert stocked.data_ingestion.load_market_data("AAPL")["close"].tolist() == list(range(10, 50))


def test_ranges_far_apart_do_not_drag_in_what_lies_between(stocked: Workbench, travelled: list[int]) -> None:
    load = stocked.data_ingestion.load_market_data
    assert len(load("AAPL", "2024-01-01", "2024-01-03")) == 2
    assert len(load("AAPL", "2024-02-01", "2024-02-03")) == 2
    assert travelled == [2, 2]


def test_the_latest_bars_are_the_last_of_each_symbol(stocked: Workbench, admin: Connection) -> None:
    admin.execute(INSERT.format(day="2038-05-01").encode())
    bars = stocked.data_ingestion.load_market_data(latest=3)
    assert bars.loc["AAPL"]["close"].tolist() == [48, 49, 1]
    assert bars.loc["IBM"]["close"].tolist() == [87, 88, 89]
    bars = stocked.data_ingestion.load_market_data("AAPL", end="2024-01-05", latest=2)
    assert bars["close"].tolist() == [12, 13]
    assert len(stocked.data_ingestion.load_market_data("AAPL", latest=1000)) == 41


def test_a_frame_may_be_changed_without_changing_the_next_one(stocked: Workbench) -> None:
    for symbols in ("AAPL", ["AAPL", "IBM"]):
        for _ in range(2):
            bars = stocked.data_ingestion.load_market_data(symbols)
            assert bars.iloc[0, 0] == 10
            bars.iloc[0, 0] = -1.0
            bars *= 2


def test_a_damaged_file_is_read_anew(stocked: Workbench, another_wb: Workbench) -> None:
    first = stocked.data_ingestion.load_market_data("AAPL")
    (path,) = stocked.data_ingestion.cache.folder.glob("*/*.arrow")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(bytes(data))
    pd.testing.assert_frame_equal(another_wb.data_ingestion.load_market_data("AAPL"), first)


def test_the_compiled_reader_and_the_plain_query_give_the_same(
    wb: Workbench, many_bars: Callable[[int], pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Minute bars of several symbols in a jumbled order, with prices of two to eight decimals."""
    frame = many_bars(6)
    wb.data_ingestion.write_market_data(frame.sample(frac=1.0, random_state=1), source="file")
    from workbench.db import bars as reader

    loads = []
    for many in (0, 10**9):
        monkeypatch.setattr(reader, "_MANY", many)
        monkeypatch.setattr(reader, "_MANY_WHEN_LOADED", many)
        wb.data_ingestion.cache.clear()
        loads.append(wb.data_ingestion.load_market_data())
        wb.data_ingestion.cache.clear()
        loads.append(wb.data_ingestion.load_market_data("S1"))
    expected = frame.set_index(["symbol", "timestamp"]).sort_index()
    pd.testing.assert_frame_equal(loads[0], expected)
    pd.testing.assert_frame_equal(loads[2], expected)
    pd.testing.assert_frame_equal(loads[1], expected.loc[["S1"]], check_index_type=False)
    pd.testing.assert_frame_equal(loads[3], loads[1])


@pytest.fixture
def many_bars() -> Callable[[int], pd.DataFrame]:
    """`many_bars(6)`: 1,000 minute bars each of S0 to S5."""

    def make(symbols: int) -> pd.DataFrame:
        random = np.random.default_rng(7)
        parts = []
        for number in range(symbols):
            close = np.round(random.uniform(1, 90_000_000, 1000), 2 + number)
            parts.append(
                pd.DataFrame(
                    {
                        "symbol": f"S{number}",
                        "timestamp": pd.date_range("2023-12-31", periods=1000, freq="3min", tz="UTC"),
                        "open": close,
                        "high": close,
                        "low": close,
                        "close": close,
                        "volume": random.integers(0, 2**53, 1000).astype(np.float64),
                    }
                )
            )
        return pd.concat(parts, ignore_index=True).astype(
            {"symbol": "str", "timestamp": "datetime64[us, UTC]"}
        )

    return make


def test_readers_beside_a_writer_always_see_one_committed_state(
    wb: Workbench, another_wb: Workbench, make_bars: MakeBars
) -> None:
    """Each write sets every close to the same number and appends a bar: no load mixes two writes."""
    write = wb.data_ingestion.write_market_data
    write(make_bars("AAPL", days=10).assign(open=5.0, high=99.0, low=1.0, close=5.0), source="file")
    done = threading.Event()
    failures: list[str] = []

    def read() -> None:
        while not done.is_set():
            closes = another_wb.data_ingestion.load_market_data("AAPL")["close"]
            if closes.nunique() != 1 or len(closes) != 5 + closes.iloc[0]:
                failures.append(str(closes.tolist()))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(6, 30):
        bars = make_bars("AAPL", days=5 + number)
        write(bars.assign(open=5.0, high=99.0, low=1.0, close=float(number)), source="file")
    done.set()
    for reader in readers:
        reader.join()
    assert failures == []


def test_what_is_loaded_again_and_again_is_mapped_as_it_was_put_together_and_never_stale(
    wb: Workbench,
    many_bars: Callable[[int], pd.DataFrame],
    admin: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bar_store, "WORTH_KEEPING", 100)
    service = wb.data_ingestion
    service.write_market_data(many_bars(3), source="file")
    first = service.load_market_data()
    assert len(list(service.cache.folder.glob("*/*.arrow"))) == 3
    for _ in range(3):
        pd.testing.assert_frame_equal(service.load_market_data(), first)
    assert len(list(service.cache.folder.glob("*/*.arrow"))) == 4
    assert service.load_market_data(fields=["close"]).equals(first[["close"]])
    admin.execute("UPDATE data_ingestion.market_data SET volume = 7 WHERE symbol = 'S1'")
    for _ in range(3):
        changed = service.load_market_data()
        assert (changed.loc["S1"]["volume"] == 7).all()
        pd.testing.assert_frame_equal(changed.drop(index="S1", level=0), first.drop(index="S1", level=0))
    admin.execute("DELETE FROM data_ingestion.market_data WHERE symbol = 'S2'")
    assert len(service.load_market_data()) == 2000


def test_a_server_that_lets_no_further_connection_in_is_read_over_the_one_there_is(
    wb: Workbench,
    many_bars: Callable[[int], pd.DataFrame],
    admin: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The role may have as many connections as it has: the compiled reader's own are refused."""
    from workbench.db import bars as reader

    monkeypatch.setattr(reader, "_MANY", 0)
    monkeypatch.setattr(reader, "_MANY_WHEN_LOADED", 0)
    service = wb.data_ingestion
    service.write_market_data(many_bars(2), source="file")
    (open_now,) = admin.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'workbench_data_ingestion'"
    ).fetchall()[0]
    admin.execute(f"ALTER ROLE workbench_data_ingestion CONNECTION LIMIT {open_now}".encode())
    try:
        loaded = service.load_market_data()
    finally:
        admin.execute("ALTER ROLE workbench_data_ingestion CONNECTION LIMIT -1")
    pd.testing.assert_frame_equal(loaded, many_bars(2).set_index(["symbol", "timestamp"]).sort_index())
