"""Ingestion stores each series' calendar and the length of its bars, as far as it was told or finds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.integration.conftest import MakeBars
from tests.vendors import Answer, VendorServer, document, vendor_server
from workbench import Workbench
from workbench.errors import QueryError, ValueRefused
from workbench.ingestion import ingest
from workbench.marketdata.calendar import sessions
from workbench.sources.polygon import PolygonSource

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

Write = Callable[[pd.DatetimeIndex], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of bars at those times."""

    def write(times: pd.DatetimeIndex) -> Path:
        prices = dict.fromkeys(("open", "high", "low", "close"), 5.0)
        frame = pd.DataFrame({"timestamp": times.strftime("%Y-%m-%dT%H:%M:%SZ"), **prices, "volume": 1})
        path = tmp_path / "bars.csv"
        frame.to_csv(path, index=False)
        return path

    return write


@pytest.fixture
def vendors() -> Iterator[VendorServer]:
    """A local server that plays the vendors; nobody has any actions."""
    with vendor_server() as server:
        server.answer("/stocks/v1/(splits|dividends)", Answer(document("polygon/actions_none")))
        yield server


def _known(wb: Workbench, symbol: str, source: str = "file") -> tuple[Any, Any]:
    [row] = wb.data_ingestion.load_ingestion_status(symbol, source=source).to_dict("records")
    calendar, interval = (None if pd.isna(row[name]) else row[name] for name in ("calendar", "bar_interval"))
    return calendar, interval


def test_the_sample_is_new_yorks(wb: Workbench) -> None:
    wb.ingest(["AAPL", "FB"], source="sample")
    for symbol in ("AAPL", "FB"):
        for source in ("yahoo", "yahoo_adjusted"):
            assert _known(wb, symbol, source) == ("XNYS", "1d")


def test_a_files_length_is_told_by_its_bars_and_its_calendar_by_the_user(wb: Workbench, write: Write) -> None:
    shares = sessions("XNYS", "2024-01-02", "2024-03-01")
    hours = pd.date_range("2024-01-01", periods=200, freq="h", tz="UTC")
    wb.ingest("PLAIN", source="file", path=write(shares))
    wb.ingest("SAID", source="file", path=write(shares), calendar="XNYS")
    wb.ingest("HOURS", source="file", path=write(hours), calendar="24/7")
    wb.ingest("ONE", source="file", path=write(shares[:1]))
    found = {name: _known(wb, name) for name in ("PLAIN", "SAID", "HOURS", "ONE")}
    assert found == {
        "PLAIN": (None, "1d"),
        "SAID": ("XNYS", "1d"),
        "HOURS": ("24/7", "1h"),
        "ONE": (None, None),
    }


def test_the_newest_word_on_a_calendar_counts_and_silence_changes_nothing(
    wb: Workbench, write: Write
) -> None:
    days = sessions("XNYS", "2024-01-02", "2024-03-01")
    wb.ingest("A", source="file", path=write(days[:-1]), calendar="XNYS")
    wb.ingest("A", source="file", path=write(days[-1:]), calendar="none")
    # The last bar alone tells no length; the stored ones before it do.
    assert _known(wb, "A") == ("XNYS", "1d")
    wb.ingest("A", source="file", path=write(days[-1:]), calendar="XNAS")
    assert _known(wb, "A") == ("XNAS", "1d")


def test_bars_of_other_days_make_the_calendar_unknown(wb: Workbench, write: Write) -> None:
    """A coin in a project whose calendar is New York's: taken for a share, it would be complete too early."""
    days = pd.date_range("2024-01-01", periods=60, tz="UTC")
    wb.ingest("COIN", source="file", path=write(days[1:5]), calendar="XNYS")
    assert _known(wb, "COIN") == ("XNYS", "1d")
    wb.ingest("COIN", source="file", path=write(days), calendar="XNYS")
    assert _known(wb, "COIN") == (None, "1d")
    # A few days later its new bars are those of weekdays; the stored ones still tell.
    later = pd.date_range("2024-03-04", periods=3, tz="UTC")
    wb.ingest("COIN", source="file", path=write(later), calendar="XNYS")
    assert _known(wb, "COIN") == (None, "1d")


@pytest.mark.parametrize("interval", ["1d", "1h"])
def test_a_vendors_bars_have_the_length_that_was_asked_for(
    wb: Workbench, vendors: VendorServer, interval: str
) -> None:
    """And the vendor's calendar, New York's, where no bar contradicts it."""
    today = pd.Timestamp.now("UTC").floor("D")
    days = sessions("XNYS", today - pd.Timedelta(days=20), today - pd.Timedelta(days=2))
    for symbol, dates in (("AAPL", days), ("BTCUSD", pd.date_range(days[0], days[-1], tz="UTC"))):
        # Noon in New York: the date of a daily bar, and the start of one of an hour.
        times = (dates.tz_localize(None) + pd.Timedelta(hours=12)).tz_localize("America/New_York")
        bars = [{**dict.fromkeys("ohlc", 5.0), "v": 1.0, "t": at} for at in times.as_unit("ms").asi8.tolist()]
        body = {**document("polygon/bars_none"), "ticker": symbol, "resultsCount": len(bars), "results": bars}
        vendors.answer(f"/v2/aggs/ticker/{symbol}/.*", Answer(body))
    source = PolygonSource(api_key="k", url=vendors.url, interval=interval, per_minute=0, attempts=2)
    ingest(wb.data_ingestion, source, ["AAPL", "BTCUSD"])
    name = source.data_source
    assert _known(wb, "AAPL", name) == ("XNYS", interval)
    assert _known(wb, "BTCUSD", name) == (None, interval)
    ingest(wb.data_ingestion, source, ["BTCUSD"], calendar="24/7")
    assert _known(wb, "BTCUSD", name) == ("24/7", interval)


def test_bars_from_elsewhere_are_unknown_until_somebody_says(wb: Workbench, make_bars: MakeBars) -> None:
    service = wb.data_ingestion
    service.write_market_data(make_bars(), source="file")
    assert _known(wb, "AAPL") == (None, None)
    said = pd.DataFrame({"symbol": ["AAPL"], "data_source": "file", "calendar": "XLON", "bar_interval": "1d"})
    service.write_ingestion_status(said)
    assert _known(wb, "AAPL") == ("XLON", "1d")
    # More bars, and the note of an outcome, leave it as it is.
    service.write_market_data(make_bars(days=7), source="file")
    service.write_ingestion_status(said[["symbol", "data_source"]].assign(last_error="timed out"))
    assert _known(wb, "AAPL") == ("XLON", "1d")
    with pytest.raises(QueryError, match='no exchange calendar "NYSEX"'):
        service.write_ingestion_status(said.assign(calendar="NYSEX"))
    with pytest.raises(ValueRefused, match="bar_interval must be a whole number of"):
        service.write_ingestion_status(said.assign(bar_interval="daily"))
    service.write_ingestion_status(said.assign(calendar=None))
    assert _known(wb, "AAPL") == (None, "1d")
