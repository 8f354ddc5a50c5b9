"""The rules of filling go through JSON and come back as they were, whatever the size."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.backtest import Fixed, Percent, Signals, VolatilityTarget, backtest, rules_from_json
from workbench.backtest.rules_json import rules_to_json
from workbench.errors import BacktestError
from workbench.fills.execution import Execution
from workbench.fills.sizing import Size


@pytest.mark.parametrize(
    "size",
    [None, Percent(1 / 3), Fixed(100), VolatilityTarget(0.15, window=30), Percent(float(np.float64(0.1)))],
    ids=str,
)
def test_every_rule_comes_back(size: Size | None) -> None:
    rules = Execution(
        fees=0.1 + 0.2, fixed_fees=1.5, slippage=1e-17, cash=1e9, cash_sharing=True, fill="same_close",
        size=size, stop_loss=0.05, take_profit=3, trailing_stop=None, whole_units=True,
        periods_per_year=365.25,
    )  # fmt: skip
    stored = json.loads(json.dumps(rules_to_json(rules), allow_nan=False))
    assert set(stored) == {rule.name for rule in fields(Execution)}
    assert Execution(**rules_from_json(stored)) == rules


def test_numbers_of_numpy_are_numbers() -> None:
    rules = Execution(stop_loss=np.float64(0.1), size=Percent(np.float32(0.5)))  # type: ignore[arg-type]
    stored = json.loads(json.dumps(rules_to_json(rules)))
    assert (stored["stop_loss"], stored["size"]) == (0.1, {"kind": "Percent", "fraction": 0.5})


def test_a_size_is_told_by_its_kind() -> None:
    """What a reader of the row sees, in a program of any language."""
    stored = rules_to_json(Execution(size=VolatilityTarget(0.2)))
    assert stored["size"] == {"kind": "VolatilityTarget", "annual": 0.2, "window": 20, "max_fraction": 1.0}


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"borrow": 0.01}, "there is no rule 'borrow' in this version"),
        (
            {"size": {"kind": "Kelly", "fraction": 0.5}},
            "'Kelly'.* is no size in this version; there are Perc",
        ),
        ({"size": {"kind": "Fixed", "fraction": 0.5}}, "is no size in this version"),
        ({"size": 0.5}, "0.5 is no size in this version"),
        ({"fees": -1.0}, "fees: -1.0 is no fraction of the traded value"),
    ],
)
def test_what_this_version_does_not_know_is_refused(stored: dict[str, object], said: str) -> None:
    with pytest.raises(BacktestError, match=said):
        rules_from_json(stored)


ODD: dict[str, Any] = {
    "fees": 0.002,
    "fixed_fees": 1.5,
    "slippage": 0.0005,
    "cash": 12_345.0,
    "fill": "next_close",
    "stop_loss": 0.07,
    "take_profit": 0.2,
    "trailing_stop": 0.1,
    "whole_units": True,
    "periods_per_year": 260.0,
}


def _above(bars: pd.DataFrame) -> Signals:
    close = bars["close"].unstack("symbol")
    above = close > close.rolling(20).mean()
    return Signals(above, ~above)


@pytest.mark.parametrize("size", [None, Percent(0.4), Fixed(3.0), VolatilityTarget(0.2, 10, 0.9)])
def test_a_backtest_can_be_made_again_of_its_rules_and_of_their_json(stocks: pd.DataFrame, size: Any) -> None:
    bars = stocks.loc[["AAPL", "IBM"]]
    result = backtest(bars, _above(bars), size=size, cash_sharing=True, **ODD)
    again = backtest(bars, _above(bars), **result.rules)
    pd.testing.assert_frame_equal(again.orders, result.orders)
    stored = json.loads(json.dumps(rules_to_json(result.execution), allow_nan=False))
    assert stored["size"] == rules_to_json(Execution(size=size))["size"]
    read = backtest(bars, _above(bars), **rules_from_json(stored))
    assert read.execution == result.execution
    pd.testing.assert_frame_equal(read.orders, result.orders)
