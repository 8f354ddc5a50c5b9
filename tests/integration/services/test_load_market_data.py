"""What `load_market_data` promises: whose bars, from which source, of which range, in which shape."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import pandas as pd
import pytest

from tests.integration.conftest import MakeBars
from workbench import Settings, Workbench
from workbench.errors import AmbiguousSource, EmptyRange, NoBarsWarning, QueryError, UnknownSymbol

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


@pytest.fixture
def of_yahoo(database_settings: Settings) -> Iterator[Workbench]:
    """A Workbench of a project whose data source is yahoo, and whose calendar is London's."""
    settings = database_settings.model_copy(update={"data_source": "yahoo", "calendar": "XLON"})
    with Workbench(settings) as workbench:
        yield workbench


def test_the_project_s_data_source_is_taken_whatever_others_hold(
    stocked: Workbench, of_yahoo: Workbench, make_bars: MakeBars
) -> None:
    load = of_yahoo.data_ingestion.load_market_data
    assert load("AAPL")["close"].tolist() == [10, 11, 12, 13, 14]
    assert load("AAPL", source="yahoo_adjusted")["close"].tolist() == [20, 21, 22, 23, 24]
    pd.testing.assert_frame_equal(load(), load(["AAPL", "IBM"], source="yahoo"))
    # Bars of another source are not taken in their place, without a word.
    stocked.data_ingestion.write_market_data(make_bars("MSFT"), source="file")
    with pytest.warns(NoBarsWarning, match="yahoo has none of MSFT, but file has it from"):
        assert load("MSFT").empty


def test_the_project_s_calendar_is_that_of_coverage(stocked: Workbench, of_yahoo: Workbench) -> None:
    assert stocked.data_ingestion.coverage("IBM").calendar == "XNYS"
    assert of_yahoo.data_ingestion.coverage("IBM").calendar == "XLON"
    assert of_yahoo.data_ingestion.coverage("IBM", calendar="24/7").calendar == "24/7"


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
    with pytest.raises(
        UnknownSymbol, match=r'there are: none yet. To get them: wb.ingest\("AAPL", source="sample"\)'
    ):
        wb.data_ingestion.load_market_data("AAPL")
    with pytest.warns(NoBarsWarning, match=r'no bars yet; to get some: wb.ingest\(\["AAPL", "IBM"\], source'):
        assert wb.data_ingestion.load_market_data().empty


@pytest.mark.parametrize(
    ("symbols", "advice"),
    [
        (
            "MSFT",
            (
                'wb.ingest("MSFT", source="sample") or workbench ingest MSFT --source sample '
                "(other sources: file, yahoo, …)"
            ),
        ),
        (
            "BRK B",
            (
                """wb.ingest("BRK B", source="yahoo") or workbench ingest 'BRK B' --source yahoo """
                "(other sources: file, polygon, alpaca)"
            ),
        ),
        (
            ["NOPE", "FB", "GOOG"],
            (
                'wb.ingest(["FB", "GOOG"], source="sample") or workbench ingest FB GOOG --source sample '
                '(other sources: file, yahoo, …); and wb.ingest("NOPE", source="yahoo") or '
                "workbench ingest NOPE --source yahoo (other sources: file, polygon, alpaca)"
            ),
        ),
    ],
)
def test_the_sample_is_advised_only_for_what_it_has(
    stocked: Workbench, symbols: str | list[str], advice: str
) -> None:
    with pytest.raises(UnknownSymbol) as caught:
        stocked.data_ingestion.load_market_data(symbols)
    assert str(caught.value).endswith(f"To get them: {advice}")


@pytest.mark.parametrize(
    ("symbols", "meant"),
    [
        ("APPL", "APPL were ever ingested (did you mean AAPL?); there are: AAPL, IBM. To get them: wb."),
        ("ibm", "ibm were ever ingested (did you mean IBM?); there"),
        (["IBN", "AAPL", "APPL"], "IBN, APPL were ever ingested (did you mean IBM or AAPL?); there"),
        ("NOPE", "NOPE were ever ingested; there"),
    ],
)
def test_a_mistyped_symbol_is_answered_with_the_near_one(
    stocked: Workbench, symbols: str | list[str], meant: str
) -> None:
    with pytest.raises(UnknownSymbol) as caught:
        stocked.data_ingestion.load_market_data(symbols, source="yahoo")
    assert str(caught.value).startswith(f"no bars of {meant}")


def _without_bars(wb: Workbench) -> None:
    """As an ingestion leaves a series of which every row was refused, and one that failed."""
    now = pd.Timestamp("2024-05-01", tz="UTC")
    known: dict[str, dict[str, object]] = {
        "BAD": {"last_success_at": now},
        "FAILED": {"last_error_at": now, "last_error": "the vendor does not know it"},
    }
    for symbol, facts in known.items():
        status = pd.DataFrame([{"symbol": symbol, "data_source": "file", **facts}])
        wb.data_ingestion.write_ingestion_status(status)


def test_what_was_ingested_without_a_bar_is_not_among_those_there_are(stocked: Workbench) -> None:
    _without_bars(stocked)
    with pytest.raises(UnknownSymbol) as caught:
        stocked.data_ingestion.load_market_data(["FAILED"])
    assert caught.value.known == ("AAPL", "IBM")
    with pytest.warns(NoBarsWarning, match=r"^no bars of BAD: BAD was ingested, but no bar of it is stored"):
        assert stocked.data_ingestion.load_market_data("BAD").empty


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
    with pytest.warns(NoBarsWarning):
        found = [load("IBM", "2030-01-01", "2031-01-01"), load("IBM", source="alpaca"), load([])]
    for empty in found:
        assert empty.empty
        pd.testing.assert_series_equal(empty.dtypes, full.dtypes)
        pd.testing.assert_index_equal(empty.index, full.index[:0], exact=True)


REACH = "yahoo has IBM from 2024-01-01 to 2024-01-05"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"start": "2030-01-01"}, f"no bars of IBM from 2030-01-01: {REACH}"),
        ({"end": "2024-01-01"}, f"no bars of IBM before 2024-01-01: {REACH}"),
        (
            {"start": "2020-01-01", "end": "2021-01-01 09:30"},
            f"no bars of IBM from 2020-01-01 before 2021-01-01 09:30 UTC: {REACH}",
        ),
        ({"start": "2030-01-01", "latest": 2}, f"no bars of IBM from 2030-01-01: {REACH}"),
        ({"start": "2030-01-01", "adjust": "splits"}, f"no bars of IBM from 2030-01-01: {REACH}"),
        (
            {"start": "2024-01-02 06:00", "end": "2024-01-02 18:00"},
            (
                f"no bars of IBM from 2024-01-02 06:00 UTC before 2024-01-02 18:00 UTC: {REACH}, "
                "with a gap there"
            ),
        ),
        (
            {"source": "alpaca"},
            "no bars of IBM: alpaca has none of IBM, but yahoo has it from 2024-01-01 to 2024-01-05",
        ),
    ],
)
def test_a_named_symbol_without_a_bar_in_range_is_warned_of_with_where_its_series_begins_and_ends(
    stocked: Workbench, arguments: dict[str, Any], said: str
) -> None:
    with pytest.warns(NoBarsWarning, match=f"^{re.escape(said)}$") as told:
        assert stocked.data_ingestion.load_market_data("IBM", **arguments).empty
    warning = told[0].message
    assert isinstance(warning, NoBarsWarning)
    assert (warning.symbols, warning.source) == (("IBM",), arguments.get("source", "yahoo"))
    assert told[0].filename == __file__, "the line that asked, not one of workbench's"


def test_coverage_warns_at_the_line_that_asked(stocked: Workbench) -> None:
    with pytest.warns(NoBarsWarning, match="no bars of IBM from 2030-01-01") as told:
        assert stocked.data_ingestion.coverage("IBM", "2030-01-01").table.empty
    assert told[0].filename == __file__


def test_one_symbol_of_several_without_a_bar_is_warned_of_and_the_others_load(
    stocked: Workbench, make_bars: MakeBars
) -> None:
    load = stocked.data_ingestion.load_market_data
    stocked.data_ingestion.write_market_data(make_bars("LATE", start="2024-06-01"), source="yahoo")
    with pytest.warns(NoBarsWarning, match="^no bars of LATE before 2024-02-01: yahoo has LATE from 2024-06"):
        assert list(load(["IBM", "LATE"], end="2024-02-01").index.unique("symbol")) == ["IBM"]


def test_of_a_series_whose_bars_were_deleted_that_is_said(stocked: Workbench) -> None:
    with stocked.data_ingestion.pool.begin() as connection:
        connection.exec_driver_sql("DELETE FROM data_ingestion.market_data WHERE symbol = 'IBM'")
    with pytest.warns(NoBarsWarning, match="^no bars of IBM: all bars of IBM were deleted$"):
        assert stocked.data_ingestion.load_market_data("IBM").empty


def test_of_many_symbols_without_a_bar_the_first_are_told_of_and_the_others_counted(
    stocked: Workbench, make_bars: MakeBars
) -> None:
    names = [f"S{number}" for number in range(8)]
    frame = pd.concat([make_bars(name) for name in names])
    stocked.data_ingestion.write_market_data(frame, source="yahoo")
    with pytest.warns(NoBarsWarning) as told:
        assert stocked.data_ingestion.load_market_data(names, start="2030-01-01").empty
    text = str(told[0].message)
    assert text.startswith(
        "no bars of 8 symbols from 2030-01-01: yahoo has S0 from 2024-01-01 to 2024-01-05; "
    )
    assert text.endswith("; and 3 more, see load_ingestion_status()")


def test_what_is_as_it_should_be_is_not_warned_of(stocked: Workbench, make_bars: MakeBars) -> None:
    """Warnings are errors here: a symbol that starts later, or ends earlier, than asked is none."""
    load = stocked.data_ingestion.load_market_data
    stocked.data_ingestion.write_market_data(make_bars("LATE", start="2024-01-04"), source="yahoo")
    assert len(load(["IBM", "LATE"], "2020-01-01", "2024-01-06")) == 7
    assert len(load(["IBM", "LATE"], "2024-01-05", "2030-01-01")) == 5
    assert len(load(source="yahoo", end="2024-01-04")) == 6, "of all there are, some may have none"
    assert load([]).empty


def test_where_nothing_at_all_is_found_it_is_warned_of_also_without_a_name(stocked: Workbench) -> None:
    load = stocked.data_ingestion.load_market_data
    with pytest.warns(
        NoBarsWarning, match=r"^no bars of AAPL, IBM from 2030-01-01: yahoo has AAPL from .*; "
    ):
        assert load(source="yahoo", start="2030-01-01").empty
    with pytest.warns(
        NoBarsWarning, match=r"no bars are from 'elsewhere'; there are bars from yahoo, yahoo_a"
    ):
        assert load(source="elsewhere").empty


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
