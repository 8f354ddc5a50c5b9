"""The outbox: an event is part of the transaction that it tells of."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from tests.conftest import Connection
from tests.integration.conftest import MakeBars
from tests.integration.events.conftest import MakeRelay
from workbench import Workbench
from workbench.errors import EventError, ValueRefused


def _outbox(admin: Connection) -> list[tuple[Any, ...]]:
    return admin.execute("SELECT type, service, data FROM workbench.events ORDER BY event_id").fetchall()


def test_a_write_tells_what_it_did(wb: Workbench, make_bars: MakeBars, admin: Connection) -> None:
    bars = pd.concat([make_bars("IBM"), make_bars("AAPL")]).set_index(["symbol", "timestamp"])
    wb.data_ingestion.write_market_data(bars, source="yahoo")
    ((kind, service, data),) = _outbox(admin)
    assert (kind, service) == ("market_data.written", "data_ingestion")
    assert data == {
        "table": "data_ingestion.market_data",
        "inserted": 10,
        "updated": 0,
        "run_id": None,
        "symbols": ["AAPL", "IBM"],
        "data_sources": ["yahoo"],
        "first": "2024-01-01 00:00:00+00:00",
        "last": "2024-01-05 00:00:00+00:00",
    }


def test_a_write_that_changed_nothing_tells_nothing(
    wb: Workbench, make_bars: MakeBars, admin: Connection
) -> None:
    for _ in range(3):
        wb.data_ingestion.write_market_data(make_bars(), source="file")
    wb.data_ingestion.write_market_data(make_bars(days=0), source="file")
    assert len(_outbox(admin)) == 1


def test_a_write_that_is_refused_tells_nobody(wb: Workbench, make_bars: MakeBars, admin: Connection) -> None:
    with pytest.raises(ValueRefused):
        wb.data_ingestion.write_market_data(make_bars().assign(volume=-1.0), source="file")
    assert _outbox(admin) == []


def test_an_event_in_a_transaction_that_is_rolled_back_never_happened(
    wb: Workbench, make_relay: MakeRelay
) -> None:
    def publish_and_fail() -> None:
        with wb.logging.pool.begin() as connection:
            wb.events.publish_data_event("thing.done", "logging", {}, connection=connection)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        publish_and_fail()
    with wb.logging.pool.begin() as connection:
        wb.events.publish_data_event("thing.done", "logging", {"n": 1}, connection=connection)
        assert make_relay().pass_on_once() == 0
    assert make_relay().pass_on_once() == 1
    assert [event.data for event in wb.events.recent()] == [{"n": 1}]


@pytest.mark.parametrize("kind", ["", "Market.Written", "market data", "a..b", ".a", "a.", "a\n", "ü"])
def test_a_type_is_lower_case_words_joined_by_dots(wb: Workbench, kind: str, admin: Connection) -> None:
    with pytest.raises(EventError, match="lower-case words joined by dots"):
        wb.events.publish_data_event(kind, "research", {})
    assert _outbox(admin) == []


@pytest.mark.parametrize("data", [{"a": math.nan}, {"a": datetime.now(UTC)}, {"a": {1}}, {"a": "\x00"}])
def test_data_is_json(wb: Workbench, data: dict[str, Any], admin: Connection) -> None:
    with pytest.raises((EventError, ValueRefused)):
        wb.events.publish_data_event("thing.done", "research", data)
    assert _outbox(admin) == []


def _nested(levels: int) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for _ in range(levels - 1):
        data = {"a": data}
    return data


def test_what_not_everyone_could_be_told_is_refused(wb: Workbench, admin: Connection) -> None:
    for data, complaint in (
        (_nested(101), "nested deeper than 100 levels"),
        (_nested(100_000), "nested deeper than 100 levels"),
        ({"text": "x" * 1_000_000}, "may have at most 1,000,000"),
    ):
        with pytest.raises(EventError, match=complaint):
            wb.events.publish_data_event("thing.done", "research", data)
    with pytest.raises(EventError, match="at most 200 characters"):
        wb.events.publish_data_event("x" * 201, "research", {})
    assert _outbox(admin) == []
    wb.events.publish_data_event("thing.done", "research", _nested(100))
    assert len(_outbox(admin)) == 1
