"""What looks odd is stored and noted: every planted error is found, and what is usual is left in peace.

The planted series is a random walk of 1 % a day, so its robust scale is about 1 %, and 10 times that 10 %.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import QueryError
from workbench.marketdata import BAR_COLUMNS, CONTEXT_BARS, SUSPICIONS, CheckedBars, check
from workbench.marketdata.suspicions import MOST_NOTES

LOGGED = ["symbol", "data_source", "origin", "row", "timestamp", "rule", "severity", "reason", "raw"]
ACTION = {"symbol": "X", "kind": "split", "value": 2.0, "applied": False}


def walk(bars: int = 200, *, seed: int = 7, start: str = "2018-01-02", every: str = "B") -> pd.DataFrame:
    """Rows of a random walk, quiet and clean."""
    random = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(random.normal(0, 0.01, bars))), 4)
    opening = np.round(np.append(100.0, close[:-1]) * np.exp(random.normal(0, 0.002, bars)), 4)
    wick = 1 + np.abs(random.normal(0, 0.004, bars))
    return pd.DataFrame(
        {
            "row": np.arange(1, bars + 1),
            "timestamp": pd.date_range(start, periods=bars, freq=every, tz="UTC", unit="us"),
            "open": opening,
            "high": np.round(np.maximum(opening, close) * wick, 4),
            "low": np.round(np.minimum(opening, close) / wick, 4),
            "close": close,
            "volume": random.integers(1_000, 9_000, bars).astype("float64"),
            "rule": pd.Series([""] * bars, dtype="str"),
            "reason": pd.Series([""] * bars, dtype="str"),
            "raw": pd.Series([{"line": i} for i in range(bars)], dtype=object),
        }
    )


def times(rows: pd.DataFrame, first: int, last: int, factor: float) -> pd.DataFrame:
    """The same rows, prices of those from `first` to `last` (positions, included) multiplied."""
    prices = list(BAR_COLUMNS[:4])
    rows = rows.copy()
    rows.loc[first:last, prices] = (rows.loc[first:last, prices] * factor).round(8)
    return rows


def run(rows: pd.DataFrame, **options: Any) -> CheckedBars:
    now = pd.Timestamp("2030-01-01", tz="UTC")
    return check(rows, symbol="X", data_source="test", origin="here", now=now, **options)


def found(rows: pd.DataFrame, **options: Any) -> list[tuple[int, str]]:
    noted = run(rows, **options).noted
    return list(zip(noted["row"].tolist(), noted["rule"].tolist(), strict=True))


def only_reason(rows: pd.DataFrame, **options: Any) -> str:
    (reason,) = run(rows, **options).noted["reason"].tolist()
    return str(reason)


def test_a_quiet_series_is_left_in_peace() -> None:
    checked = run(walk(2_000))
    assert checked.noted.empty
    assert list(checked.noted.columns) == list(checked.refused.columns) == LOGGED
    assert (checked.noted.dtypes == checked.refused.dtypes).all()


@pytest.mark.parametrize("bars", [0, 1, 2, 5])
def test_a_few_bars_or_none_are_no_trouble(bars: int) -> None:
    assert found(walk(bars), calendar="XNYS", before=walk(3, start="2017-12-20")) in ([], [(1, "gap")])
    assert found(walk(bars)) == []


def test_what_is_noted_is_stored_too_and_says_where_it_stood() -> None:
    checked = run(times(walk(), 100, 100, 100.0))
    assert len(checked.good) == 200
    assert checked.refused.empty
    (note,) = checked.noted.to_dict("records")
    reason = note.pop("reason")
    assert note == {
        "symbol": "X",
        "data_source": "test",
        "origin": "here",
        "row": 101,
        "timestamp": walk()["timestamp"][100],
        "rule": "spike",
        "severity": "warning",
        "raw": {"line": 100},
    }
    assert "the closes before and after: beyond 10 usual moves; about 100 times as much" in reason


@settings(max_examples=20, deadline=None)
@given(
    at=st.integers(1, 198),
    size=st.floats(0.2, 3.0),
    up=st.booleans(),
    column=st.sampled_from(["open", "high", "low", "close", "bar"]),
)
def test_a_planted_spike_is_found_wherever_it_stands(at: int, size: float, up: bool, column: str) -> None:
    """The usual move is 1 %, and a fifth is far beyond ten of them."""
    rows = walk()
    factor = float(np.exp(size if column == "high" or (up and column != "low") else -size))
    if column == "bar":
        rows = times(rows, at, at, factor)
    else:
        values = rows[column].to_numpy(np.float64, copy=True)
        values[at] = np.round(values[at] * factor, 6)
        rows[column] = values
        prices = rows[["open", "high", "low", "close"]]
        rows["high"], rows["low"] = prices.max(axis=1), prices.min(axis=1)
    assert found(rows) == [(at + 1, "spike")]


@pytest.mark.parametrize("factor", [100.0, 0.01, 1000.0, 0.001])
def test_a_plain_factor_there_and_back_is_a_spike_however_wild_the_series(factor: float) -> None:
    rows = walk()
    for column in ("open", "high", "low", "close"):
        rows[column] = ((rows[column] / 100) ** 40 * 100).round(6)
    # 40 times the logarithm is a robust scale of about 40 %: ten of them are more than a hundredfold.
    assert "spike" not in {rule for _, rule in found(rows)}
    assert (101, "spike") in found(times(rows, 100, 100, factor))


def test_in_a_series_too_short_for_a_scale_half_as_much_again_is_a_spike() -> None:
    assert found(times(walk(3), 1, 1, 1.4)) == []
    assert found(times(walk(3), 1, 1, 1.6)) == [(2, "spike")]


def test_quotes_of_a_series_that_hardly_trades_are_no_spikes() -> None:
    """Half of the closes stay, so that the median move is 0: that alone makes no trade an outlier."""
    rows = walk(400)
    rows.loc[rows.index % 3 != 0, ["open", "high", "low", "close"]] = np.nan
    rows = rows.ffill()
    rows["volume"] = np.arange(400.0) + 1
    rows["high"] = (rows["high"] * 1.015).round(4)
    assert found(rows) == []


@pytest.mark.parametrize(
    ("factor", "split"),
    [
        (1 / 2, "a split 2:1"),
        (2 / 3, "a split 3:2"),
        (1 / 7, "a split 7:1"),
        (20.0, "a reverse split 1:20"),
        (0.01, "a split 100:1, or a change of unit,"),
    ],
)
def test_a_step_that_stays_and_is_near_a_plain_ratio_may_be_a_split(factor: float, split: str) -> None:
    rows = times(walk(), 100, 199, factor)
    assert found(rows) == [(101, "possible_split")]
    assert f"as {split} would make it; no corporate action explains it" in only_reason(rows)


def test_a_split_that_is_known_explains_the_step_and_one_in_the_prices_does_not() -> None:
    rows = times(walk(), 100, 199, 0.5)
    known = pd.DataFrame([ACTION | {"ex_date": rows["timestamp"].dt.tz_localize(None)[100]}])
    assert found(rows, actions=known) == []
    assert found(rows, actions=known.assign(applied=True)) == [(101, "possible_split")]
    assert found(rows, actions=known.assign(symbol="Y")) == [(101, "possible_split")]
    assert found(rows, actions=known.assign(kind="dividend")) == [(101, "possible_split")]
    # Without a bar on the day itself, the next one makes the step.
    assert found(rows.drop(index=100), actions=known) == []


def test_a_split_that_the_prices_do_not_show_is_noted() -> None:
    """As in files whose prices are adjusted already, and which list the split all the same."""
    known = pd.DataFrame([ACTION | {"value": 7.0, "ex_date": pd.Timestamp("2018-03-01")}])
    assert found(walk(), actions=known) == [(43, "split_not_seen")]
    assert found(walk(), actions=known.assign(applied=True)) == []
    # What a stock dividend of 5 % does cannot be told from a usual day.
    assert found(walk(), actions=known.assign(value=1.05)) == []


def test_a_split_of_intraday_bars_is_explained_by_its_date() -> None:
    hours = pd.date_range("2018-01-02 14:30", periods=200, freq="h", tz="UTC", unit="us")
    rows = times(walk(), 100, 199, 0.5).assign(timestamp=hours)
    known = pd.DataFrame([ACTION | {"ex_date": hours[100].tz_localize(None).normalize()}])
    assert found(rows) == [(101, "possible_split")]
    assert found(rows, actions=known) == []


def test_a_step_that_is_no_split_is_a_jump_if_it_halves_or_doubles() -> None:
    assert found(times(walk(), 100, 199, 2.24)) == [(101, "jump")]
    assert found(times(walk(), 100, 199, 0.8)) == []


def test_an_excursion_of_several_bars_shows_at_both_ends() -> None:
    assert found(times(walk(), 100, 104, 100.0)) == [(101, "possible_split"), (106, "possible_split")]


def test_daily_bars_that_traded_may_not_repeat_and_others_not_twice() -> None:
    rows = walk()
    rows.loc[101, list(BAR_COLUMNS)] = rows.loc[100, list(BAR_COLUMNS)]
    assert found(rows) == [(102, "stale")]
    rows.loc[102, list(BAR_COLUMNS)] = rows.loc[100, list(BAR_COLUMNS)]
    assert found(rows) == [(102, "stale")]
    assert only_reason(rows).startswith(
        "3 bars in a row from 2018-05-22 have the same open, high, low, close"
    )
    minutes = rows.assign(
        timestamp=pd.date_range("2018-01-02 14:30", periods=200, freq="min", tz="UTC", unit="us")
    )
    assert found(minutes) == [(103, "stale")]
    minutes.loc[102, "volume"] = 1.0
    assert found(minutes) == []


def test_closes_that_stay_without_any_volume_are_stale() -> None:
    rows = walk()
    for column in ("open", "high", "low", "close"):
        rows.loc[101:103, column] = rows["close"][100]
    rows.loc[101:103, "volume"] = 0.0
    assert found(rows) == [(103, "stale")]
    assert only_reason(rows).startswith("4 bars in a row from 2018-05-22 have the same close and no volume")


def test_a_move_without_volume_is_odd_only_where_there_is_volume_at_all() -> None:
    rows = walk()
    rows.loc[50, "volume"] = 0.0
    assert found(rows) == [(51, "zero_volume")]
    assert found(rows.assign(volume=0.0)) == []


def test_of_very_many_notes_a_hundred_are_kept_and_one_counts_the_rest() -> None:
    rows = walk(1_000)
    rows.loc[rows.index % 3 == 1, "volume"] = 0.0
    noted = run(rows).noted
    # 333 rows: 1, 4, … 997 counted from 0; the last is numpy.busday_offset("2018-01-02", 997).
    assert len(noted) == MOST_NOTES + 1 == 101
    assert noted["reason"].tolist()[-1].endswith("; and 232 more like it, to 2021-10-28")
    assert noted["row"].tolist() == list(range(2, 2 + 3 * 101, 3))


def test_rows_that_came_out_of_order_are_judged_in_order_and_noted_by_their_own_row() -> None:
    rows = times(walk(), 100, 100, 100.0)
    assert found(rows.iloc[::-1]) == [(101, "spike")]


def test_a_refused_row_is_not_judged() -> None:
    rows = times(walk(), 100, 100, 100.0)
    rows.loc[100, "volume"] = -1.0
    assert found(rows) == []


def key_of(checked: CheckedBars) -> set[tuple[str, int]]:
    return set(zip(checked.noted["rule"].tolist(), checked.noted["row"].tolist(), strict=True))


@settings(max_examples=20, deadline=None)
@given(
    cut=st.integers(CONTEXT_BARS, 198),
    places=st.lists(st.integers(1, 198), max_size=4, unique=True),
    kind=st.sampled_from(["spike", "split", "stale", "gap"]),
)
def test_bars_that_come_in_two_parts_are_noted_as_if_they_came_in_one(
    cut: int, places: list[int], kind: str
) -> None:
    rows = walk()
    for place in sorted(places):
        if kind == "spike":
            rows = times(rows, place, place, 10.0 if place % 2 else 1.5)
        elif kind == "split":
            rows = times(rows, place, 199, 0.5)
        elif kind == "stale":
            rows.loc[place, list(BAR_COLUMNS)] = rows.loc[place - 1, list(BAR_COLUMNS)]
    if kind == "gap":
        rows = rows.drop(index=places)
    whole = run(rows, calendar="XNYS")
    early, late = rows[rows["row"] <= cut], rows[rows["row"] > cut]
    first = run(early, calendar="XNYS")
    second = run(late, calendar="XNYS", before=first.good)
    # That a stored bar was a spike is noted at the next one; a step at the very end may yet prove to be one.
    late_row = int(late["row"].iloc[0])
    expected = {
        (rule, late_row if rule == "spike" and row == int(early["row"].iloc[-1]) else row)
        for rule, row in key_of(whole)
    }
    last = int(early["row"].iloc[-1])
    hasty = {("possible_split", last), ("jump", last)}
    assert (key_of(first) | key_of(second)) - hasty == expected - hasty


def test_bars_stored_before_may_be_indexed_and_those_not_before_are_left_out() -> None:
    rows = times(walk(), 100, 199, 0.5)
    stored = run(rows).good.set_index(["symbol", "timestamp"])
    late = rows[rows["row"] > 100]
    assert found(late) == []
    assert found(late, before=stored) == found(late, before=stored.iloc[:100]) == [(101, "possible_split")]


def test_what_is_told_about_the_bars_must_be_whole() -> None:
    rows, stored = walk(), run(walk(start="2017-01-02")).good
    with pytest.raises(QueryError, match="stored before need the column low"):
        run(rows, before=stored.drop(columns="low"))
    with pytest.raises(QueryError, match="give them the time zone UTC"):
        run(rows, before=stored.assign(timestamp=stored["timestamp"].dt.tz_localize(None)))
    with pytest.raises(QueryError, match="corporate actions need the column applied"):
        run(rows, actions=pd.DataFrame([ACTION]).drop(columns="applied").assign(ex_date=rows["timestamp"][3]))
    with pytest.raises(QueryError, match='no exchange calendar "XNYSE"'):
        run(rows, calendar="XNYSE")


def test_the_rules_are_these() -> None:
    assert len(SUSPICIONS) == len(set(SUSPICIONS)) == 9
