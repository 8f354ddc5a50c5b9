"""The moments of exchange calendars, against the library's own sessions, and days known from the exchange.

New York, from its published calendar: Thanksgiving on 2026-11-26, an early close at 13:00 on the day after;
independence day observed on 2026-07-03; the clock is set back on 2026-11-01 and forward on 2027-03-14.
"""

from __future__ import annotations

import functools
import itertools
from datetime import UTC, datetime, timedelta

import exchange_calendars
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import ScheduleRefused
from workbench.schedules import Calendar, schedule_from_json

# From the library's use of pandas.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

EXCHANGES = ["XNYS", "XHKG", "XASX", "24/7"]
MINUTE = timedelta(minutes=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@functools.cache
def edges_of(name: str, edge: str) -> list[datetime]:
    calendar = exchange_calendars.get_calendar(name, start="2018-01-01")
    edges = calendar.closes if edge == "close" else calendar.opens
    return [moment.to_pydatetime().astimezone(UTC) for moment in edges]


def from_library(name: str, edge: str, offset: timedelta, after: datetime, until: datetime) -> list[datetime]:
    """Of each session whose edge, moved by the offset, lies in `(after, until]`."""
    moments = [moment + offset for moment in edges_of(name, edge)]
    return [moment for moment in moments if after < moment <= until]


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(EXCHANGES),
    edge=st.sampled_from(["open", "close"]),
    minutes=st.integers(-719, 180),
    begin=st.datetimes(datetime(2020, 2, 1), datetime(2026, 6, 1)),
    days=st.integers(0, 45),
)
def test_moments_are_the_librarys_sessions(
    name: str, edge: str, minutes: int, begin: datetime, days: int
) -> None:
    # Into the session only by so much that each of these has it.
    if edge == "close":
        minutes = max(minutes, -180)
    sign = "+" if minutes >= 0 else "-"
    schedule = Calendar(name, f"{edge}{sign}{abs(minutes)}min")
    after = begin.replace(tzinfo=UTC)
    until = after + timedelta(days=days)
    expected = from_library(name, edge, minutes * MINUTE, after, until)
    assert schedule.moments(after, until) == expected
    assert schedule.next(after, len(expected)) == expected
    assert all(moment.tzinfo is UTC for moment in expected)


def test_a_week_with_a_holiday_and_an_early_close() -> None:
    schedule = Calendar("XNYS", "close+15min")
    assert schedule.moments(at("2026-11-23 00:00"), at("2026-11-30 12:00")) == [
        at("2026-11-23 21:15"),
        at("2026-11-24 21:15"),
        at("2026-11-25 21:15"),
        # Thursday is Thanksgiving, and on Friday New York closes at 13:00.
        at("2026-11-27 18:15"),
    ]
    assert Calendar("XNYS", "open-30min").next(at("2026-07-02 20:00"), 1) == [at("2026-07-06 13:00")]


@pytest.mark.parametrize(
    ("before", "after"),
    [("2026-10-30 20:15", "2026-11-02 21:15"), ("2027-03-12 21:15", "2027-03-15 20:15")],
)
def test_on_both_sides_of_a_set_clock_it_is_after_the_close(before: str, after: str) -> None:
    found = Calendar("XNYS", "close+15min").moments(at(before) - MINUTE, at(after))
    assert found == [at(before), at(after)]


def test_next_is_further_than_any_window() -> None:
    found = Calendar("XNYS").next(at("2026-01-01 00:00"), 300)
    assert len(found) == 300
    assert all(later > earlier for earlier, later in itertools.pairwise(found))


def test_a_calendar_that_ends_says_so() -> None:
    end = exchange_calendars.get_calendar("XSHG").bound_max()
    assert end is not None
    schedule, last = Calendar("XSHG"), end.to_pydatetime().replace(tzinfo=UTC)
    assert schedule.next(last - timedelta(days=30), 100)[-1] <= last + timedelta(days=1)
    assert f"knows XSHG until {end:%Y-%m-%d} only" in schedule.warning(last - timedelta(days=30))
    assert schedule.warning(last - timedelta(days=100)) == ""
    assert Calendar("24/7").warning(datetime.now(UTC)) == ""


@pytest.mark.parametrize(
    ("at_", "words"),
    [
        ("close+15min", "each trading day of XNYS, 15 minutes after the close"),
        ("open-1h30min", "each trading day of XNYS, 1 hour 30 minutes before the open"),
        ("close", "each trading day of XNYS, at the close"),
    ],
)
def test_it_is_told_in_words_and_comes_back_from_what_is_stored(at_: str, words: str) -> None:
    schedule = Calendar("XNYS", at_)
    assert schedule.in_words() == words
    assert schedule.to_json() == {"kind": "calendar", "calendar": "XNYS", "at": at_}
    assert schedule_from_json({**schedule.to_json(), "catch_up": "all"}) == schedule
    assert (schedule.timezone, schedule.is_prefects) == ("America/New_York", False)


@pytest.mark.parametrize(
    ("name", "at_", "says"),
    [
        ("XNYZ", "close", r'there is no exchange calendar "XNYZ" \(did you mean'),
        ("XNYS", "noon", "at='noon' is no moment of a session; write"),
        ("XNYS", "close+15", r"at='close\+15' is no moment of a session"),
        ("XNYS", "close+13h", r'at="close\+13h" lies more than 12 hours from the close'),
        (
            "XNYS",
            "open+8h",
            r"beyond the close of XNYS, whose sessions usually last 6 hours 30 minutes",
        ),
        ("XNYS", "close-7h", r"30 minutes before the open"),
    ],
)
def test_what_can_never_be_is_refused_in_a_sentence(name: str, at_: str, says: str) -> None:
    with pytest.raises(ScheduleRefused, match=says) as refused:
        Calendar(name, at_)
    assert "\n" not in str(refused.value)


def test_daily_bars_are_complete_at_the_close() -> None:
    """So that what runs at the close sees the bar of its own session."""
    from workbench.marketdata.completeness import complete_before

    for moment in Calendar("XNYS").moments(at("2026-11-20 00:00"), at("2026-12-31 00:00")):
        before = complete_before(pd.Timestamp(moment), "XNYS", "1d").before
        assert pd.Timestamp(before, unit="us").date() == moment.date() + timedelta(days=1)
