"""The picture and the table: complete, right, and safe to show."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from tests.unit.signals.sketches import run
from workbench.backtest import BacktestResult, backtest
from workbench.errors import BacktestError


@pytest.fixture(scope="module")
def result(aapl: pd.DataFrame) -> BacktestResult:
    above = aapl["close"].rolling(20).mean() > aapl["close"].rolling(100).mean()
    return backtest(aapl, above, ~above, name="SMA <20/100>")


def test_the_picture_shows_what_the_result_holds(result: BacktestResult) -> None:
    figure = result.plot()
    traces = {trace.name: trace for trace in figure.data}
    np.testing.assert_array_equal(traces["SMA <20/100>"].y, result.equity)
    np.testing.assert_array_equal(traces["buy and hold"].y, result.benchmark)
    np.testing.assert_array_equal(traces["drawdown"].y, result.drawdown)
    assert len(traces["buy"].x) + len(traces["sell"].x) == len(result.orders)
    assert traces["buy"].visible is True
    assert figure.layout.xaxis.matches == "x2", "one time axis for both"
    assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)", "the page's own background, light or dark"


def test_a_picture_of_no_trade_and_of_one_bar(aapl: pd.DataFrame) -> None:
    never = pd.Series(False, index=aapl.index)
    assert len(backtest(aapl, never, never).plot().data) == 5
    assert len(backtest(aapl.iloc[:1], never.iloc[:1], never.iloc[:1]).plot().data) == 5


def test_too_many_fills_start_switched_off(aapl: pd.DataFrame) -> None:
    up = aapl["close"].diff() > 0
    shown = {trace.name: trace.visible for trace in backtest(aapl, up, ~up).plot().data}
    assert shown["buy"] == shown["sell"] == "legendonly"


def test_a_benchmark_of_ones_own_starts_at_the_starting_capital(
    result: BacktestResult, stocks: pd.DataFrame
) -> None:
    ibm = stocks.xs("IBM")["close"].rename("IBM")
    line = next(trace for trace in result.plot(ibm).data if trace.name == "IBM")
    np.testing.assert_allclose(line.y, ibm / ibm.iloc[0] * result.initial_cash)
    with pytest.raises(BacktestError, match="no value from 2000-03-01"):
        result.plot(ibm.set_axis(pd.date_range("2030", periods=len(ibm), tz="UTC")))
    with pytest.raises(BacktestError, match="time zone"):
        result.plot(ibm.tz_localize(None))


def test_the_table_names_the_figures_and_escapes_what_people_type(result: BacktestResult) -> None:
    html = result._repr_html_()
    assert "SMA &lt;20/100&gt;" in html
    assert "<20/100>" not in html
    assert "http" not in html
    assert "nan" not in html.lower().replace("variant-numeric", "")


@pytest.mark.parametrize(
    ("last", "gain"), [(13.0, "+30.0%"), (2_000.0, "+19,900%"), (5.0, "−50.0%"), (10.0, "0.0%")]
)
def test_card_picture_page_and_short_form_word_a_figure_alike(last: float, gain: str) -> None:
    """1,000 buy 100 units at 10, sold at 20 and bought again: 100 times the last price is left."""
    result = run({"A": [10, 10, 20, 20, 20, last]}, {"A": "L.xL.."})
    card = " ".join(re.sub(r"<[^>]+>", " ", result._repr_html_()).split())
    picture = re.sub(r"<[^>]+>", "", result.plot().layout.title.subtitle.text)
    assert f"Return {gain} Buy and hold {gain}" in card
    assert "Trades 1 (+1 open)" in card
    assert picture.startswith(f"return {gain} ")
    assert picture.endswith(f"trades 1 (+1 open)   buy and hold {gain}")
    assert f"return {gain}, " in repr(result)
    assert repr(result).endswith("trades 1 (+1 open)>")
    first = result.report().html.split('id="statistics"')[0]
    assert f">{gain}<" in first
    assert "100% won, +1 open" in first
