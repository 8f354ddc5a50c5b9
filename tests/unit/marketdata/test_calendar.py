"""Exchanges' sessions, and what is missing against them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bokeh_sampledata.stocks as package
import pandas as pd
import pytest

from workbench.errors import QueryError
from workbench.marketdata.calendar import interval_of, is_daily, missing, schedule, sessions, stretches


def utc(*moments: str) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(pd.to_datetime(list(moments), utc=True, format="ISO8601")).as_unit("us")


def minutes(first: str, last: str, step: str = "1min") -> pd.DatetimeIndex:
    return pd.date_range(first, last, freq=step, tz="UTC", unit="us")


def gaps(times: pd.Index[Any], calendar: str = "XNYS") -> list[tuple[str, str, int]]:
    found = missing(pd.DatetimeIndex(times), calendar)
    assert [str(kind) for kind in found.dtypes] == ["datetime64[us, UTC]", "datetime64[us, UTC]", "int64"]
    starts, ends = (found[end].dt.strftime("%m-%d %H:%M") for end in ("start", "end"))
    return list(zip(starts, ends, found["bars"].tolist(), strict=True))


def test_sessions_are_the_days_that_real_prices_have() -> None:
    # The days on which the sample's AAPL traded, 2000 to 2013.
    days = utc(*package.AAPL["date"])
    assert sessions("XNYS", days[0], days[-1]).tolist() == days.tolist()
    assert gaps(days) == []


def test_sessions_are_the_days_of_a_yahoo_file(shared_data: Path) -> None:
    prices = pd.read_csv(shared_data / "daily" / "yahoofinance-GOOG-20040819-20180120.csv")
    days = sessions("XNYS", "2004-08-19", "2018-01-19")
    assert days.strftime("%Y-%m-%d").tolist() == prices["Date"].tolist()


@pytest.mark.parametrize(
    ("year", "days"),
    # By the exchange's own list of closings (nyse.com/pdfs/closings.pdf): 1968 had its paper crisis,
    # 2001 the week of 11 September, 2012 a hurricane.
    [(1962, 252), (1968, 226), (1969, 250), (1985, 252), (2001, 248), (2012, 250)],
)
def test_years_long_before_the_calendars_usual_range_are_right(year: int, days: int) -> None:
    assert len(sessions("XNYS", f"{year}-01-01", f"{year}-12-31")) == days


def test_both_ends_count_and_stamps_are_midnight_utc() -> None:
    found = sessions("XNYS", "2024-07-03", pd.Timestamp("2024-07-05 18:00", tz="UTC"))
    assert found.tolist() == utc("2024-07-03", "2024-07-05").tolist()
    assert str(found.dtype) == "datetime64[us, UTC]"
    assert len(sessions("XNYS", "2024-07-06", "2024-07-07")) == 0


def test_the_hours_follow_the_clock_and_the_days_that_close_early() -> None:
    hours = schedule("NYSE", "2024-03-08", "2024-11-29")
    told = {
        f"{session:%m-%d}": f"{row['open']:%H:%M} {row['close']:%H:%M}" for session, row in hours.iterrows()
    }
    # Clocks change on 2024-03-10 and 2024-11-03 in New York.
    assert told["03-08"] == "14:30 21:00"
    assert told["03-11"] == "13:30 20:00"
    assert told["11-01"] == "13:30 20:00"
    assert told["11-04"] == "14:30 21:00"
    assert (told["07-03"], told["11-29"]) == ("13:30 17:00", "14:30 18:00")
    assert "11-28" not in told


def test_a_session_may_open_on_the_day_before_its_date() -> None:
    (hours,) = schedule("CMES", "2015-01-05", "2015-01-05").to_dict("index").values()
    assert hours["open"] == pd.Timestamp("2015-01-04 23:00", tz="UTC")


def test_lunch_parts_a_session() -> None:
    # Hong Kong trades 09:30 to 12:00 and 13:00 to 16:00, on the day before Christmas in the morning only.
    found = stretches("XHKG", "2024-12-23", "2024-12-24")
    assert found["open"].dt.strftime("%d %H:%M").tolist() == ["23 01:30", "23 05:00", "24 01:30"]
    assert found["close"].dt.strftime("%d %H:%M").tolist() == ["23 04:00", "23 08:00", "24 04:00"]
    assert found["part"].tolist() == [0, 1, 0]


def test_nothing_is_expected_before_a_calendars_record_begins() -> None:
    assert len(sessions("XHKG", "1950-01-01", "1959-12-31")) == 0
    assert sessions("XHKG", "1950-01-01", "1960-01-31")[0] >= pd.Timestamp("1960-01-01", tz="UTC")
    assert gaps(utc("1950-01-03", "1951-01-03"), "XHKG") == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("XNYZ", " (did you mean XNZE or XNYS?)"),
        ("xnys", " (did you mean XNYS?)"),
        ("US_FUTURES", " (did you mean us_futures?)"),
        ("NOPE", ""),
        ("New York", ""),
        ("../x", ""),
    ],
)
def test_an_unknown_calendar_is_refused_with_those_that_are_meant(name: str, meant: str) -> None:
    with pytest.raises(QueryError) as caught:
        sessions(name, "2024-01-01", "2024-01-31")
    assert str(caught.value) == (
        f'there is no exchange calendar "{name}"{meant}; "XNYS" is the New York Stock Exchange\'s, "24/7" is '
        "for coins, and exchange_calendars.get_calendar_names() lists them all"
    )
    with pytest.raises(QueryError, match="no exchange calendar"):
        missing(utc(), name)


def test_daily_stamps_are_all_midnight_utc() -> None:
    assert is_daily(utc("2024-01-02", "2024-01-03"))
    assert is_daily(utc())
    assert not is_daily(utc("2024-01-02", "2024-01-03 14:30"))
    assert not is_daily(pd.DatetimeIndex(["2024-01-02"], tz="America/New_York"))


def test_the_interval_is_the_step_seen_most_often() -> None:
    with_a_night = minutes("2024-01-02 14:30", "2024-01-02 20:55", "5min").append(
        minutes("2024-01-03 14:30", "2024-01-03 20:55", "5min")
    )
    assert interval_of(pd.DatetimeIndex(with_a_night.delete([3, 4, 9])[::-1])) == pd.Timedelta(minutes=5)
    assert interval_of(pd.DatetimeIndex(with_a_night.append(with_a_night))) == pd.Timedelta(minutes=5)
    assert interval_of(utc("2024-01-02", "2024-01-03", "2024-01-05")) == pd.Timedelta(days=1)
    assert interval_of(utc("2024-01-02")) == pd.Timedelta(days=1)
    with pytest.raises(QueryError, match="give two bars or more"):
        interval_of(utc("2024-01-02 14:30"))


def test_a_missing_session_is_a_gap_and_a_holiday_is_none() -> None:
    days = sessions("XNYS", "2024-07-01", "2024-07-31")
    # July's sessions, 4 July left out: 1, 2, 3, 5, 8, 9, 10, 11, 12, 15.
    assert gaps(days) == []
    assert gaps(days.delete([3, 4, 9])) == [
        ("07-05 00:00", "07-08 00:00", 2),
        ("07-15 00:00", "07-15 00:00", 1),
    ]
    assert gaps(days.delete([0, -1])[::-1]) == []
    assert gaps(days.append(utc("2024-07-04"))) == []


def test_every_interval_of_a_session_is_expected_and_none_outside() -> None:
    # From Tuesday's open to Friday's; Wednesday 3 July closes at 17:00 UTC, 4 July is a holiday.
    whole = minutes("2024-07-02 13:30", "2024-07-02 19:59").append(
        minutes("2024-07-03 13:30", "2024-07-03 16:59")
    )
    whole = whole.append(utc("2024-07-05 13:30", "2024-07-05 13:31"))
    assert gaps(whole) == []
    assert gaps(whole.append(minutes("2024-07-04 10:00", "2024-07-04 11:00"))) == []
    holed = whole[(whole < utc("2024-07-02 19:58")[0]) | (whole >= utc("2024-07-03 13:32")[0])]
    assert gaps(holed) == [("07-02 19:58", "07-03 13:31", 4)]


def test_hourly_bars_may_be_cut_at_the_full_hour_or_at_the_open() -> None:
    full = minutes("2024-07-01 00:00", "2024-07-12 23:00", "1h")
    assert gaps(full) == []
    assert gaps(full[full != utc("2024-07-02 13:00")[0]]) == [("07-02 13:00", "07-02 13:00", 1)]
    assert gaps(full[full != utc("2024-07-02 20:00")[0]]) == []
    half = full + pd.Timedelta(minutes=30)
    assert gaps(half[half != utc("2024-07-02 19:30")[0]]) == [("07-02 19:30", "07-02 19:30", 1)]


def test_lunch_is_not_missed() -> None:
    # 5 minutes of Hong Kong, UTC+8, without those of lunch, and without 13:00 on the second day.
    morning = [minutes(f"2024-12-{day} 01:30", f"2024-12-{day} 03:55", "5min") for day in (19, 20)]
    afternoon = [minutes(f"2024-12-{day} 05:00", f"2024-12-{day} 07:55", "5min") for day in (19, 20)]
    both = morning[0].append([afternoon[0], morning[1], afternoon[1]])
    assert gaps(both, "XHKG") == []
    assert gaps(both[both != utc("2024-12-20 05:00")[0]], "XHKG") == [("12-20 05:00", "12-20 05:00", 1)]


def test_the_regular_minutes_of_a_real_file_have_no_gap(shared_data: Path) -> None:
    # Its own README: 390 bars in every session; stamped with the minute's end. The night has holes.
    path = shared_data / "minute" / "spy-minute-2011-01.csv"
    stamps = pd.read_csv(path, sep=";", header=None)[0]
    ends = pd.DatetimeIndex(pd.to_datetime(stamps, format="%Y%m%d %H%M%S", utc=True))
    assert gaps(ends - pd.Timedelta(minutes=1)) == []
    assert len(gaps(ends - pd.Timedelta(minutes=1), "24/7")) > 100


def test_a_market_that_never_closes_is_missed_at_any_minute() -> None:
    always = minutes("2024-03-09 00:00", "2024-03-11 00:00", "30min")
    holed = always.delete([5, 6, 60])
    assert gaps(holed, "24/7") == [("03-09 02:30", "03-09 03:00", 2), ("03-10 06:00", "03-10 06:00", 1)]


def test_few_bars_have_no_gap() -> None:
    assert gaps(utc()) == []
    assert gaps(utc("2024-07-02 13:30")) == []
    assert gaps(utc("2024-07-02")) == []
