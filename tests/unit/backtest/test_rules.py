"""The rules of a backtest: as arguments, as JSON and back."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from workbench.backtest import Signals, backtest
from workbench.backtest.execution import Execution
from workbench.backtest.rules import rules_as_json, rules_from_json
from workbench.backtest.sizing import Fixed, Percent, VolatilityTarget
from workbench.errors import BacktestError

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
    stored = json.loads(json.dumps(rules_as_json(result.execution), allow_nan=False))
    assert stored["size"] == rules_as_json(Execution(size=size))["size"]
    read = backtest(bars, _above(bars), **rules_from_json(stored))
    assert read.execution == result.execution
    pd.testing.assert_frame_equal(read.orders, result.orders)


def test_a_size_is_told_by_its_kind_and_its_figures() -> None:
    assert rules_as_json(Execution(size=Percent(0.5)))["size"] == {"kind": "Percent", "fraction": 0.5}
    assert rules_as_json(Execution())["size"] is None


def test_rules_of_another_time_are_refused_by_name() -> None:
    with pytest.raises(BacktestError, match="'leverage' is no rule of filling; there are fees, fixed_fees"):
        rules_from_json({"leverage": 2.0})
    with pytest.raises(BacktestError, match="its kind is one of Percent, Fixed, VolatilityTarget"):
        rules_from_json({"size": {"kind": "Kelly", "fraction": 0.5}})
    with pytest.raises(BacktestError, match=r"is no size .*unexpected keyword argument 'part'"):
        rules_from_json({"size": {"kind": "Percent", "part": 0.5}})
