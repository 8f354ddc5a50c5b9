"""When a schedule comes next and came last, in its own time zone; moments reckoned by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest

from workbench.schedules.moments import next_cron_slot, next_slot, previous_slot
from workbench.stack.schedules import in_zone
from workbench.stack.timetable import Timetable, timetable_of


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "timezone", "now", "slot"),
    [
        # A Friday after the close: Monday, 17:30 in New York's winter is 22:30 UTC.
        ("30 17 * * mon-fri", "America/New_York", "2026-11-27 23:00", "2026-11-30 22:30"),
        # The same in summer, when New York is four hours behind.
        ("30 17 * * mon-fri", "America/New_York", "2026-07-03 22:00", "2026-07-06 21:30"),
        # India is five and a half hours ahead.
        ("0 9 * * *", "Asia/Kolkata", "2026-11-29 03:29", "2026-11-29 03:30"),
        ("0 9 * * *", "Asia/Kolkata", "2026-11-29 03:30", "2026-11-30 03:30"),
        ("0 0 29 2 *", "UTC", "2026-11-29 00:00", "2028-02-29 00:00"),
    ],
)
def test_the_next_slot_is_at_the_zones_wall_clock(cron: str, timezone: str, now: str, slot: str) -> None:
    assert next_cron_slot(cron, timezone, utc(now)) == utc(slot)


def test_a_day_that_no_year_has_never_comes() -> None:
    assert next_cron_slot("0 0 30 2 *", "UTC", utc("2026-11-29 00:00")) is None


def test_a_moment_is_told_in_its_zone() -> None:
    told = in_zone(utc("2026-11-30 22:30"), "America/New_York")
    assert told == "Mon 2026-11-30 17:30 America/New_York"


CLOSE = {"cron": "30 17 * * mon-fri", "timezone": "America/New_York"}
HOURLY = {"interval": 3600.0, "anchor_date": "2026-11-30T12:20:00Z"}
WEEKLY = {"rrule": "DTSTART:20261102T090000\nRRULE:FREQ=WEEKLY;COUNT=3", "timezone": "Asia/Kolkata"}


@pytest.mark.parametrize(
    ("schedule", "now", "slot"),
    [
        # On a Sunday, the Friday before; at the moment itself, that one.
        (CLOSE, "2026-11-29 12:00", "2026-11-27 22:30"),
        (CLOSE, "2026-11-27 22:30", "2026-11-27 22:30"),
        (CLOSE, "2026-11-27 22:29", "2026-11-26 22:30"),
        # Half past one came twice: at 05:30 UTC, and an hour later, where it is no slot.
        ({"cron": "30 1 * * *", "timezone": "America/New_York"}, "2026-11-01 06:45", "2026-11-01 05:30"),
        ({"cron": "*/15 * * * *", "timezone": "America/New_York"}, "2026-11-01 06:45", "2026-11-01 05:45"),
        # Three times, the last on the 16th at 09:00 of Kolkata.
        (WEEKLY, "2026-11-29 00:00", "2026-11-16 03:30"),
        (WEEKLY, "2026-11-09 03:30", "2026-11-09 03:30"),
        # An interval is counted from its anchor into the past, too.
        (HOURLY, "2026-11-30 13:19", "2026-11-30 12:20"),
        (HOURLY, "2026-11-29 12:19", "2026-11-29 11:20"),
        ({"cron": "0 0 30 2 *", "timezone": "UTC"}, "2026-11-29 00:00", None),
        ({"cron": "no such fields at all", "timezone": "UTC"}, "2026-11-29 00:00", None),
        ({"rrule": "DTSTART:20300101T000000\nRRULE:FREQ=DAILY", "timezone": "UTC"}, "2026-11-29 00:00", None),
    ],
)
def test_the_last_slot_is_at_the_zones_wall_clock(
    schedule: dict[str, Any], now: str, slot: str | None
) -> None:
    assert previous_slot(schedule, utc(now)) == (None if slot is None else utc(slot))


def test_an_interval_comes_next_before_its_anchor_too() -> None:
    assert next_slot(HOURLY, utc("2026-11-29 12:19")) == utc("2026-11-29 12:20")
    assert next_slot(HOURLY, utc("2026-11-29 12:20")) == utc("2026-11-29 13:20")


def test_a_timetable_joins_schedules_and_knows_since_when_they_hold() -> None:
    noon, half_day = {"cron": "0 12 * * *", "timezone": "UTC"}, {"cron": "0 0,12 * * *", "timezone": "UTC"}
    table = Timetable("d", ((noon, utc("2026-11-27 12:00")), (half_day, utc("2026-11-29 00:00"))))
    assert list(islice(table.until(utc("2026-11-30 12:00")), 9)) == [
        utc("2026-11-30 12:00"),
        utc("2026-11-30 00:00"),
        utc("2026-11-29 12:00"),
        utc("2026-11-28 12:00"),
    ]
    assert list(table.until(utc("2026-11-30 12:00"), after=utc("2026-11-29 12:00"))) == [
        utc("2026-11-30 12:00"),
        utc("2026-11-30 00:00"),
    ]
    assert table.newest(utc("2026-11-20 13:00")) == utc("2026-11-20 12:00")
    assert table.newest_held(utc("2026-11-20 13:00")) is None
    assert table.has(utc("2026-11-20 00:00"))
    assert not table.has(utc("2026-11-20 01:00"))


def test_only_active_schedules_count() -> None:
    entry = {"active": True, "schedule": CLOSE, "updated": "2026-11-02T00:00:00Z"}
    facts = {"name": "d", "paused": False, "created": "2026-11-01T00:00:00Z"}
    told = timetable_of(facts | {"schedules": [entry, entry | {"active": False}]})
    assert told == Timetable("d", ((CLOSE, utc("2026-11-02 00:00")),))
    assert timetable_of(facts | {"schedules": [entry], "paused": True}).schedules == ()
    assert Timetable("d").newest(utc("2026-11-29 12:00")) is None
