"""Indicators give what platforms publish, on each symbol's own bars."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from tests.unit.strategies.handmade import rounded
from workbench.errors import StrategyError
from workbench.strategies.indicators import (
    atr,
    deviation,
    ema,
    ewm_volatility,
    highest,
    lowest,
    moving_averages,
    past_return,
    previous,
    rsi,
    sma,
    stands_still,
    volatility,
    zscore,
)


def at(values: pd.Series[float], rows: list[int]) -> list[float]:
    return [float(values.iloc[row]) for row in rows]


# Expected: the assertions of Stock.Indicators' own tests of these quotes (DaveSkender/Stock.Indicators,
# tests/indicators: Ema, Rsi, Atr, BollingerBands, Macd; four decimals, z-scores six), and, with all
# digits, TA-Lib 0.8.2 (the wheel of that version) on the same file.


def test_the_simple_average_is_ta_libs(quotes: pd.DataFrame) -> None:
    average = sma(quotes["close"], 20)
    expected = [214.525, 215.031, 234.935, 255.55, 251.86]
    assert at(average, [19, 24, 149, 249, 501]) == pytest.approx(expected, rel=1e-12)
    assert average.isna().sum() == 19


def test_the_exponential_average_is_the_published_one(quotes: pd.DataFrame) -> None:
    average = ema(quotes["close"], 20)
    assert at(average, [29, 249, 501]) == pytest.approx([216.6228, 255.3873, 249.3519], abs=5e-5)
    expected = [216.622848763626, 255.3872637775541, 249.35189668034732]
    assert at(average, [29, 249, 501]) == pytest.approx(expected, rel=1e-12)
    assert average.notna().sum() == 483


def test_the_macd_is_the_published_one(quotes: pd.DataFrame) -> None:
    line = ema(quotes["close"], 12) - ema(quotes["close"], 26)
    signal = ema(line, 9)
    assert at(line, [49, 249]) == pytest.approx([1.7203, 2.2353], abs=5e-5)
    assert at(signal, [49, 249]) == pytest.approx([1.9675, 2.3141], abs=5e-5)
    assert (line.notna().sum(), signal.notna().sum()) == (477, 469)


def test_the_relative_strength_index_is_the_published_one(quotes: pd.DataFrame) -> None:
    index = rsi(quotes["close"], 14)
    assert at(index, [14, 249, 501]) == pytest.approx([62.0541, 70.9368, 42.0773], abs=5e-5)
    expected = [62.054054054053964, 68.80853100006821, 70.93683746372498, 42.07732356600684]
    assert at(index, [14, 15, 249, 501]) == pytest.approx(expected, rel=1e-10)
    assert index.notna().sum() == 488


def test_the_short_relative_strength_index_is_ta_libs(quotes: pd.DataFrame) -> None:
    expected = [88.11188811188705, 94.27609427609379, 85.77356114133737, 83.37534871063049]
    assert at(rsi(quotes["close"], 2), [2, 3, 249, 501]) == pytest.approx(expected, rel=1e-10)


def test_the_average_true_range_is_the_published_one(quotes: pd.DataFrame) -> None:
    ranges = atr(quotes["high"], quotes["low"], quotes["close"], 14)
    published = [1.3364, 1.3034, 1.3381, 6.1497]
    assert at(ranges, [14, 24, 249, 501]) == pytest.approx(published, abs=5e-5)
    expected = [1.336428571428568, 1.3693948466981953, 1.338074065847095, 6.149748287843303]
    assert at(ranges, [14, 20, 249, 501]) == pytest.approx(expected, rel=1e-12)
    assert ranges.notna().sum() == 488


def test_the_score_against_bollingers_bands_is_the_published_one(quotes: pd.DataFrame) -> None:
    assert at(zscore(quotes["close"], 20), [249, 501]) == pytest.approx([1.215692, -0.602552], abs=5e-7)
    expected = [1.0318745078738953, 1.3336472547116165, 2.0070874420415343, 10.920211536412733]
    spread = deviation(quotes["close"], 20)
    # TA-Lib takes the difference of sums of squares, and loses some digits by it.
    assert at(spread, [19, 149, 249, 501]) == pytest.approx(expected, rel=1e-9)


def test_the_exponential_volatility_is_the_papers_formula() -> None:
    prices = pd.Series([100.0, 102.0, 99.0, 103.0, 101.0])
    returns = np.diff(prices) / prices.to_numpy()[:-1]
    # Moskowitz, Ooi and Pedersen (2012), eq. 1, written out: d / (1 - d) = 3.
    weights = np.array([0.75**age for age in (3, 2, 1, 0)])
    weights /= weights.sum()
    mean = float(weights @ returns)
    expected = math.sqrt(float(weights @ (returns - mean) ** 2))
    assert at(ewm_volatility(prices, 3.0, 4), [4]) == pytest.approx([expected], rel=1e-12)
    assert ewm_volatility(prices, 3.0, 4).isna().sum() == 4


def test_volatility_is_the_samples_deviation_of_returns() -> None:
    prices = pd.Series([100.0, 110.0, 99.0, 108.9])
    # Returns 0.1, -0.1, 0.1: by hand, mean 1/30 and sum of squares 0.08 / 3.
    assert at(volatility(prices, 3), [3]) == pytest.approx([math.sqrt(0.08 / 3 / 2)], rel=1e-12)
    assert volatility(prices, 3).isna().sum() == 3


def test_channels_and_past_values_are_of_the_symbols_own_bars() -> None:
    nan = math.nan
    prices = pd.DataFrame({"A": [3.0, 1.0, nan, 2.0, 5.0], "B": [nan, nan, 4.0, 2.0, 3.0]})
    expected = {
        "highest": {"A": [nan, 3.0, nan, 2.0, 5.0], "B": [nan, nan, nan, 4.0, 3.0]},
        "lowest": {"A": [nan, 1.0, nan, 1.0, 2.0], "B": [nan, nan, nan, 2.0, 2.0]},
        "previous": {"A": [nan, 3.0, nan, 1.0, 2.0], "B": [nan, nan, nan, 4.0, 2.0]},
        "sma": {"A": [nan, 2.0, nan, 1.5, 3.5], "B": [nan, nan, nan, 3.0, 2.5]},
        # From two bars ago to one bar ago: at A's fourth row, its third bar, from 3 to 1.
        "past_return": {"A": [nan, nan, nan, 1 / 3 - 1, 1.0], "B": [nan, nan, nan, nan, -0.5]},
    }
    found = {
        "highest": highest(prices, 2),
        "lowest": lowest(prices, 2),
        "previous": previous(prices),
        "sma": sma(prices, 2),
        "past_return": past_return(prices, 2, skip=1),
    }
    for name, frame in found.items():
        pd.testing.assert_frame_equal(frame, pd.DataFrame(expected[name]))


@pytest.mark.parametrize("n", [1, 7, 30, 100, 250])
def test_averages_are_pandas_own_up_to_rounding(quotes: pd.DataFrame, n: int) -> None:
    expected = quotes["close"].rolling(n).mean()
    pd.testing.assert_series_equal(sma(quotes["close"], n), expected, check_exact=False, rtol=1e-12)


def test_averages_of_a_price_that_stands_still_are_that_price_exactly() -> None:
    prices = np.array([0.3, 0.1, 17.77, *[0.7] * 40, 0.9])
    short, long = moving_averages(prices, [7, 30])
    assert (short[9:43] == 0.7).all()
    assert (long[32:43] == 0.7).all()
    assert short[43] != 0.7


def test_an_index_is_undefined_while_the_price_has_never_moved() -> None:
    prices = pd.Series([5.0] * 6 + [4.0, 5.0])
    assert rsi(prices, 3).isna().tolist() == [True] * 6 + [False] * 2
    assert zscore(prices, 3).isna().tolist() == [True] * 6 + [False] * 2


@pytest.mark.parametrize("level", [1e-9, 0.7, 123.45, 1e12])
def test_rounding_of_the_price_is_no_move(level: float) -> None:
    prices = pd.Series(rounded(level, 60))
    assert (deviation(prices, 5).iloc[4:] == 0.0).all()
    assert (volatility(prices, 5).iloc[5:] == 0.0).all()
    assert (ewm_volatility(prices, 10.0, 5).iloc[5:] == 0.0).all()
    assert zscore(prices, 5).isna().all()
    assert rsi(prices, 5).isna().all()
    assert stands_still(prices, 5).tolist() == pytest.approx([math.nan] * 4 + [1.0] * 56, nan_ok=True)


def test_steady_growth_has_no_volatility() -> None:
    prices = pd.Series(100.0 * 1.001 ** np.arange(300))
    assert volatility(prices, 21).iloc[21:].eq(0.0).all()
    assert ewm_volatility(prices, 60.0, 60).iloc[60:].eq(0.0).all()
    # It does move: 0.1 % is far above any rounding.
    assert (deviation(prices, 5).iloc[4:] > 0.01).all()
    assert (rsi(prices, 5).iloc[5:] > 99.9).all()


def test_an_earlier_move_leaves_nothing_when_it_has_left_the_window() -> None:
    """A sliding deviation keeps some of it: 1e-5 of the price, 1e-7 of the returns."""
    prices = pd.concat([pd.Series([100.0, 5_000.0, 90.0]), pd.Series(rounded(100.0, 400))], ignore_index=True)
    assert prices.rolling(20).std().iloc[23:].max() > 1e-6
    assert prices.pct_change().rolling(5).std().iloc[9:].max() > 1e-8
    assert (deviation(prices, 20).iloc[23:] == 0.0).all()
    assert zscore(prices, 20).iloc[23:].isna().all()
    assert (volatility(prices, 5).iloc[9:] == 0.0).all()


def test_the_least_tick_is_a_move() -> None:
    prices = pd.Series([100.0, 100.0, 100.0 + 1e-8, 100.0, 100.0])
    assert (deviation(prices, 3).iloc[2:] > 0.0).all()
    assert zscore(prices, 3).iloc[2:].notna().all()
    assert rsi(prices, 2).iloc[2:].notna().all()
    assert stands_still(prices, 3).iloc[2:].eq(0.0).all()


@pytest.mark.parametrize("n", [3, 10])
def test_with_too_few_bars_nothing_is_known(n: int) -> None:
    two = pd.Series([1.0, 2.0])
    for indicator in (sma, ema, rsi, deviation, zscore, highest, lowest, volatility, past_return):
        assert indicator(two, n).isna().all()
        assert indicator(two.iloc[:0], n).empty
    assert atr(two, two, two, n).isna().all()


def test_a_window_of_no_bars_is_refused() -> None:
    with pytest.raises(StrategyError, match="use 1 or more"):
        sma(pd.Series([1.0]), 0)
    with pytest.raises(StrategyError, match="use 2 or more"):
        deviation(pd.Series([1.0]), 1)
