"""Numbers and times read as people write them, and nothing that is undefined looks like a number."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from workbench.drawing.wording import (
    TimeFormat,
    amount,
    bars_long,
    listed,
    metric,
    money,
    percent,
    ratio,
    signed_money,
    signed_percent,
    tone,
    trades,
)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (percent(0.1234), "12.3%"),
        (percent(-0.1234, 2), "−12.34%"),
        (percent(12.744), "1,274%"),
        (signed_percent(0.05), "+5.0%"),
        (signed_percent(-0.00001), "0.0%"),
        (ratio(0.734), "0.73"),
        (ratio(-1234.5), "−1,234.50"),
        (money(1_142_585.4), "1,142,585"),
        (money(12.5), "12.50"),
        (money(0.0), "0"),
        (signed_money(-461.2), "−461"),
        (signed_money(72.07), "+72.07"),
        (amount(0.000123456), "0.00012346"),
        (amount(24.5364), "24.536"),
        (amount(552.7), "552.7"),
        (amount(1_234_567.0), "1,234,567"),
        (amount(-0.0), "0"),
        (trades(48.0, 0.0), "48"),
        (trades(1_200.0, 1.0), "1,200 (+1 open)"),
        (metric("total_return", 72.4272), "+7,243%"),
        (metric("max_drawdown", -0.401), "−40.1%"),
        (metric("sharpe_ratio", -0.254), "−0.25"),
        (metric("total_trades", 1_200.0), "1,200"),
        (bars_long(1.0), "1 bar"),
        (bars_long(1_059.0), "1,059 bars"),
    ],
)
def test_numbers_read_as_people_write_them(shown: str, expected: str) -> None:
    assert shown == expected


@pytest.mark.parametrize("write", [percent, signed_percent, ratio, money, signed_money, amount, bars_long])
def test_what_is_not_defined_is_a_dash(write: object) -> None:
    assert callable(write)
    assert write(math.nan) == "–"
    assert write(math.inf).startswith("∞")
    assert write(-math.inf).startswith("−∞")


def test_tones_follow_the_sign() -> None:
    assert [tone(value) for value in (0.1, -0.1, 0.0, math.nan)] == ["gain", "loss", "", ""]


def test_of_many_names_the_first_are_told_and_the_rest_counted() -> None:
    assert listed(["A", "B"]) == "A, B"
    assert listed([f"S{i}" for i in range(500)], 2) == "S0, S1 and 498 more"


def test_daily_bars_have_dates_and_intraday_bars_have_minutes() -> None:
    # New York's midnight is no midnight in UTC, and a bar a day is a daily bar all the same.
    daily = TimeFormat(pd.date_range("2024-01-02 05:00", periods=3, freq="D", tz="UTC"))
    assert daily.text(pd.Timestamp("2024-01-03 05:00", tz="UTC")) == "2024-01-03"
    minutes = pd.date_range("2024-01-02 14:30", periods=3, freq="min", tz="UTC")
    assert TimeFormat(minutes).texts(minutes)[1] == "2024-01-02 14:31"
    ticks = pd.date_range("2024-01-02 14:30", periods=3, freq="s", tz="UTC")
    assert TimeFormat(ticks).texts(ticks)[1] == "2024-01-02 14:30:01"
    assert daily.text(pd.NaT) == "–"
