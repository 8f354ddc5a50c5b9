"""What Prefect's own schedule plans of a cron on the days on which New York sets its clock.

Expected moments come from the time zone database, by Python's zoneinfo.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from workbench.schedules.moments import moments_until

ZONE = ZoneInfo("America/New_York")
BACK, FORWARD = date(2026, 11, 1), date(2027, 3, 14)
"""At 02:00 the clock goes to 01:00; at 02:00 it goes to 03:00."""

Planned = dict[tuple[str, date], list[list[datetime]]]
CRONS = ["0 * * * *", "*/15 * * * *", "30 1 * * *", "30 2 * * *", "30 17 * * *"]
# Prefect's server imports much, and reads the home of whoever calls: once, and elsewhere.
PLAN = """
import asyncio, json, sys
from datetime import datetime, timedelta
from prefect.server.schemas.schedules import CronSchedule

async def plan(question):
    schedule = CronSchedule(cron=question["cron"], timezone=question["timezone"], day_or=True)
    end = datetime.fromisoformat(question["end"])
    starts = [datetime.fromisoformat(start) for start in question["starts"]]
    return [[one.isoformat() for one in await schedule.get_dates(start=s, end=end)] for s in starts]

async def main():
    print(json.dumps([await plan(question) for question in json.load(sys.stdin)]))

asyncio.run(main())
"""


def wall_clock(day: date, hour: int, minute: int) -> datetime | None:
    """The first moment at which the clock shows it on that day, UTC; None where it never does."""
    shown = datetime.combine(day, time(hour, minute))
    moment = shown.replace(tzinfo=ZONE, fold=0).astimezone(UTC)
    return moment if moment.astimezone(ZONE).replace(tzinfo=None) == shown else None


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), ZONE).astimezone(UTC)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    """The slots of each cron and day, as planned at its midnight and then every eleven minutes."""
    asked, questions = [], []
    for day in (BACK, FORWARD):
        starts = [midnight(day)]
        end = midnight(day + timedelta(days=1)) - timedelta(seconds=1)
        while starts[-1] + timedelta(minutes=11) < end:
            starts.append(starts[-1] + timedelta(minutes=11))
        for cron in CRONS:
            asked.append((cron, day))
            questions.append(
                {
                    "cron": cron,
                    "timezone": ZONE.key,
                    "starts": [start.isoformat() for start in starts],
                    "end": end.isoformat(),
                }
            )
    home = tmp_path_factory.mktemp("prefect")
    done = subprocess.run(
        [sys.executable, "-c", PLAN],
        input=json.dumps(questions),
        env={"PATH": os.environ["PATH"], "HOME": str(home), "PREFECT_HOME": str(home)},
        cwd=Path(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    return {
        key: [[datetime.fromisoformat(one).astimezone(UTC) for one in dates] for dates in answer]
        for key, answer in zip(asked, answers, strict=True)
    }


@pytest.mark.parametrize(("day", "slots"), [(BACK, 24), (FORWARD, 23)])
def test_an_hourly_cron_has_a_slot_for_each_hour_that_the_clock_shows(
    planned: Planned, day: date, slots: int
) -> None:
    """The day that has 25 hours shows 24, and the hour that comes twice has its slot when it comes first."""
    expected = [moment for hour in range(24) if (moment := wall_clock(day, hour, 0))]
    assert planned["0 * * * *", day][0] == expected
    assert len(expected) == slots
    pauses = {after - before for before, after in itertools.pairwise(expected)}
    assert pauses == {timedelta(hours=1)} | ({timedelta(hours=2)} if day == BACK else set())


def test_within_a_repeated_hour_only_the_first_pass_has_slots(planned: Planned) -> None:
    expected = [wall_clock(BACK, hour, minute) for hour in range(24) for minute in (0, 15, 30, 45)]
    assert planned["*/15 * * * *", BACK][0] == expected


def test_a_time_that_comes_twice_has_one_slot_the_first(planned: Planned) -> None:
    assert planned["30 1 * * *", BACK][0] == [datetime(2026, 11, 1, 5, 30, tzinfo=UTC)]


def test_a_time_that_is_skipped_has_one_slot_an_hour_off(planned: Planned) -> None:
    """Before Python 3.13 Prefect adds up with pytz and is early, since then with whenever and is late."""
    early, late = datetime(2027, 3, 14, 6, 30, tzinfo=UTC), datetime(2027, 3, 14, 7, 30, tzinfo=UTC)
    assert wall_clock(FORWARD, 2, 30) is None
    assert planned["30 2 * * *", FORWARD][0] == [late if sys.version_info >= (3, 13) else early]


@pytest.mark.parametrize("day", [BACK, FORWARD])
def test_the_evenings_slot_follows_the_clock(planned: Planned, day: date) -> None:
    assert planned["30 17 * * *", day][0] == [wall_clock(day, 17, 30)]


@pytest.mark.parametrize("day", [BACK, FORWARD])
@pytest.mark.parametrize("cron", CRONS)
def test_planned_anew_at_any_moment_of_the_day_there_are_no_other_slots(
    planned: Planned, cron: str, day: date
) -> None:
    """A server plans all the time; a slot of another moment would be another run."""
    first, *later = planned[cron, day]
    assert set().union(*later) <= set(first)


@pytest.mark.parametrize("day", [BACK, FORWARD])
@pytest.mark.parametrize("cron", CRONS)
def test_the_slots_before_a_moment_are_those_that_were_planned(
    planned: Planned, cron: str, day: date
) -> None:
    expected = planned[cron, day][0]
    schedule = {"cron": cron, "timezone": ZONE.key}
    start, end = midnight(day), midnight(day + timedelta(days=1)) - timedelta(seconds=1)
    while end > start:
        walked = itertools.takewhile(lambda moment: moment >= start, moments_until(schedule, end))
        assert list(walked) == [moment for moment in reversed(expected) if moment <= end]
        end -= timedelta(minutes=11)
