"""Cron, intervals and recurrence rules: what they refuse, when they come, and what is stored of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workbench.errors import ScheduleRefused
from workbench.schedules import (
    Cron,
    Interval,
    RRule,
    Schedule,
    check_catch_up,
    one_schedule,
    schedule_from_json,
)
from workbench.schedules.catch_up import caught_up, read_catch_up

NEW_YORK = "America/New_York"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        (Cron("30 17 * * mon-fri", NEW_YORK), "2026-10-30 12:00", ["2026-10-30 21:30", "2026-11-02 22:30"]),
        (Interval("15min"), "2026-11-30 15:50", ["2026-11-30 16:00", "2026-11-30 16:15"]),
        (
            Interval("1d", anchor="2026-01-01T06:00:00+00:00"),
            "2026-11-01 00:00",
            ["2026-11-01 06:00", "2026-11-02 06:00"],
        ),
        (
            RRule("FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18", NEW_YORK),
            "2026-10-15 00:00",
            ["2026-10-30 22:00", "2026-11-27 23:00"],
        ),
    ],
)
def test_moments_are_the_same_forwards_and_backwards(
    schedule: Schedule, after: str, expected: list[str]
) -> None:
    moments = [at(text) for text in expected]
    assert schedule.next(at(after), 2) == moments
    assert schedule.moments(at(after), moments[-1]) == moments
    assert schedule_from_json(schedule.to_json()) == schedule


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Cron("61 * * * *", "UTC"), "minute 61 is not in 0 to 59"),
        (lambda: Cron("* * * *", "UTC"), "has 4 fields; cron takes five"),
        (lambda: Cron("0 0 30 2 *", "UTC"), "never comes: no year has such a day"),
        (lambda: Cron("0 0 * * *", "New York"), "there is no time zone 'New York'"),
        (lambda: Interval("30s"), "every='30s' is no length of time"),
        (lambda: Interval("0min"), "is below a minute, which is the least"),
        (lambda: Interval("400d"), "is above 366 days"),
        (lambda: Interval("1h", anchor="2026-01-01"), "anchor='2026-01-01' is no moment with an offset"),
        (lambda: RRule("FREQ=FOO", "UTC"), "cannot be read"),
        (lambda: RRule("", "UTC"), "cannot be read"),
        (lambda: RRule("FREQ=SECONDLY", "UTC"), "counts seconds; a minute is the least"),
        (lambda: RRule("FREQ=DAILY;UNTIL=20210101T000000", "UTC"), "never comes again"),
        (lambda: RRule("RDATE:" + "20270101T000000," * 500, "UTC"), "Prefect takes at most 6500"),
        (lambda: one_schedule(cron="* * * * *", every="1h"), "cron and every are given"),
        (lambda: one_schedule(), "none is given"),
        (lambda: one_schedule(cron="* * * * *"), "a schedule needs its time zone"),
        (lambda: one_schedule(every="1h", at="close"), "it does not go with every"),
        (
            lambda: one_schedule(calendar="XNYS", timezone="UTC"),
            "the time zone of its exchange",
        ),
        (lambda: one_schedule(every=timedelta(seconds=90)), "is no length of time"),
        (lambda: check_catch_up("some"), "catch_up='some' is no policy"),
        (lambda: check_catch_up(True), "catch_up=True is no policy"),
        (lambda: read_catch_up("0"), "catch_up=0 is no policy"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(make: Callable[[], Any], says: str) -> None:
    with pytest.raises(ScheduleRefused, match=says):
        make()


def test_one_of_them_is_taken_with_the_projects_zone() -> None:
    assert one_schedule(cron="0 0 * * *", default_timezone=NEW_YORK) == Cron("0 0 * * *", NEW_YORK)
    assert one_schedule(every=timedelta(minutes=5)) == Interval("5min")
    assert one_schedule(calendar="XNYS", default_timezone="UTC").to_json() == {
        "kind": "calendar",
        "calendar": "XNYS",
        "at": "close",
    }


def test_a_kind_without_moments_of_its_own_is_none_of_these() -> None:
    assert schedule_from_json({"kind": "event", "on": "market_data.written"}) is None
    assert schedule_from_json({}) is None


def test_the_policy_says_which_are_run_oldest_first() -> None:
    passed = [at(f"2026-11-{day} 22:00") for day in (25, 23, 24)]
    ordered = sorted(passed)
    assert caught_up("latest", passed) == ordered[-1:]
    assert caught_up("all", passed) == ordered
    assert caught_up("none", passed) == []
    assert caught_up(2, passed) == ordered[-2:]
    assert [read_catch_up(text) for text in ("latest", "all", "none", "5")] == ["latest", "all", "none", 5]
