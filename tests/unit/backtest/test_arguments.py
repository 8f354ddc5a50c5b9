"""An argument that `backtest` cannot use is refused in a sentence that names it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from workbench.backtest import Fixed, Percent, Signals, VolatilityTarget, Weights, backtest, between, strategy
from workbench.errors import BacktestError, StrategyError

NAN = math.nan
DAYS = pd.date_range("2020-01-01", periods=30, tz="UTC", name="timestamp")
NO_TIME = DAYS[:-1].append(pd.DatetimeIndex([pd.NaT], tz="UTC"))
PRICES = 100.0 + np.sin(np.arange(30.0))
BARS = pd.DataFrame(
    dict.fromkeys(("open", "high", "low", "close"), PRICES),
    index=pd.MultiIndex.from_product([["A"], DAYS], names=["symbol", "timestamp"]),
)
ENTRIES = pd.DataFrame({"A": np.arange(30) % 10 < 5}, index=DAYS)
WEIGHTS = pd.DataFrame({"A": 0.5}, index=DAYS[::10])
TIDY = ENTRIES.rename_axis(columns="symbol").stack().swaplevel()


@strategy
def rising(bars: pd.DataFrame, n: int = 3) -> Signals:
    """Above the mean of the last closes."""
    close = bars["close"].unstack("symbol")
    above = close > close.rolling(n).mean()
    return Signals(above, ~above)


def run(**given: Any) -> Any:
    return backtest(**{"bars": BARS, "entries": ENTRIES, "exits": ~ENTRIES, "count_trial": False, **given})


def refused(**given: Any) -> str:
    with pytest.raises(BacktestError) as caught:
        run(**given)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


NO_NUMBERS = {
    "percent": "5%",
    "digits": "5",
    "bool": True,
    "numpy bool": np.bool_(True),
    "NA": pd.NA,
    "NaT": pd.NaT,
    "list": [0.1],
    "mapping": {},
    "array": np.array([0.1, 0.2]),
    "array of one": np.array(0.1),
    "complex": 0.1j,
    "timestamp": DAYS[0],
    "Series": pd.Series([0.1]),
    "frame": pd.DataFrame({"A": [0.1]}),
    "too large": 10**400,
    "signalling": Decimal("sNaN"),
    "type": float,
    "bytes": b"5",
    "object": object(),
}
NUMBERS = ("fees", "fixed_fees", "slippage", "cash", "leverage", "stop_loss", "take_profit", "trailing_stop")


@pytest.mark.parametrize("name", [*NUMBERS, "periods_per_year"])
@pytest.mark.parametrize("kind", NO_NUMBERS)
def test_what_is_no_number(kind: str, name: str) -> None:
    message = refused(**{name: NO_NUMBERS[kind]})
    assert message.startswith(f"{name}: ")
    assert "; give " in message


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [NAN, math.inf, -math.inf, -0.1, np.float64("nan"), Decimal("NaN")])
def test_numbers_that_are_none(name: str, value: Any) -> None:
    assert refused(**{name: value}).startswith(f"{name}: ")


@pytest.mark.parametrize("name", ["fees", "fixed_fees", "slippage", "cash", "leverage", "periods_per_year"])
def test_none_stands_for_no_number_where_there_is_a_default(name: str) -> None:
    assert refused(**{name: None}).startswith(f"{name}: None is not a number")


@pytest.mark.parametrize(
    "value", [Decimal("0.25"), Fraction(1, 4), np.float32(0.25), np.float64(0.25), np.float16(0.25)]
)
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_of_any_type_are_the_same_rule(name: str, value: Any) -> None:
    ours, plain = run(**{name: value}), run(**{name: 0.25})
    assert repr(ours.execution) == repr(plain.execution), "they are known by the same key"
    assert type(getattr(ours.execution, name)) is float
    pd.testing.assert_series_equal(ours.equity, plain.equity)


def test_whole_numbers_are_the_same_rule() -> None:
    for value in (1_000, np.int64(1_000), np.uint16(1_000)):
        assert repr(run(cash=value).execution) == repr(run(cash=1_000.0).execution)


@pytest.mark.parametrize("name", ["whole_units", "cash_sharing", "count_trial"])
@pytest.mark.parametrize("value", ["yes", "", 1, 0, 1.0, np.int64(1), NAN, pd.NA, [], [True], np.array(True)])
def test_switches_are_true_or_false(name: str, value: Any) -> None:
    assert refused(**{name: value}).startswith(f"{name}: ")


def test_switches_of_numpy_pass() -> None:
    made = run(whole_units=np.bool_(True), cash_sharing=np.bool_(False))
    assert made.execution.whole_units is True
    assert made.execution.cash_sharing is False


@pytest.mark.parametrize("value", ["open", None, 1, ["next_open"], np.array(["next_open"]), pd.NA, {}])
def test_fills_that_there_are_not(value: Any) -> None:
    assert refused(fill=value).startswith("fill: ")


@pytest.mark.parametrize("value", ["all", 0.5, True, [0.5], WEIGHTS, np.array([0.5])])
def test_sizes_that_are_none(value: Any) -> None:
    assert refused(size=value).startswith("size: ")


SIZES: dict[str, Callable[[Any], Any]] = {
    "Percent": Percent,
    "Fixed(units)": Fixed,
    "VolatilityTarget(annual)": VolatilityTarget,
    "VolatilityTarget(window)": lambda value: VolatilityTarget(window=value),
    "VolatilityTarget(max_fraction)": lambda value: VolatilityTarget(max_fraction=value),
}
NOT_ABOVE_0 = {
    "0": 0,
    "-1": -1,
    "NaN": NAN,
    "inf": math.inf,
    "-inf": -math.inf,
    "Decimal NaN": Decimal("NaN"),
}


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("kind", [*NO_NUMBERS, *NOT_ABOVE_0, "None"])
def test_numbers_that_a_size_cannot_have(kind: str, name: str) -> None:
    value = {**NO_NUMBERS, **NOT_ABOVE_0, "None": None}[kind]
    if name == "Percent" and isinstance(value, pd.Series | pd.DataFrame):
        value = value.to_numpy()
    with pytest.raises(BacktestError) as caught:
        SIZES[name](value)
    assert str(caught.value).startswith(f"{name}: ")
    assert "; give a " in str(caught.value)


@pytest.mark.parametrize("value", [1, 1.0, 2.5, 1_000_001, 1e300])
def test_windows_that_no_volatility_is_measured_on(value: float) -> None:
    with pytest.raises(
        BacktestError, match=r"^VolatilityTarget\(window\): .* is not (from 2 to 1,000,000|a whole)"
    ):
        VolatilityTarget(window=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [Decimal(2), Fraction(2), np.float32(2.0), np.int64(2), np.uint8(2), 2])
@pytest.mark.parametrize("name", SIZES)
def test_numbers_of_any_type_are_the_same_size(name: str, value: Any) -> None:
    made = SIZES[name](value)
    assert repr(made) == repr(SIZES[name](2.0)), "it is known by the same key"
    kinds = {type(number) for key, number in vars(made).items() if key != "window"}
    assert kinds == {float}
    assert type(getattr(made, "window", 20)) is int


def test_names_and_parameters() -> None:
    assert refused(name=5).startswith("name: 5 is not text")
    assert refused(parameters=[("n", 3)]).startswith("parameters: a list is no mapping")
    assert refused(parameters={"n": 3}).startswith("parameters: only a Strategy")


@pytest.mark.parametrize("cash", [1e-12, 9e-7, 1.1e15, 1e300])
def test_cash_that_no_account_has(cash: float) -> None:
    message = refused(cash=cash)
    assert message.startswith(f"cash: {cash} is no starting capital")
    assert "from 1e-06 to 1e+15" in message


@pytest.mark.parametrize("cash", [1e-6, 1e15])
def test_the_least_and_the_most_cash_trade(cash: float) -> None:
    made = run(cash=cash)
    assert not made.orders.empty
    assert math.isfinite(made.metrics["sharpe_ratio"])


def with_price(price: float, column: str = "close") -> pd.DataFrame:
    return BARS.assign(**{column: [price if row == 7 else value for row, value in enumerate(PRICES)]})


@pytest.mark.parametrize("price", [5e-324, 1e-300, 9e-13, 1.1e15, 1e300])
@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
def test_prices_out_of_range(price: float, column: str) -> None:
    message = refused(bars=with_price(price, column))
    assert message.startswith(
        f"bars: the {column} of A at 2020-01-08 00:00:00+00:00 is {price}, and prices are"
    )


@pytest.mark.parametrize("scale", [1e-14, 9e12])
def test_prices_at_the_ends_of_the_range_trade(scale: float) -> None:
    made = run(bars=BARS * scale * 1.02)
    assert len(made.orders) == len(run().orders)
    np.testing.assert_allclose(made.equity, run().equity)


BAD_BARS: dict[str, tuple[Any, str]] = {
    "none": (None, "None is not a DataFrame"),
    "series": (BARS["close"], "a Series is not a DataFrame"),
    "array": (BARS.to_numpy(), "an array is not a DataFrame"),
    "path": ("bars.csv", "'bars.csv' is not a DataFrame"),
    "empty": (pd.DataFrame(), "the index is [None]"),
    "no rows": (BARS.iloc[:0], "not one row"),
    "object": (BARS.astype(object), "'open' is object, not numbers"),
    "text": (BARS.assign(close="5"), "'close' is"),
    "Decimal": (BARS.assign(close=np.full(30, Decimal(5))), "'close' is object, not numbers"),
    "bool": (BARS.assign(open=True), "'open' is bool, not numbers"),
    "nullable bool": (BARS.assign(open=pd.array([True] * 30, dtype="boolean")), "'open' is boolean"),
    "complex": (BARS.assign(open=1j), "'open' is complex128, not numbers"),
    "dates": (BARS.assign(open=DAYS), "'open' is datetime64"),
    "two columns": (pd.concat([BARS, BARS[["close"]]], axis=1), "the column 'close' is there twice"),
    "naive": (BARS.tz_localize(None, level=1), "no time zone"),
    "text times": (BARS.rename(str, level=1), "holds no timestamps"),
    "twice": (pd.concat([BARS, BARS]), "two rows at 2020-01-01"),
    "three levels": (pd.concat({"x": BARS}), "the index is"),
    "two labels": (
        pd.concat([BARS.rename({"A": 1}, level=0), BARS.rename({"A": "1"}, level=0)]),
        "two symbols are '1'",
    ),
    "crossed": (BARS.assign(high=BARS["low"] - 1.0), "the high of A at 2020-01-01 00:00:00+00:00 is below"),
    "nothing but NaN": (BARS * NAN, "no row with both"),
}


@pytest.mark.parametrize("kind", BAD_BARS)
def test_frames_that_are_no_bars(kind: str) -> None:
    bars, why = BAD_BARS[kind]
    message = refused(bars=bars)
    assert message.startswith("bars: ")
    assert why in message


@pytest.mark.parametrize("dtype", ["float32", "int64", "Float64", "Int64"])
def test_bars_of_any_numbers_trade(dtype: str) -> None:
    assert not run(bars=BARS.round().astype(cast(Any, dtype))).orders.empty


BAD_FLAGS: dict[str, Any] = {
    "array": ENTRIES.to_numpy(),
    "list": ENTRIES["A"].tolist(),
    "bool": True,
    "text": "above",
    "NA": pd.NA,
    "object": ENTRIES.astype(object),
    "nullable": ENTRIES.astype("boolean"),
    "NA within": ENTRIES.astype("boolean").mask(ENTRIES),
    "int": ENTRIES.astype(int),
    "naive": ENTRIES.tz_localize(None),
    "rows twice": pd.concat([ENTRIES, ENTRIES]),
    "columns twice": pd.concat([ENTRIES, ENTRIES], axis=1),
    "no timestamps": ENTRIES.reset_index(drop=True),
    "periods": ENTRIES.tz_localize(None).to_period("D"),
    "NaT": ENTRIES.set_axis(NO_TIME),
    "empty": ENTRIES.iloc[:0],
    "no column": ENTRIES[[]],
    "no frame": pd.DataFrame(),
    "tidy, unnamed": TIDY.rename_axis([None, None]),
    "tidy, naive": ENTRIES.tz_localize(None).rename_axis(columns="symbol").stack().swaplevel(),
    "tidy, twice": pd.concat([TIDY, TIDY]),
    "another symbol": ENTRIES.rename(columns={"A": "B"}),
}


@pytest.mark.parametrize("role", ["entries", "exits", "short_entries", "short_exits"])
@pytest.mark.parametrize("kind", BAD_FLAGS)
def test_flags_that_cannot_be_matched(kind: str, role: str) -> None:
    assert refused(**{role: BAD_FLAGS[kind]}).startswith(f"{role}: ")
    given = {"entries": ENTRIES, "exits": ~ENTRIES, role: BAD_FLAGS[kind]}
    with pytest.raises(BacktestError, match=role):
        backtest(BARS, Signals(**given), count_trial=False)


@pytest.mark.parametrize("given", [None, [True], np.ones(3, dtype=np.bool_), "above", 1.0])
def test_signals_and_weights_are_refused_where_they_are_made(given: Any) -> None:
    with pytest.raises(StrategyError, match=r"^Signals: entries is .*panel"):
        Signals(given, ENTRIES)
    with pytest.raises(StrategyError, match=r"^Signals: exits is "):
        Signals(ENTRIES, given)
    with pytest.raises(StrategyError, match=r"^weights: .*no frame"):
        Weights(given)


def test_signals_that_are_refused_later_can_be_shown() -> None:
    assert "15 entries" in repr(Signals(ENTRIES.astype("boolean"), BAD_FLAGS["NA within"]))
    assert "0 entries" in repr(Signals(ENTRIES.astype(object).mask(ENTRIES, pd.NA), ENTRIES))


BAD_WEIGHTS: dict[str, Any] = {
    "object": WEIGHTS.astype(object),
    "Decimal": WEIGHTS.map(lambda share: Decimal(str(share))),
    "text": WEIGHTS.astype(str),
    "bool": WEIGHTS > 0,
    "nullable bool": (WEIGHTS > 0).astype("boolean"),
    "complex": WEIGHTS * 1j,
    "infinite": WEIGHTS * math.inf,
    "naive": WEIGHTS.tz_localize(None),
    "twice": pd.concat([WEIGHTS, WEIGHTS]),
    "NaT": WEIGHTS.set_axis([*DAYS[:2], pd.NaT]),
    "no timestamps": WEIGHTS.reset_index(drop=True),
}


@pytest.mark.parametrize("kind", BAD_WEIGHTS)
def test_weights_that_are_no_fractions(kind: str) -> None:
    with pytest.raises(BacktestError, match=r"^weights: "):
        backtest(BARS, Weights(BAD_WEIGHTS[kind]), count_trial=False)


@pytest.mark.parametrize("dtype", ["float32", "Float64", "int64"])
def test_weights_of_any_numbers_trade(dtype: str) -> None:
    backtest(BARS, Weights((WEIGHTS if dtype != "int64" else WEIGHTS.round()).astype(cast(Any, dtype))))
    missing = WEIGHTS.astype("Float64").mask(WEIGHTS > 0)
    assert backtest(BARS, Weights(missing), count_trial=False).orders.empty, "pd.NA orders nothing"


def paid(symbol: Any, time: Any, amount: Any = 1.0) -> pd.Series[Any]:
    return pd.Series([amount, amount], index=pd.MultiIndex.from_tuples([("A", DAYS[3]), (symbol, time)]))


BAD_DIVIDENDS: dict[str, Any] = {
    "number": 1.0,
    "mapping": {"A": 1.0},
    "frame": paid("A", DAYS[4]).to_frame(),
    "by time": pd.Series([1.0], index=DAYS[:1]),
    "text": paid("A", DAYS[4]).astype(str),
    "object": paid("A", DAYS[4]).astype(object),
    "bool": paid("A", DAYS[4], amount=True),
    "negative": paid("A", DAYS[4], amount=-1.0),
    "NaN": paid("A", DAYS[4], amount=NAN),
    "infinite": paid("A", DAYS[4], amount=math.inf),
    "huge": paid("A", DAYS[4], amount=1e300),
    "NaT": paid("A", pd.NaT),
    "naive": pd.Series([1.0], index=pd.MultiIndex.from_tuples([("A", pd.Timestamp("2020-01-04"))])),
    "dates as text": pd.Series([1.0], index=pd.MultiIndex.from_tuples([("A", "2020-01-04")])),
    "another symbol": pd.Series([1.0], index=pd.MultiIndex.from_tuples([("Z", DAYS[3])])),
    "turned round": pd.Series([1.0], index=pd.MultiIndex.from_tuples([(DAYS[3], "A")])),
}


@pytest.mark.parametrize("kind", BAD_DIVIDENDS)
def test_dividends_that_cannot_be_paid(kind: str) -> None:
    assert refused(dividends=BAD_DIVIDENDS[kind]).startswith("dividends: ")


RIVAL = pd.Series(np.arange(1.0, 31.0), index=DAYS)
BAD_BENCHMARKS: dict[str, Any] = {
    "number": 1.0,
    "text": "SPY",
    "list": [1.0] * 30,
    "frame": RIVAL.to_frame(),
    "text values": RIVAL.astype(str),
    "object": RIVAL.astype(object),
    "bool": RIVAL > 0,
    "complex": RIVAL * 1j,
    "negative": -RIVAL,
    "infinite": RIVAL * math.inf,
    "NaN": RIVAL * NAN,
    "huge": RIVAL * 1e290,
    "tiny": RIVAL * 1e-318,
    "returns": RIVAL.pct_change() * 0.0,
    "naive": RIVAL.tz_localize(None),
    "no timestamps": RIVAL.reset_index(drop=True),
    "twice": pd.concat([RIVAL, RIVAL]),
    "NaT": RIVAL.set_axis(NO_TIME),
    "elsewhere": RIVAL.shift(10_000, freq="D"),
    "empty": RIVAL.iloc[:0],
    "of bars": BARS["close"],
}


@pytest.mark.parametrize("kind", BAD_BENCHMARKS)
def test_benchmarks_that_are_no_prices(kind: str) -> None:
    assert refused(benchmark=BAD_BENCHMARKS[kind]).startswith("benchmark: ")


@pytest.mark.parametrize(
    "value", ["3", "x", True, None, 2.5, NAN, math.inf, pd.NA, [3], np.array([3]), 3j, {}]
)
def test_parameters_of_another_type(value: Any) -> None:
    with pytest.raises(StrategyError, match=r"^rising: n=.* is not a whole number"):
        backtest(BARS, rising, parameters={"n": value}, count_trial=False)


@pytest.mark.parametrize("parameters", [[3], "n", 3, {3}])
def test_parameters_without_names(parameters: Any) -> None:
    with pytest.raises(BacktestError, match=r"^parameters: .* is no mapping"):
        backtest(BARS, rising, parameters=parameters, count_trial=False)
    with pytest.raises(StrategyError, match="give values by name"):
        rising.check(parameters)


@pytest.mark.parametrize("value", ["2", True, None, NAN, math.inf, pd.NA, [2], np.array([2, 3]), 2j])
def test_bounds_that_are_no_numbers(value: Any) -> None:
    bad: Mapping[str, Any]
    for bad in ({"low": value, "high": 9}, {"low": 1, "high": value}):
        with pytest.raises(StrategyError, match=r"^between\("):
            between(**bad)
    if value is not None:
        with pytest.raises(StrategyError, match=r"^between\("):
            between(1, 9, step=value)
    if value is not True:
        with pytest.raises(StrategyError, match=r"^between\("):
            between(1, 9, log=value)


def test_bounds_of_any_numbers_are_plain_ones() -> None:
    given: list[Any] = [np.int64(2), Decimal("9.5"), np.float32(0.5)]
    made = between(given[0], given[1], step=given[2])
    assert (made.low, made.high, made.step) == (2, 9.5, 0.5)
    assert [type(value) for value in (made.low, made.high, made.step)] == [int, float, float]


def test_strategies_that_are_no_functions() -> None:
    bad: list[Any] = ["trend", 5, [], int]
    for given in bad:
        with pytest.raises(StrategyError):
            strategy(given)
    with pytest.raises(StrategyError, match="is no function for where"):
        strategy(where=5)(rising.function)  # type: ignore[call-overload]
    with pytest.raises(StrategyError, match="the name is 5"):
        strategy(name=5)(rising.function)  # type: ignore[call-overload]
    with pytest.raises(StrategyError, match=r"`where` cannot be called with n \("):
        strategy(where=lambda window: window > 2)(rising.function)
