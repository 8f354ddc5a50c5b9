"""When bars open, with openings of New York and London as the exchanges publish them."""

from __future__ import annotations

import pandas as pd
import pytest

from workbench.errors import QueryError
from workbench.marketdata.openings import opening_times


def opened(*stamps: str, calendar: str | None) -> list[str]:
    times = opening_times(pd.DatetimeIndex(list(stamps), tz="UTC"), calendar)
    return [f"{time:%Y-%m-%d %H:%M}" for time in times]


@pytest.mark.parametrize(
    ("calendar", "stamp", "opens"),
    [
        # New York opens at 9:30, in summer 13:30 UTC; its clocks changed on 8 March and 1 November 2026.
        ("XNYS", "2026-03-06", "2026-03-06 14:30"),
        ("XNYS", "2026-03-09", "2026-03-09 13:30"),
        ("XNYS", "2026-10-30", "2026-10-30 13:30"),
        ("XNYS", "2026-11-02", "2026-11-02 14:30"),
        # The half day after Thanksgiving opens as ever.
        ("XNYS", "2026-11-27", "2026-11-27 14:30"),
        ("XLON", "2026-07-01", "2026-07-01 07:00"),
        # No session: Thanksgiving, a Saturday. Coins have no other opening than midnight.
        ("XNYS", "2026-11-26", "2026-11-26 00:00"),
        ("XNYS", "2026-11-28", "2026-11-28 00:00"),
        ("24/7", "2026-11-28", "2026-11-28 00:00"),
        (None, "2026-11-27", "2026-11-27 00:00"),
    ],
)
def test_a_daily_bar_opens_when_its_session_does(calendar: str | None, stamp: str, opens: str) -> None:
    assert opened(stamp, calendar=calendar) == [opens]


def test_other_bars_open_at_their_stamps() -> None:
    stamps = ("2026-11-27 14:30", "2026-11-27 15:30")
    assert opened(*stamps, calendar="XNYS") == list(stamps)


def test_no_bars_and_a_calendar_that_is_none() -> None:
    assert opened(calendar="XNYS") == []
    with pytest.raises(QueryError, match='no exchange calendar "MOON"'):
        opened("2026-11-27", calendar="MOON")
