"""Yahoo: its chart as bars and actions, its numbers as they are meant, its windows and its refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.vendors import Answer, Asked, VendorServer, document
from workbench.errors import SourceError, SourceUnreachable, UnknownSymbol
from workbench.marketdata import check
from workbench.sources.source import ROW_COLUMNS, RawBars, Span
from workbench.sources.yahoo import YahooSource, _as_meant

CHART = "/v8/finance/chart/.*"
START, END = pd.Timestamp("2020-08-28", tz="UTC"), pd.Timestamp("2020-09-02", tz="UTC")


def _charts(*replies: Answer) -> Callable[[Asked], Answer]:
    """These charts, one after the other; yfinance's question for the time zone is answered beside them."""
    left = list(replies)

    def answer(asked: Asked) -> Answer:
        if "range" in asked.query:
            return Answer(document("yahoo/chart_daily"))
        return left.pop(0) if len(left) > 1 else left[0]

    return answer


def _for_bars(vendors: VendorServer) -> list[Asked]:
    return [asked for asked in vendors.of(CHART) if "period1" in asked.query]


@pytest.fixture
def yahoo(vendors: VendorServer) -> VendorServer:
    """A chart of three days, of which the last has no prices."""
    vendors.answer(CHART, Answer(document("yahoo/chart_daily")))
    return vendors


@pytest.fixture
def options(tmp_path: Path, slept: list[float]) -> dict[str, Any]:
    """A cache of its own, and no waiting."""
    return {"cache": tmp_path, "sleep": slept.append}


def _fetch(vendors: VendorServer, options: dict[str, Any], **more: Any) -> RawBars:
    (raw,) = YahooSource(url=vendors.url, **options, **more).fetch(["AAPL"], START, END)
    return raw


def test_bars_are_stamped_with_their_date_and_priced_as_yahoo_means_them(
    yahoo: VendorServer, options: dict[str, Any]
) -> None:
    """126.01249694824219 is single precision for 126.0125: read by eye, four decimals of a 4:1 split."""
    raw = _fetch(yahoo, options)
    assert (raw.symbol, raw.data_source, raw.origin) == ("AAPL", "yahoo", "yahoo 1d")
    assert tuple(raw.rows.columns) == ROW_COLUMNS
    assert [f"{at.date()}" for at in raw.rows["timestamp"]] == ["2020-08-28", "2020-08-31", "2020-09-01"]
    assert str(raw.rows["timestamp"].dtype) == "datetime64[us, UTC]"
    assert raw.rows["open"].tolist()[:2] == [126.0125, 127.58]
    assert raw.rows["low"].tolist()[:2] == [124.5775, 126.0]
    assert raw.rows["close"].tolist()[:2] == [124.8075, 129.04]
    assert raw.rows["volume"].tolist()[:2] == [187630000.0, 225702700.0]
    (asked,) = _for_bars(yahoo)
    # 00:00 in New York: date -u -d "2020-08-28 04:00" +%s.
    assert (asked.query["period1"], asked.query["period2"]) == ("1598587200", "1599019200")
    assert asked.query["events"] == "div,splits,capitalGains"
    assert asked.query["crumb"] == "a.crumb"


def test_a_row_without_prices_comes_along_and_is_refused_with_its_reason(
    yahoo: VendorServer, options: dict[str, Any]
) -> None:
    raw = _fetch(yahoo, options)
    assert raw.rows["rule"].tolist() == ["", "", "missing_value"]
    checked = check(raw.rows, symbol="AAPL", data_source="yahoo", origin=raw.origin)
    assert len(checked.good) == 2
    assert checked.refused["raw"][0]["Close"] is None


def test_splits_are_applied_already_and_dividends_are_not(
    yahoo: VendorServer, options: dict[str, Any]
) -> None:
    actions = _fetch(yahoo, options).actions
    assert actions is not None
    found = [(f"{day.date()}", *rest) for day, *rest in actions.iloc[:, 1:].to_numpy()]
    assert found == [("2020-08-28", "dividend", 0.205, False), ("2020-08-31", "split", 4.0, True)]


def test_minutes_keep_their_instant(vendors: VendorServer, options: dict[str, Any]) -> None:
    vendors.answer(CHART, Answer(document("yahoo/chart_minutes")))
    source = YahooSource(url=vendors.url, interval="1min", **options)
    # The answer is of 2024: its rows lie outside of what is asked for, and are cut off.
    (raw,) = source.fetch(["AAPL"])
    assert raw.data_source == "yahoo_1min"
    assert tuple(raw.rows.columns) == ROW_COLUMNS
    rows, _ = source._bars("AAPL", Span(None, None))
    assert rows["timestamp"].tolist()[0] == pd.Timestamp("2024-01-02 14:30", tz="UTC")
    assert rows["close"].tolist()[0] == 186.98


def test_a_month_of_minutes_is_asked_for_a_week_at_a_time(
    vendors: VendorServer, options: dict[str, Any]
) -> None:
    vendors.answer(CHART, Answer(document("yahoo/chart_minutes")))
    list(YahooSource(url=vendors.url, interval="1min", **options).fetch(["AAPL"]))
    spans = [int(asked.query["period2"]) - int(asked.query["period1"]) for asked in _for_bars(vendors)]
    assert len(spans) == 5
    assert max(spans) <= 7 * 86_400
    with pytest.raises(SourceError, match="yahoo keeps bars of 1min for 29 days: start at"):
        list(YahooSource(url=vendors.url, interval="1min", **options).fetch(["AAPL"], START))


@pytest.mark.parametrize(
    "answer",
    [Answer(document("yahoo/chart_empty")), Answer(document("yahoo/no_such_range"), status=400)],
    ids=["empty", "no such range"],
)
def test_a_range_without_bars_has_empty_rows(
    yahoo: VendorServer, options: dict[str, Any], answer: Answer
) -> None:
    yahoo.answer(CHART, _charts(answer))
    raw = _fetch(yahoo, options)
    assert raw.rows.empty
    assert tuple(raw.rows.columns) == ROW_COLUMNS


def test_a_delisted_symbol_is_unknown_at_once(
    yahoo: VendorServer, options: dict[str, Any], slept: list[float], capfd: pytest.CaptureFixture[str]
) -> None:
    yahoo.answer(CHART, Answer(document("yahoo/not_found"), status=404))
    with pytest.raises(UnknownSymbol, match="symbol may be delisted"):
        _fetch(yahoo, options)
    assert len(yahoo.of(CHART)) == 1
    assert slept == []
    # yfinance would print a line of its own.
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "fault",
    [
        Answer("Too Many Requests", status=429, headers={"Retry-After": "5"}),
        Answer(status=500),
        Answer("<html>Will be right back"),
        Answer(cut=True),
    ],
    ids=["429", "500", "malformed", "cut off"],
)
def test_what_may_pass_is_tried_again(
    yahoo: VendorServer, options: dict[str, Any], slept: list[float], fault: Answer
) -> None:
    yahoo.answer(CHART, _charts(fault, fault, Answer(document("yahoo/chart_daily"))))
    assert len(_fetch(yahoo, options).rows) == 3
    assert len(_for_bars(yahoo)) == 3
    # curl itself asks once more where a connection that it had open was cut.
    assert len(slept) == (1 if fault.cut else 2)
    assert fault.status != 429 or all(5 <= wait <= 6 for wait in slept)


def test_who_never_answers_well_is_unreachable(yahoo: VendorServer, options: dict[str, Any]) -> None:
    yahoo.answer(CHART, _charts(Answer("Too Many Requests", status=429)))
    with pytest.raises(SourceUnreachable, match="yahoo answers with status 429, 3 times in a row"):
        _fetch(yahoo, options, attempts=3)
    assert len(_for_bars(yahoo)) == 3


def test_a_refusal_is_not_taken_for_an_empty_range(yahoo: VendorServer, options: dict[str, Any]) -> None:
    yahoo.answer(CHART, _charts(Answer(document("yahoo/invalid_crumb"), status=401)))
    with pytest.raises(SourceError, match="yahoo refuses to answer with status 401"):
        _fetch(yahoo, options)


def test_without_a_crumb_prices_come_all_the_same(yahoo: VendorServer, options: dict[str, Any]) -> None:
    yahoo.answer("/v1/test/getcrumb", Answer("Too Many Requests", status=429))
    assert len(_fetch(yahoo, options).rows) == 3


def test_prices_of_single_precision_are_read_as_the_shortest_decimal() -> None:
    """Independent: decimals, rounded to single precision by numpy, come back; order in a bar is kept."""
    decimals = np.round(np.random.default_rng(7).uniform(0.5, 900, (500, 5)), 4)
    single = decimals.astype(np.float32).astype(np.float64)
    assert (_as_meant(single) == decimals).all()
    double = np.array([[1.1, 1.2, 1.0, 1.15, 1.15], [np.nan] * 5, [12345.678901234] * 5])
    read = _as_meant(double)
    assert read[0].tolist() == [1.1, 1.2, 1.0, 1.15, 1.15]
    assert np.isnan(read[1]).all()
    assert read[2].tolist() == [12345.6789012] * 5 or (read[2] == np.round(12345.678901234, 8)).all()
