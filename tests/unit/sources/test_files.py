"""The user's own files: each row is read as numbers, or has the reason why it could not be."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.errors import FileRefused, SourceError, UnknownSymbol
from workbench.sources.files import FileSource
from workbench.sources.source import ROW_COLUMNS, RawBars

HEAD = "date,open,high,low,close,volume\n"
NUMBERS = "1,2,0.5,1.5,100"


def write(folder: Path, text: str | bytes, name: str = "bars.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def fetch(path: Path, **told: Any) -> RawBars:
    (raw,) = FileSource(path, **told).fetch(["X"])
    assert tuple(raw.rows.columns) == ROW_COLUMNS
    assert str(raw.rows["timestamp"].dtype) == "datetime64[us, UTC]"
    return raw


def fetch_dates(folder: Path, *dates: str, **told: Any) -> pd.DataFrame:
    return fetch(write(folder, HEAD + "".join(f'"{date}",{NUMBERS}\n' for date in dates)), **told).rows


@pytest.mark.parametrize(
    "dates",
    [
        ("2017-01-03", "2017-01-13"),
        ("2017/01/03", "2017/1/13"),
        ("20170103", "20170113"),
        ("1/3/2017", "1/13/2017"),
        ("3/1/2017", "13/1/2017"),
        ("03.01.2017", "13.01.2017"),
        ("1/3/17", "01/13/17"),
        ("3-Jan-17", "13-JAN-17"),
        ("3-Jan-2017", "13 January 2017"),
        ("Jan 3, 2017", "Jan 13, 2017"),
        ("1483401600", "1484265600"),
        ("1483401600000", "1484265600000"),
        ("2017-01-03 00:00:00", "2017-01-13 00:00:00"),
        ("2017-01-03T00:00:00Z", "2017-01-12 19:00-05:00"),
    ],
)
def test_dates_are_recognised_from_the_whole_column(tmp_path: Path, dates: tuple[str, str]) -> None:
    rows = fetch_dates(tmp_path, *dates)
    assert rows["timestamp"].tolist() == [
        pd.Timestamp("2017-01-03", tz="UTC"),
        pd.Timestamp("2017-01-13", tz="UTC"),
    ]
    assert (rows["rule"] == "").all()


@pytest.mark.parametrize(
    "date",
    ["2017-01-03 14:30:05.25", "20170103 143005.25", "1/13/2017 2:30:05.25 PM", "13-Jan-17 14:30:05.25"],
)
def test_times_of_a_told_zone_become_utc(tmp_path: Path, date: str) -> None:
    # New York is five hours behind UTC in January.
    rows = fetch_dates(tmp_path, date, timezone="America/New_York")
    assert rows["timestamp"].dt.strftime("%H:%M:%S.%f").tolist() == ["19:30:05.250000"]


def test_dates_that_could_be_read_both_ways_are_asked_about_and_then_told(tmp_path: Path) -> None:
    with pytest.raises(
        FileRefused, match=r'row 1: "1/2/2017".*--date-format, e\.g\. "%m/%d/%Y" or "%d/%m/%Y"'
    ):
        fetch_dates(tmp_path, "1/2/2017", "3/4/2017")
    assert fetch_dates(tmp_path, "1/2/2017", date_format="%d/%m/%Y")["timestamp"].tolist()[0].month == 2
    # The same day and month leave nothing open.
    assert fetch_dates(tmp_path, "2/2/2017")["timestamp"].tolist()[0].month == 2


def test_dates_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match=r"some dates are day first \(row 1.*some month first \(row 2"):
        fetch_dates(tmp_path, "13/1/2017", "1/13/2017")


def test_dates_that_cannot_be_read_are_rows_with_reasons(tmp_path: Path) -> None:
    dates = (
        "2017-01-03T00:00Z",
        "2017-02-30",
        "soon",
        "",
        "2017-01-03T25:00Z",
        "2017-01-03 10:00:00.0000001Z",
    )
    rows = fetch_dates(tmp_path, *dates)
    assert rows["rule"].tolist() == [
        "",
        "unreadable_timestamp",
        "unreadable_timestamp",
        "missing_timestamp",
        "unreadable_timestamp",
        "timestamp_too_fine",
    ]
    assert rows["reason"].tolist()[2] == 'date: "soon" is not a date'
    assert rows["timestamp"].isna().tolist() == [False, True, True, True, True, True]


def test_a_column_without_one_date_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match=r'column date has no date, e.g. "soon".*--date-format'):
        fetch_dates(tmp_path, "soon", "later")


def test_naive_times_are_rows_that_say_which_option_is_missing(tmp_path: Path) -> None:
    rows = fetch_dates(tmp_path, "2017-01-03 09:30", "2017-01-03 09:31")
    assert rows["rule"].tolist() == ["naive_timestamp"] * 2
    assert rows["reason"].tolist()[0].endswith("has no time zone; give it, e.g. --timezone America/New_York")
    assert rows["timestamp"].isna().all()


def test_a_bare_date_among_times_is_a_naive_midnight_not_a_daily_bar(tmp_path: Path) -> None:
    assert fetch_dates(tmp_path, "2017-01-03", "2017-01-03 09:31")["rule"].tolist() == ["naive_timestamp"] * 2


def test_hours_that_clocks_skip_or_repeat_are_rows_with_reasons(tmp_path: Path) -> None:
    # Daylight saving time in New York: from 2017-03-12 02:00 to 2017-11-05 02:00.
    times = ("2017-03-12 02:30", "2017-11-05 01:30", "2017-11-05 02:30")
    rows = fetch_dates(tmp_path, *times, timezone="America/New_York")
    assert rows["rule"].tolist() == ["nonexistent_time", "ambiguous_time", ""]
    assert rows["timestamp"].tolist()[2] == pd.Timestamp("2017-11-05 07:30", tz="UTC")


@pytest.mark.parametrize(
    ("text", "rule", "reason"),
    [
        ("-", "not_a_number", 'open: "-" is not a number'),
        ("", "missing_value", "open is empty"),
        ("NaN", "not_finite", 'open: "NaN" is not a finite number'),
        ("-inf", "not_finite", 'open: "-inf" is not a finite number'),
        ("1e400", "not_finite", 'open: "1e400" is beyond a float64'),
        ("1e-400", "inexact_number", 'open: "1e-400" has more digits than a float64 holds'),
        ("1234567890.12345678", "inexact_number", "has more digits than a float64 holds"),
        ('"1,234"', "not_a_number", 'open: "1,234" is not a plain number (no thousands separator'),
        ("1_000", "not_a_number", 'open: "1_000" is not a number'),
        ("0x10", "not_a_number", 'open: "0x10" is not a number'),
        ("١", "not_a_number", "is not a number"),
        ("$5", "not_a_number", 'open: "$5" is not a number'),
    ],
)
def test_a_text_that_is_no_number_is_a_row_with_a_reason(
    tmp_path: Path, text: str, rule: str, reason: str
) -> None:
    rows = fetch(write(tmp_path, f"{HEAD}2017-01-03,{text},2,0.5,1.5,100\n2017-01-04,{NUMBERS}\n")).rows
    assert rows["rule"].tolist() == [rule, ""]
    assert reason in rows["reason"].tolist()[0]
    assert pd.isna(rows["open"].tolist()[0])
    assert rows["raw"].tolist()[0]["open"] == text.strip('"')


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    prices=st.lists(
        st.decimals(min_value=0, max_value=9_999_999, places=8, allow_nan=False, allow_infinity=False),
        min_size=1,
        max_size=20,
    )
)
def test_numbers_of_up_to_eight_decimals_survive_exactly(tmp_path: Path, prices: list[Decimal]) -> None:
    text = HEAD + "".join(f"2017-01-03,{price:f},2,0.5,1.5,{price:E}\n" for price in prices)
    rows = fetch(write(tmp_path, text)).rows
    for column in ("open", "volume"):
        assert [Decimal(repr(value)) for value in rows[column].tolist()] == prices


def test_lines_with_too_few_or_too_many_fields_are_accounted_for(tmp_path: Path) -> None:
    text = f"{HEAD}2017-01-03,{NUMBERS}\n\n2017-01-04,1,2\n2017-01-05,{NUMBERS},9\n2017-01-06,{NUMBERS}\n"
    rows = fetch(write(tmp_path, text)).rows
    assert rows["row"].tolist() == [1, 2, 3, 4]
    assert rows["rule"].tolist() == ["", "malformed_row", "malformed_row", ""]
    assert rows["reason"].tolist()[1] == "the row has 3 fields, the first line has 6"
    assert rows["raw"].tolist()[1] == {"line": "2017-01-04,1,2"}
    assert rows["raw"].tolist()[3]["volume"] == "100"


def test_a_file_of_malformed_lines_only_is_accounted_for(tmp_path: Path) -> None:
    assert fetch(write(tmp_path, HEAD + "a\nb\n")).rows["rule"].tolist() == ["malformed_row"] * 2


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_separators_gzip_byte_order_marks_and_line_ends(
    tmp_path: Path, separator: str, zipped: bool, mark: bytes
) -> None:
    text = f"Date,Open,High,Low,Close/Last,Vol.\r\n2017-01-03,{NUMBERS}\r\n".replace(",", separator)
    data = mark + text.encode()
    rows = fetch(write(tmp_path, gzip.compress(data) if zipped else data, "bars.csv.gz")).rows
    assert rows[["open", "high", "low", "close", "volume"]].values.tolist() == [[1, 2, 0.5, 1.5, 100]]


def test_columns_are_told_by_name_by_number_or_joined(tmp_path: Path) -> None:
    odd = write(tmp_path, "Date,Time,Open,High,Low,Price,Volume\n2017-01-03,09:30,1,2,0.5,1.5,100\n")
    with pytest.raises(
        FileRefused, match=r"timestamp could be Date or Time; .*--column timestamp=Date\+Time"
    ):
        fetch(odd)
    with pytest.raises(
        FileRefused, match=r"no column for close among the columns \(Date, .*--column close=NAME"
    ):
        fetch(odd, columns={"timestamp": "Date+Time"})
    told = {"timestamp": "Date+Time", "close": "price"}
    assert fetch(odd, columns=told, timezone="UTC").rows["timestamp"].tolist()[0].minute == 30
    with pytest.raises(FileRefused, match='--column close=Prize: no column "Prize"; the columns are Date'):
        fetch(odd, columns={"timestamp": "Date", "close": "Prize"})
    bare = write(tmp_path, f"20170103;{NUMBERS.replace(',', ';')}\n")
    with pytest.raises(FileRefused, match=r"no header line.*--column timestamp=1 --column open=2"):
        fetch(bare)
    fields = ("timestamp", "open", "high", "low", "close", "volume")
    assert len(fetch(bare, columns={field: str(i) for i, field in enumerate(fields, 1)}).rows) == 1


def test_an_adjusted_close_is_never_taken_for_the_close(tmp_path: Path) -> None:
    path = write(tmp_path, "Date,Open,High,Low,Close,Adj Close,Volume\n2017-01-03,1,2,0.5,1.5,0.7,100\n")
    assert fetch(path).rows["close"].tolist() == [1.5]
    path = write(tmp_path, "Date,Open,High,Low,Adj Close,Volume\n2017-01-03,1,2,0.5,0.7,100\n")
    with pytest.raises(FileRefused, match="no column for close"):
        fetch(path)


def test_columns_that_are_not_used_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, f"Date,Adj Close,{HEAD[5:-1]},Note\n2017-01-03,9,{NUMBERS},x\n")
    assert fetch(path).unused == ("Adj Close", "Note")
    assert fetch(path, columns={"close": "Adj Close"}).unused == ("close", "Note")
    assert fetch(write(tmp_path, HEAD + f"2017-01-03,{NUMBERS}\n")).unused == ()


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet"])
def test_a_wide_table_of_closes_is_refused_with_the_lines_that_turn_it_round(
    tmp_path: Path, kind: str
) -> None:
    wide = pd.DataFrame({"Date": ["2017-01-03", "2017-01-04"], "AAPL": [116.15, 116.02], "V": [79.5, None]})
    path = tmp_path / f"closes.{kind}"
    if kind == "parquet":
        wide.rename(columns={"V": "MSFT"}).to_parquet(path)
    else:
        wide.rename(columns={"V": "MSFT"}).to_csv(path, index=False)
    with pytest.raises(FileRefused, match=r"a column of closes for each symbol \(AAPL, MSFT\)") as refused:
        list(FileSource(path).fetch(["AAPL"]))
    # What it says is what helps, typed into an empty session in whatever folder.
    code = str(refused.value)[str(refused.value).index("import pandas") :]
    exec(code, {})
    with pytest.raises(FileExistsError):
        exec(code, {})
    aapl, msft = FileSource(tmp_path / "closes-long.csv").fetch(["AAPL", "MSFT"])
    assert aapl.rows["close"].tolist() == [116.15, 116.02]
    assert msft.rows[["open", "high", "low", "close"]].to_numpy().tolist() == [[79.5] * 4]
    assert (aapl.rows["rule"] == "").all()


def test_options_that_cannot_be_meant_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match='no time zone "Mars/Base"'):
        FileSource(tmp_path / "x.csv", timezone="Mars/Base")
    with pytest.raises(SourceError, match='no column "cloze"; they have timestamp'):
        FileSource(tmp_path / "x.csv", columns={"cloze": "Last"})
    with pytest.raises(FileRefused, match="date format"):
        fetch_dates(tmp_path, "2017-01-03", date_format="%Q")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\n \n", "is empty"),
        (HEAD.encode(), "has columns but no rows"),
        (b"\x00\x01\x02" * 100, "is neither a text file"),
        (b"\xff\xfe" + HEAD.encode("utf-16-le"), "is neither a text file"),
        (HEAD.encode() + b"2017-01-03,\xe9,2,0.5,1.5,100\n", "is not in UTF-8"),
        (b"\x1f\x8b\x08\x00 cut off", "is gzipped, but damaged"),
        (b"PAR1 but nothing else", "is not a readable Parquet file"),
        (HEAD.encode() + b'"2017-01-03,1,2,0.5,1.5,100\n', "has a quotation mark that is never closed"),
    ],
)
def test_what_is_no_table_of_bars_is_refused_in_one_sentence(
    tmp_path: Path, content: bytes, message: str
) -> None:
    with pytest.raises(FileRefused, match=message) as refused:
        fetch(write(tmp_path, content))
    assert refused.value.path
    assert "\n" not in str(refused.value)


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match=r"there is no file .*gone\.csv"):
        fetch(tmp_path / "gone.csv")
    with pytest.raises(FileRefused, match="is a directory"):
        fetch(tmp_path)


def test_a_file_with_a_symbol_column_gives_each_symbol_its_rows_and_loses_none(tmp_path: Path) -> None:
    text = (
        f"ticker,{HEAD}A,2017-01-03,{NUMBERS}\nB,2017-01-03,{NUMBERS}\n,2017-01-04,{NUMBERS}\n"
        f"A,2017-01-04\nC,2017-01-04\n B ,2017-01-05,{NUMBERS}\n"
    )
    source = FileSource(write(tmp_path, text))
    found = {raw.symbol: raw.rows for raw in source.fetch(["A", "B"])}
    assert {symbol: rows["row"].tolist() for symbol, rows in found.items()} == {
        "A": [1, 4],
        "B": [2, 6],
        "": [3, 5],
    }
    assert found["A"]["rule"].tolist() == ["", "malformed_row"]
    assert found[""]["rule"].tolist() == ["missing_symbol", "malformed_row"]
    with pytest.raises(UnknownSymbol, match="does not have Z; it has A, B"):
        source.fetch(["A", "Z"])


def test_a_file_without_a_symbol_column_is_of_one_symbol(tmp_path: Path) -> None:
    source = FileSource(write(tmp_path, f"{HEAD}2017-01-03,{NUMBERS}\n"))
    for symbols in ([], ["A", "B"]):
        with pytest.raises(SourceError, match="give exactly one"):
            source.fetch(symbols)


def test_the_range_keeps_rows_whose_timestamp_cannot_be_read(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "".join(f"{d},{NUMBERS}\n" for d in ("2017-01-03", "", "2017-01-05")))
    (raw,) = FileSource(path).fetch(["X"], pd.Timestamp("2017-01-04", tz="UTC"), None)
    assert raw.rows["row"].tolist() == [2, 3]
