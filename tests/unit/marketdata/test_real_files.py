"""Every row of every real file is a good bar, or refused with a reason; what is odd is noted, and no more."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from workbench.errors import FileRefused
from workbench.marketdata import CheckedBars, check
from workbench.sources.files import FileSource
from workbench.sources.sample import SampleSource

NEW_YORK = {"timezone": "America/New_York"}
HEADLESS = {
    "timezone": "UTC",
    "columns": {"timestamp": "1", "open": "2", "high": "3", "low": "4", "close": "5", "volume": "6"},
}
MONTH_FIRST = {"date_format": "%m/%d/%Y %H:%M"}

# Rows by `wc -l` less the header. The rules by a script with csv and Decimal that knows only what is
# forbidden; of bad.csv, awk counts 50 rows without a date, 51 without numbers, and 54 with a price of
# zero or less (51 zeros, 3 negatives). Its 50 rows at 1e-8 are 44 consistent ones with 11 decimals and
# 6 of the 7 whose close lies outside the range.
REAL = [
    ("dirty/default.csv", {}, 502, {}),
    ("dirty/mismatch.csv", {}, 502, {}),
    ("dirty/penny.csv", {}, 533, {}),
    ("dirty/zeros.csv", {}, 0, {"non_positive_price": 200}),
    ("dirty/toobig.csv", {}, 0, {"too_large": 1246}),
    ("dirty/orcl-2010-googlefinance-malformed.csv", {}, 251, {"not_a_number": 1}),
    (
        "dirty/bad.csv",
        {},
        293,
        {
            "missing_timestamp": 50,
            "missing_value": 51,
            "non_positive_price": 54,
            "negative_volume": 1,
            "high_below_low": 2,
            "outside_range": 7,
            "too_many_decimals": 44,
        },
    ),
    ("dirty/intraday.csv", {}, 0, {"naive_timestamp": 1564}),
    ("dirty/intraday.csv", NEW_YORK, 1564, {}),
    ("daily/yahoofinance-AAPL-20040819-20180120.csv", {}, 3379, {}),
    ("daily/yahoofinance-GOOG-20040819-20180120.csv", {}, 3379, {}),
    ("daily/yahoofinance-INTC-19950101-20040412.csv", {}, 2335, {}),
    # The two that the data's own README names: 2015-03-05 and 2015-03-30.
    ("daily/yahoofinance-SPY-20080101-20180101.csv", {}, 2517, {"outside_range": 2}),
    ("minute/SP500_NOV2019_IDay.csv", MONTH_FIRST, 0, {"naive_timestamp": 1563}),
    ("minute/SP500_NOV2019_IDay.csv", {**MONTH_FIRST, **NEW_YORK}, 1563, {}),
    ("minute/spy-minute-2011-01.csv", HEADLESS, 14180, {}),
]

# What is noted of each file against the calendar of New York; of those above that are not here, nothing.
# Counted by other means: the wicks over ten times 1.4826 times the median of the last 63 absolute returns
# by a loop over the lines in plain Python; the repeats and the rows about a jump by awk; the sessions by
# numpy's busday_count with the exchange's published holidays.
NOTED: dict[str, dict[str, list[int]]] = {
    # The flash crash of 2010-05-06: Apple at 199.25 before its splits, SPY at 105, for a few minutes.
    "daily/yahoofinance-AAPL-20040819-20180120.csv": {"spike": [1439]},
    "daily/yahoofinance-SPY-20080101-20180101.csv": {"spike": [592]},
    # The one bar of 2016 was a holiday, 242 sessions before 2017 are missing, and the day it was put in for.
    "dirty/mismatch.csv": {"off_session": [20], "gap": [1, 11]},
    # 50 bars at 225, at 0.0002 and at 2.4e7, and 50 without a date.
    "dirty/bad.csv": {"stale": [53], "jump": [101, 151, 301], "gap": [301]},
    # Three alike at 23:17 to 23:21 on the 27th.
    "minute/spy-minute-2011-01.csv": {"stale": [12666]},
}


def read(path: Path, told: dict[str, Any], calendar: str | None = None) -> tuple[int, CheckedBars]:
    (raw,) = FileSource(path, **told).fetch(["X"])
    checked = check(raw.rows, symbol="X", data_source="file", origin=path.name, calendar=calendar)
    return len(raw.rows), checked


@pytest.mark.parametrize(("name", "told", "good", "refused"), REAL)
def test_every_row_is_good_or_refused_with_a_reason(
    shared_data: Path, name: str, told: dict[str, Any], good: int, refused: dict[str, int]
) -> None:
    path = shared_data / name
    lines = len(path.read_text(encoding="utf-8-sig").splitlines()) - (told is not HEADLESS)
    rows, checked = read(path, told)
    assert rows == lines == good + sum(refused.values())
    assert len(checked.good) == good
    assert Counter(checked.refused["rule"]) == refused
    assert (checked.refused["reason"] != "").all()
    assert checked.refused["row"].is_unique
    assert json.loads(json.dumps(checked.refused["raw"].tolist())) == checked.refused["raw"].tolist()


@pytest.mark.parametrize(("name", "told", "good", "_refused"), REAL)
def test_what_is_odd_in_a_real_file_is_noted_and_nothing_else_is(
    shared_data: Path, name: str, told: dict[str, Any], good: int, _refused: dict[str, int]
) -> None:
    _, checked = read(shared_data / name, told, "XNYS")
    rows = checked.noted.groupby("rule")["row"].apply(list).to_dict()
    if name.startswith("minute/spy"):
        # 20 sessions, and bars before and after each: 21 stretches, by a loop over the lines.
        assert len(rows.pop("off_session")) == 21
    assert rows == NOTED.get(name, {})
    assert len(checked.good) == good
    assert set(checked.noted["severity"]) <= {"warning"}


def test_minutes_of_new_york_that_were_read_as_utc_are_told_the_shift(shared_data: Path) -> None:
    """In December New York is five hours behind."""
    for name, told in (("dirty/intraday.csv", {}), ("minute/SP500_NOV2019_IDay.csv", MONTH_FIRST)):
        _, checked = read(shared_data / name, {**told, "timezone": "UTC"}, "XNYS")
        (note,) = checked.noted.to_dict("records")
        assert note["rule"] == "wrong_zone"
        assert "shifted by +5 hours, 100% would lie inside" in note["reason"]


def test_the_splits_of_raw_prices_are_noted_unless_known() -> None:
    """Two for one: AAPL on 2000-06-21 and 2005-02-28, MSFT on 2003-02-18, as the companies announced.

    AAPL's fall by half on 2000-09-29, after its profit warning, comes near to one, and is none.
    """
    ex_dates = {"AAPL": ["2000-06-21", "2005-02-28"], "MSFT": ["2003-02-18"]}
    for raw in SampleSource().fetch(["AAPL", "IBM", "MSFT", "GOOG", "FB"]):
        days = ex_dates.get(raw.symbol, []) if raw.data_source == "yahoo" else []
        told: dict[str, Any] = {"symbol": raw.symbol, "data_source": raw.data_source, "origin": raw.origin}
        noted = check(raw.rows, **told, calendar="XNYS").noted
        splits = noted.loc[noted["rule"] == "possible_split", "timestamp"]
        assert splits.dt.strftime("%Y-%m-%d").tolist() == days
        rest = noted[noted["rule"] != "possible_split"]
        crash = ["2010-05-06"] if raw.symbol == "AAPL" else []
        assert rest["timestamp"].dt.strftime("%Y-%m-%d").tolist() == crash
        known = {"symbol": raw.symbol, "kind": "split", "value": 2.0, "applied": False}
        actions = pd.DataFrame([known | {"ex_date": pd.Timestamp(day)} for day in days])
        assert len(check(raw.rows, **told, calendar="XNYS", actions=actions).noted) == len(crash)


def test_prices_adjusted_for_a_split_that_is_listed_as_open_are_caught(shared_data: Path) -> None:
    """The trap that the README beside the file names: 7 for 1 on 2014-06-09 is listed, and applied."""
    (raw,) = FileSource(shared_data / "adjusted" / "zipline-csvdir-AAPL.csv.gz").fetch(["AAPL"])
    listed = {"symbol": "AAPL", "ex_date": pd.Timestamp("2014-06-09"), "kind": "split", "value": 7.0}
    checked = check(
        raw.rows,
        symbol="AAPL",
        data_source="file",
        origin="file",
        calendar="XNYS",
        actions=pd.DataFrame([listed | {"applied": False}]),
    )
    assert checked.noted["rule"].tolist() == ["split_not_seen"]
    assert checked.noted["timestamp"].tolist() == [pd.Timestamp("2014-06-09", tz="UTC")]


def test_what_was_refused_of_bad_csv_says_why(shared_data: Path) -> None:
    _, checked = read(shared_data / "dirty" / "bad.csv", {})
    reasons = checked.refused.set_index("row")["reason"]
    # By `grep -n`: the file's line 359 is row 358, for the header is not counted.
    assert "low is -265.13; a price must be above 0" in reasons[358]
    assert reasons[359] == "volume is -64874192; it must be 0 or more"
    assert reasons[361].startswith("high 255.06 is below low 267.53")
    assert "open 0.00000001293 has 11 decimals; 8 can be stored" in reasons[251]
    assert reasons[201] == "date is empty"


def test_the_dash_of_the_malformed_file_is_shown(shared_data: Path) -> None:
    _, checked = read(shared_data / "dirty" / "orcl-2010-googlefinance-malformed.csv", {})
    refused = checked.refused.iloc[0]
    assert (refused["row"], refused["reason"]) == (2, 'Open: "-" is not a number')
    assert refused["raw"]["Open"] == "-"


def test_rows_out_of_order_come_out_sorted(shared_data: Path) -> None:
    _, checked = read(shared_data / "dirty" / "mismatch.csv", {})
    assert checked.good["timestamp"].is_monotonic_increasing
    # One bar of 2016 was spliced in; the other 501 are of 2017 and 2018.
    assert Counter(checked.good["timestamp"].dt.year) == {2016: 1, 2017: 250, 2018: 251}


def test_minutes_of_new_york_lie_in_its_session(shared_data: Path) -> None:
    _, checked = read(shared_data / "dirty" / "intraday.csv", NEW_YORK)
    # 09:30 to 16:00 in December is 14:30 to 21:00 UTC; four sessions of 391 minutes.
    clock = checked.good["timestamp"].dt.strftime("%H:%M")
    assert (clock.min(), clock.max(), len(clock)) == ("14:30", "21:00", 4 * 391)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "daily/closes-20-symbols-1989-2018.csv",
            "there is no open, high, low, close or volume, as in a wide table",
        ),
        (
            "minute/SP500_NOV2019_IDay.csv",
            'every date can be read month first or day first .row 1: "11/5/2019 9:30"',
        ),
        ("minute/spy-minute-2011-01.csv", "there is no header line"),
    ],
)
def test_a_file_that_cannot_be_understood_is_refused_and_asks(
    shared_data: Path, name: str, message: str
) -> None:
    with pytest.raises(FileRefused, match=message):
        read(shared_data / name, {})
