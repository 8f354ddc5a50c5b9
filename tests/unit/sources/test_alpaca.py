"""Alpaca: which requests it is sent, its feeds, and the numbers and actions of its documented answers."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.unit.sources.conftest import Open
from tests.unit.sources.members import Opened, day
from tests.vendors import Answer, document
from workbench.errors import SourceError


@pytest.fixture
def alpaca(open_member: Open) -> Opened:
    """Two pages of bars, and no actions."""
    return open_member("alpaca")


def test_all_pages_come_as_raw_bars(alpaca: Opened) -> None:
    """The numbers are those of the answer, read by eye."""
    raw = alpaca.fetch(api_secret="a-secret")
    assert raw.rows["high"].tolist() == [182.88, 182.94, 180.17]
    assert raw.rows["volume"].tolist() == [104701220.0, 99310438.0, 94537602.0]
    assert raw.rows["raw"][2]["vw"] == 176.877
    first, second = alpaca.asked()
    assert first.headers["apca-api-key-id"] == "a-key"
    assert first.headers["apca-api-secret-key"] == "a-secret"
    assert first.query["adjustment"] == "raw"
    assert first.query["timeframe"] == "1Day"
    assert pd.Timestamp(first.query["start"]) == day("2022-01-03")
    assert pd.Timestamp(first.query["end"]) == day("2022-01-06") - pd.Timedelta(microseconds=1)
    assert "feed" not in first.query
    assert second.query["page_token"] == document("alpaca/bars_page1")["next_page_token"]


def test_splits_and_dividends_are_actions(alpaca: Opened) -> None:
    """A stock dividend of 5 % is a split of 1.05; a regular and a special dividend of a day are one."""
    alpaca.answer_actions()
    actions = alpaca.fetch().actions
    assert actions is not None
    assert [(f"{day.date()}", kind, value) for day, kind, value in actions.iloc[:, 1:4].to_numpy()] == [
        ("2020-08-31", "split", 4.0),
        ("2021-07-12", "split", 0.05),
        ("2021-09-01", "split", 1.05),
        ("2021-11-05", "dividend", 1.72),
    ]
    (asked,) = alpaca.server.of("/v1/corporate-actions")
    assert (asked.query["start"], asked.query["end"]) == ("2021-12-04", "2022-01-06")
    assert asked.query["types"] == "forward_split,reverse_split,stock_dividend,cash_dividend"


def test_minutes_keep_their_instant_and_a_feed_can_be_chosen(alpaca: Opened) -> None:
    alpaca.answer(Answer(document("alpaca/bars_minutes")))
    raw = alpaca.fetch(interval="1min", feed="iex")
    assert raw.rows["timestamp"].tolist() == [day("2022-01-03 09:00")]
    (asked,) = alpaca.asked()
    assert (asked.query["timeframe"], asked.query["feed"]) == ("1Min", "iex")
    with pytest.raises(SourceError, match='no feed "best"; it has sip, iex'):
        alpaca.make(feed="best")


def test_without_an_end_the_last_quarter_of_an_hour_is_not_asked_for(alpaca: Opened) -> None:
    """The free plan refuses a range that ends later than 15 minutes ago."""
    list(alpaca.make().fetch(["AAPL"]))
    asked = alpaca.asked()[0].query
    assert pd.Timestamp(asked["end"]) <= pd.Timestamp.now("UTC") - pd.Timedelta(minutes=15)
    assert pd.Timestamp(asked["start"]) == day("2016-01-01")


def test_too_many_requests_are_waited_out_until_the_limits_reset(alpaca: Opened) -> None:
    reset = f"{(pd.Timestamp.now('UTC') + pd.Timedelta(seconds=40)).timestamp():.0f}"
    busy = Answer(document("alpaca/too_many"), status=429, headers={"X-RateLimit-Reset": reset})
    alpaca.answer(busy, Answer(document("alpaca/bars_page2")))
    assert len(alpaca.fetch().rows) == 1
    (wait,) = alpaca.slept
    assert 20 < wait <= 42
