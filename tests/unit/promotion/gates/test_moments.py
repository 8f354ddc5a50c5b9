"""Where gates cut."""

from __future__ import annotations

import pandas as pd

from tests.unit.promotion.gates.saved import Row, captured
from workbench.promotion.gates.moments import choose_moments


def rows(signals: str, symbol: str = "A") -> list[Row]:
    days = pd.date_range("2024-01-01", periods=len(signals), tz="UTC")
    names = {"b": "buy", "s": "sell", "h": "hold"}
    return [
        (symbol, f"{day:%Y-%m-%d}", names[letter], "1.0", "f")
        for day, letter in zip(days, signals, strict=True)
        if letter != "."
    ]


def days(*made: Row) -> list[str]:
    return [f"{moment.bar:%m-%d}" for moment in choose_moments(captured(*made))]


def test_they_are_where_a_signal_changes_a_sale_a_buy_and_one_near_the_end() -> None:
    made = rows("bsbsbsbsbsbsbsbsbsbs")
    assert days(*made) == ["01-12", "01-15", "01-17"]
    moments = choose_moments(captured(*made))
    assert [dict(moment.towards) for moment in moments] == [{"A": 1.0}, {"A": -1.0}, {"A": -1.0}]
    assert {moment.series for moment in moments} == {("yahoo/A",)}


def test_of_a_row_for_each_bar_those_that_say_the_same_again_are_left_out() -> None:
    assert days(*rows("hhhbbbbhhhsssshhhhhh")) == ["01-04", "01-11", "01-15"]


def test_there_are_as_many_as_there_are_bars_and_none_of_what_waits() -> None:
    waiting = ("A", "2024-02-01", "buy", "1.0", "t")
    assert days(*rows("b...s..."), waiting) == ["01-01"]
    assert days(*rows("b......."), waiting) == ["01-01"]
    assert days(waiting) == []
    assert days() == []
