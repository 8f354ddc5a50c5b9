"""Trend followers: signals worked out by hand, and the rule for many variants like the one for one."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from tests.unit.strategies.handmade import bars_of, rows_where
from workbench.errors import QueryError, StrategyError
from workbench.signals.inputs import read_bars, read_signals
from workbench.signals.signals import Signals, Weights
from workbench.strategies import donchian_breakout, macd_cross, sma_cross, time_series_momentum
from workbench.strategies.indicators import ema

NAN = math.nan


def signals(made: Signals | Weights) -> Signals:
    assert isinstance(made, Signals)
    return made


def test_the_fast_average_above_the_slow_one_is_long() -> None:
    bars = bars_of({"A": [10, 11, 12, 11, 9, 8, 10, 13]})
    made = signals(sma_cross(bars, fast=2, slow=3))
    # Averages of 2 from the third bar on: 11.5, 11.5, 10, 8.5, 9, 11.5;
    # of 3: 11, 11.33, 10.67, 9.33, 9, 10.33.
    assert rows_where(made.entries) == [2, 3, 7]
    assert rows_where(made.exits) == [0, 1, 4, 5, 6]


def test_averages_of_a_price_that_stands_still_do_not_cross() -> None:
    bars = bars_of({"A": [9.3, 9.9, 9.1] + [9.7] * 60})
    made = signals(sma_cross(bars, fast=7, slow=20))
    assert not [row for row in rows_where(made.entries) if row >= 22]


@pytest.mark.parametrize("symbols", [["AAPL"], ["AAPL", "FB", "GOOG", "IBM"]])
def test_many_variants_at_once_are_each_what_one_is(stocks: pd.DataFrame, symbols: list[str]) -> None:
    bars = stocks.loc[symbols].copy()
    missing = np.random.default_rng(1).random(len(bars)) < 0.02
    bars.loc[missing, "open"] = NAN
    if len(symbols) > 1:
        bars = bars[np.random.default_rng(2).random(len(bars)) > 0.05]
    market = read_bars(bars)
    generator = np.random.default_rng(3)
    fast = generator.integers(1, 200, 40)
    slow = fast + generator.integers(1, 200, 40)
    assert sma_cross.batched is not None
    many = sma_cross.batched(market, fast=fast, slow=slow)
    for variant, (one, other) in enumerate(zip(fast.tolist(), slow.tolist(), strict=True)):
        made = signals(sma_cross(bars, fast=one, slow=other))
        np.testing.assert_array_equal(many.entries[variant], read_signals(made.entries, market, "entries"))
        np.testing.assert_array_equal(many.exits[variant], read_signals(made.exits, market, "exits"))
    assert many.entries.any()


def test_a_fast_average_that_is_slower_is_refused() -> None:
    with pytest.raises(StrategyError, match="does not allow fast=50, slow=20"):
        sma_cross(bars_of({"A": [1.0]}), fast=50, slow=20)


def test_the_macd_line_above_its_signal_is_long(quotes: pd.DataFrame) -> None:
    index = pd.MultiIndex.from_product(
        [["A"], pd.DatetimeIndex(quotes.index).tz_localize("UTC")], names=["symbol", "timestamp"]
    )
    bars = quotes.set_index(index)
    made = signals(macd_cross(bars))
    entries = rows_where(made.entries)
    # The signal line is known from the 34th bar on; at bar 49 the line is 1.7203 and the signal 1.9675, at
    # bar 249 they are 2.2353 and 2.3141 (Stock.Indicators' test of MACD): below at both.
    assert min(entries) >= 33
    assert {49, 249}.isdisjoint(entries)
    line = ema(quotes["close"], 12) - ema(quotes["close"], 26)
    assert entries == np.flatnonzero(line > ema(line, 9)).tolist()


def test_a_close_beyond_the_channel_is_a_breakout() -> None:
    bars = bars_of({"A": [10, 11, 10, 13, 14, 12, 9, 8]})
    made = signals(donchian_breakout(bars, entry=3, exit=2))
    # Highs are one above, lows one below the close. Fourth bar: 13 is above 12, the highest of the three
    # before. Seventh bar: 9 is below 11, the lowest of the three and of the two before. Touching is no break.
    assert rows_where(made.entries) == [3]
    assert rows_where(made.exits) == [6]
    assert rows_where(made.short_entries) == [6]
    assert rows_where(made.short_exits) == [3]
    assert signals(donchian_breakout(bars, entry=3, exit=2, short=False)).short_entries is None


def test_a_channel_needs_highs_and_lows() -> None:
    with pytest.raises(QueryError, match="high"):
        donchian_breakout(bars_of({"A": [1.0, 2.0]}).drop(columns=["high", "low"]))


def test_what_rose_over_the_year_is_held_at_the_same_volatility() -> None:
    closes: dict[str, list[float]] = {
        "UP": [100, 101, 100, 102, 103, 105, 104],
        "DOWN": [100, 98, 99, 96, 95, 93, 94],
        "LATE": [NAN, NAN, NAN, NAN, NAN, 50, 51],
    }
    bars = bars_of(closes, start="2024-01-27")
    made = time_series_momentum(bars, lookback=5, center=5, annual=0.05)
    assert isinstance(made, Weights)
    row = made.weights.loc["2024-02-01"]

    def risk(prices: list[float]) -> float:
        """Eq. 1 of the paper, written out, with a centre of mass of 5 bars."""
        returns = np.diff(prices) / np.array(prices[:-1])
        weights = (5 / 6) ** np.arange(len(returns))[::-1]
        weights /= weights.sum()
        return math.sqrt(float(weights @ (returns - weights @ returns) ** 2) * 252)

    # On the sixth day UP is above, DOWN below where it was five bars before; LATE has no such bar.
    assert row["UP"] == pytest.approx(0.05 / risk(closes["UP"][:6]) / 2, rel=1e-12)
    assert row["DOWN"] == pytest.approx(-0.05 / risk(closes["DOWN"][:6]) / 2, rel=1e-12)
    assert row["LATE"] == 0.0
    assert made.weights.drop(pd.Timestamp("2024-02-01", tz="UTC")).isna().all(axis=None)


def test_nothing_is_borrowed_to_reach_a_volatility() -> None:
    bars = bars_of({"A": [100, 100.1, 100.3, 100.2, 100.4, 100.6]}, start="2024-01-27")
    made = time_series_momentum(bars, lookback=5, center=5)
    assert isinstance(made, Weights)
    assert made.weights["A"].dropna().tolist() == [1.0]


def test_what_fell_can_be_left_alone() -> None:
    bars = bars_of({"A": [100, 99, 98, 99, 97, 96]}, start="2024-01-27")
    made = time_series_momentum(bars, lookback=5, center=5, short=False)
    assert isinstance(made, Weights)
    assert made.weights["A"].dropna().tolist() == [0.0]
