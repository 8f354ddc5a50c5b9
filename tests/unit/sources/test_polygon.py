"""Polygon: which requests it is sent, and the numbers and actions read from its documented answers."""

from __future__ import annotations

import json

import pytest

from tests.unit.sources.conftest import Open
from tests.unit.sources.members import Opened, day
from tests.vendors import Answer, document


@pytest.fixture
def polygon(open_member: Open) -> Opened:
    """Two pages of bars, and no actions."""
    return open_member("polygon")


def test_all_pages_come_as_unadjusted_bars(polygon: Opened) -> None:
    """The numbers are those of the documented answer, read by eye."""
    raw = polygon.fetch()
    assert raw.rows["open"].tolist() == [74.06, 74.2875, 73.4475]
    assert raw.rows["close"].tolist() == [75.0875, 74.3575, 74.95]
    assert raw.rows["volume"].tolist() == [135647456.0, 146535512.0, 118578560.0]
    assert json.loads(json.dumps(raw.rows["raw"][0]))["timestamp"] == 1577941200000
    first, second = polygon.asked()
    assert first.path.endswith("/AAPL/range/1/day/2020-01-02/2020-01-06")
    assert first.query == {"adjusted": "false", "limit": "50000", "sort": "asc"}
    assert first.headers["authorization"] == "Bearer a-key"
    assert second.query == {"cursor": "bGltaXQ9MiZzb3J0PWFzYw"}


def test_splits_and_dividends_are_actions(polygon: Opened) -> None:
    """Two dividends of a day are one, of their sum; one in another currency is left out, and said so."""
    polygon.answer_actions()
    actions = polygon.fetch().actions
    assert actions is not None
    assert [(f"{day.date()}", kind, value) for day, kind, value in actions.iloc[:, 1:4].to_numpy()] == [
        ("2020-02-07", "dividend", 1.77),
        ("2020-08-31", "split", 4.0),
        ("2021-07-12", "split", 0.05),
    ]
    assert polygon.told == ["polygon: dividends of AAPL in SEK are left out: its prices are in USD"]
    (asked,) = polygon.server.of("/stocks/v1/splits")
    assert asked.query["execution_date.gte"] == "2019-12-03"
    assert asked.query["execution_date.lte"] == "2020-01-07"


def test_minutes_are_asked_for_by_the_millisecond_and_keep_their_instant(polygon: Opened) -> None:
    polygon.answer(Answer(document("polygon/bars_page2")))
    raw = polygon.fetch(interval="1min")
    assert raw.rows["timestamp"].tolist() == [day("2020-01-06 05:00")]
    (asked,) = polygon.asked()
    # Seconds at 00:00 UTC of 2020-01-02 and 07: date -u -d 2020-01-02 +%s.
    assert asked.path.endswith("/range/1/minute/1577923200000/1578355199999")


def test_without_a_start_all_daily_bars_are_asked_for(polygon: Opened) -> None:
    list(polygon.make().fetch(["AAPL"]))
    assert "/range/1/day/1970-01-01/" in polygon.asked()[0].path
