"""Dividends and a benchmark as they are given: laid on the bars, or refused with advice."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.unit.signals.sketches import NAN, bars, days, run
from workbench.errors import BacktestError
from workbench.fills.outside import read_benchmark, read_dividends
from workbench.signals.inputs import read_bars

MARKET = read_bars(bars(A=[10, NAN, 10, 10], B=[NAN, 10, 10, NAN]))


def dividends(*rows: tuple[str, str, float]) -> pd.Series[float]:
    index = pd.MultiIndex.from_tuples([(symbol, pd.Timestamp(time, tz="UTC")) for symbol, time, _ in rows])
    return pd.Series([amount for _, _, amount in rows], index=index, dtype="float64")


def test_each_dividend_stands_on_the_symbols_first_bar_from_its_ex_date_on() -> None:
    given = dividends(
        ("A", "2019-12-24", 1.0),  # Before everything: on the first bar, where nobody holds it.
        ("A", "2020-01-02", 2.0),  # In a gap.
        ("A", "2020-01-03", 4.0),  # On the same bar.
        ("A", "2020-01-03 15:00", 8.0),
        ("B", "2020-01-04", 16.0),  # After its last bar.
        ("Z", "2020-01-01", 32.0),
    )
    expected = [[1, 0], [0, 0], [6, 0], [8, 0]]
    assert read_dividends(given, MARKET).tolist() == expected
    assert read_dividends(given.iloc[::-1], MARKET).tolist() == expected
    assert read_dividends(given.iloc[:0], MARKET).tolist() == np.zeros((4, 2)).tolist()


def test_dividends_that_cannot_be_are_refused() -> None:
    for wrong in (-1.0, NAN, np.inf):
        with pytest.raises(BacktestError, match="no cash per unit"):
            read_dividends(dividends(("A", "2020-01-01", wrong)), MARKET)
    with pytest.raises(BacktestError, match="none is of a symbol of the bars"):
        read_dividends(dividends(("Z", "2020-01-01", 1.0)), MARKET)
    good = dividends(("A", "2020-01-01", 1.0))
    with pytest.raises(BacktestError, match="indexed by symbol and ex-date"):
        read_dividends(good.droplevel(0), MARKET)
    with pytest.raises(BacktestError, match="not numbers"):
        read_dividends(good.astype(str), MARKET)  # type: ignore[arg-type]
    naive = good.set_axis(pd.MultiIndex.from_tuples([("A", pd.Timestamp("2020-01-01"))]))
    with pytest.raises(BacktestError, match="no time zone"):
        read_dividends(naive, MARKET)


def test_a_benchmark_is_what_the_cash_would_be_worth_in_it() -> None:
    """At each bar the last price known by then, from the first one on; a NaN was not known."""
    prices = pd.Series([50.0, NAN, 75.0], index=pd.DatetimeIndex(days(4)[[0, 1, 2]]), name="index")
    worth = read_benchmark(prices, MARKET, 1_000.0)
    assert worth.tolist() == [1_000, 1_000, 1_500, 1_500]
    assert worth.name == "index"
    assert worth.index.equals(MARKET.timestamps)
    late = read_benchmark(prices.iloc[2:].rename(None), MARKET, 1_000.0)
    assert late.tolist() == [1_000] * 4
    assert late.name == "benchmark"


def test_a_benchmarks_price_before_the_first_bar_is_its_start() -> None:
    """Closes at 21:00 are known at the next day's midnight bar, not at their own day's."""
    closes = pd.Series([100.0, 110.0, 121.0], index=pd.date_range("2019-12-31 21:00", periods=3, tz="UTC"))
    worth = read_benchmark(closes.tz_convert("America/New_York"), MARKET, 100.0)
    assert worth.tolist() == pytest.approx([100, 110, 121, 121])


def test_benchmarks_that_cannot_be_are_refused() -> None:
    prices = pd.Series(1.0, index=days(4))
    with pytest.raises(BacktestError, match="time zone"):
        read_benchmark(prices.tz_localize(None), MARKET, 1.0)
    with pytest.raises(BacktestError, match="no value from 2020-01-01 to 2020-01-04"):
        read_benchmark(prices.set_axis(pd.date_range("2030", periods=4, tz="UTC")), MARKET, 1.0)
    with pytest.raises(BacktestError, match="not returns"):
        read_benchmark(prices - 1.0, MARKET, 1.0)
    with pytest.raises(BacktestError, match="stands there twice"):
        read_benchmark(pd.concat([prices, prices]), MARKET, 1.0)


def test_a_benchmark_of_ones_own_is_what_relative_figures_compare_with() -> None:
    prices = pd.Series([10, 11, 12.1, 10.89, 11.979], index=days(5))
    result = run({"X": prices.tolist()}, {"X": "....."}, benchmark=prices * 3.0)
    assert result.benchmark_returns.tolist() == pytest.approx([0, 0.1, 0.1, -0.1, 0.1])
    held = run({"X": prices.tolist()}, {"X": "LLLLL"}, benchmark=prices, fill="same_close")
    assert held.metrics["beta"] == pytest.approx(1.0)
    assert held.metrics["alpha"] == pytest.approx(0.0, abs=1e-12)
    assert held.metrics["up_capture"] == pytest.approx(1.0)
    assert held.metrics["benchmark_return"] == pytest.approx(held.metrics["total_return"])
