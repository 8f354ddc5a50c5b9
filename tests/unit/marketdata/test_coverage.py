"""Coverage: what is counted per symbol, where the gaps are, and that both pictures show them."""

from __future__ import annotations

import re
from pathlib import Path

import bokeh_sampledata.stocks as package
import numpy as np
import pandas as pd
import pytest

from workbench.errors import QueryError
from workbench.marketdata import Coverage, coverage
from workbench.marketdata.calendar import sessions


def bars(**symbols: pd.Index[pd.Timestamp]) -> pd.MultiIndex:
    names = [symbol for symbol, stamps in symbols.items() for _ in stamps]
    times = pd.DatetimeIndex([stamp for stamps in symbols.values() for stamp in stamps]).as_unit("us")
    return pd.MultiIndex.from_arrays([names, times], names=["symbol", "timestamp"])


# July 2024 without 4 July: 1, 2, 3, 5, 8, 9, 10, 11, 12, 15 and twelve more.
JULY = pd.bdate_range("2024-07-01", "2024-07-31", tz="UTC").delete(3)


@pytest.fixture
def known() -> Coverage:
    return coverage(bars(HOLED=JULY.delete([3, 4, 9]), WHOLE=JULY[5:], ONE=JULY[:1])[::-1])


def test_the_table_counts_what_there_is_between_the_first_and_the_last(known: Coverage) -> None:
    assert known.table.to_dict("index") == {
        "HOLED": {
            "first": JULY[0], "last": JULY[-1], "bars": 19, "expected": 22, "missing": 3,
            "share": 19 / 22, "longest_gap": 2,
        },
        "ONE": {
            "first": JULY[0], "last": JULY[0], "bars": 1, "expected": 1, "missing": 0,
            "share": 1.0, "longest_gap": 0,
        },
        "WHOLE": {
            "first": JULY[5], "last": JULY[-1], "bars": 17, "expected": 17, "missing": 0,
            "share": 1.0, "longest_gap": 0,
        },
    }  # fmt: skip
    assert [str(kind) for kind in known.table.dtypes] == [
        *["datetime64[us, UTC]"] * 2, *["int64"] * 3, "float64", "int64",
    ]  # fmt: skip


def test_the_gaps_are_listed_by_symbol_and_time(known: Coverage) -> None:
    assert known.gaps.to_dict("records") == [
        {"symbol": "HOLED", "start": JULY[3], "end": JULY[4], "bars": 2},
        {"symbol": "HOLED", "start": JULY[9], "end": JULY[9], "bars": 1},
    ]
    assert [str(kind) for kind in known.gaps.dtypes] == ["str", *["datetime64[us, UTC]"] * 2, "int64"]


def test_the_sample_has_every_session() -> None:
    # The package's own counts: 12,154 bars in all.
    days = {name: pd.to_datetime(pd.Series(getattr(package, name)["date"]), utc=True) for name in
            ("AAPL", "FB", "GOOG", "IBM", "MSFT")}  # fmt: skip
    found = coverage(bars(**{name: pd.Index(stamps) for name, stamps in days.items()}))
    assert found.table["bars"].sum() == found.table["expected"].sum() == 12_154
    assert found.gaps.empty
    assert repr(found).startswith("<Coverage: 5 symbols, 12,154 bars (100 % of XNYS's), none with gaps>")


def test_a_real_file_with_an_hour_taken_out(shared_data: Path) -> None:
    path = shared_data / "minute" / "spy-minute-2011-01.csv"
    ends = pd.to_datetime(pd.read_csv(path, sep=";", header=None)[0], format="%Y%m%d %H%M%S", utc=True)
    starts = pd.DatetimeIndex(ends).as_unit("us") - pd.Timedelta(minutes=1)
    hour = (starts >= pd.Timestamp("2011-01-12 15:00", tz="UTC")) & (
        starts < pd.Timestamp("2011-01-12 16:00", tz="UTC")
    )
    found = coverage(bars(SPY=starts[~hour]))
    # 20 sessions of 390 minutes; the bars of the nights count as bars, and nobody expects them.
    (row,) = found.table.to_dict("records")
    assert (row["bars"], row["expected"], row["missing"], row["longest_gap"]) == (14_120, 7_800, 60, 60)
    assert found.gaps["start"].tolist() == [pd.Timestamp("2011-01-12 15:00", tz="UTC")]


def test_bars_their_index_or_their_stamps_are_taken() -> None:
    index = bars(A=JULY.delete([3]), B=JULY)
    frame = pd.DataFrame({"close": 1.0}, index=index)
    pd.testing.assert_frame_equal(coverage(frame).table, coverage(index).table)
    alone = coverage(JULY.delete([3]))
    assert alone.table.index.tolist() == [""]
    assert alone.gaps["bars"].tolist() == [1]
    # 24/7 expects 31 days, the first to the last of the month.
    assert coverage(index, "24/7").table["expected"].tolist() == [31, 31]


def test_late_listings_of_a_wide_file_begin_late(shared_data: Path) -> None:
    # Its own README: 7,126 rows of 20 symbols, leading NaN for ten that were listed later.
    path = shared_data / "daily" / "closes-20-symbols-1989-2018.csv"
    wide = pd.read_csv(path, index_col=0, parse_dates=True).tz_localize("UTC")
    tidy = wide.rename_axis(index="timestamp", columns="symbol").melt(ignore_index=False, value_name="close")
    found = coverage(tidy.set_index("symbol", append=True).swaplevel())
    assert (found.table["bars"] < 7_126).sum() == 10
    assert found.table["bars"].to_dict() == wide.notna().sum().to_dict()
    starts = {name: column.first_valid_index() for name, column in wide.items()}
    assert found.table["first"].to_dict() == starts
    assert found.gaps.empty


def test_bars_outside_all_sessions_are_expected_by_nobody() -> None:
    found = coverage(bars(A=pd.date_range("2024-07-06", "2024-07-07", tz="UTC")))
    assert (found.table["expected"].iloc[0], found.table["bars"].iloc[0]) == (0, 2)
    assert np.isnan(found.table["share"].iloc[0])


def test_nothing_is_covered_by_nothing() -> None:
    found = coverage(bars(A=JULY)[:0])
    assert (len(found.table), len(found.gaps)) == (0, 0)
    assert found.table.dtypes.equals(coverage(bars(A=JULY)).table.dtypes)
    assert "no bars" in repr(found)
    assert "no bars" in found._repr_html_()
    with pytest.raises(QueryError, match="no bars to draw"):
        found.picture()


def test_what_is_no_bars_is_refused() -> None:
    with pytest.raises(QueryError, match=r"indexed \(symbol, timestamp\)"):
        coverage(pd.DataFrame({"symbol": ["A"], "timestamp": JULY[:1]}))
    with pytest.raises(QueryError, match="without a time zone"):
        coverage(pd.DatetimeIndex(["2024-07-01"]))
    with pytest.raises(QueryError, match="not a list"):
        coverage(["2024-07-01"])  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="no exchange calendar"):
        coverage(JULY, "XNYZ")


def test_the_picture_has_a_row_a_symbol_with_its_spans_and_gaps(known: Coverage) -> None:
    figure = known.picture()
    there, missing = figure.data
    spans = {
        (symbol, base[5:10], round(width / 86_400_000)): 1
        for symbol, base, width in zip(there.y, there.base, there.x, strict=True)
    }
    # Days on the axis: a bar of the 3rd reaches to the 4th, and what there is on from the end of a gap.
    holed = {("HOLED", "07-01", 4), ("HOLED", "07-09", 6), ("HOLED", "07-16", 16)}
    assert set(spans) == {*holed, ("ONE", "07-01", 1), ("WHOLE", "07-09", 23)}
    assert [(s, b[:10], n) for s, b, n in zip(missing.y, missing.base, missing.customdata, strict=True)] == [
        ("HOLED", "2024-07-05", 2),
        ("HOLED", "2024-07-15", 1),
    ]
    assert figure.layout.title.text == "3 symbols, 37 bars (92.5 % of XNYS's), 1 with gaps"
    assert [note.text for note in figure.layout.annotations] == ["86.3 %", "100 %", "100 %"]
    assert list(figure.layout.yaxis.categoryarray) == ["HOLED", "ONE", "WHOLE"]
    # Nothing in it is white or black: it lies on the page's own ground.
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"


def test_the_picture_of_many_symbols_stays_of_a_size_that_a_browser_can_show() -> None:
    days = sessions("XNYS", "2010-01-01", "2023-12-31")
    # Every fifth session missing, of each symbol: 700 gaps each.
    holed = days.delete(range(3, len(days) - 1, 5))
    index = pd.MultiIndex.from_product(
        [[f"S{n:03}" for n in range(120)], holed], names=["symbol", "timestamp"]
    )
    found = coverage(index)
    assert len(found.gaps) > 80_000
    figure = found.picture()
    assert sum(len(trace.y) for trace in figure.data) <= 45_000
    assert figure.layout.height == 1000
    assert not figure.layout.annotations
    html = found._repr_html_()
    assert html.count("<svg") == 30
    # Squeezed where a page is narrow, never cut off: the newest bars are at its end.
    assert html.count("viewBox") == 30
    assert "the 30 of 120 with most missing" in html
    assert len(html) < 1_500_000


def test_the_html_shows_each_symbol_with_a_strip_and_needs_nothing_from_elsewhere(known: Coverage) -> None:
    html = known._repr_html_()
    assert [s.count("<rect") for s in re.findall(r"<svg.*?</svg>", html)] == [5, 1, 1]
    assert "86.3 %" in html
    assert not re.search(r"https?://|<script|<link|<style", html)
    hostile = coverage(bars(**{"<b>&": JULY}))._repr_html_()
    assert "&lt;b&gt;&amp;" in hostile
    assert "<b>" not in hostile
