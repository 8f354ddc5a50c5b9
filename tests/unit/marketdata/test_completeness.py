"""Which bars are complete at a moment, against hours that the exchanges publish and against a plain loop."""

from __future__ import annotations

import functools
import subprocess
import sys
import warnings
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import QueryError
from workbench.marketdata.completeness import complete_before, length_of

MICROSECOND = pd.Timedelta(microseconds=1)


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


def last_day(moment: pd.Timestamp, calendar: str | None, interval: str | None = "1d") -> str:
    """The date of the last daily bar that is complete."""
    before = pd.Timestamp(complete_before(moment, calendar, interval).before - 1, unit="us")
    return f"{before:%Y-%m-%d}"


@pytest.mark.parametrize(
    ("calendar", "close", "day", "day_before"),
    # As the exchanges publish them: nyse.com/markets/hours-calendars, londonstockexchange.com, jpx.co.jp.
    [
        ("XNYS", "2024-03-08 21:00", "2024-03-08", "2024-03-07"),  # the last Friday of winter time
        ("XNYS", "2024-03-11 20:00", "2024-03-11", "2024-03-10"),  # the Monday after
        ("XNYS", "2024-07-03 17:00", "2024-07-03", "2024-07-02"),  # closes at one o'clock
        ("XNYS", "2024-07-05 20:00", "2024-07-05", "2024-07-04"),  # after a holiday
        ("XNYS", "2024-11-01 20:00", "2024-11-01", "2024-10-31"),
        ("XNYS", "2024-11-04 21:00", "2024-11-04", "2024-11-03"),
        ("XNYS", "2024-12-24 18:00", "2024-12-24", "2024-12-23"),
        ("XLON", "2024-03-28 16:30", "2024-03-28", "2024-03-27"),
        ("XLON", "2024-04-02 15:30", "2024-04-02", "2024-04-01"),
        ("XLON", "2024-12-24 12:30", "2024-12-24", "2024-12-23"),
        ("XTKS", "2024-11-01 06:00", "2024-11-01", "2024-10-31"),
        ("XTKS", "2024-11-05 06:30", "2024-11-05", "2024-11-04"),  # half an hour longer from that day on
        ("24/7", "2024-12-25 00:00", "2024-12-24", "2024-12-23"),
        ("24/5", "2024-12-25 00:00", "2024-12-24", "2024-12-23"),
    ],
)
def test_a_daily_bar_is_complete_from_its_close_on(
    calendar: str, close: str, day: str, day_before: str
) -> None:
    assert last_day(utc(close), calendar) == day
    assert last_day(utc(close) - MICROSECOND, calendar) == day_before


def test_a_day_without_a_session_is_complete_at_its_end() -> None:
    """A vendor's odd bar of Saturday, 2024-07-06; the Monday's close changes nothing of it."""
    assert last_day(utc("2024-07-07 00:00"), "XNYS") == "2024-07-06"
    assert last_day(utc("2024-07-06 23:59"), "XNYS") == "2024-07-05"


@functools.cache
def calendar_of(name: str) -> Any:
    import exchange_calendars

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return exchange_calendars.get_calendar(name)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["XNYS", "XLON", "XTKS", "XASX", "CMES", "XNZE", "BVMF"]),
    st.datetimes(pd.Timestamp("2018-01-01"), pd.Timestamp("2025-12-31")),
    st.sampled_from([None, -1, 0, 1]),
)
def test_the_bound_is_that_of_a_loop_over_the_days(name: str, moment: Any, beside: int | None) -> None:
    """At any moment, and a microsecond around a close; the loop asks exchange_calendars day by day."""
    calendar, now = calendar_of(name), pd.Timestamp(moment, tz="UTC")
    if beside is not None:
        session = calendar.date_to_session(now.tz_localize(None).normalize(), "previous")
        now = calendar.session_close(session) + beside * MICROSECOND

    def complete(day: pd.Timestamp) -> bool:
        if calendar.is_session(day):
            return bool(calendar.session_close(day) <= now)
        return bool(day.tz_localize("UTC") + pd.Timedelta(days=1) <= now)

    day = now.tz_localize(None).normalize() - pd.Timedelta(days=6)
    while complete(day):
        day += pd.Timedelta(days=1)
    found = complete_before(now, name, "1d")
    assert pd.Timestamp(found.before, unit="us") == day
    assert found.known


@pytest.mark.parametrize(
    ("interval", "moment", "last"),
    [
        ("1min", "2024-01-02 15:00", "2024-01-02 14:59"),
        ("5min", "2024-01-02 15:00", "2024-01-02 14:55"),
        ("1h", "2024-01-02 14:59:59", "2024-01-02 13:59:59"),
        ("24h", "2024-01-02 22:00", "2024-01-01 22:00"),
        ("1w", "2024-01-08 00:00", "2024-01-01 00:00"),
        ("3d", "2024-01-08 00:00", "2024-01-05 00:00"),
    ],
)
def test_other_bars_are_complete_after_their_length(interval: str, moment: str, last: str) -> None:
    for calendar in (None, "XNYS"):
        found = complete_before(utc(moment), calendar, interval)
        assert (pd.Timestamp(found.before - 1, unit="us", tz="UTC"), found.known) == (utc(last), True)


@settings(max_examples=200, deadline=None)
@given(
    st.datetimes(pd.Timestamp("2019-01-01"), pd.Timestamp("2025-12-31")),
    st.sampled_from([1, 3, 12]),
    st.booleans(),
)
def test_a_months_bar_is_complete_a_calendar_month_later(moment: Any, months: int, midnight: bool) -> None:
    now = pd.Timestamp(moment, tz="UTC")
    now = now.normalize() if midnight else now
    day = now.normalize() - pd.Timedelta(days=32 * months)
    while day + pd.DateOffset(months=months) <= now:
        day += pd.Timedelta(days=1)
    assert pd.Timestamp(complete_before(now, None, f"{months}mo").before, unit="us", tz="UTC") == day


def test_an_unknown_series_is_guessed_and_says_so() -> None:
    noon = utc("2024-01-03 12:00")
    # The last has a name that no calendar has, as one that another release brought.
    for calendar, interval in ((None, None), ("XNYS", None), (None, "1d"), ("XNONE", "1d")):
        found = complete_before(noon, calendar, interval)
        assert pd.Timestamp(found.before - 1, unit="us", tz="UTC") == noon - pd.Timedelta(days=1)
        assert not found.known


def test_days_that_begin_at_another_hour_take_a_whole_day() -> None:
    evening = utc("2024-01-03 22:00")
    found = complete_before(evening, "XNYS", "1d", at_midnight=False)
    assert pd.Timestamp(found.before - 1, unit="us", tz="UTC") == evening - pd.Timedelta(days=1)


def test_a_moment_of_any_zone_counts() -> None:
    there = pd.Timestamp("2024-07-03 13:00", tz="America/New_York")
    assert last_day(there, "XNYS") == "2024-07-03"


@pytest.mark.parametrize("interval", ["", "0d", "1", "d", "1 d", "1M", "1.5h", "1day"])
def test_what_is_no_length_is_refused(interval: str) -> None:
    with pytest.raises(QueryError, match="is no length of bars"):
        length_of(interval)


def test_calendars_are_imported_only_where_one_is_needed() -> None:
    code = """
import sys
import pandas as pd
from workbench.marketdata.completeness import complete_before
moment = pd.Timestamp("2024-01-03", tz="UTC")
for asked in (("24/7", "1d"), ("XNYS", "1h"), (None, None)):
    complete_before(moment, *asked)
assert "exchange_calendars" not in sys.modules
complete_before(moment, "XNYS", "1d")
assert "exchange_calendars" in sys.modules
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)
