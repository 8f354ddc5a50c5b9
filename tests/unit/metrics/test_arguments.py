"""A figure of what is no Series of numbers, or with an argument that is none, is refused in a sentence."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench import metrics
from workbench.errors import BacktestError

NAN = math.nan
DAYS = pd.date_range("2020-01-01", periods=60, tz="UTC")
RETURNS = pd.Series(np.random.default_rng(1).normal(0.0, 0.01, 60), index=DAYS)
BENCHMARK = pd.Series(np.random.default_rng(2).normal(0.0, 0.01, 60), index=DAYS)

Figure = Callable[..., Any]
FIGURES: dict[str, Figure] = {name: getattr(metrics, name) for name in metrics.__all__}
OF_TWO = [name for name, figure in FIGURES.items() if "benchmark" in inspect.signature(figure).parameters]
OPTIONS = [
    (name, option.name)
    for name, figure in FIGURES.items()
    for option in inspect.signature(figure).parameters.values()
    if option.kind is inspect.Parameter.KEYWORD_ONLY
]


def of(name: str, returns: Any = RETURNS, **options: Any) -> Any:
    return FIGURES[name](returns, *([BENCHMARK] if name in OF_TWO else []), **options)


NO_RETURNS: dict[str, Any] = {
    "None": None,
    "list": [0.1, 0.2],
    "array": RETURNS.to_numpy(),
    "number": 0.1,
    "text": "returns",
    "NA": pd.NA,
    "mapping": {"2020-01-01": 0.1},
    "frame": RETURNS.to_frame(),
    "index": DAYS,
    "object": RETURNS.astype(object),
    "Decimal": RETURNS.map(lambda value: Decimal(str(value))),
    "text values": RETURNS.astype(str),
    "bool": RETURNS > 0,
    "nullable bool": (RETURNS > 0).astype("boolean"),
    "complex": RETURNS * 1j,
    "timestamps": pd.Series(DAYS, index=DAYS),
    "infinite": RETURNS.where(RETURNS > 0.0, math.inf),
    "beyond": RETURNS * 1e300,
}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("kind", NO_RETURNS)
def test_what_are_no_returns(kind: str, name: str) -> None:
    first = next(iter(inspect.signature(FIGURES[name]).parameters))
    with pytest.raises(BacktestError, match=rf"^{first}: .*\.$"):
        of(name, NO_RETURNS[kind])


@pytest.mark.parametrize("name", OF_TWO)
@pytest.mark.parametrize("kind", NO_RETURNS)
def test_what_is_no_benchmark(kind: str, name: str) -> None:
    with pytest.raises(BacktestError, match=r"^benchmark: .*\.$"):
        FIGURES[name](RETURNS, NO_RETURNS[kind])


@pytest.mark.parametrize("name", OF_TWO)
def test_labels_that_cannot_be_matched(name: str) -> None:
    twice = pd.concat([BENCHMARK, BENCHMARK.iloc[:1]])
    with pytest.raises(BacktestError, match=r"^benchmark: the label 2020-01-01 .* twice"):
        FIGURES[name](RETURNS, twice)
    with pytest.raises(BacktestError, match=r"^returns: the label 2020-01-01 .* twice"):
        FIGURES[name](twice, BENCHMARK)
    with pytest.raises(BacktestError, match=r"^benchmark: the timestamps have no time zone"):
        FIGURES[name](RETURNS, BENCHMARK.tz_localize(None))
    with pytest.raises(BacktestError, match=r"^returns: the timestamps have no time zone"):
        FIGURES[name](RETURNS.tz_localize(None), BENCHMARK)
    with pytest.raises(BacktestError, match=r"^benchmark: its index is int64"):
        FIGURES[name](RETURNS, BENCHMARK.reset_index(drop=True))


def test_labels_in_another_order_are_matched_all_the_same() -> None:
    turned = BENCHMARK.sample(frac=1.0, random_state=3).tz_convert("America/New_York")
    assert metrics.beta(RETURNS, turned) == pytest.approx(metrics.beta(RETURNS, BENCHMARK))
    assert metrics.beta(RETURNS.iloc[5:], turned) == pytest.approx(
        metrics.beta(RETURNS.iloc[5:], BENCHMARK.iloc[5:])
    )


@pytest.mark.parametrize("name", FIGURES)
def test_returns_of_any_numbers_have_the_same_figures(name: str) -> None:
    expected = of(name)
    rounded = of(name, RETURNS.astype("float32"))
    np.testing.assert_allclose(rounded, expected, rtol=1e-3)
    np.testing.assert_allclose(of(name, RETURNS.astype("Float64")), expected, rtol=1e-12)


@pytest.mark.parametrize("name", FIGURES)
def test_a_missing_value_is_not_observed_whatever_it_is_called(name: str) -> None:
    missing = RETURNS.where(RETURNS < 0.01)
    np.testing.assert_allclose(of(name, missing.astype("Float64")), of(name, missing), rtol=1e-12)


@pytest.mark.parametrize("name", FIGURES)
def test_an_empty_series_of_any_type_has_no_figure(name: str) -> None:
    made = of(name, pd.Series([], dtype=object))
    assert made.empty if isinstance(made, pd.Series) else math.isnan(made)


NO_NUMBERS: dict[str, Any] = {
    "text": "252",
    "bool": True,
    "numpy bool": np.bool_(True),
    "NA": pd.NA,
    "NaN": NAN,
    "infinite": math.inf,
    "list": [252],
    "array": np.array([252.0, 1.0]),
    "complex": 252j,
    "Series": pd.Series([252.0]),
    "too large": 10**400,
    "signalling": Decimal("sNaN"),
}


@pytest.mark.parametrize(("name", "option"), OPTIONS)
@pytest.mark.parametrize("kind", NO_NUMBERS)
def test_options_that_are_no_numbers(kind: str, name: str, option: str) -> None:
    with pytest.raises(BacktestError, match=rf"^{option}: .*\.$"):
        of(name, **{option: NO_NUMBERS[kind]})


@pytest.mark.parametrize("value", [0, -252.0])
@pytest.mark.parametrize("name", [name for name, option in OPTIONS if option == "periods_per_year"])
def test_years_without_periods(name: str, value: float) -> None:
    with pytest.raises(BacktestError, match=r"^periods_per_year: "):
        of(name, periods_per_year=value)


@pytest.mark.parametrize("value", [0, -1, 2.5])
def test_trades_that_cannot_be_counted(value: float) -> None:
    with pytest.raises(BacktestError, match=r"^most_trades: "):
        of("sqn", most_trades=value)


@pytest.mark.parametrize("value", [Decimal("0.25"), Fraction(1, 4), np.float32(0.25), np.float64(0.25)])
@pytest.mark.parametrize(("name", "option"), [pair for pair in OPTIONS if pair[1] != "most_trades"])
def test_options_of_any_numbers(name: str, option: str, value: Any) -> None:
    np.testing.assert_array_equal(of(name, **{option: value}), of(name, **{option: 0.25}))


def test_counts_of_any_numbers() -> None:
    assert of("sqn", most_trades=np.int64(9)) == of("sqn", most_trades=9.0) == of("sqn", most_trades=9)
