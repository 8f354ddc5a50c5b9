"""When a cron schedule comes next, in its own time zone; moments reckoned by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from workbench.stack.schedules import in_zone, next_cron_slot


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
