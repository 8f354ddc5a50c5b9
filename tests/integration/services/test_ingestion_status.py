"""`ingestion_status` stays true, and a series' revision grows, also where plain SQL changes the bars."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from tests.conftest import Connection
from tests.integration.conftest import MakeBars
from workbench import Workbench

INSERT = (
    "INSERT INTO data_ingestion.market_data (symbol, timestamp, open, high, low, close, volume, data_source) "
    "VALUES ('AAPL', '{day}', 1, 1, 1, 1, 0, 'file')"
)


@pytest.fixture
def five_bars(wb: Workbench, make_bars: MakeBars) -> Workbench:
    """AAPL on 2024-01-01 to 2024-01-05, and IBM beside it, which nothing must touch."""
    wb.data_ingestion.write_market_data(make_bars("AAPL"), source="file")
    wb.data_ingestion.write_market_data(make_bars("IBM"), source="file")
    return wb


def _status(wb: Workbench, symbol: str = "AAPL") -> dict[str, Any]:
    rows = wb.data_ingestion.load_ingestion_status(symbol)
    assert len(rows) == 1
    return dict(rows.iloc[0])


def _says(status: dict[str, Any]) -> tuple[str, str, int]:
    return str(status["first_bar"])[:10], str(status["last_bar"])[:10], int(status["bars"])


def test_a_first_write_makes_the_status(five_bars: Workbench) -> None:
    assert _says(_status(five_bars)) == ("2024-01-01", "2024-01-05", 5)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (INSERT.format(day="2024-02-01"), ("2024-01-01", "2024-02-01", 6)),
        (INSERT.format(day="1985-02-01"), ("1985-02-01", "2024-01-05", 6)),
        (
            "UPDATE data_ingestion.market_data SET volume = 7 WHERE symbol = 'AAPL'",
            ("2024-01-01", "2024-01-05", 5),
        ),
        (
            (
                "UPDATE data_ingestion.market_data SET timestamp = '2031-05-05' "
                "WHERE symbol = 'AAPL' AND timestamp = '2024-01-05'"
            ),
            ("2024-01-01", "2031-05-05", 5),
        ),
        (
            "DELETE FROM data_ingestion.market_data WHERE symbol = 'AAPL' AND timestamp < '2024-01-03'",
            ("2024-01-03", "2024-01-05", 3),
        ),
        (
            "DELETE FROM data_ingestion.market_data WHERE symbol = 'AAPL' AND timestamp > '2024-01-03'",
            ("2024-01-01", "2024-01-03", 3),
        ),
        ("DELETE FROM data_ingestion.market_data WHERE symbol = 'AAPL'", ("NaT", "NaT", 0)),
        (
            "DELETE FROM data_ingestion.market_data_2024 WHERE symbol = 'AAPL' AND timestamp > '2024-01-03'",
            ("2024-01-01", "2024-01-03", 3),
        ),
        (
            INSERT.format(day="2025-01-01").replace("market_data ", "market_data_2025 "),
            ("2024-01-01", "2025-01-01", 6),
        ),
    ],
)
def test_plain_sql_moves_the_revision_on_and_the_status_stays_true(
    five_bars: Workbench, admin: Connection, statement: str, says: tuple[str, str, int]
) -> None:
    before, other = _status(five_bars), _status(five_bars, "IBM")
    admin.execute(statement.encode())
    after = _status(five_bars)
    assert _says(after) == says
    assert after["revision"] > before["revision"]
    assert _status(five_bars, "IBM") == other


def test_an_update_that_hands_bars_to_another_series_changes_both(
    five_bars: Workbench, admin: Connection
) -> None:
    admin.execute(
        "UPDATE data_ingestion.market_data SET symbol = 'META' "
        "WHERE symbol = 'AAPL' AND timestamp > '2024-01-03'"
    )
    assert _says(_status(five_bars)) == ("2024-01-01", "2024-01-03", 3)
    assert _says(_status(five_bars, "META")) == ("2024-01-04", "2024-01-05", 2)


@pytest.mark.parametrize("table", ["market_data", "market_data_2024"])
def test_a_truncated_table_has_no_bars(five_bars: Workbench, admin: Connection, table: str) -> None:
    before = _status(five_bars)
    admin.execute(f"TRUNCATE data_ingestion.{table}".encode())
    assert _says(_status(five_bars)) == ("NaT", "NaT", 0)
    assert _status(five_bars)["revision"] > before["revision"]


def test_a_write_that_changes_something_moves_the_revision_on(
    five_bars: Workbench, make_bars: MakeBars
) -> None:
    for frame in (make_bars(days=6), make_bars(price=11.0), make_bars(start="2023-01-01")):
        before, other = _status(five_bars), _status(five_bars, "IBM")
        five_bars.data_ingestion.write_market_data(frame, source="file")
        assert _status(five_bars)["revision"] > before["revision"]
        assert _status(five_bars, "IBM") == other
    assert _says(_status(five_bars)) == ("2023-01-01", "2024-01-06", 11)


def test_a_write_that_changes_nothing_leaves_the_revision(
    five_bars: Workbench, make_bars: MakeBars, admin: Connection
) -> None:
    before = _status(five_bars)
    five_bars.data_ingestion.write_market_data(make_bars(), source="file")
    admin.execute("DELETE FROM data_ingestion.market_data WHERE symbol = 'NOPE'")
    assert _status(five_bars) == before


def test_a_write_that_is_rolled_back_leaves_the_status(five_bars: Workbench, admin: Connection) -> None:
    before = _status(five_bars)
    with admin.transaction(force_rollback=True):
        admin.execute("DELETE FROM data_ingestion.market_data")
    assert _status(five_bars) == before


def test_how_an_ingestion_went_is_written_beside_what_keeps_itself(five_bars: Workbench) -> None:
    moment = pd.Timestamp("2024-06-01 12:00", tz="UTC")
    error = {"symbol": "AAPL", "data_source": "file", "last_error_at": moment, "last_error": "timed out"}
    assert five_bars.data_ingestion.write_ingestion_status(pd.DataFrame([error])).updated == 1
    status = _status(five_bars)
    assert _says(status) == ("2024-01-01", "2024-01-05", 5)
    assert (status["last_error_at"], status["last_error"]) == (moment, "timed out")
