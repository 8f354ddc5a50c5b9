"""Polygon: unadjusted bars and actions from its documented answers, its limit and its refusals."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from tests.vendors import Answer, VendorServer, document
from workbench.errors import EmptyRange, KeyRefused, SourceError, SourceUnreachable, UnknownSymbol
from workbench.sources.polygon import PolygonSource
from workbench.sources.source import ROW_COLUMNS, RawBars

BARS = "/v2/aggs/ticker/.*"
START, END = pd.Timestamp("2020-01-01", tz="UTC"), pd.Timestamp("2020-01-11", tz="UTC")


@pytest.fixture
def polygon(vendors: VendorServer) -> VendorServer:
    """Two pages of bars, and no actions."""
    vendors.answer(BARS, Answer(document("polygon/bars_page1")), Answer(document("polygon/bars_page2")))
    vendors.answer("/stocks/v1/(splits|dividends)", Answer(document("polygon/actions_none")))
    return vendors


def _source(vendors: VendorServer, slept: list[float], **options: Any) -> PolygonSource:
    options = {"api_key": "a-key", "per_minute": 0, **options}
    return PolygonSource(url=vendors.url, sleep=slept.append, **options)


def _fetch(source: PolygonSource, symbol: str = "AAPL") -> RawBars:
    (raw,) = source.fetch([symbol], START, END)
    return raw


def test_all_pages_come_as_unadjusted_bars_stamped_with_their_date(
    polygon: VendorServer, slept: list[float]
) -> None:
    """The numbers are those of the documented answer, read by eye."""
    raw = _fetch(_source(polygon, slept))
    assert (raw.symbol, raw.data_source, raw.origin) == ("AAPL", "polygon", "polygon 1d")
    assert tuple(raw.rows.columns) == ROW_COLUMNS
    assert [f"{at}" for at in raw.rows["timestamp"]] == [
        "2020-01-02 00:00:00+00:00",
        "2020-01-03 00:00:00+00:00",
        "2020-01-06 00:00:00+00:00",
    ]
    assert str(raw.rows["timestamp"].dtype) == "datetime64[us, UTC]"
    assert raw.rows["open"].tolist() == [74.06, 74.2875, 73.4475]
    assert raw.rows["close"].tolist() == [75.0875, 74.3575, 74.95]
    assert raw.rows["volume"].tolist() == [135647456.0, 146535512.0, 118578560.0]
    assert json.loads(json.dumps(raw.rows["raw"][0]))["timestamp"] == 1577941200000
    first, second = polygon.of(BARS)
    assert first.path.endswith("/AAPL/range/1/day/2020-01-01/2020-01-10")
    assert first.query == {"adjusted": "false", "limit": "50000", "sort": "asc"}
    assert first.headers["authorization"] == "Bearer a-key"
    assert second.query == {"cursor": "bGltaXQ9MiZzb3J0PWFzYw"}
    assert slept == []


def test_a_bar_has_the_same_row_number_in_every_answer(polygon: VendorServer, slept: list[float]) -> None:
    numbers = _fetch(_source(polygon, slept)).rows["row"].tolist()
    # Seconds since 1970 at 00:00 UTC of 2020-01-02, 03 and 06: date -u -d 2020-01-02 +%s.
    assert numbers == [1577923200, 1578009600, 1578268800]


def test_splits_and_dividends_are_actions_that_are_not_applied(
    polygon: VendorServer, slept: list[float]
) -> None:
    """Two dividends of a day are one, of their sum; one in another currency is left out, and said so."""
    polygon.answer("/stocks/v1/splits", Answer(document("polygon/splits")))
    polygon.answer("/stocks/v1/dividends", Answer(document("polygon/dividends")))
    told: list[str] = []
    actions = _fetch(_source(polygon, slept, on_wait=told.append)).actions
    assert actions is not None
    assert list(actions.columns) == ["symbol", "ex_date", "kind", "value", "applied"]
    assert [str(kind) for kind in actions.dtypes] == ["str", "datetime64[s]", "str", "float64", "bool"]
    assert [(f"{day.date()}", kind, value) for day, kind, value in actions.iloc[:, 1:4].to_numpy()] == [
        ("2020-02-07", "dividend", 1.77),
        ("2020-08-31", "split", 4.0),
        ("2021-07-12", "split", 0.05),
    ]
    assert not actions["applied"].any()
    assert told == ["polygon: dividends of AAPL in SEK are left out: its prices are in USD"]
    (asked,) = polygon.of("/stocks/v1/splits")
    assert asked.query["execution_date.gte"] == "2019-12-02"
    assert asked.query["execution_date.lte"] == "2020-01-11"


def test_minutes_are_asked_for_by_the_millisecond_and_keep_their_instant(
    polygon: VendorServer, slept: list[float]
) -> None:
    polygon.answer(BARS, Answer(document("polygon/bars_page2")))
    raw = _fetch(_source(polygon, slept, interval="1min"))
    assert (raw.data_source, raw.origin) == ("polygon_1min", "polygon 1min")
    assert raw.rows["timestamp"].tolist() == [pd.Timestamp("2020-01-06 05:00", tz="UTC")]
    (asked,) = polygon.of(BARS)
    assert asked.path.endswith("/range/1/minute/1577836800000/1578700799999")


def test_without_a_start_all_daily_bars_are_asked_for(polygon: VendorServer, slept: list[float]) -> None:
    list(_source(polygon, slept).fetch(["AAPL"]))
    assert "/range/1/day/1970-01-01/" in polygon.of(BARS)[0].path


def test_a_symbol_without_bars_has_empty_rows(polygon: VendorServer, slept: list[float]) -> None:
    """Polygon answers so to a delisted symbol, to an unknown one and to an empty range alike."""
    polygon.answer(BARS, Answer(document("polygon/bars_none")))
    raw = _fetch(_source(polygon, slept))
    assert raw.rows.empty
    assert tuple(raw.rows.columns) == ROW_COLUMNS


def test_too_many_requests_are_waited_out_as_long_as_the_vendor_says(
    polygon: VendorServer, slept: list[float]
) -> None:
    busy = Answer(document("polygon/too_many"), status=429, headers={"Retry-After": "17"})
    polygon.answer(BARS, busy, busy, Answer(document("polygon/bars_page2")))
    told: list[str] = []
    assert len(_fetch(_source(polygon, slept, on_wait=told.append)).rows) == 1
    assert len(slept) == 2
    assert all(17 <= wait <= 18 for wait in slept)
    assert told[0].startswith("polygon answers with status 429: trying again in ")
    assert told[0].endswith(" (1 of 6)")


@pytest.mark.parametrize(
    "fault",
    [
        Answer(status=500),
        Answer("<html>Bad Gateway</html>", status=502),
        Answer('{"results": [{"o": 1'),
        Answer(cut=True),
    ],
    ids=["500", "502", "malformed", "cut off"],
)
def test_what_may_pass_is_tried_again_with_growing_pauses(
    polygon: VendorServer, slept: list[float], fault: Answer
) -> None:
    polygon.answer(BARS, fault, fault, fault, Answer(document("polygon/bars_page2")))
    assert len(_fetch(_source(polygon, slept)).rows) == 1
    # 1, 2, 4 seconds, and up to one more.
    assert [int(wait // base) for wait, base in zip(slept, (1, 2, 4), strict=True)] == [1, 1, 1]


def test_who_never_answers_well_is_unreachable(polygon: VendorServer, slept: list[float]) -> None:
    polygon.answer(BARS, Answer(status=503))
    with pytest.raises(SourceUnreachable, match="polygon answers with status 503, 6 times in a row"):
        _fetch(_source(polygon, slept))
    assert len(polygon.of(BARS)) == 6


def test_nobody_there_is_unreachable(slept: list[float]) -> None:
    source = PolygonSource(
        api_key="k", url="http://127.0.0.1:9", per_minute=0, attempts=2, sleep=slept.append
    )
    with pytest.raises(SourceUnreachable, match="polygon does not answer"):
        _fetch(source)


def test_who_asks_for_an_hour_of_rest_is_not_waited_for(polygon: VendorServer, slept: list[float]) -> None:
    polygon.answer(BARS, Answer(status=429, headers={"Retry-After": "3600"}))
    with pytest.raises(SourceUnreachable, match="asks to wait 3,600 s"):
        _fetch(_source(polygon, slept))
    assert slept == []


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (
            Answer(document("polygon/unknown_key"), status=401),
            KeyRefused,
            "Unknown API Key.*massive.com/dash",
        ),
        (Answer(document("polygon/not_in_plan"), status=403), SourceError, "403: Your plan doesn't include"),
        (Answer("<h1>Not here</h1>", status=404), SourceError, "404: Not here"),
    ],
)
def test_a_refusal_is_told_at_once_in_the_vendors_words(
    polygon: VendorServer, slept: list[float], answer: Answer, error: type[Exception], said: str
) -> None:
    polygon.answer(BARS, answer)
    with pytest.raises(error, match=said):
        _fetch(_source(polygon, slept))
    assert len(polygon.of(BARS)) == 1
    assert slept == []


def test_the_free_plans_limit_is_kept(polygon: VendorServer, slept: list[float]) -> None:
    """Five requests a minute: AAPL takes four (two pages, splits, dividends), and IBM three."""
    told: list[str] = []
    source = _source(polygon, slept, per_minute=None, on_wait=told.append)
    list(source.fetch(["AAPL", "IBM"], START, END))
    assert len(polygon.asked) == 7
    assert len(slept) == 2
    assert all(0 < wait <= 60 for wait in slept)
    assert told[0].startswith("polygon allows 5 requests a minute: waiting ")


@pytest.mark.parametrize("symbol", ["../v3/x", "a/b", "", "A B", "x" * 40])
def test_a_symbol_that_no_vendor_has_is_not_asked_for(
    polygon: VendorServer, slept: list[float], symbol: str
) -> None:
    with pytest.raises(UnknownSymbol, match="polygon cannot have the symbol"):
        _fetch(_source(polygon, slept), symbol)
    assert polygon.asked == []


def test_without_a_key_it_is_said_where_to_get_and_put_one() -> None:
    with pytest.raises(KeyRefused, match=r"massive\.com/dashboard/keys.*WORKBENCH_POLYGON_API_KEY"):
        PolygonSource(api_key=None)


def test_an_unknown_interval_and_an_empty_range_are_refused(
    polygon: VendorServer, slept: list[float]
) -> None:
    with pytest.raises(SourceError, match='no bars of "2d"; it has 1min, 5min, 15min, 30min, 1h, 1d'):
        _source(polygon, slept, interval="2d")
    with pytest.raises(EmptyRange):
        _source(polygon, slept).fetch(["AAPL"], END, START)
