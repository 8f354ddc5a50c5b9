"""The sample: 12,154 real bars, raw and adjusted, in order and to the eighth decimal."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import pandas as pd
import pytest
from bokeh_sampledata import stocks

from workbench.errors import SourceError
from workbench.marketdata import check
from workbench.sources import SOURCES, source_class
from workbench.sources.sample import SYMBOLS, SampleSource

# Counted in the package's own CSV files; together 12,154.
BARS = {"AAPL": 3270, "IBM": 3270, "MSFT": 3270, "GOOG": 2148, "FB": 196}
EIGHTH = Decimal("0.00000001")


def test_every_bar_comes_raw_and_adjusted_and_passes_the_quality_rules() -> None:
    counts: dict[tuple[str, str], int] = {}
    for raw in SampleSource().fetch(SYMBOLS):
        checked = check(raw.rows, symbol=raw.symbol, data_source=raw.data_source, origin=raw.origin)
        assert checked.refused.empty
        counts[raw.symbol, raw.data_source] = len(checked.good)
    expected = {(s, source): n for s, n in BARS.items() for source in ("yahoo", "yahoo_adjusted")}
    assert counts == expected
    assert sum(BARS.values()) == 12_154


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_adjusted_prices_are_the_exact_ones_to_the_eighth_decimal(symbol: str) -> None:
    # Independent: exact decimal arithmetic on the package's own numbers.
    _, adjusted = SampleSource().fetch([symbol])
    series = getattr(stocks, symbol)
    closes, highs = adjusted.rows["close"].tolist(), adjusted.rows["high"].tolist()
    for i, (close, adj_close) in enumerate(zip(series["close"], series["adj_close"], strict=True)):
        exact = Decimal(repr(adj_close)).quantize(EIGHTH, ROUND_HALF_EVEN)
        assert Decimal(repr(closes[i])) == exact
        # Fractions have no rounding at all: the stored price is within half a unit of the true one.
        if i % 10 == 0:
            high = Fraction(str(series["high"][i])) * Fraction(str(adj_close)) / Fraction(str(close))
            stored = Fraction(repr(highs[i]))
            assert abs(stored - high) <= Fraction(EIGHTH) / 2


def test_raw_prices_and_volume_are_as_the_package_has_them() -> None:
    raw, adjusted = SampleSource().fetch(["AAPL"])
    assert raw.rows["open"].tolist() == stocks.AAPL["open"]
    assert raw.rows["volume"].tolist() == adjusted.rows["volume"].tolist() == stocks.AAPL["volume"]
    assert raw.rows["raw"].tolist()[0]["adj_close"] == stocks.AAPL["adj_close"][0]
    assert raw.rows["timestamp"].tolist()[0] == pd.Timestamp("2000-03-01", tz="UTC")


def test_a_bar_that_is_broken_at_the_origin_stays_broken_when_adjusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = {name: list(values) for name, values in stocks.FB.items()}
    broken["high"][7] = broken["low"][7] - 1
    monkeypatch.setattr(stocks, "FB", broken)
    for raw in SampleSource().fetch(["FB"]):
        checked = check(raw.rows, symbol="FB", data_source=raw.data_source, origin=raw.origin)
        assert checked.refused["row"].tolist() == [8]
        assert checked.refused["rule"].tolist() == ["high_below_low"]


def test_sources_go_by_name_and_an_unknown_one_is_told_which_there_are() -> None:
    assert list(SOURCES) == ["sample", "file", "yahoo", "polygon", "alpaca"]
    assert source_class("sample") is SampleSource
    with pytest.raises(SourceError, match='no source "quandl"; there are: sample, file, yahoo'):
        source_class("quandl")
    with pytest.raises(SourceError, match=r'no source "smaple" \(did you mean sample\?\); there are: sample'):
        source_class("smaple")
