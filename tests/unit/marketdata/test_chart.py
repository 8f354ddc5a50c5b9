"""The price chart draws one symbol's bars as they are, and says what it cannot draw."""

from __future__ import annotations

import pandas as pd
import pytest

from workbench.errors import QueryError
from workbench.marketdata import BAR_COLUMNS, check
from workbench.marketdata.chart import price_chart
from workbench.sources.sample import SampleSource


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    good = [
        check(raw.rows, symbol=raw.symbol, data_source="x", origin="y").good
        for raw in SampleSource().fetch(["FB", "AAPL"])
        if raw.data_source == "yahoo"
    ]
    return pd.concat(good).set_index(["symbol", "timestamp"])


def test_candles_and_volume_hold_every_bar(bars: pd.DataFrame) -> None:
    figure = price_chart(bars.loc[["FB"]])
    candles, volume = figure.data
    assert (candles.type, volume.type) == ("candlestick", "bar")
    own = bars.loc["FB"]
    for column in BAR_COLUMNS[:4]:
        assert list(candles[column]) == own[column].tolist()
    assert list(volume.y) == own["volume"].tolist()
    assert figure.layout.title.text == "FB"
    assert figure.layout.xaxis.rangeslider.visible is False


def test_buttons_fit_both_axes_and_are_only_those_that_the_bars_fill(bars: pd.DataFrame) -> None:
    buttons = price_chart(bars, "Apple", symbol="AAPL").layout.updatemenus[0].buttons
    assert [button.label for button in buttons] == ["1M", "6M", "1Y", "All"]
    low, high = buttons[-1].args[0]["yaxis.range"]
    prices = bars.loc["AAPL"]
    assert low < prices["low"].min()
    assert high > prices["high"].max()
    # FB's 196 bars do not fill a year.
    assert [b.label for b in price_chart(bars, symbol="FB").layout.updatemenus[0].buttons] == [
        "1M",
        "6M",
        "All",
    ]


def test_weekends_are_left_out_unless_there_are_bars_on_them(bars: pd.DataFrame) -> None:
    def breaks(drawn: pd.DataFrame) -> list[tuple[str, ...]]:
        return [tuple(b.bounds) for b in price_chart(drawn).layout.xaxis.rangebreaks]

    assert breaks(bars.loc[["FB"]]) == [("sat", "mon")]
    own = bars.loc[["FB"]].iloc[:3]
    week = pd.date_range("2024-01-05", periods=3, tz="UTC", unit="us")
    index = pd.MultiIndex.from_product([["COIN"], week], names=["symbol", "timestamp"])
    assert breaks(own.set_axis(index)) == []


def test_what_cannot_be_drawn_is_said(bars: pd.DataFrame) -> None:
    with pytest.raises(
        QueryError, match=r"one symbol, these bars hold 2 \(FB, AAPL\); choose one, e\.g\. symbol='FB'"
    ):
        price_chart(bars)
    with pytest.raises(QueryError, match="no bars of TSLA; there are bars of FB, AAPL"):
        price_chart(bars, symbol="TSLA")
    with pytest.raises(QueryError, match="the frame is empty"):
        price_chart(bars.iloc[:0])
