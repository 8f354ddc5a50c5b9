"""What stamps tell of a series: the length of its bars, and that a calendar cannot be its own."""

from __future__ import annotations

import bokeh_sampledata.stocks as package
import pandas as pd
import pytest

from workbench.errors import QueryError
from workbench.marketdata.calendar import sessions, stretches
from workbench.marketdata.series_facts import fits, known_of, length_told


def stamps(first: str, periods: int, step: str) -> pd.DatetimeIndex:
    return pd.date_range(first, periods=periods, freq=step, tz="UTC", unit="us")


@pytest.fixture
def shares() -> pd.DatetimeIndex:
    """The days on which the sample's AAPL traded."""
    return pd.DatetimeIndex(pd.to_datetime(package.AAPL["date"], utc=True)).as_unit("us")


@pytest.mark.parametrize(
    ("times", "length"),
    [
        (stamps("2024-01-01", 5, "D"), "1d"),
        (stamps("2024-01-01", 5, "7D"), "1w"),
        (stamps("2024-01-01", 13, "MS"), "1mo"),
        (stamps("2024-02-01", 2, "MS"), "1mo"),
        (stamps("2024-01-31", 13, "ME"), "1mo"),
        (stamps("2020-01-01", 9, "QS"), "3mo"),
        (stamps("2010-01-01", 9, "YS"), "12mo"),
        (stamps("2024-01-01 05:00", 5, "D"), "24h"),
        (stamps("2024-01-01", 5, "min"), "1min"),
        (stamps("2024-01-01", 5, "90s"), "90s"),
        (stamps("2024-01-01", 5, "4h"), "4h"),
        (stamps("2024-01-01", 5, "250ms"), None),
        (stamps("2024-01-01", 1, "D"), None),
        (stamps("2024-01-01", 0, "D"), None),
    ],
)
def test_the_length_is_the_most_frequent_step(times: pd.DatetimeIndex, length: str | None) -> None:
    assert length_told(pd.DatetimeIndex([*times[::-1], *times], tz="UTC")) == length


def test_the_first_half_hour_of_a_session_does_not_shorten_its_hours() -> None:
    """Hours aligned to the clock, as files have them: 9:30, 10:00, 11:00 … in New York."""
    hours = stretches("XNYS", "2024-01-02", "2024-01-05")
    days = [
        pd.date_range(opens, closes, freq="h", inclusive="left").floor("h")[1:].insert(0, opens)
        for opens, closes in zip(hours["open"], hours["close"], strict=True)
    ]
    assert length_told(pd.DatetimeIndex([time for day in days for time in day])) == "1h"


def test_a_calendar_fits_the_shares_of_its_exchange_and_no_coin(shares: pd.DatetimeIndex) -> None:
    assert fits(shares, "XNYS")
    assert not fits(stamps("2024-01-01", 500, "D"), "XNYS")
    assert fits(stamps("2024-01-01", 500, "D"), "24/7")
    # Currencies have no weekends, but New York's holidays.
    assert not fits(sessions("24/5", "2022-01-01", "2024-01-01"), "XNYS")
    # One odd bar, of a Saturday, does not tell.
    assert fits(shares.union(stamps("2012-01-07", 1, "D")), "XNYS")


def test_minutes_fit_by_the_date_of_the_exchange() -> None:
    """Sydney's Monday opens at 23:00 on Sunday, UTC."""
    monday = stamps("2024-01-07 23:00", 300, "min")
    assert fits(monday, "XASX")
    assert not fits(monday, "XNYS")


def test_a_calendar_that_nobody_named_needs_a_week_of_bars(shares: pd.DatetimeIndex) -> None:
    assert known_of(shares, "XNYS", "1d", said=False) == {"calendar": "XNYS", "bar_interval": "1d"}
    assert known_of(shares[:3], "XNYS", "1d", said=False) == {"bar_interval": "1d"}
    assert known_of(shares[:3], "XNYS", "1d", said=True) == {"calendar": "XNYS", "bar_interval": "1d"}


def test_bars_may_contradict_what_was_said() -> None:
    weekend = stamps("2024-01-01", 9, "D")
    assert known_of(weekend, "XNYS", None, said=True) == {"calendar": None, "bar_interval": "1d"}
    assert known_of(weekend, None, None, said=True) == {"bar_interval": "1d"}
    assert known_of(weekend[:0], "XNYS", None, said=True) == {}
    with pytest.raises(QueryError, match="no exchange calendar"):
        known_of(weekend, "XNONE", None, said=True)
