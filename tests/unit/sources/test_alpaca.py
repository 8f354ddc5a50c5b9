"""Alpaca: raw bars and actions from its documented answers, its feeds and its refusals."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from tests.vendors import Answer, VendorServer, document
from workbench.errors import KeyRefused, SourceError, SourceUnreachable
from workbench.sources.alpaca import AlpacaSource
from workbench.sources.source import ROW_COLUMNS, RawBars

BARS, ACTIONS = "/v2/stocks/bars", "/v1/corporate-actions"
START, END = pd.Timestamp("2022-01-03", tz="UTC"), pd.Timestamp("2022-01-06", tz="UTC")


@pytest.fixture
def alpaca(vendors: VendorServer) -> VendorServer:
    """Two pages of bars, and no actions."""
    vendors.answer(BARS, Answer(document("alpaca/bars_page1")), Answer(document("alpaca/bars_page2")))
    vendors.answer(ACTIONS, Answer(document("alpaca/actions_none")))
    return vendors


def _source(vendors: VendorServer, slept: list[float], **options: Any) -> AlpacaSource:
    options = {"api_key": "a-key", "api_secret": "a-secret", **options}
    return AlpacaSource(url=vendors.url, sleep=slept.append, **options)


def _fetch(source: AlpacaSource, symbol: str = "AAPL") -> RawBars:
    (raw,) = source.fetch([symbol], START, END)
    return raw


def test_all_pages_come_as_raw_bars_stamped_with_their_date(alpaca: VendorServer, slept: list[float]) -> None:
    """The numbers are those of the answer, read by eye."""
    raw = _fetch(_source(alpaca, slept))
    assert (raw.symbol, raw.data_source, raw.origin) == ("AAPL", "alpaca", "alpaca 1d")
    assert tuple(raw.rows.columns) == ROW_COLUMNS
    assert raw.rows["timestamp"].tolist() == list(pd.date_range("2022-01-03", periods=3, tz="UTC"))
    assert raw.rows["high"].tolist() == [182.88, 182.94, 180.17]
    assert raw.rows["volume"].tolist() == [104701220.0, 99310438.0, 94537602.0]
    assert raw.rows["raw"][2]["vw"] == 176.877
    first, second = alpaca.of(BARS)
    assert first.headers["apca-api-key-id"] == "a-key"
    assert first.headers["apca-api-secret-key"] == "a-secret"
    assert first.query["adjustment"] == "raw"
    assert first.query["timeframe"] == "1Day"
    assert pd.Timestamp(first.query["start"]) == START
    assert pd.Timestamp(first.query["end"]) == END - pd.Timedelta(microseconds=1)
    assert "feed" not in first.query
    assert second.query["page_token"] == document("alpaca/bars_page1")["next_page_token"]


def test_splits_and_dividends_are_actions_that_are_not_applied(
    alpaca: VendorServer, slept: list[float]
) -> None:
    """A stock dividend of 5 % is a split of 1.05; a regular and a special dividend of a day are one."""
    alpaca.answer(ACTIONS, Answer(document("alpaca/actions")))
    actions = _fetch(_source(alpaca, slept)).actions
    assert actions is not None
    assert [(f"{day.date()}", kind, value) for day, kind, value in actions.iloc[:, 1:4].to_numpy()] == [
        ("2020-08-31", "split", 4.0),
        ("2021-07-12", "split", 0.05),
        ("2021-09-01", "split", 1.05),
        ("2021-11-05", "dividend", 1.72),
    ]
    assert not actions["applied"].any()
    (asked,) = alpaca.of(ACTIONS)
    assert (asked.query["start"], asked.query["end"]) == ("2021-12-04", "2022-01-06")
    assert asked.query["types"] == "forward_split,reverse_split,stock_dividend,cash_dividend"


def test_minutes_keep_their_instant_and_a_feed_can_be_chosen(
    alpaca: VendorServer, slept: list[float]
) -> None:
    alpaca.answer(BARS, Answer(document("alpaca/bars_minutes")))
    raw = _fetch(_source(alpaca, slept, interval="1min", feed="iex"))
    assert (raw.data_source, raw.origin) == ("alpaca_1min", "alpaca 1min")
    assert raw.rows["timestamp"].tolist() == [pd.Timestamp("2022-01-03 09:00", tz="UTC")]
    (asked,) = alpaca.of(BARS)
    assert (asked.query["timeframe"], asked.query["feed"]) == ("1Min", "iex")


def test_without_an_end_the_last_quarter_of_an_hour_is_not_asked_for(
    alpaca: VendorServer, slept: list[float]
) -> None:
    """The free plan refuses a range that ends later than 15 minutes ago."""
    list(_source(alpaca, slept).fetch(["AAPL"]))
    asked = alpaca.of(BARS)[0].query
    assert pd.Timestamp(asked["end"]) <= pd.Timestamp.now("UTC") - pd.Timedelta(minutes=15)
    assert pd.Timestamp(asked["start"]) == pd.Timestamp("2016-01-01", tz="UTC")


def test_a_symbol_without_bars_has_empty_rows(alpaca: VendorServer, slept: list[float]) -> None:
    alpaca.answer(BARS, Answer(document("alpaca/bars_none")))
    raw = _fetch(_source(alpaca, slept))
    assert raw.rows.empty
    assert tuple(raw.rows.columns) == ROW_COLUMNS


def test_too_many_requests_are_waited_out_until_the_limits_reset(
    alpaca: VendorServer, slept: list[float]
) -> None:
    reset = f"{(pd.Timestamp.now('UTC') + pd.Timedelta(seconds=40)).timestamp():.0f}"
    busy = Answer(document("alpaca/too_many"), status=429, headers={"X-RateLimit-Reset": reset})
    alpaca.answer(BARS, busy, Answer(document("alpaca/bars_page2")))
    assert len(_fetch(_source(alpaca, slept)).rows) == 1
    (wait,) = slept
    assert 20 < wait <= 42


@pytest.mark.parametrize(
    "fault", [Answer(status=500), Answer('{"bars": {'), Answer(cut=True)], ids=["500", "malformed", "cut off"]
)
def test_what_may_pass_is_tried_again(alpaca: VendorServer, slept: list[float], fault: Answer) -> None:
    alpaca.answer(BARS, fault, Answer(document("alpaca/bars_page2")))
    assert len(_fetch(_source(alpaca, slept)).rows) == 1
    assert len(slept) == 1


def test_who_never_answers_well_is_unreachable(alpaca: VendorServer, slept: list[float]) -> None:
    alpaca.answer(BARS, Answer(status=504))
    with pytest.raises(SourceUnreachable, match="alpaca answers with status 504, 6 times in a row"):
        _fetch(_source(alpaca, slept))
    assert len(alpaca.of(BARS)) == 6


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (
            Answer(document("alpaca/forbidden"), status=403),
            KeyRefused,
            "forbidden.*WORKBENCH_ALPACA_API_SECRET",
        ),
        (Answer(document("alpaca/recent_sip"), status=403), SourceError, "403: subscription does not permit"),
        (Answer({"message": "invalid symbol: A=B"}, status=400), SourceError, "400: invalid symbol"),
        (Answer({"rows": []}), SourceError, "is not as documented"),
    ],
)
def test_a_refusal_is_told_at_once_in_the_vendors_words(
    alpaca: VendorServer, slept: list[float], answer: Answer, error: type[Exception], said: str
) -> None:
    alpaca.answer(BARS, answer)
    with pytest.raises(error, match=said):
        _fetch(_source(alpaca, slept))
    assert len(alpaca.of(BARS)) == 1
    assert slept == []


def test_a_key_needs_both_of_its_parts_and_a_feed_must_exist() -> None:
    with pytest.raises(KeyRefused, match="WORKBENCH_ALPACA_API_KEY and WORKBENCH_ALPACA_API_SECRET"):
        AlpacaSource(api_key="k", api_secret=None)
    with pytest.raises(SourceError, match='no feed "best"; it has sip, iex'):
        AlpacaSource(api_key="k", api_secret="s", feed="best")
