"""The quality rules: no row is lost, each broken one goes by its first rule, and none is refused wrongly."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import QueryError
from workbench.marketdata import BAR_COLUMNS, RULES, SUSPICIONS, CheckedBars, check

NOW = pd.Timestamp("2024-01-10 12:00", tz="UTC")
USUAL = {"open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0, "volume": 100.0}


def frame(*bars: dict[str, Any], unit: Literal["us", "ns"] = "us") -> pd.DataFrame:
    """Rows a day apart, usual but for what each says."""
    rows = [
        {
            "timestamp": pd.Timestamp("2024-01-01", tz="UTC") + pd.Timedelta(days=i),
            "rule": "",
            "reason": "",
            **USUAL,
        }
        | bar
        | {"row": i + 1, "raw": {"line": str(i)}}
        for i, bar in enumerate(bars)
    ]
    made = pd.DataFrame(rows)
    made["timestamp"] = pd.to_datetime(made["timestamp"], utc=True).dt.as_unit(unit)
    return made.astype({"row": "int64", "rule": "str", "reason": "str", **dict.fromkeys(USUAL, "float64")})


def run(rows: pd.DataFrame, calendar: str | None = None) -> CheckedBars:
    return check(rows, symbol="X", data_source="test", origin="here", now=NOW, calendar=calendar)


@pytest.mark.parametrize(
    ("bar", "rule", "reason"),
    [
        ({"rule": "malformed_row", "reason": "it is cut off"}, "malformed_row", "it is cut off"),
        ({"timestamp": pd.NaT}, "missing_timestamp", "the bar has no timestamp"),
        ({"close": np.nan}, "not_finite", "close is NaN"),
        ({"volume": np.inf}, "not_finite", "volume is infinite"),
        ({"low": 0.0}, "non_positive_price", "low is 0; a price must be above 0"),
        ({"volume": -1.0}, "negative_volume", "volume is -1; it must be 0 or more"),
        (
            {"high": 9.5, "low": 9.75, "open": 9.6, "close": 9.6},
            "high_below_low",
            "high 9.5 is below low 9.75",
        ),
        ({"open": 12.5}, "outside_range", "open 12.5 is above high 12"),
        ({"close": 8.0}, "outside_range", "close 8 is below low 9"),
        (
            {"high": 1e12},
            "too_large",
            "high 1000000000000 is too large to store; the limit is 1,000,000,000,000",
        ),
        ({"volume": 1e16}, "too_large", "volume 1e+16 is too large to store"),
        ({"open": 10.123456789}, "too_many_decimals", "open 10.123456789 has 9 decimals; 8 can be stored"),
        ({"timestamp": pd.Timestamp("1492-10-12", tz="UTC")}, "implausible_past", "lies before 1700-01-01"),
        ({"timestamp": NOW + pd.Timedelta(days=1, seconds=1)}, "future", "lies in the future"),
    ],
)
def test_each_rule_refuses_its_own_and_says_what_and_where(
    bar: dict[str, Any], rule: str, reason: str
) -> None:
    checked = run(frame({}, bar, {}))
    assert checked.refused["rule"].tolist() == [rule]
    assert reason in checked.refused["reason"].tolist()[0]
    assert checked.refused["row"].tolist() == [2]
    assert checked.refused["raw"].tolist() == [{"line": "1"}]
    assert checked.refused["severity"].tolist() == ["error"]
    assert len(checked.good) == 2


def test_a_row_goes_by_its_first_rule_and_has_all_reasons() -> None:
    checked = run(frame({"open": -1.0, "volume": -5.0, "rule": "odd", "reason": "odd it is"}))
    assert checked.refused["rule"].tolist() == ["odd"]
    (reason,) = checked.refused["reason"].tolist()
    assert reason.split("; ", 1)[0] == "odd it is"
    assert "open is -1; a price must be above 0; volume is -5" in reason
    assert reason.endswith("; open -1 is below low 9")


def test_what_is_just_within_bounds_is_good() -> None:
    edge = {
        "open": 1e-8,
        "low": 1e-8,
        "high": 999_999_999_999.0,
        "volume": 0.0,
        "timestamp": NOW + pd.Timedelta(days=1),
    }
    assert len(run(frame(edge)).good) == 1


def test_a_timestamp_finer_than_a_microsecond_is_refused() -> None:
    fine = pd.Timestamp("2024-01-01 00:00:00.000000001", tz="UTC")
    coarse = pd.Timestamp("2024-01-01 00:00:00.000001", tz="UTC")
    checked = run(frame({"timestamp": fine}, {"timestamp": coarse}, unit="ns"))
    assert checked.refused["rule"].tolist() == ["timestamp_too_fine"]
    assert checked.good["timestamp"].tolist() == [coarse]


def test_of_duplicates_the_first_good_one_stays() -> None:
    day = {"timestamp": pd.Timestamp("2024-01-01", tz="UTC")}
    checked = run(frame(day | {"high": 1.0}, day, day, day | {"close": 10.5}, {}))
    assert checked.refused["rule"].tolist() == ["high_below_low", "duplicate_bar", "duplicate_bar"]
    assert checked.refused["reason"].tolist()[1:] == [
        "row 2 has the same timestamp and agrees with this one",
        "row 2 has the same timestamp and contradicts this one: close 11 there, 10.5 here",
    ]
    assert checked.good["timestamp"].is_unique


def test_good_bars_are_sorted_and_typed_also_when_there_are_none() -> None:
    for rows in (frame({}, {}).iloc[::-1], frame({}).iloc[:0]):
        good, refused = run(rows).good, run(rows).refused
        assert good["timestamp"].is_monotonic_increasing
        assert list(good.columns) == ["symbol", "timestamp", *BAR_COLUMNS]
        assert str(good["timestamp"].dtype) == str(refused["timestamp"].dtype) == "datetime64[us, UTC]"
        assert str(good["symbol"].dtype) == "str"
        assert {str(good[column].dtype) for column in BAR_COLUMNS} == {"float64"}


def test_the_bars_before_may_be_fetched_once_it_is_known_what_they_lie_before() -> None:
    """That is the first good row, whatever a refused one says; without a good one nothing is fetched."""
    asked: list[str] = []

    def before(moment: pd.Timestamp) -> pd.DataFrame:
        asked.append(f"{moment:%Y-%m-%d}")
        # Ten times less: the first new bar is a step up from it.
        stored = {"timestamp": moment - pd.Timedelta(days=1), **USUAL}
        return pd.DataFrame([stored]).assign(open=1.1, high=1.2, low=1.0, close=1.1)

    def noted(*bars: dict[str, Any]) -> list[int]:
        found = check(
            frame(*bars), symbol="X", data_source="test", origin="here", now=NOW, before=before
        ).noted
        return found[found["rule"] == "possible_split"]["row"].tolist()

    assert noted({"timestamp": pd.Timestamp("1492-10-12", tz="UTC")}, {}, {}) == [2]
    assert noted({"open": -1.0}) == []
    assert asked == ["2024-01-02"]


def test_a_frame_that_is_not_rows_of_a_source_is_refused() -> None:
    with pytest.raises(QueryError, match="need the column rule"):
        run(frame({}).drop(columns="rule"))
    naive = frame({})
    naive["timestamp"] = naive["timestamp"].dt.tz_localize(None)
    with pytest.raises(QueryError, match="give them the time zone UTC"):
        run(naive)


prices = st.one_of(st.floats(), st.sampled_from([0.0, 1.0, 2.0, 1e-9, 1e12, 0.1 + 0.2]))
moments = st.one_of(
    st.none(),
    st.sampled_from([pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-02")]),
    st.datetimes().map(pd.Timestamp),
)
bars = st.fixed_dictionaries(
    {"timestamp": moments, "rule": st.sampled_from(["", "", "not_a_number"])} | dict.fromkeys(USUAL, prices)
)


@settings(max_examples=30, deadline=None)
@given(st.lists(bars, max_size=12))
def test_every_row_is_either_good_or_refused_whatever_it_holds(drawn: list[dict[str, Any]]) -> None:
    rows = pd.DataFrame(drawn, columns=["timestamp", "rule", *USUAL]).astype(dict.fromkeys(USUAL, "float64"))
    rows["timestamp"] = pd.to_datetime(rows["timestamp"], utc=True).dt.as_unit("us")
    rows["rule"] = rows["rule"].astype("str")
    rows["reason"] = rows["rule"]
    rows["row"] = np.arange(1, len(rows) + 1)
    rows["raw"] = pd.Series([{} for _ in drawn], dtype=object)
    checked = run(rows, "XNYS")
    assert len(checked.good) + len(checked.refused) == len(rows)
    assert checked.refused["row"].is_unique
    assert not checked.noted.duplicated(["row", "rule"]).any()
    assert set(checked.noted["rule"]) <= set(SUSPICIONS)
    assert set(checked.noted["row"]) <= set(rows["row"]) - set(checked.refused["row"])
    assert (checked.noted["reason"] != "").all()
    assert checked.good["timestamp"].is_unique
    assert np.isfinite(checked.good[list(BAR_COLUMNS)].to_numpy()).all()
    assert set(checked.refused["rule"]) <= {*RULES, "not_a_number"} - {"unreadable"}


values = st.one_of(
    st.floats(min_value=1e-8, max_value=1e11),
    st.decimals("0.00000001", "99999999999", places=8).map(float),
    st.decimals("0.00000001", "99999", places=9).map(float),
)


@settings(max_examples=20, deadline=None)
@given(st.lists(values, min_size=1, max_size=9))
def test_the_fast_decimal_check_agrees_with_the_shortest_text(drawn: list[float]) -> None:
    # Independent: the digits that Python itself prints.
    decimals = [-int(Decimal(repr(value)).normalize().as_tuple().exponent) for value in drawn]
    checked = run(frame(*(dict.fromkeys(("open", "high", "low", "close"), value) for value in drawn)))
    assert len(checked.good) == sum(digits <= 8 for digits in decimals)
    assert set(checked.refused["rule"]) <= {"too_many_decimals"}
