"""Any signals with any dividends against a plain loop over the bars (`reference`)."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.fills import reference
from tests.unit.fills.test_fills_reference import (
    COSTS,
    DIVIDEND,
    FLAG,
    SIZES,
    STOPS,
    as_signals,
    as_size,
    assert_books_balance,
    assert_same,
    market,
    tidy,
)
from workbench.backtest import backtest


@pytest.mark.filterwarnings("ignore::workbench.errors.SignalsInGapsWarning")
@settings(deadline=None, max_examples=60)
@given(market(st.tuples(FLAG, FLAG, FLAG, FLAG, DIVIDEND)), COSTS, STOPS, SIZES, st.booleans(), st.booleans())
def test_any_signals_with_dividends_are_filled_as_the_plain_loop_fills_them(
    drawn: tuple[list[list[reference.Bar]], list[list[Any]]],
    costs: dict[str, Any],
    stops: dict[str, Any],
    size: Any,
    shared: bool,
    in_gaps: bool,
) -> None:
    bars, rows = drawn
    # A backtest with stops needs a range somewhere; bars without one are drawn in the test of signals alone.
    full = (10.0, 20.0, 5.0, 10.0)
    bars = [[full if one is not None and math.isnan(one[1]) else one for one in mine] for mine in bars]
    said = [[row[:4] for row in mine] for mine in rows]
    paid = [[row[4] for row in mine] for mine in rows]
    frame = tidy(bars)
    dividends = pd.Series([amount for mine in paid for amount in mine], index=frame.index)
    dividends = dividends[dividends > 0.0]
    if in_gaps:
        paid = [at_the_next_bar(mine, amounts) for mine, amounts in zip(bars, paid, strict=True)]
    else:
        dividends = dividends[frame["open"].reindex(dividends.index).notna()]
    result = backtest(
        frame,
        as_signals(said),
        **costs,
        **stops,
        size=as_size(size),
        cash_sharing=shared,
        dividends=dividends,
        count_trial=False,
    )
    default = ("percent", 1 / len(bars) if shared else 1.0)
    rules = {**costs, **stops, "size": size or default, "cash_sharing": shared, "year": 252.0}
    assert_same(result, reference.run(bars, said, paid, **rules))
    assert_books_balance(result)


def at_the_next_bar(bars: list[reference.Bar], amounts: list[float]) -> list[float]:
    """What goes ex where a symbol has no bar is paid at its next one; after its last, not at all."""
    made, waiting = [], 0.0
    for bar, amount in zip(bars, amounts, strict=True):
        waiting += amount
        made.append(0.0 if bar is None else waiting)
        waiting = waiting if bar is None else 0.0
    return made


def test_dividends_make_a_difference() -> None:
    """Held from the second bar on, 1 a unit on the third: else the test above could not fail."""
    bars: list[list[reference.Bar]] = [[(10.0, 10.0, 10.0, 10.0)] * 4]
    said = [[(True, False, False, False)] + [(False,) * 4] * 3]
    rules: dict[str, Any] = {
        **dict.fromkeys(("fees", "fixed_fees", "slippage"), 0.0),
        **dict.fromkeys(("stop_loss", "take_profit", "trailing_stop"), None),
        "cash": 1_000.0,
        "cash_sharing": False,
        "whole_units": False,
        "fill": "next_open",
    }
    equity, _ = reference.run(bars, said, [[0.0, 0.0, 1.0, 0.0]], size=("percent", 1.0), year=252.0, **rules)
    assert equity == [1_000.0, 1_000.0, 1_100.0, 1_100.0]
