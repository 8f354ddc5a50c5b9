"""An argument that `validate` and the splits cannot use is refused in a sentence."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.backtest import Signals, strategy
from workbench.errors import BacktestError
from workbench.sweep import sweep
from workbench.validation import combinatorial_purged, purged_kfold, validate, walk_forward
from workbench.validation.search import Searched

NAN = math.nan
DAYS = pd.date_range("2020-01-01", periods=40, tz="UTC", name="timestamp")
PRICES = 100.0 + np.sin(np.arange(40.0))
BARS = pd.DataFrame(
    dict.fromkeys(("open", "high", "low", "close"), PRICES),
    index=pd.MultiIndex.from_product([["A"], DAYS], names=["symbol", "timestamp"]),
)
SPLITS = walk_forward(BARS, train=20, test=10)


@strategy
def rising(bars: pd.DataFrame, n: int = 3) -> Signals:
    """Above the mean of the last closes."""
    close = bars["close"].unstack("symbol")
    above = close > close.rolling(n).mean()
    return Signals(above, ~above)


def refused(**given: Any) -> str:
    arguments: dict[str, Any] = {"strategy": rising, "bars": BARS, "grid": {"n": [3, 5]}, "splits": SPLITS}
    with pytest.raises(BacktestError) as caught:
        validate(**{**arguments, **given})
    return str(caught.value)


NONE_OF_THEM = [None, True, "5%", 5, math.nan, pd.NA, [1], np.array([1.0, 2.0]), pd.DataFrame(), 2j]


@pytest.mark.parametrize("value", NONE_OF_THEM)
def test_splits_searches_and_objectives_that_are_none(value: Any) -> None:
    assert refused(splits=value).startswith("splits: ")
    assert refused(search=value).startswith("search: ")
    assert refused(objective=value).startswith("objective: ")
    assert refused(bars=value).startswith("bars: ")
    assert refused(grid=value).startswith("grid: ")
    assert "needs a strategy" in refused(strategy=value)


@pytest.mark.parametrize("value", [*NONE_OF_THEM, {"n": 3}, {}, ({"n": 3}, 1.0, np.ones(2)), int])
def test_a_search_that_returns_no_result(value: Any) -> None:
    message = refused(search=lambda job: value)
    assert message.startswith("search: it returned ")
    assert message.endswith(" for split 0; let it return Searched(parameters, objective, sharpes).")


@pytest.mark.parametrize("value", [None, True, "n", 5, pd.NA, [3], np.array([3]), {5: 3}])
def test_what_a_search_cannot_have_found(value: Any) -> None:
    right: dict[str, Any] = {"parameters": {"n": 3}, "objective": 1.0, "sharpes": np.array([0.1, NAN])}
    for name in right:
        if (name, type(value)) in {("objective", int), ("sharpes", np.ndarray)}:
            continue
        with pytest.raises(BacktestError, match=rf"^Searched\({name}\): .*; (give|convert)"):
            Searched(**{**right, name: value})
    made = Searched(right["parameters"], np.float32(1.0), np.array([1, 2]))  # type: ignore[arg-type]
    assert type(made.objective) is float
    assert made.sharpes.dtype == np.float64


@pytest.mark.parametrize("sharpes", [np.array(0.1), np.ones((2, 2)), np.ones(0), np.array(["a"])])
def test_ratios_that_are_not_one_for_each_variant(sharpes: Any) -> None:
    with pytest.raises(BacktestError, match=r"^Searched\(sharpes\): "):
        Searched({"n": 3}, 1.0, sharpes)


def test_parameters_that_the_strategy_does_not_have() -> None:
    for parameters in ({"m": 3}, {"n": "3"}):
        message = refused(search=lambda job, found=parameters: Searched(found, 1.0, np.array([0.1])))
        assert message.startswith("rising")


@pytest.mark.parametrize("name", ["fees", "cash", "whole_units", "fill", "size", "leverage"])
def test_rules_are_refused_as_a_backtest_refuses_them(name: str) -> None:
    assert refused(**{name: "5%"}).startswith(f"{name}: ")


def test_rules_that_there_are_not() -> None:
    said = r"^there is no rule 'stoploss' \(did you mean stop_loss\?\); the rules are fees, .*\.$"
    misspelt: dict[str, Any] = {"stoploss": 0.1}
    with pytest.raises(BacktestError, match=said):
        validate(rising, BARS, {"n": [3, 5]}, SPLITS, **misspelt)
    with pytest.raises(BacktestError, match=said):
        sweep(rising, BARS, progress=False, **misspelt)


@pytest.mark.parametrize(
    "value", [True, "20", math.nan, math.inf, 2.5, pd.NA, [20], np.array([1, 2]), 2j, -1]
)
def test_sizes_that_are_no_numbers(value: Any) -> None:
    for name in ("train", "test", "step", "gap"):
        with pytest.raises(BacktestError, match=rf"^walk_forward: (step={value} |{name})"):
            walk_forward(BARS, **{"train": 20, "test": 10, name: value})
    for name in ("n_splits", "purge", "embargo"):
        with pytest.raises(BacktestError, match=rf"^purged_kfold: {name}"):
            purged_kfold(BARS, **{name: value})
    for name in ("n_groups", "n_test_groups"):
        with pytest.raises(BacktestError, match=rf"^combinatorial_purged: {name}"):
            combinatorial_purged(BARS, **{name: value})


@pytest.mark.parametrize(
    "value", [None, True, "bars.csv", 40.0, math.nan, pd.NA, [1], pd.Series([1.0]), PRICES]
)
def test_bars_that_cannot_be_counted(value: Any) -> None:
    for make in (lambda bars: walk_forward(bars, train=20, test=10), purged_kfold, combinatorial_purged):
        with pytest.raises(BacktestError, match=r"^bars: "):
            make(value)


@pytest.mark.parametrize("value", ["yes", 1, None, math.nan])
def test_switches_are_true_or_false(value: Any) -> None:
    for name in ("anchored", "shorten_last"):
        with pytest.raises(BacktestError, match=rf"^{name}: "):
            walk_forward(BARS, **{"train": 20, "test": 10, name: value})


def test_whole_numbers_of_any_type_make_the_same_splits() -> None:
    plain = walk_forward(40, train=20, test=10, gap=2)
    bars, train, test, gap = (np.int64(40), 20.0, Decimal(10), np.uint8(2))
    made = walk_forward(bars, train=train, test=test, gap=gap)  # type: ignore[arg-type]
    assert list(made) == list(plain)
