"""Against an exchange's calendar: what is missing, what comes at odd hours, and what is shifted as a whole.

The sessions of XNYS in 2018, from the exchange's published hours: 09:30 to 16:00 in New York, 14:30 to 21:00
UTC in winter, 13:30 to 20:00 in summer; closed on 2018-01-01, 2018-01-15 (Martin Luther King), 2018-02-19
(Washington); 2018-11-23 and 2018-12-24 end at 13:00.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.unit.marketdata.test_suspicions import run, walk


def noted(
    times: pd.Index[pd.Timestamp], calendar: str = "XNYS", **options: Any
) -> list[tuple[int, str, str]]:
    rows = walk(len(times)).assign(timestamp=pd.DatetimeIndex(times).as_unit("us"))
    # Repeats and moves are not what this is about.
    found = run(rows, calendar=calendar, **options).noted
    return list(zip(found["row"], found["rule"], found["reason"], strict=True))


def days(first: str, last: str) -> pd.DatetimeIndex:
    """Weekdays but the two holidays of early 2018."""
    holidays = ["2018-01-01", "2018-01-15", "2018-02-19"]
    return pd.bdate_range(first, last, tz="UTC").drop(pd.to_datetime(holidays, utc=True), errors="ignore")


def minutes(*dates: str, zone: str = "America/New_York", first: str = "09:30") -> pd.DatetimeIndex:
    """390 minutes of each day."""
    starts = [pd.Timestamp(f"{date} {first}", tz=zone) for date in dates]
    stamps = [pd.date_range(start, periods=390, freq="min").tz_convert("UTC") for start in starts]
    return pd.DatetimeIndex(
        np.concatenate([own.as_unit("us").asi8 for own in stamps]).astype("M8[us]"), tz="UTC"
    )


WINTER = ("2018-01-02", "2018-01-03", "2018-01-04")


def test_whole_sessions_are_left_in_peace() -> None:
    assert noted(days("2018-01-01", "2018-02-28")) == []
    assert noted(minutes(*WINTER)) == []
    assert noted(minutes("2018-07-02", zone="Europe/Berlin", first="09:00"), "XFRA") == []


def test_without_a_calendar_nothing_is_said() -> None:
    rows = walk(3).assign(timestamp=pd.to_datetime(["2018-01-01", "2018-01-06", "2018-06-30"], utc=True))
    assert run(rows).noted.empty


def test_a_missing_session_is_noted_at_the_bar_after_it() -> None:
    times = days("2018-01-08", "2018-01-31").delete(3)
    assert noted(times) == [(4, "gap", "the session of 2018-01-11 before it is missing, against XNYS")]
    # Over the holiday of the 15th: the 12th, the 16th and the 17th are missing.
    times = days("2018-01-08", "2018-01-31").delete([4, 5, 6])
    assert noted(times) == [
        (5, "gap", "3 sessions before it are missing, from 2018-01-12 to 2018-01-17, against XNYS")
    ]


def test_missing_minutes_are_noted_and_those_of_a_night_are_not() -> None:
    times = minutes(*WINTER).delete([100, 101])
    assert noted(times) == [
        (
            101,
            "gap",
            "2 bars before it are missing, from 2018-01-02 16:10 UTC to 2018-01-02 16:11 UTC, against XNYS",
        )
    ]


def test_what_a_refused_row_left_open_is_no_gap() -> None:
    rows = walk(17).assign(timestamp=days("2018-01-08", "2018-01-31").as_unit("us"))
    rows.loc[3, "volume"] = -1.0
    checked = run(rows, calendar="XNYS")
    assert (checked.refused["row"].tolist(), checked.noted["row"].tolist()) == ([4], [])
    rows.loc[3, "timestamp"] = pd.NaT
    assert run(rows, calendar="XNYS").noted["rule"].tolist() == ["gap"]


def test_the_gap_between_what_is_stored_and_what_comes_is_noted() -> None:
    stored = run(walk(5).assign(timestamp=days("2018-01-02", "2018-01-08").as_unit("us"))).good
    assert noted(days("2018-01-09", "2018-01-31"), before=stored) == []
    assert noted(days("2018-01-10", "2018-01-31"), before=stored) == [
        (1, "gap", "the session of 2018-01-09 before it is missing, against XNYS")
    ]


def test_a_bar_on_a_holiday_or_a_weekend_is_off_session() -> None:
    times = days("2018-01-08", "2018-01-31").append(pd.to_datetime(["2018-01-15", "2018-01-20"], utc=True))
    assert noted(times) == [
        (18, "off_session", "Mon 2018-01-15: no session of XNYS is on that day"),
        (19, "off_session", "Sat 2018-01-20: no session of XNYS is on that day"),
    ]


def test_bars_of_a_night_are_noted_once_and_the_close_belongs_to_the_session() -> None:
    extended = minutes(*WINTER).append(
        pd.date_range("2018-01-02 21:00", "2018-01-02 21:30", freq="min", tz="UTC")
    )
    assert noted(extended) == [
        (
            1172,
            "off_session",
            "30 bars in a row, Tue 2018-01-02 21:01 UTC to Tue 2018-01-02 21:30 UTC: XNYS is closed then",
        )
    ]


def test_a_day_that_closes_early_ends_early() -> None:
    times = minutes("2018-11-21", "2018-11-23")
    # 13:00 in New York is 18:00 UTC: the bar of 18:01 is number 390 + 211 + 1.
    assert [(row, rule) for row, rule, _ in noted(times)] == [(602, "off_session")]


def test_hourly_bars_cut_at_the_full_hour_reach_into_the_session() -> None:
    hours = [pd.date_range(f"{day} 14:00", periods=7, freq="h", tz="UTC") for day in WINTER]
    assert (
        noted(
            pd.DatetimeIndex(
                np.concatenate([own.as_unit("us").asi8 for own in hours]).astype("M8[us]"), tz="UTC"
            )
        )
        == []
    )


@pytest.mark.parametrize(
    ("zone", "by"),
    [
        ("UTC", "+5 hours"),  # New York's own time, taken for UTC
        ("America/Chicago", "-1 hours"),
        ("Asia/Kolkata", "+10.5 hours"),
    ],
)
def test_a_whole_series_at_the_wrong_hours_is_one_note_with_the_shift(zone: str, by: str) -> None:
    """By the clocks of January: New York is 5 hours behind UTC, 1 ahead of Chicago, 10.5 behind India."""
    found = noted(minutes(*WINTER, zone=zone))
    assert [rule for _, rule, _ in found] == ["wrong_zone"]
    assert f"of XNYS; shifted by {by}, 100% would lie inside" in found[0][2]


def test_a_year_in_the_wrong_zone_is_found_across_the_clock_change() -> None:
    """The clocks went forward on 2018-03-11: 47 of the 58 sessions to 2018-03-26 are in winter time."""
    dates = days("2018-01-02", "2018-03-26").strftime("%Y-%m-%d")
    ((row, rule, reason),) = noted(minutes(*dates, zone="UTC"))
    assert (row, rule) == (1, "wrong_zone")
    assert "shifted by +5 hours" in reason


def test_daily_bars_with_a_time_of_day_are_told_how_they_are_stamped() -> None:
    local = (
        days("2018-01-02", "2018-03-29").tz_localize(None).tz_localize("America/New_York").tz_convert("UTC")
    )
    ((row, rule, reason),) = noted(local)
    assert (row, rule) == (1, "wrong_zone")
    assert (
        "a daily bar is stamped 00:00 UTC of its session's date, these are mostly stamped 05:00 UTC" in reason
    )


def test_daily_bars_a_day_early_are_told_so() -> None:
    """As those of a market east of Greenwich are, when their midnight is cut down to UTC's date."""
    early = days("2018-01-02", "2018-12-31") - pd.Timedelta(days=1)
    found = noted(early)
    assert [rule for _, rule, _ in found] == ["wrong_zone"]
    assert "shifted by +1 day," in found[0][2]


def test_extended_hours_are_no_wrong_zone() -> None:
    nights = [pd.date_range(f"{day} 09:00", periods=960, freq="min", tz="UTC") for day in WINTER]
    times = pd.DatetimeIndex(
        np.concatenate([own.as_unit("us").asi8 for own in nights]).astype("M8[us]"), tz="UTC"
    )
    assert [rule for _, rule, _ in noted(times)] == ["off_session"] * 4


def test_what_lies_before_the_calendars_record_is_not_judged() -> None:
    """Tokyo's calendar begins in 1997."""
    assert noted(pd.bdate_range("1990-01-01", "1990-06-01", tz="UTC"), "XTKS") == []


def test_a_market_that_never_closes_misses_weekends() -> None:
    times = pd.date_range("2018-01-01", periods=30, tz="UTC").delete([5, 6])
    assert [(row, rule) for row, rule, _ in noted(times, "24/7")] == [(6, "gap")]
