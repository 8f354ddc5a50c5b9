"""What is awaited: which events meet it, how it is said and stored, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from workbench.errors import ScheduleRefused
from workbench.schedules import schedule_from_json
from workbench.schedules.on_event import After, OnEvent, awaited_from_json, settle_seconds, wheres

BOTH = OnEvent("market_data.written", {"symbol": ["AAPL", "MSFT"], "data_source": ["yahoo"]}, settle=5.0)


@pytest.mark.parametrize(
    ("event", "data", "meets"),
    [
        ("market_data.written", {"symbols": ["IBM", "MSFT"], "data_sources": ["yahoo"]}, True),
        ("market_data.written", {"symbols": ["IBM"], "data_sources": ["yahoo"]}, False),
        ("market_data.written", {"symbols": ["AAPL"], "data_sources": ["file"]}, False),
        ("market_data.written", {"symbols": ["AAPL"]}, False),
        ("market_data.written", {"symbol": "AAPL", "data_source": "yahoo"}, True),
        ("market_data.written", {"symbols": "AAPL", "data_sources": 3}, False),
        ("orders.written", {"symbols": ["AAPL"], "data_sources": ["yahoo"]}, False),
    ],
)
def test_an_event_must_name_one_value_for_each_name(event: str, data: dict[str, Any], meets: bool) -> None:
    assert BOTH.is_met_by(event, data) is meets


def test_only_live_runs_of_the_other_are_come_after() -> None:
    event = "notebook_run.completed"
    assert After("prices").is_met_by(event, {"deployment": "prices", "purpose": "live"})
    assert not After("prices").is_met_by(event, {"deployment": "prices", "purpose": "rerun"})
    assert not After("prices").is_met_by(event, {"deployment": "other", "purpose": "live"})
    assert not After("prices").is_met_by("notebook_run.failed", {"deployment": "prices", "purpose": "live"})


@pytest.mark.parametrize("awaited", [BOTH, OnEvent("model.trained"), After("prices")])
def test_it_comes_back_as_it_was_stored_and_has_no_moments_of_its_own(awaited: OnEvent | After) -> None:
    assert awaited_from_json({**awaited.to_json(), "catch_up": "latest"}) == awaited
    assert schedule_from_json(awaited.to_json()) is None
    assert awaited.next(datetime(2026, 1, 1, tzinfo=UTC), 3) == []
    assert awaited_from_json({"kind": "cron", "cron": "* * * * *", "timezone": "UTC"}) is None


def test_it_says_what_it_is() -> None:
    assert BOTH.in_words() == (
        "on market_data.written where symbol is AAPL or MSFT and data_source is yahoo, settled for 5 s"
    )
    assert After("prices").in_words() == "after prices"


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30.0), ("5min", 300.0), (" 1 h", 3_600.0), (7, 7.0)])
def test_settling_times_are_read(text: str | float, seconds: float) -> None:
    assert settle_seconds(text) == seconds


@pytest.mark.parametrize("text", ["soon", "-3s", "3 days", "", True])
def test_what_is_no_settling_time_is_refused(text: Any) -> None:
    with pytest.raises(ScheduleRefused, match="is no length of time"):
        settle_seconds(text)


@pytest.mark.parametrize("settle", [0.0, 0.5, 3_601.0, float("nan")])
def test_a_settling_time_has_bounds(settle: float) -> None:
    with pytest.raises(ScheduleRefused, match="one second to an hour"):
        OnEvent("market_data.written", settle=settle)


def test_wheres_of_a_command_line() -> None:
    assert wheres(["symbol=AAPL, MSFT", "data_source=yahoo", "symbol=IBM"]) == {
        "symbol": ["AAPL", "MSFT", "IBM"],
        "data_source": ["yahoo"],
    }
    for wrong in ("symbol", "symbol=", "=AAPL", "symbol= , "):
        with pytest.raises(ScheduleRefused, match="is not name=value"):
            wheres([wrong])
