"""The tearsheet holds what the result holds, stands by itself, and bears with any result."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from workbench.backtest import BacktestResult, backtest
from workbench.drawing.blocks import Table
from workbench.errors import BacktestError
from workbench.overfitting import judge
from workbench.report import Tearsheet, tearsheet
from workbench.report.luck import NOT_COUNTED

SECTIONS = [
    "equity",
    "statistics",
    "returns",
    "drawdowns",
    "rolling",
    "price",
    "trades",
    "exposure",
    "costs",
    "rules",
]


def _crossing(bars: pd.DataFrame, fast: int, slow: int) -> pd.DataFrame:
    close = bars["close"].unstack("symbol")
    return close.rolling(fast).mean() > close.rolling(slow).mean()


def _bars(close: npt.NDArray[np.float64], symbol: str = "X", freq: str = "D") -> pd.DataFrame:
    times = pd.date_range("2024-01-01", periods=len(close), freq=freq, tz="UTC")
    index = pd.MultiIndex.from_product([[symbol], times], names=["symbol", "timestamp"])
    return pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), close), index=index)


def _text(sheet: Tearsheet) -> str:
    """What the reader sees of the page: no scripts, no styles, no tags."""
    body = re.sub(r"<(script|style)\b.*?</\1>", "", sheet.html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_amounts_have_a_currency_only_where_one_is_given(result: BacktestResult) -> None:
    cash = f"{result.initial_cash:,.0f}"
    without, with_it = _text(tearsheet(result)), _text(result.report(currency="EUR"))
    assert f"Starting capital {cash}" in without
    assert "EUR" not in without
    assert f"Starting capital {cash} EUR" in with_it
    assert {"Amount, EUR", "Profit, EUR"} <= set(re.findall(r"(?:Amount|Profit), EUR", with_it))
    assert re.search(r"An order cost [\d.,]+ EUR on average", with_it)


@pytest.fixture(scope="module")
def result(stocks: pd.DataFrame) -> BacktestResult:
    above = _crossing(stocks, 20, 50)
    return backtest(
        stocks,
        above,
        ~above,
        short_entries=~above,
        short_exits=above,
        stop_loss=0.1,
        name="SMA <20/50>",
        slippage=0.0005,
    )


@pytest.fixture(scope="module")
def sheet(result: BacktestResult, stocks: pd.DataFrame) -> Tearsheet:
    return result.report(bars=stocks, honesty=judge(result.returns, trials=40))


def test_the_page_holds_every_section(sheet: Tearsheet) -> None:
    assert [section.key for section in sheet.sections] == SECTIONS
    assert all(f'<section id="{key}">' in sheet.html for key in SECTIONS)


def test_the_page_stands_by_itself(sheet: Tearsheet) -> None:
    assert sheet.html.startswith("<!DOCTYPE html>")
    assert sheet.html.count("<script>") == 2, "Plotly's script once, and the page's own"
    assert "default-src 'none'" in sheet.html
    assert not re.search(r"""<(link|img|iframe|script)[^>]+(src|href)=["']""", sheet.html)
    assert len(sheet.html) < 10e6


def test_the_figures_show_what_the_result_holds(sheet: Tearsheet, result: BacktestResult) -> None:
    traces = {trace.name: trace for trace in sheet.figures["equity"].data}
    np.testing.assert_array_equal(traces["strategy"].y, result.equity)
    np.testing.assert_array_equal(traces["buy and hold"].y, result.benchmark)
    np.testing.assert_array_equal(traces["strategy, drawdown"].y, result.drawdown)
    assert traces["strategy"].x[0] == "2000-03-01"
    assert list(sheet.figures)[:4] == ["equity", "distribution", "years", "rolling"]


def test_each_trade_stands_on_the_price_by_its_direction(sheet: Tearsheet, result: BacktestResult) -> None:
    trades = result.trades[result.trades["symbol"] == "IBM"]
    traces = {trace.name: trace for trace in sheet.figures["price IBM"].data}
    for direction in ("long", "short"):
        mine = trades[trades["direction"] == direction]
        np.testing.assert_array_equal(traces[f"{direction} entry"].y, mine["entry_price"])
    closed = trades[trades["status"] == "closed"]
    np.testing.assert_array_equal(traces["exit"].y, closed["exit_price"])
    assert any("stop loss" in said for said in traces["exit"].customdata)


def test_a_legend_of_many_rows_stays_below_the_figures_buttons(sheet: Tearsheet) -> None:
    """Plotly draws the buttons within 27 pixels of the top edge; a phone's legend grows up to there."""
    layout = sheet.figures["price IBM"].layout
    assert (layout.legend.yref, layout.legend.yanchor) == ("container", "top")
    assert layout.height * (1.0 - layout.legend.y) == pytest.approx(28.0)


def test_headlines_and_costs_are_those_of_the_metrics(sheet: Tearsheet, result: BacktestResult) -> None:
    shown, m = _text(sheet), result.metrics
    assert f"{m['total_return']:+.1%}".replace("-", "−") in shown
    assert f"Sharpe {m['sharpe_ratio']:.2f}".replace("-", "−") in shown
    assert f"Fees −{m['fees_paid']:,.0f}" in shown
    assert f"Slippage −{m['slippage_paid']:,.0f}" in shown
    assert f"Closed trades {m['total_trades']:.0f}" in shown
    assert "Stop loss 10.0%" in shown
    assert "at the open of the next bar" in shown


def test_costs_lead_from_the_profit_before_them_to_the_net_profit(sheet: Tearsheet) -> None:
    costs = next(section for section in sheet.sections if section.key == "costs").blocks[0]
    assert isinstance(costs, Table)
    amounts = [float(row[1].text.replace("−", "-").replace(",", "")) for row in costs.rows]
    assert sum(amounts[:-1]) == pytest.approx(amounts[-1], abs=2.0), "rounded to whole money each"


def test_the_verdict_comes_first(sheet: Tearsheet, result: BacktestResult) -> None:
    honesty = judge(result.returns, trials=40)
    assert sheet.verdict == honesty.sentence
    shown = _text(sheet)
    assert shown.index(honesty.sentence) < shown.index("Variants tried")
    assert "Variants tried 40" in shown


def test_without_a_count_of_trials_the_page_says_so(result: BacktestResult) -> None:
    sheet = tearsheet(result)
    assert sheet.verdict == NOT_COUNTED
    assert NOT_COUNTED in _text(sheet)
    assert "price" not in [section.key for section in sheet.sections], "no bars, no prices"


def test_what_people_type_is_escaped() -> None:
    bars = _bars(np.linspace(100.0, 120.0, 40), symbol="<i>A&B</i>")
    always = pd.Series(True, index=bars.index)
    benchmark = bars["close"].droplevel("symbol").rename("</script><b>rival")
    nasty = "</script><script>alert(1)</script>"
    result = backtest(bars, always, ~always, name=nasty, benchmark=benchmark)
    html = result.report(bars=bars).html
    assert nasty not in html
    assert "<i>A" not in html
    assert "</script><b>" not in html
    assert "&lt;i&gt;A&amp;B&lt;/i&gt;" in html
    assert html.count("</script>") == html.count("<script"), "nothing ends a script early"


def test_saving_writes_the_page(sheet: Tearsheet, tmp_path: Path) -> None:
    assert sheet.save(tmp_path / "sheet.html").read_text(encoding="utf-8") == sheet.html
    with pytest.raises(BacktestError, match="cannot be written"):
        sheet.save(tmp_path / "nowhere" / "sheet.html")


@pytest.mark.parametrize("name", ["x.pdf", "x.png", "x", ""])
def test_a_name_that_promises_something_else_than_a_page_is_refused(
    sheet: Tearsheet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        BacktestError, match=rf"use {name[:1] or 'tearsheet'}\.html, which a browser can print to PDF"
    ):
        sheet.save(name)
    assert list(tmp_path.iterdir()) == []


def test_a_notebook_shows_the_picture_and_not_five_megabytes(sheet: Tearsheet) -> None:
    html = sheet._repr_html_()
    assert "data:image/png;base64," in html
    assert "SMA &lt;20/50&gt;" in html
    assert len(html) < 1e6


def test_bars_of_something_else_are_refused(result: BacktestResult, stocks: pd.DataFrame) -> None:
    with pytest.raises(BacktestError, match="have none of"):
        tearsheet(result, bars=stocks.rename({"AAPL": "A", "FB": "B", "GOOG": "C", "IBM": "D", "MSFT": "E"}))
    columns = stocks.reset_index()
    columns["timestamp"] += pd.Timedelta(days=9_999)
    later = columns.set_index(["symbol", "timestamp"])
    with pytest.raises(BacktestError, match="there are none from 2000-03-01"):
        tearsheet(result, bars=later)


def _edge(name: str) -> tuple[pd.DataFrame, pd.Series[bool]]:
    """Bars and entries of an unusual backtest; exits are where no entry is."""
    falling, flat = np.linspace(120.0, 20.0, 300), np.full(300, 100.0)
    close = {"all losses": falling, "no volatility": flat, "one bar": flat[:1], "two bars": flat[:2]}.get(
        name, np.linspace(100.0, 120.0, 300)
    )
    bars = _bars(close)
    every = np.arange(len(close)) % 10 < 5
    entries = pd.Series(every if name != "no trade" else np.zeros_like(every), index=bars.index)
    return bars, entries


@pytest.mark.parametrize("name", ["no trade", "one bar", "two bars", "all losses", "no volatility"])
def test_any_result_has_a_page_and_a_picture(name: str) -> None:
    bars, entries = _edge(name)
    fees = 0.0 if name == "no volatility" else 0.001
    sheet = backtest(bars, entries, ~entries, name=name, fees=fees).report(bars=bars)
    shown = _text(sheet)
    assert "nan" not in shown.lower().replace("finance", "")
    assert "inf" not in shown.lower().replace("information", "")
    assert sheet.png().startswith(b"\x89PNG")


def test_a_ruined_account_has_a_page() -> None:
    # A short position whose price rises fivefold loses more than there was.
    bars = _bars(np.array([100.0, 100.0, 100.0, 500.0, 500.0, 500.0]))
    short = pd.Series([True] * 6, index=bars.index)
    result = backtest(bars, ~short, ~short, short_entries=short, short_exits=~short)
    assert result.metrics["final_equity"] < 0.0
    sheet = result.report(bars=bars)
    assert sheet.figures["equity"].layout.yaxis.type != "log"
    assert "ruin" in _text(sheet)
    assert sheet.png().startswith(b"\x89PNG")


def test_many_symbols_are_named_in_part_and_the_most_traded_drawn() -> None:
    random = np.random.default_rng(5)
    times = pd.date_range("2020-01-01", periods=80, tz="UTC", name="timestamp")
    symbols = pd.Index([f"S{number:03d}" for number in range(500)], name="symbol")
    close = pd.DataFrame(100.0 * np.exp(random.normal(0.0, 0.02, (80, 500)).cumsum(axis=0)), times, symbols)
    tidy = close.stack().swaplevel().sort_index()
    bars = pd.DataFrame({"open": tidy, "close": tidy})
    above = close.rolling(3).mean() > close.rolling(9).mean()
    result = backtest(bars, above, ~above)
    sheet = result.report(bars=bars)
    drawn = [key.removeprefix("price ") for key in sheet.figures if key.startswith("price ")]
    assert len(drawn) == 6
    most = result.trades["symbol"].value_counts()
    assert min(most[symbol] for symbol in drawn) >= most.drop(drawn).max()
    assert "and 494 more" in _text(sheet)
    assert len(sheet.html) < 10e6


def test_minute_bars_are_thinned_and_the_page_says_so() -> None:
    random = np.random.default_rng(7)
    bars = _bars(100.0 * np.exp(random.normal(0.0, 0.0005, 60_000).cumsum()), freq="min")
    close = bars["close"]
    above = close.rolling(60).mean() > close.rolling(240).mean()
    sheet = backtest(bars, above, ~above, periods_per_year=525_600.0).report(bars=bars)
    for figure in sheet.figures.values():
        assert all(len(trace.x) <= 5_000 for trace in figure.data)
    equity = next(trace for trace in sheet.figures["equity"].data if trace.name == "strategy")
    assert max(equity.y) == sheet.result.equity.max()
    assert equity.x[0] == "2024-01-01 00:00"
    assert "of 60,000 bars, including the high and low of each interval" in _text(sheet)
    assert len(sheet.html) < 10e6
