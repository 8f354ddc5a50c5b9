"""What is said at the newest bar, and the position that is wanted then, by hand-made bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.backtest import BacktestResult, Fixed, Percent, Signals, VolatilityTarget, Weights, backtest

TIMES = pd.date_range("2026-11-23", periods=4, tz="UTC")


def bars_of(closes: Mapping[str, Sequence[float]], opens: Mapping[str, Sequence[float]] | None = None) -> Any:
    rows = [
        (symbol, time, (opens or closes)[symbol][place], close)
        for symbol, values in closes.items()
        for place, (time, close) in enumerate(zip(TIMES, values, strict=False))
        if not np.isnan(close)
    ]
    return pd.DataFrame(rows, columns=["symbol", "timestamp", "open", "close"]).set_index(
        ["symbol", "timestamp"]
    )


def flags(**rows: Sequence[int]) -> pd.DataFrame:
    return pd.DataFrame(
        {symbol: np.array(values, dtype=bool) for symbol, values in rows.items()}, index=TIMES
    )


def said(result: BacktestResult) -> list[tuple[str, str, float, Any]]:
    rows = result.newest().drop(columns="timestamp").itertuples(index=False, name=None)
    return [(symbol, side, strength, pytest.approx(target)) for symbol, side, strength, target in rows]


A = {"A": [10.0, 20.0, 20.0, 25.0]}
NEVER = flags(A=[0, 0, 0, 0])


def trade(entries: Sequence[int], exits: Sequence[int], short: Sequence[int] = (0,) * 4, **rules: Any) -> Any:
    signals = Signals(flags(A=entries), flags(A=exits), flags(A=short), NEVER)
    (row,) = said(backtest(bars_of(A), signals, **{"fees": 0.0, "count_trial": False} | rules))
    return row


@pytest.mark.parametrize(
    ("entries", "exits", "short", "expected"),
    [
        ([0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], ("A", "hold", 0.0, 0.0)),
        ([1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], ("A", "hold", 0.0, 1.0)),
        ([0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0], ("A", "buy", 1.0, 1.0)),
        ([1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0], ("A", "sell", 1.0, 0.0)),
        ([0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1], ("A", "sell", 1.0, -1.0)),
        ([1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1], ("A", "sell", 1.0, -1.0)),
    ],
)
def test_signals(
    entries: Sequence[int], exits: Sequence[int], short: Sequence[int], expected: tuple[Any, ...]
) -> None:
    assert trade(entries, exits, short) == expected


@pytest.mark.parametrize(
    ("size", "target"),
    [
        (Percent(0.4), 0.4),
        # 100 units at 25 of 100,000.
        (Fixed(100), 0.025),
        (Percent(pd.DataFrame({"A": [0.1, 0.2, 0.3, 0.45]}, index=TIMES)), 0.45),
        # Returns of 0 and 0.25: a deviation of 0.25 / sqrt(2), and 0.05 a year on one bar a year.
        (VolatilityTarget(0.05, window=2), 0.05 / (0.25 / np.sqrt(2.0))),
    ],
)
def test_the_target_of_an_entry_is_what_its_size_says(size: Any, target: float) -> None:
    assert trade([0, 0, 0, 1], [0, 0, 0, 0], size=size, periods_per_year=1.0) == ("A", "buy", 1.0, target)


def test_an_account_of_ones_own_counts_as_much_as_it_is_of_the_whole() -> None:
    # A doubled its half at the close of the third day, when it left: 100,000 of 150,000; B never traded.
    bars = bars_of({"A": [10.0, 10.0, 20.0, 20.0], "B": [10.0] * 4})
    signals = Signals(flags(A=[1, 0, 0, 1], B=[0, 0, 0, 1]), flags(A=[0, 0, 1, 0], B=[0, 0, 0, 0]))
    result = backtest(bars, signals, fees=0.0, count_trial=False)
    assert said(result) == [("A", "buy", 1.0, 2 / 3), ("B", "buy", 1.0, 1 / 3)]
    half = backtest(bars, signals, size=Percent(0.5), cash_sharing=True, fees=0.0, count_trial=False)
    assert [row[3] for row in said(half)] == [0.5, 0.5]


def test_weights_are_targets_and_what_they_leave_alone_is_what_is_held() -> None:
    bars = bars_of({"A": [10.0, 10.0, 10.0, 10.0], "B": [10.0, 10.0, 10.0, 20.0], "C": [5.0] * 4})
    weights = pd.DataFrame(
        {"A": [0.5, np.nan, np.nan, -0.2], "B": [0.5, np.nan, np.nan, np.nan], "C": np.nan}, index=TIMES
    )
    result = backtest(bars, Weights(weights), fees=0.0, count_trial=False)
    # B's half became 100,000 of 150,000.
    assert said(result) == [("A", "sell", 0.2, -0.2), ("B", "hold", 0.0, 2 / 3), ("C", "hold", 0.0, 0.0)]


def test_each_symbol_speaks_at_its_own_last_bar() -> None:
    bars = bars_of({"A": [10.0, 11.0], "B": [10.0, 11.0, 12.0, 13.0]})
    signals = Signals(flags(A=[0, 1, 0, 0], B=[0, 1, 0, 0]), flags(A=[0, 0, 0, 0], B=[0, 0, 0, 1]))
    newest = backtest(bars, signals, count_trial=False).newest()
    assert newest["timestamp"].tolist() == [TIMES[1], TIMES[3]]
    assert newest["signal"].tolist() == ["buy", "sell"]


def test_a_stop_that_the_newest_bar_touched_is_a_sale() -> None:
    bars = bars_of({"A": [10.0, 10.0, 10.0, 8.0]}).assign(high=10.0, low=[10.0, 10.0, 10.0, 8.0])
    signals = Signals(flags(A=[1, 0, 0, 0]), NEVER)
    result = backtest(bars, signals, stop_loss=0.1, fees=0.0, count_trial=False)
    assert said(result) == [("A", "sell", 1.0, 0.0)]


def test_what_is_filled_at_the_deciding_close_is_said_of_it() -> None:
    result = backtest(
        bars_of(A), Signals(flags(A=[0, 0, 0, 1]), NEVER), fill="same_close", fees=0.0, count_trial=False
    )
    assert result.pending.empty
    assert said(result) == [("A", "buy", 1.0, 1.0)]


def test_without_equity_the_target_is_not_known() -> None:
    # A short position of all that there is, and the price quadruples.
    bars = bars_of({"A": [10.0, 10.0, 40.0, 40.0]})
    result = backtest(bars, Signals(NEVER, NEVER, flags(A=[1, 0, 0, 0]), NEVER), count_trial=False)
    assert result.equity.iloc[-1] <= 0.0
    assert np.isnan(result.newest()["target"].iloc[0])
