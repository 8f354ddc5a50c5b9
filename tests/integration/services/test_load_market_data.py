"""What `load_market_data` promises: whose bars, from which source, of which range, in which shape."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from tests.integration.conftest import MakeBars
from workbench import Workbench
from workbench.errors import AmbiguousSource, EmptyRange, QueryError, UnknownSymbol

# What PostgreSQL 15 may do differently lies beneath this, and is tested there.
pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)


@pytest.fixture
def stocked(wb: Workbench, make_bars: MakeBars) -> Workbench:
    """AAPL from two sources, IBM from one; five daily bars of each."""
    wb.data_ingestion.write_market_data(make_bars("AAPL", price=10.0), source="yahoo")
    wb.data_ingestion.write_market_data(make_bars("AAPL", price=20.0), source="yahoo_adjusted")
    wb.data_ingestion.write_market_data(make_bars("IBM", price=30.0), source="yahoo")
    return wb


def test_bars_come_tidy_and_as_they_were_written(stocked: Workbench, make_bars: MakeBars) -> None:
    bars = stocked.data_ingestion.load_market_data(["IBM", "AAPL"], source="yahoo")
    written = pd.concat([make_bars("AAPL", price=10.0), make_bars("IBM", price=30.0)])
    pd.testing.assert_frame_equal(bars, written.astype({"symbol": "str"}).set_index(["symbol", "timestamp"]))
    assert bars.index.names == ["symbol", "timestamp"]
    assert bars.index.is_monotonic_increasing
    assert str(bars.index.get_level_values("timestamp").dtype) == "datetime64[us, UTC]"
    assert set(map(str, bars.dtypes)) == {"float64"}
    assert list(bars.columns) == ["open", "high", "low", "close", "volume"]


def test_without_a_source_the_only_one_there_is_is_taken(stocked: Workbench) -> None:
    assert stocked.data_ingestion.load_market_data("IBM")["close"].tolist() == [30, 31, 32, 33, 34]


@pytest.mark.parametrize("symbols", ["AAPL", ["AAPL", "IBM"], None])
def test_where_there_are_several_sources_they_are_named(
    stocked: Workbench, symbols: str | list[str] | None
) -> None:
    with pytest.raises(AmbiguousSource, match=r"yahoo, yahoo_adjusted; say which, source=") as caught:
        stocked.data_ingestion.load_market_data(symbols)
    assert caught.value.sources == ("yahoo", "yahoo_adjusted")


def test_a_source_whose_bars_were_all_deleted_is_not_one_of_them(stocked: Workbench, admin: object) -> None:
    with stocked.data_ingestion.pool.begin() as connection:
        connection.exec_driver_sql(
            "DELETE FROM data_ingestion.market_data WHERE data_source = 'yahoo_adjusted'"
        )
    assert len(stocked.data_ingestion.load_market_data("AAPL")) == 5


def test_an_unknown_symbol_is_named_beside_those_there_are(stocked: Workbench) -> None:
    with pytest.raises(UnknownSymbol, match=r"no bars of NOPE, NADA .* there are: AAPL, IBM") as caught:
        stocked.data_ingestion.load_market_data(["AAPL", "NOPE", "NADA"], source="yahoo")
    assert caught.value.symbols == ("NOPE", "NADA")
    assert caught.value.known == ("AAPL", "IBM")


def test_in_an_empty_database_every_symbol_is_unknown(wb: Workbench) -> None:
    with pytest.raises(UnknownSymbol, match=r"there are: none yet. To get them: workbench ingest AAPL"):
        wb.data_ingestion.load_market_data("AAPL")
    assert wb.data_ingestion.load_market_data().empty


@pytest.mark.parametrize("end", ["2024-01-03", "2024-01-02", pd.Timestamp("2024-01-03", tz="UTC")])
def test_an_end_that_is_not_after_the_start_is_refused(stocked: Workbench, end: str | pd.Timestamp) -> None:
    with pytest.raises(EmptyRange, match="its end must lie after its start"):
        stocked.data_ingestion.load_market_data("IBM", "2024-01-03", end)


def test_the_start_belongs_to_the_range_and_the_end_does_not(stocked: Workbench) -> None:
    for start, end in (
        ("2024-01-02", "2024-01-04"),
        (date(2024, 1, 2), date(2024, 1, 4)),
        (pd.Timestamp("2024-01-01 19:00", tz="America/New_York"), pd.Timestamp("2024-01-04", tz="UTC")),
    ):
        bars = stocked.data_ingestion.load_market_data("IBM", start, end)
        assert [str(moment.date()) for _, moment in bars.index] == ["2024-01-02", "2024-01-03"]
    assert len(stocked.data_ingestion.load_market_data("IBM", start="2024-01-02")) == 4
    assert len(stocked.data_ingestion.load_market_data("IBM", end="2024-01-02")) == 1


def test_what_finds_nothing_has_the_same_columns_and_dtypes(stocked: Workbench) -> None:
    load = stocked.data_ingestion.load_market_data
    full = load("IBM")
    for empty in (load("IBM", "2030-01-01", "2031-01-01"), load("IBM", source="alpaca"), load([])):
        assert empty.empty
        pd.testing.assert_series_equal(empty.dtypes, full.dtypes)
        pd.testing.assert_index_equal(empty.index, full.index[:0], exact=True)


def test_fields_come_as_asked_and_in_that_order(stocked: Workbench) -> None:
    bars = stocked.data_ingestion.load_market_data("IBM", fields=["close", "open"])
    assert list(bars.columns) == ["close", "open"]
    assert list(stocked.data_ingestion.load_market_data("IBM", fields="close").columns) == ["close"]
    with pytest.raises(QueryError, match="'vwap' is not a field of bars; there are open, high"):
        stocked.data_ingestion.load_market_data("IBM", fields=["vwap"])


def test_all_symbols_of_a_source(stocked: Workbench) -> None:
    bars = stocked.data_ingestion.load_market_data(source="yahoo")
    assert sorted(bars.index.unique("symbol")) == ["AAPL", "IBM"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"symbols": 7}, "7"),
        ({"symbols": ["AAPL", 7]}, "expected a name, or a list of names"),
        ({"symbols": "IBM", "start": "yesterday-ish"}, "not a date or time; write it as '2024-01-31'"),
        ({"symbols": "IBM", "start": pd.NaT}, "not a date or time"),
        ({"symbols": "IBM", "end": "2024-13-45"}, "not a date or time"),
    ],
)
def test_what_cannot_be_understood_is_said_in_one_sentence(
    stocked: Workbench, arguments: dict[str, object], said: str
) -> None:
    with pytest.raises(QueryError, match=said) as caught:
        stocked.data_ingestion.load_market_data(**arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("symbol", ["BRK.B", "O'Neil\"", "../x", "=1+1", "🚀", "%s", "a\\b\tc", " AAPL "])
def test_strange_symbols_are_symbols(wb: Workbench, make_bars: MakeBars, symbol: str) -> None:
    wb.data_ingestion.write_market_data(make_bars(symbol), source="file")
    bars = wb.data_ingestion.load_market_data(symbol)
    assert set(bars.index.get_level_values("symbol")) == {symbol}
    assert len(bars) == 5
