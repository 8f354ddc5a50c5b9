"""Coarser bars: what falls into which, where they are cut, and what their stamps mean."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import QueryError
from workbench.marketdata import BAR_COLUMNS, resample


def tidy(stamps: pd.DatetimeIndex, symbol: str = "SPY") -> pd.DataFrame:
    """Bars that are told apart: open 0, 1, 2 …; high a half above, low below, close a quarter above."""
    number = np.arange(len(stamps), dtype=np.float64)
    index = pd.MultiIndex.from_product([[symbol], stamps], names=["symbol", "timestamp"])
    columns = [number, number + 0.5, number - 0.5, number + 0.25, np.ones(len(stamps))]
    return pd.DataFrame(dict(zip(BAR_COLUMNS, columns, strict=True)), index=index)


def clock(first: str, last: str, step: str = "1min", zone: str = "UTC") -> pd.DatetimeIndex:
    return pd.date_range(first, last, freq=step, tz=zone, unit="us")


def days(*dates: str) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(pd.to_datetime(list(dates), utc=True)).as_unit("us")


def stamps(bars: pd.DataFrame, form: str = "%m-%d %H:%M") -> list[str]:
    times = pd.DatetimeIndex(bars.index.get_level_values("timestamp"))
    assert str(times.dtype) == "datetime64[us, UTC]"
    return times.strftime(form).tolist()


@pytest.fixture(scope="module")
def spy(shared_data: Path) -> pd.DataFrame:
    """Real minutes of January 2011, stamped with their end, nights included."""
    with (shared_data / "minute" / "spy-minute-2011-01.csv").open() as file:
        rows = list(csv.reader(file, delimiter=";"))
    ends = pd.to_datetime([row[0] for row in rows], format="%Y%m%d %H%M%S", utc=True).as_unit("us")
    index = pd.MultiIndex.from_product([["SPY"], ends], names=["symbol", "timestamp"])
    return pd.DataFrame([[float(v) for v in row[1:]] for row in rows], index, list(BAR_COLUMNS))


def test_sessions_of_a_real_month_are_yahoos_daily_bars(spy: pd.DataFrame, shared_data: Path) -> None:
    daily = resample(spy, "session", stamped="end", calendar="XNYS").loc["SPY"]
    path = shared_data / "daily" / "yahoofinance-SPY-20080101-20180101.csv"
    yahoo = pd.read_csv(path, index_col="Date", parse_dates=True).tz_localize("UTC")
    yahoo = yahoo.loc["2011-01-01":"2011-01-31"].rename(columns=str.lower)
    assert daily.index.tolist() == yahoo.index.tolist()
    # Another vendor's: opens to two cents, highs to four, closes to six. Its lows count odd lots.
    for column, cents in (("open", 0.02), ("high", 0.04), ("close", 0.06)):
        np.testing.assert_allclose(daily[column], yahoo[column], rtol=0, atol=cents)


def test_each_number_of_a_real_session(spy: pd.DataFrame, shared_data: Path) -> None:
    # By plain comparisons of the file's text: 3 January, ends 14:31 to 21:00 UTC (09:31 to 16:00).
    lines = (shared_data / "minute" / "spy-minute-2011-01.csv").read_text().splitlines()
    rows = [line.split(";") for line in lines if "20110103 143100" <= line.split(";")[0] <= "20110103 210000"]
    assert len(rows) == 390
    expected = [
        float(rows[0][1]),
        max(float(row[2]) for row in rows),
        min(float(row[3]) for row in rows),
        float(rows[-1][4]),
        sum(int(row[5]) for row in rows),
    ]
    made = resample(spy, "session", stamped="end", calendar="XNYS")
    assert made.iloc[0].tolist() == expected
    # The night is kept by those who ask: 09:01 to 01:00 of the next day, UTC, is one day in New York.
    rows = [row.split(";") for row in lines if "20110103 090100" <= row.split(";")[0] <= "20110104 010000"]
    kept = resample(spy, "session", stamped="end", calendar="XNYS", outside="keep")
    assert len(kept) == len(made) == 20
    assert kept.iloc[0][["open", "close", "volume"]].tolist() == [
        float(rows[0][1]),
        float(rows[-1][4]),
        sum(int(row[5]) for row in rows),
    ]


def test_stamps_say_the_start_or_the_end_of_what_a_bar_holds() -> None:
    minutes = tidy(clock("2024-01-03 14:30", "2024-01-03 14:41"))
    made = resample(minutes, "5min")
    assert stamps(made) == ["01-03 14:30", "01-03 14:35", "01-03 14:40"]
    assert made.to_numpy().tolist() == [
        [0.0, 4.5, -0.5, 4.25, 5.0],
        [5.0, 9.5, 4.5, 9.25, 5.0],
        [10.0, 11.5, 9.5, 11.25, 2.0],
    ]
    ended = resample(minutes, "5min", label="end")
    assert stamps(ended) == ["01-03 14:35", "01-03 14:40", "01-03 14:45"]
    assert ended.to_numpy().tolist() == made.to_numpy().tolist()
    # The same minutes, stamped with their ends, are the same bars.
    shifted = minutes.set_axis(tidy(clock("2024-01-03 14:31", "2024-01-03 14:42")).index)
    pd.testing.assert_frame_equal(resample(shifted, "5min", stamped="end"), made)


@settings(max_examples=30, deadline=None)
@given(
    cut=st.integers(0, 800),
    every=st.sampled_from(["3min", "5min", "1h", "session", "1D", "W-FRI"]),
    calendar=st.sampled_from([None, "XNYS", "XHKG", "24/7"]),
)
def test_a_finished_bar_never_changes_when_later_bars_arrive(
    cut: int, every: str, calendar: str | None
) -> None:
    if every == "session" and calendar is None:
        calendar = "XNYS"
    bars = tidy(clock("2024-03-08 00:30", "2024-03-13 10:00", "9min" if every != "5min" else "1min"))
    every = "27min" if every == "3min" else every.replace("1h", "99min")
    whole, early = (resample(part, every, calendar=calendar) for part in (bars, bars.iloc[: cut + 1]))
    # All but the last bar of what was known are as they are in the end.
    pd.testing.assert_frame_equal(early.iloc[:-1], whole.iloc[: max(len(early) - 1, 0)])


@pytest.mark.parametrize(
    ("day", "opening", "closing"),
    [
        # The Fridays before and the Mondays after New York's clock changes of 2024-03-10 and 2024-11-03.
        ("2024-03-08", "14:30", "21:00"),
        ("2024-03-11", "13:30", "20:00"),
        ("2024-11-01", "13:30", "20:00"),
        ("2024-11-04", "14:30", "21:00"),
    ],
)
def test_hours_are_cut_from_the_open_whatever_the_clock(day: str, opening: str, closing: str) -> None:
    bars = tidy(clock(f"{day} 00:00", f"{day} 23:59"))
    starts = resample(bars, "1h", calendar="XNYS")
    ends = resample(bars, "1h", calendar="XNYS", label="end")
    assert len(starts) == 7
    assert (stamps(starts, "%H:%M")[0], stamps(ends, "%H:%M")[-1]) == (opening, closing)
    # 09:30 to 16:00 is no multiple of an hour: the last bar is half as long, and ends with the session.
    assert starts["volume"].tolist() == [60.0] * 6 + [30.0]
    assert stamps(ends, "%H:%M")[0] == stamps(starts, "%H:%M")[1]


def test_a_day_that_closes_early_is_shorter() -> None:
    bars = tidy(clock("2024-07-03 08:00", "2024-07-05 22:00"))
    made = resample(bars, "2h", calendar="XNYS")
    # 3 July closes at 17:00 UTC, 4 July is a holiday.
    assert stamps(made) == [
        "07-03 13:30", "07-03 15:30", "07-05 13:30", "07-05 15:30", "07-05 17:30", "07-05 19:30",
    ]  # fmt: skip
    assert made["volume"].tolist() == [120.0, 90.0, 120.0, 120.0, 120.0, 30.0]
    assert stamps(resample(bars, "session", calendar="XNYS")) == ["07-03 00:00", "07-05 00:00"]


def test_bars_outside_the_session_are_cut_by_themselves_where_they_are_kept() -> None:
    bars = tidy(clock("2024-01-05 13:00", "2024-01-05 22:29"))
    made = resample(bars, "1h", calendar="XNYS", outside="keep")
    # Backwards from the open at 14:30, from there to the close at 21:00, and on from there.
    assert stamps(made, "%H:%M") == [
        "12:30", "13:30", "14:30", "15:30", "16:30", "17:30", "18:30", "19:30", "20:30", "21:00", "22:00",
    ]  # fmt: skip
    assert made["volume"].tolist() == [30.0, 60.0, *[60.0] * 6, 30.0, 60.0, 30.0]
    weekend = tidy(clock("2024-01-06 13:00", "2024-01-06 22:29"))
    assert resample(weekend, "1h", calendar="XNYS", outside="keep").empty


def test_the_afternoon_is_cut_anew_after_lunch() -> None:
    # Hong Kong, UTC+8: 09:30 to 12:00 and 13:00 to 16:00.
    made = resample(tidy(clock("2024-12-19 00:00", "2024-12-19 12:00")), "1h", calendar="XHKG")
    assert stamps(made, "%H:%M") == ["01:30", "02:30", "03:30", "05:00", "06:00", "07:00"]
    assert made["volume"].tolist() == [60.0, 60.0, 30.0, 60.0, 60.0, 60.0]


@pytest.mark.parametrize("change", ["2024-03-31", "2024-10-27"])
def test_a_market_that_never_closes_has_days_of_24_hours_whatever_the_zone_of_the_stamps(change: str) -> None:
    # Berlin's clock changes: its days have 23 and 25 hours, UTC's do not.
    first = pd.Timestamp(change) - pd.Timedelta(days=1)
    berlin = pd.date_range(first, first + pd.Timedelta(days=3), freq="15min", tz="Europe/Berlin", unit="us")
    made = resample(tidy(berlin), "1h", calendar="24/7")
    assert (made["volume"] == 4.0).all() or made["volume"].tolist()[:-1] == [4.0] * (len(made) - 1)
    daily = resample(tidy(berlin), "session", calendar="24/7")
    assert daily["volume"].iloc[1] == daily["volume"].iloc[2] == 96.0
    pd.testing.assert_frame_equal(daily, resample(tidy(berlin), "1D"))
    utc = tidy(berlin.tz_convert("UTC"))
    pd.testing.assert_frame_equal(resample(utc, "1h", calendar="24/7"), made)


def test_a_session_that_opens_on_the_evening_before_has_its_own_date() -> None:
    # Chicago's futures of Monday 2015-01-05 open on Sunday at 23:00 UTC.
    made = resample(tidy(clock("2015-01-04 22:00", "2015-01-05 22:59", "30min")), "session", calendar="CMES")
    assert stamps(made) == ["01-05 00:00"]
    assert made["volume"].tolist() == [48.0]


def test_weeks_months_quarters_and_years_are_dated_by_their_first_or_last_day() -> None:
    made = tidy(clock("2023-12-27", "2024-04-03", "B"))
    for every, first, last in (
        ("1W", ["12-25", "01-01"], ["12-31", "01-07"]),
        ("W-FRI", ["12-23", "12-30"], ["12-29", "01-05"]),
        ("W-WED", ["12-21", "12-28"], ["12-27", "01-03"]),
        ("1ME", ["12-01", "01-01"], ["12-31", "01-31"]),
        ("QE", ["10-01", "01-01"], ["12-31", "03-31"]),
        ("YE", ["01-01", "01-01"], ["12-31", "12-31"]),
    ):
        assert stamps(resample(made, every), "%m-%d")[:2] == first
        ended = resample(made, every, label="end")
        assert stamps(ended, "%m-%d")[:2] == last
        assert set(stamps(ended, "%H:%M")) == {"00:00"}
    months = resample(made, "ME")
    # 27 to 29 December; 23, 21 and 21 business days; 1 to 3 April.
    assert months["volume"].tolist() == [3.0, 23.0, 21.0, 21.0, 3.0]
    assert months.iloc[1].tolist() == [3.0, 25.5, 2.5, 25.25, 23.0]


def test_weeks_of_minutes_are_those_of_their_sessions(spy: pd.DataFrame) -> None:
    direct = resample(spy, "1W", stamped="end", calendar="XNYS")
    pd.testing.assert_frame_equal(
        direct, resample(resample(spy, "session", stamped="end", calendar="XNYS"), "1W")
    )
    assert stamps(direct, "%m-%d") == ["01-03", "01-10", "01-17", "01-24", "01-31"]


def test_daily_bars_stay_as_they_are() -> None:
    bars = tidy(days("2024-01-02", "2024-01-03", "2024-01-05"))
    for every in ("session", "1D", "D", pd.Timedelta(days=1)):
        for label in ("start", "end"):
            pd.testing.assert_frame_equal(resample(bars, every, label=label), bars)


def test_each_symbol_by_itself_in_any_order_and_only_the_columns_of_a_bar() -> None:
    minutes = clock("2024-01-03 14:30", "2024-01-03 14:39")
    both = pd.concat([tidy(minutes, "B"), tidy(minutes[3:], "A")])
    made = resample(both.sample(frac=1, random_state=1).assign(vwap=1.0), "5min")
    assert made.columns.tolist() == list(BAR_COLUMNS)
    assert made["volume"].to_dict() == {
        ("A", minutes[0]): 2.0,
        ("A", minutes[5]): 5.0,
        ("B", minutes[0]): 5.0,
        ("B", minutes[5]): 5.0,
    }
    assert made["open"].tolist() == [0.0, 2.0, 0.0, 5.0]
    assert resample(both[["close"]], "5min")["close"].tolist() == [1.25, 6.25, 4.25, 9.25]


def test_missing_numbers_are_passed_over_and_nothing_is_nothing() -> None:
    bars = tidy(clock("2024-01-03 14:30", "2024-01-03 14:39"))
    bars.iloc[[0, 4]] = np.nan
    bars.iloc[5:] = np.nan
    made = resample(bars, "5min")
    assert made.iloc[0].tolist() == [1.0, 3.5, 0.5, 3.25, 3.0]
    assert made.iloc[1].isna().all()
    empty = resample(bars.iloc[:0], "1h", calendar="XNYS")
    assert (len(empty), empty.columns.tolist()) == (0, list(BAR_COLUMNS))
    assert stamps(empty) == []
    outside = resample(tidy(clock("2024-01-06 14:30", "2024-01-06 14:39")), "5min", calendar="XNYS")
    assert outside.empty


FINE = tidy(clock("2024-01-03 14:30", "2024-01-03 15:30"))
DAILY = tidy(days("2024-01-02", "2024-01-03", "2024-01-04"))
WEEKLY = tidy(days("2024-01-05", "2024-01-12", "2024-01-19"))


@pytest.mark.parametrize(
    ("bars", "every", "told", "message"),
    [
        (FINE, "30s", {}, "1min apart: 30s is finer"),
        (DAILY, "1h", {}, "1D apart: 1h is finer"),
        (WEEKLY, "1D", {}, "7D apart: 1D needs daily or finer"),
        (WEEKLY, "1ME", {}, "7D apart: 1ME needs daily or finer"),
        (FINE, "90s", {}, "not a multiple of these bars' 1min"),
        (FINE, "session", {}, "sessions need an exchange: give e"),
        (FINE, "5m", {}, r'"5m" is not a length of a bar; use e\.g\.'),
        (FINE, "36h", {}, 'bars of "36h" cannot be made'),
        (FINE, "2D", {}, 'bars of "2D" cannot be made'),
        (FINE, "3ME", {}, 'bars of "3ME" cannot be made'),
        (FINE, "-5min", {}, "cannot be made"),
        (FINE, "BME", {}, "cannot be made"),
        (FINE, "5min", {"label": "left"}, 'label is one of start, end, not "left"'),
        (FINE, "5min", {"stamped": "close"}, "stamped is one of start, end"),
        (FINE, "5min", {"outside": "x"}, "outside is one of drop, keep"),
        (FINE, "5min", {"calendar": "XNYZ"}, "no exchange calendar"),
        (DAILY, "1W", {"stamped": "end"}, "daily bars are stamped with their date"),
        (FINE[[]], "5min", {}, "need a column of open"),
        (FINE.reset_index(), "5min", {}, r"indexed \(symbol, timestamp\)"),
    ],
)
def test_what_cannot_be_made_is_refused(
    bars: pd.DataFrame, every: str, told: dict[str, Any], message: str
) -> None:
    with pytest.raises(QueryError, match=message):
        resample(bars, every, **told)
