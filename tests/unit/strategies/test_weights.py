"""Strategies that give weights: momentum across symbols, pairs, and volatility targets, by hand."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import pandas as pd
import pytest

from tests.unit.strategies.handmade import bars_of, rounded
from workbench.backtest import backtest
from workbench.errors import StrategyError
from workbench.signals.signals import Signals, Weights
from workbench.strategies import (
    cross_sectional_momentum,
    pairs_zscore,
    time_series_momentum,
    volatility_target,
)
from workbench.strategies.prices import month_starts

NAN = math.nan


def frame(made: Signals | Weights) -> pd.DataFrame:
    assert isinstance(made, Weights)
    return made.weights


def on_the_first(weights: pd.DataFrame) -> list[float]:
    """What is ordered on 1 February 2024."""
    day = weights.index == pd.Timestamp("2024-02-01", tz="UTC")
    return [float(weight) for weight in weights.to_numpy()[day][0]]


def test_a_month_starts_where_its_first_bar_is() -> None:
    index = pd.DatetimeIndex(["2024-01-31", "2024-02-02", "2024-02-05", "2024-03-01", "2025-03-03"], tz="UTC")
    assert month_starts(index).tolist() == [False, True, False, True, True]


def test_last_months_are_skipped_and_the_extremes_are_traded() -> None:
    closes: dict[str, list[float]] = {
        "A": [10.0, 10.0, 11.0, 5.0, 5.0],
        "B": [10.0, 10.0, 10.0, 30.0, 10.0],
        "C": [10.0, 10.0, 9.0, 9.0, 9.0],
        "D": [NAN, NAN, 10.0, 10.0, 99.0],
    }
    bars = bars_of(closes, start="2024-01-29")
    weights = frame(cross_sectional_momentum(bars, lookback=2, skip=1, share=0.25))
    # On 1 February, of the returns from 30 to 31 January: A +10 %, B 0, C -10 %; D began too late.
    assert on_the_first(weights) == [0.5, 0.0, -0.5, 0.0]
    assert weights.drop(pd.Timestamp("2024-02-01", tz="UTC")).isna().all(axis=None)
    bought = frame(cross_sectional_momentum(bars, lookback=2, skip=1, share=0.25, short=False))
    assert on_the_first(bought) == [1.0, 0.0, 0.0, 0.0]


def test_equal_returns_are_ranked_by_symbol_and_shares_are_rounded_down() -> None:
    closes = {
        symbol: [10.0, 10.0, 10.0 + gain] for symbol, gain in zip("ABCDE", [1, 1, 1, 0, 0], strict=True)
    }
    weights = frame(
        cross_sectional_momentum(bars_of(closes, start="2024-01-30"), lookback=2, skip=0, share=0.5)
    )
    # Two of five: of the three equal winners the first two, of the two equal losers both.
    assert on_the_first(weights) == [0.25, 0.25, 0.0, -0.25, -0.25]


def test_of_a_symbol_without_a_bar_on_the_day_its_last_one_counts() -> None:
    closes: dict[str, list[float]] = {
        "A": [10, 10, 10, 12, 12],
        "B": [10, 10, 10, 11, 11],
        "C": [10, 10, 10, 10, 10],
        "D": [10, 10, 13, NAN, 20],
    }
    bars = bars_of(closes, start="2024-01-29")
    weights = frame(cross_sectional_momentum(bars, lookback=2, skip=0, share=0.3))
    assert on_the_first(weights) == [0.0, 0.0, -0.5, 0.5]


def test_a_share_beside_a_coin_is_rebalanced_each_month() -> None:
    """Most months begin on a day on which only the coin trades: the share's next bar fills the weight."""
    days = pd.date_range("2022-01-01", "2024-12-31", tz="UTC")
    coin = pd.Series(100.0 + np.sin(np.arange(len(days))), days)
    share = coin[days.day_of_week < 5] * 2.0
    closes = pd.concat({"COIN": coin, "SHARE": share}, names=["symbol", "timestamp"])
    bars = pd.DataFrame({"open": closes, "close": closes})
    result = backtest(bars, volatility_target, parameters={"window": 10}, count_trial=False)
    months = result.orders.assign(month=result.orders["time"].dt.strftime("%Y-%m")).groupby("symbol")["month"]
    assert months.nunique().to_dict() == {"COIN": 35, "SHARE": 35}
    assert ((result.orders["time"] - result.orders["signal_time"]).dt.days <= 3).all()


def test_a_single_symbol_is_not_ranked() -> None:
    weights = frame(
        cross_sectional_momentum(bars_of({"A": [1, 2, 3, 4]}, start="2024-01-30"), lookback=2, skip=0)
    )
    assert weights.isna().all(axis=None)


def walked(score: list[float], entry: float, leave: float) -> list[float]:
    """The side held after each bar, one bar at a time."""
    side, sides = 0.0, []
    for value in score:
        if side > 0 and value >= -leave:
            side = 0.0
        if side < 0 and value <= leave:
            side = 0.0
        if side == 0 and value < -entry:
            side = 1.0
        if side == 0 and value > entry:
            side = -1.0
        sides.append(side)
    return sides


def prices_of_a_pair() -> tuple[list[float], list[float]]:
    generator = np.random.default_rng(5)
    common = np.cumsum(generator.normal(0, 0.01, 300))
    apart = np.zeros(300)
    for row in range(1, 300):
        apart[row] = 0.9 * apart[row - 1] + generator.normal(0, 0.01)
    return (100 * np.exp(common + apart)).tolist(), (50 * np.exp(0.8 * common)).tolist()


@pytest.mark.parametrize(("entry", "leave"), [(1.5, 0.0), (1.0, 0.5)])
def test_a_pair_is_traded_on_the_distance_of_normalised_prices(entry: float, leave: float) -> None:
    one, other = prices_of_a_pair()
    score = [NAN] * 19
    for last in range(19, 300):
        window = slice(last - 19, last + 1)
        a, b = np.array(one[window]), np.array(other[window])
        spread = a / a[0] - b / b[0]
        score.append((spread[-1] - spread.mean()) / spread.std(ddof=1))
    sides = walked(score, entry, leave)
    weights = frame(pairs_zscore(bars_of({"A": one, "B": other}), window=20, entry=entry, exit=leave))
    held = weights.ffill().fillna(0.0)
    assert held["A"].to_list() == [0.5 * side for side in sides]
    assert held["B"].to_list() == [-0.5 * side for side in sides]
    # Orders stand only where something changes, and the sides changed often enough to mean something.
    changes = int((np.diff(sides) != 0).sum())
    assert weights["A"].notna().sum() == changes
    assert changes > 10


def test_a_pair_is_traded_on_the_residual_of_a_regression() -> None:
    one, other = prices_of_a_pair()
    score = [NAN] * 29
    for last in range(29, 300):
        window = slice(last - 29, last + 1)
        a, b = np.log(one[window]), np.log(other[window])
        slope, level = np.polyfit(b, a, 1)
        residual = a - level - slope * b
        score.append(residual[-1] / residual.std(ddof=1))
    sides = walked(score, 1.5, 0.0)
    bars = bars_of({"A": one, "B": other})
    weights = frame(pairs_zscore(bars, window=30, entry=1.5, exit=0.0, hedge="regression"))
    assert weights["A"].ffill().fillna(0.0).tolist() == [0.5 * side for side in sides]


def test_bars_on_which_one_of_a_pair_did_not_trade_are_passed_over() -> None:
    one, other = prices_of_a_pair()
    whole = frame(pairs_zscore(bars_of({"A": one, "B": other}), window=20, entry=1.5))
    one.insert(100, 1_000.0)
    other.insert(100, NAN)
    gapped = frame(pairs_zscore(bars_of({"A": one, "B": other}), window=20, entry=1.5))
    assert gapped.iloc[100].isna().all()
    np.testing.assert_array_equal(np.delete(gapped.to_numpy(), 100, axis=0), whole.to_numpy())


def test_a_pair_that_moves_as_one_is_not_traded() -> None:
    one, _ = prices_of_a_pair()
    same = bars_of({"A": one, "B": [price / 3 for price in one]})
    for hedge in ("distance", "regression"):
        assert frame(pairs_zscore(same, window=20, hedge=hedge)).isna().all(axis=None)


def test_rounding_of_prices_that_stand_still_is_not_traded() -> None:
    one, other = prices_of_a_pair()
    for level in (0.7, 100.0, 1e6):
        still = bars_of({"A": rounded(level, 300), "B": rounded(50.0, 300, seed=4)})
        assert frame(pairs_zscore(still, window=20, entry=1.0)).isna().all(axis=None)
        for pair in ({"A": one, "B": rounded(level, 300)}, {"A": rounded(level, 300), "B": other}):
            regressed = pairs_zscore(bars_of(pair), window=20, entry=1.0, hedge="regression")
            assert frame(regressed).isna().all(axis=None)
            assert frame(pairs_zscore(bars_of(pair), window=20, entry=1.0)).notna().any(axis=None)


def test_rounding_of_a_price_that_stands_still_is_no_volatility() -> None:
    bars = bars_of({"A": rounded(100.0, 40), "B": [100.0, 101.0] * 20})
    assert on_the_first(frame(volatility_target(bars, annual=1.0, window=5))) == [0.0, 1.0]
    held = frame(time_series_momentum(bars, lookback=5, center=5, annual=1.0))
    assert on_the_first(held)[0] == 0.0
    assert on_the_first(held)[1] != 0.0


def test_a_pair_is_of_two_symbols() -> None:
    with pytest.raises(StrategyError, match="two symbols, and these bars have 3"):
        pairs_zscore(bars_of({"A": [1.0], "B": [1.0], "C": [1.0]}))


def test_each_symbol_is_scaled_to_the_same_volatility() -> None:
    quiet = [100, 100.5, 100.2, 100.9, 100.4, 100.6, 101.0]
    rough = [100, 104.0, 99.0, 105.0, 98.0, 103.0, 101.0]
    bars = bars_of({"Q": quiet, "R": rough}, start="2024-01-27")

    def risk(prices: list[float]) -> float:
        returns = [now / before - 1 for before, now in itertools.pairwise(prices[:6])]
        return statistics.stdev(returns) * math.sqrt(252)

    weights = frame(volatility_target(bars, annual=0.05, window=5))
    assert on_the_first(weights) == pytest.approx([0.05 / risk(quiet) / 2, 0.05 / risk(rough) / 2])
    assert weights.notna().any(axis=1).sum() == 1
    by_variance = frame(volatility_target(bars, annual=0.05, window=5, by="variance"))
    assert by_variance.loc["2024-02-01", "R"] == pytest.approx((0.05 / risk(rough)) ** 2 / 2)
    capped = frame(volatility_target(bars, annual=1.0, window=5, most=0.6))
    assert on_the_first(capped) == [0.3, 0.3]


def test_a_symbol_that_does_not_move_has_no_volatility_to_scale_by() -> None:
    bars = bars_of({"A": [5.0] * 7, "B": [100, 101, 100, 101, 100, 101, 100]}, start="2024-01-27")
    weights = frame(volatility_target(bars, annual=1.0, window=5))
    assert on_the_first(weights) == [0.0, 1.0]
