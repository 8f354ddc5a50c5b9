"""Mean reverters: signals worked out by hand."""

from __future__ import annotations

import pytest

from tests.unit.strategies.handmade import bars_of, rounded, rows_where
from workbench.errors import StrategyError
from workbench.signals.signals import Signals
from workbench.strategies import bollinger_reversal, rsi_reversal


def test_a_setback_in_a_rising_trend_is_bought_and_sold_into_the_recovery() -> None:
    bars = bars_of({"A": [10, 11, 12, 13, 14, 15, 13.5, 13.2, 15]})
    made = rsi_reversal(bars, window=2, oversold=45.0, trend=7, leave=3)
    assert isinstance(made, Signals)
    # Five gains of 1, then -1.5: gains 0.5, losses 0.75, index 40; then -0.2: 0.25, 0.475, index 34.5; then
    # +1.8: index 81. The averages of 7 are 12.64 and 13.1, below both closes.
    assert rows_where(made.entries) == [6, 7]
    # Averages of 3 from the third bar on: 11, 12, 13, 14, 14.17, 13.9, 13.9.
    assert rows_where(made.exits) == [2, 3, 4, 5, 8]
    assert made.short_entries is None


def test_a_setback_below_the_trend_is_not_bought() -> None:
    bars = bars_of({"A": [20, 19, 18, 17, 16, 15, 14, 13, 12]})
    made = rsi_reversal(bars, window=2, oversold=45.0, trend=7, leave=3)
    assert isinstance(made, Signals)
    assert rows_where(made.entries) == []


def test_the_trend_is_longer_than_the_way_out() -> None:
    with pytest.raises(StrategyError, match="together"):
        rsi_reversal(bars_of({"A": [1.0]}), trend=20, leave=20)


def test_beyond_the_bands_is_traded_back_to_the_middle() -> None:
    bars = bars_of({"A": [10, 10, 10, 10, 6, 10, 10, 10, 14, 10]})
    made = bollinger_reversal(bars, window=4, width=1.5)
    assert isinstance(made, Signals)
    # Of (10, 10, 10, 6): mean 9, population deviation sqrt(3): 6 is 1.73 deviations below. Then 10 is 0.58
    # above three times; 14 in (10, 10, 10, 14) is 1.73 above; then 10 is 0.58 below.
    assert rows_where(made.entries) == [4]
    assert rows_where(made.exits) == [5, 6, 7, 8]
    assert rows_where(made.short_entries) == [8]
    assert rows_where(made.short_exits) == [4, 9]


def test_rounding_of_a_price_that_stands_still_is_not_traded() -> None:
    bars = bars_of({"A": rounded(123.45, 60)})
    banded = bollinger_reversal(bars, window=5, width=1.0)
    assert isinstance(banded, Signals)
    assert not any(rows_where(flags) for flags in (banded.entries, banded.exits, banded.short_entries))
    indexed = rsi_reversal(bars, window=2, oversold=50.0, trend=7, leave=3)
    assert isinstance(indexed, Signals)
    assert rows_where(indexed.entries) == []


def test_bands_can_be_bought_only() -> None:
    made = bollinger_reversal(bars_of({"A": [10, 10, 10, 14]}), window=4, width=1.5, short=False)
    assert isinstance(made, Signals)
    assert made.short_entries is None
    assert made.short_exits is None
