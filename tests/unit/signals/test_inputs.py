"""What cannot be backtested is refused with a sentence that says what to do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.backtest import Weights, backtest
from workbench.errors import BacktestError

DAYS = pd.date_range("2020-01-01", periods=4, tz="UTC", name="timestamp")


def make_bars(symbols: tuple[str, ...] = ("A", "B"), days: pd.DatetimeIndex = DAYS) -> pd.DataFrame:
    index = pd.MultiIndex.from_product([symbols, days], names=["symbol", "timestamp"])
    return pd.DataFrame(dict.fromkeys(("open", "high", "low", "close", "volume"), 10.0), index=index)


def make_signals(symbols: tuple[str, ...] = ("A", "B"), days: pd.DatetimeIndex = DAYS) -> pd.DataFrame:
    return pd.DataFrame(True, index=days, columns=list(symbols))


def refused(bars: pd.DataFrame, entries: Any = None, exits: Any = None, **options: Any) -> str:
    entries = make_signals() if entries is None else entries
    exits = ~make_signals() if exits is None else exits
    with pytest.raises(BacktestError) as caught:
        backtest(bars, entries, exits, **options)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


def with_value(column: str, value: float, row: int = 1) -> pd.DataFrame:
    bars = make_bars()
    bars[column] = [value if number == row else 10.0 for number in range(len(bars))]
    return bars


def test_bars_that_are_no_bars() -> None:
    assert "not one row" in refused(make_bars().iloc[:0])
    assert "set_index" in refused(make_bars().reset_index())
    assert "set_index" in refused(make_bars().droplevel("symbol"))
    assert "'open' is missing" in refused(make_bars().drop(columns="open"))
    assert "'close'" in refused(make_bars().assign(close="ten"))


def test_bars_with_impossible_times() -> None:
    naive = make_bars(days=DAYS.tz_localize(None))
    assert "no time zone" in refused(naive)
    assert "tz_localize" in refused(naive)
    assert "pd.to_datetime" in refused(make_bars().rename(str, level="timestamp"))
    unknown = make_bars().rename({DAYS[1]: pd.NaT}, level="timestamp")
    assert "no symbol or no timestamp" in refused(unknown)
    twice = pd.concat([make_bars(), make_bars().iloc[[5]]])
    assert "B has two rows at 2020-01-02" in refused(twice)


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf])
def test_bars_with_impossible_prices(value: float) -> None:
    assert f"the open of A at 2020-01-02 00:00:00+00:00 is {value}" in refused(with_value("open", value))
    assert "nothing trades at that price" in refused(with_value("close", value))


def test_a_symbol_of_nan_only() -> None:
    bars = make_bars()
    bars.loc["B", "close"] = np.nan
    assert refused(bars).startswith("bars: B has no row with both an open and a close")


def test_signals_that_are_not_bool() -> None:
    assert "float64, not bool" in refused(make_bars(), make_signals().astype(float))
    shifted = make_signals().shift(1)
    assert ".shift(1, fill_value=False)" in refused(make_bars(), shifted)
    assert refused(make_bars(), exits=shifted).startswith("exits:")
    assert "not bool" in refused(make_bars(), make_signals().stack().swaplevel().astype(int))


def test_signals_that_are_not_aligned() -> None:
    assert "the 3 timestamps are not the bars' 4 (first difference: 2020-01-04" in refused(
        make_bars(), make_signals(days=DAYS[:3])
    )
    assert "another order" in refused(make_bars(), make_signals().iloc[::-1])
    assert "first difference: 'A'" in refused(make_bars(), make_signals(("B", "C")))
    assert "first difference: 'B'" in refused(make_bars(), make_signals(("A", "A")))
    assert "no time zone" in refused(make_bars(), make_signals(days=DAYS.tz_localize(None)))
    assert "no timestamps" in refused(make_bars(), make_signals().reset_index(drop=True))
    assert "one Series cannot say which of 2 symbols" in refused(make_bars(), make_signals()["A"])
    unnamed = make_signals().stack()
    assert "a tidy Series needs a unique index" in refused(make_bars(), unnamed)


@pytest.mark.parametrize(
    ("option", "value"),
    [("cash", 0.0), ("cash", -1.0), ("cash", math.nan), ("cash", math.inf)]
    + [(name, value) for name in ("fees", "slippage") for value in (-0.001, 1.0, math.nan)]
    + [("fixed_fees", value) for value in (-1.0, math.nan, math.inf)]
    + [(name, value) for name in ("stop_loss", "trailing_stop") for value in (0.0, 1.0, math.nan)]
    + [("take_profit", 0.0), ("take_profit", math.inf)]
    + [("periods_per_year", 0.0), ("periods_per_year", math.nan)],
)
def test_impossible_options(option: str, value: float) -> None:
    assert refused(make_bars(), **{option: value}).startswith(f"{option}: {value} ")


def test_options_of_another_kind() -> None:
    assert "'open' is none of next_open, next_close, same_close" in refused(make_bars(), fill="open")
    assert "give Percent(0.5)" in refused(make_bars(), size=0.5)


def refused_weights(weights: Any) -> str:
    with pytest.raises(BacktestError) as caught:
        backtest(make_bars(), Weights(weights))
    message = str(caught.value)
    assert message.startswith("weights: ")
    assert message.endswith(".")
    return message


def test_weights_that_are_not_aligned_or_no_fractions() -> None:
    good = make_signals().astype(float)
    assert "not bool" not in refused_weights(make_signals())
    assert "is bool; give fractions" in refused_weights(make_signals())
    assert "no frame" in refused_weights(good["A"])
    assert "infinite" in refused_weights(good * math.inf)
    assert "no time zone" in refused_weights(good.tz_localize(None))
    assert "first difference: 'A'" in refused_weights(good.rename(columns={"A": "C"}))
    elsewhere = good.set_axis(DAYS + pd.Timedelta(hours=1))
    assert "2020-01-01 01:00:00+00:00 is no timestamp of the bars" in refused_weights(elsewhere)
    assert "stands there twice" in refused_weights(pd.concat([good, good]))


def test_weights_without_a_bar_are_filled_at_the_next_bar() -> None:
    bars = with_value("close", math.nan, row=1)
    weights = pd.DataFrame({"A": [math.nan, 0.5, math.nan, math.nan], "B": math.nan}, index=DAYS)
    orders = backtest(bars, Weights(weights[["B", "A"]])).orders
    assert orders["signal_time"].tolist() == [DAYS[1]]
    assert orders["time"].tolist() == [DAYS[2]]


def test_signals_in_any_of_their_shapes_say_the_same() -> None:
    bars = make_bars()
    wide = pd.DataFrame({"A": [True, False, True, False], "B": [False, True, False, True]}, index=DAYS)
    never = make_signals() & False
    expected = backtest(bars, wide, never).orders
    assert len(expected) == 2
    in_new_york = wide.tz_convert("America/New_York")
    tidy = wide.rename_axis(columns="symbol").stack().swaplevel()
    shuffled = bars.sample(frac=1.0, random_state=1)
    for frame, entries in ((bars, wide[["B", "A"]]), (bars, in_new_york), (bars, tidy), (shuffled, tidy)):
        pd.testing.assert_frame_equal(backtest(frame, entries, never).orders, expected)
    one = bars.loc[["A"]]
    from_series = backtest(one, wide["A"], never["A"]).orders
    pd.testing.assert_frame_equal(from_series, backtest(one, wide[["A"]], never[["A"]]).orders)


def test_what_is_passed_in_is_not_changed() -> None:
    bars, entries = make_bars(), make_signals()
    before = bars.copy(), entries.copy()
    backtest(bars, entries, ~entries)
    pd.testing.assert_frame_equal(bars, before[0])
    pd.testing.assert_frame_equal(entries, before[1])
