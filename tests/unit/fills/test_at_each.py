"""What a backtest says at each bar is what the backtest up to there says of its newest one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.backtest import BacktestResult, Fixed, Percent, Signals, VolatilityTarget, Weights, backtest
from workbench.errors import BacktestError

SAID = ["symbol", "timestamp", "signal", "strength", "target"]


def _market(seed: int, *, gaps: bool) -> pd.DataFrame:
    """Two symbols of thirty days; with gaps one lacks a tenth of its bars, though neither the first."""
    random = np.random.default_rng(seed)
    times = pd.date_range("2026-01-05", periods=30, tz="UTC")
    parts = []
    for symbol in ("A", "B"):
        close = 100.0 * np.exp(np.cumsum(random.normal(0.0, 0.03, len(times))))
        opens = close * np.exp(random.normal(0.0, 0.01, len(times)))
        index = pd.MultiIndex.from_product([[symbol], times], names=["symbol", "timestamp"])
        frame = pd.DataFrame({"open": opens, "close": close}, index=index)
        frame["high"] = frame[["open", "close"]].max(axis=1) * 1.01
        frame["low"] = frame[["open", "close"]].min(axis=1) * 0.99
        kept = random.random(len(times)) > 0.1
        kept[0] = True
        parts.append(frame[kept] if gaps and symbol == "B" else frame)
    return pd.concat(parts)


def _signals(seed: int, bars: pd.DataFrame) -> Signals:
    random = np.random.default_rng(seed + 1)
    there = bars["close"].unstack("symbol").notna()
    flags = [
        pd.DataFrame(random.random(there.shape) < 0.2, there.index, there.columns) & there for _ in range(4)
    ]
    return Signals(*flags)


def _weights(seed: int, bars: pd.DataFrame) -> Weights:
    random = np.random.default_rng(seed + 1)
    close = bars["close"].unstack("symbol")
    weights = pd.DataFrame(random.uniform(-0.5, 0.5, close.shape), close.index, close.columns)
    return Weights(weights.where(random.random(close.shape) < 0.3))


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    gaps=st.booleans(),
    rules=st.sampled_from(
        [
            {},
            {"fill": "same_close", "fees": 0.01},
            {"fill": "next_close", "size": Percent(0.4)},
            {"stop_loss": 0.02, "take_profit": 0.03, "trailing_stop": 0.04},
            {"cash_sharing": True, "size": VolatilityTarget(0.1, 5)},
            {"size": Fixed(10), "whole_units": True},
            {"leverage": 3.0, "size": Percent(3.0)},
            None,
        ]
    ),
)
def test_each_row_is_the_newest_of_the_backtest_until_then(
    seed: int, gaps: bool, rules: dict[str, Any] | None
) -> None:
    bars = _market(seed, gaps=gaps)
    decided: Signals | Weights = _weights(seed, bars) if rules is None else _signals(seed, bars)
    options = {} if rules is None else rules
    found = backtest(bars, decided, count_trial=False, **options).newest_at_each()
    times = bars.index.get_level_values("timestamp")
    for time in times.unique().sort_values()[5:]:
        part = bars[times <= time]
        newest = backtest(part, _until(decided, time), count_trial=False, **options).newest()
        expected = newest[newest["timestamp"] == time].reset_index(drop=True)
        mine = found.loc[found["timestamp"] == time, SAID].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, expected, check_exact=False, atol=1e-12, rtol=0.0)


def _until(decided: Signals | Weights, time: pd.Timestamp) -> Signals | Weights:
    return type(decided)(**{name: frame[frame.index <= time] for name, frame in vars(decided).items()})


def test_the_bars_come_with_it_and_dividends_and_only_the_last_on_request() -> None:
    bars = _market(3, gaps=False)
    ex_date = bars.index[10]
    dividends = pd.Series([0.5], index=pd.MultiIndex.from_tuples([ex_date], names=["symbol", "timestamp"]))
    result = backtest(bars, _signals(3, bars), dividends=dividends, count_trial=False)
    whole = result.newest_at_each()
    again = whole.set_index(["symbol", "timestamp"]).sort_index()
    pd.testing.assert_frame_equal(
        again[["open", "high", "low", "close"]], bars[["open", "high", "low", "close"]], check_like=True
    )
    assert again["dividend"].sum() == again.loc[ex_date, "dividend"] == 0.5
    pd.testing.assert_frame_equal(result.newest_at_each(4), whole.tail(8).reset_index(drop=True))


def test_of_a_portfolio_it_is_what_was_filled_and_held() -> None:
    vectorbt = pytest.importorskip("vectorbt")
    bars = _market(5, gaps=False).loc[["A"]]
    close = bars["close"].unstack("symbol")["A"]
    entries = pd.Series(np.arange(len(close)) % 7 == 2, close.index)
    portfolio = vectorbt.Portfolio.from_signals(close, entries, entries.shift(3, fill_value=False), freq="1D")
    result = BacktestResult.from_vectorbt(portfolio, bars, count_trial=False)
    found = result.newest_at_each()
    assert found["signal"].tolist()[:6] == ["hold", "hold", "buy", "hold", "hold", "sell"]
    held = found["target"].to_numpy()
    np.testing.assert_allclose(held[:6], [0.0, 0.0, 1.0, 1.0, 1.0, 0.0], atol=1e-9)


def test_a_record_without_a_simulation_says_so() -> None:
    bars = _market(1, gaps=False)
    result = backtest(bars, _signals(1, bars), count_trial=False)
    object.__setattr__(result, "made", None)
    with pytest.raises(BacktestError, match="holds no simulation"):
        result.newest_at_each()
