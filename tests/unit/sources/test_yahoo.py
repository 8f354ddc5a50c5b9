"""Yahoo: its chart as bars and actions, its numbers as they are meant, its windows and its refusals."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.sources.conftest import Open
from tests.unit.sources.members import Opened, day
from tests.vendors import Answer, document
from workbench.errors import SourceError, UnknownSymbol
from workbench.marketdata import check
from workbench.sources.yahoo import _as_meant


@pytest.fixture
def yahoo(open_member: Open) -> Opened:
    """A chart of three days, of which the last has no prices."""
    return open_member("yahoo")


def test_bars_are_priced_as_yahoo_means_them(yahoo: Opened) -> None:
    """126.01249694824219 is single precision for 126.0125: read by eye, four decimals of a 4:1 split."""
    raw = yahoo.fetch()
    assert raw.rows["open"].tolist()[:2] == [126.0125, 127.58]
    assert raw.rows["low"].tolist()[:2] == [124.5775, 126.0]
    assert raw.rows["close"].tolist()[:2] == [124.8075, 129.04]
    assert raw.rows["volume"].tolist()[:2] == [187630000.0, 225702700.0]
    (asked,) = yahoo.asked()
    # 00:00 in New York: date -u -d "2020-08-28 04:00" +%s.
    assert (asked.query["period1"], asked.query["period2"]) == ("1598587200", "1599019200")
    assert asked.query["events"] == "div,splits,capitalGains"
    assert asked.query["crumb"] == "a.crumb"


def test_a_row_without_prices_comes_along_and_is_refused_with_its_reason(yahoo: Opened) -> None:
    raw = yahoo.fetch()
    assert raw.rows["rule"].tolist() == ["", "", "missing_value"]
    checked = check(raw.rows, symbol="AAPL", data_source="yahoo", origin=raw.origin)
    assert len(checked.good) == 2
    assert checked.refused["raw"][0]["Close"] is None


def test_splits_are_applied_already_and_dividends_are_not(yahoo: Opened) -> None:
    actions = yahoo.fetch().actions
    assert actions is not None
    found = [(f"{day.date()}", *rest) for day, *rest in actions.iloc[:, 1:].to_numpy()]
    assert found == [("2020-08-28", "dividend", 0.205, False), ("2020-08-31", "split", 4.0, True)]


def test_minutes_keep_their_instant(yahoo: Opened) -> None:
    yahoo.answer(Answer(document("yahoo/chart_minutes")))
    (raw,) = yahoo.make(interval="1min").fetch(["AAPL"])
    assert raw.rows["timestamp"].tolist()[0] == day("2024-01-02 14:30")
    assert raw.rows["close"].tolist()[0] == 186.98


def test_a_month_of_minutes_is_asked_for_a_week_at_a_time(yahoo: Opened) -> None:
    yahoo.answer(Answer(document("yahoo/chart_minutes")))
    list(yahoo.make(interval="1min").fetch(["AAPL"]))
    spans = [int(asked.query["period2"]) - int(asked.query["period1"]) for asked in yahoo.asked()]
    assert len(spans) == 5
    assert max(spans) <= 7 * 86_400
    with pytest.raises(SourceError, match="yahoo keeps bars of 1min for 29 days: start at"):
        yahoo.fetch(interval="1min")


def test_a_delisted_symbol_is_unknown_at_once(yahoo: Opened, capfd: pytest.CaptureFixture[str]) -> None:
    yahoo.server.answer(yahoo.vendor.bars, Answer(document("yahoo/not_found"), status=404))
    with pytest.raises(UnknownSymbol, match="symbol may be delisted"):
        yahoo.fetch()
    assert len(yahoo.server.of(yahoo.vendor.bars)) == 1
    assert yahoo.slept == []
    # yfinance would print a line of its own.
    assert capfd.readouterr() == ("", "")


def test_a_refusal_is_not_taken_for_an_empty_range(yahoo: Opened) -> None:
    yahoo.answer(Answer(document("yahoo/invalid_crumb"), status=401))
    with pytest.raises(SourceError, match="yahoo refuses to answer with status 401"):
        yahoo.fetch()


def test_without_a_crumb_prices_come_all_the_same(yahoo: Opened) -> None:
    yahoo.server.answer("/v1/test/getcrumb", Answer("Too Many Requests", status=429))
    assert len(yahoo.fetch().rows) == 3


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
