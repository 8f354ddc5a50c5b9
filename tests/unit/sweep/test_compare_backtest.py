"""A sweep beside a backtest: of the same strategy, symbols and rules, or refused with each difference."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from workbench.backtest import BacktestResult, Fixed, Percent, Signals, Strategy, Weights, backtest, strategy
from workbench.errors import SweepDiffers
from workbench.sweep import SweepResult, sweep


@strategy
def above(bars: pd.DataFrame, n: int = 10) -> Signals:
    """Long above the mean of `n` closes."""
    close = bars["close"].unstack("symbol")
    mean = close.rolling(n).mean()
    return Signals(close > mean, close < mean)


@strategy
def spread(bars: pd.DataFrame, n: int = 10) -> Weights:
    """Equal weights, every `n`th bar."""
    close = bars["close"].unstack("symbol")
    return Weights((close * 0.0 + 1.0 / len(close.columns)).iloc[::n])


@pytest.fixture(scope="module")
def two(stocks: pd.DataFrame) -> pd.DataFrame:
    """AAPL's and IBM's first 120 bars."""
    return stocks.loc[["AAPL", "IBM"]].groupby("symbol").head(120)


@pytest.fixture(scope="module")
def one(two: pd.DataFrame) -> pd.DataFrame:
    return two.loc[["AAPL"]]


def swept(bars: pd.DataFrame, rule: Strategy = above, **options: Any) -> SweepResult:
    return sweep(rule, bars, {"n": [5, 10]}, **{"progress": False, "workers": 1, **options})


def traded(bars: pd.DataFrame, rule: Strategy = above, **rules: Any) -> BacktestResult:
    return backtest(bars, rule, count_trial=False, **rules)


def refused(result: BacktestResult, found: SweepResult) -> str:
    with pytest.raises(SweepDiffers) as caught:
        result.report(sweep=found)
    assert caught.value.differences == found.differences(result)
    return str(caught.value)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"fees": 0.002}, ("fees=0.002", "fees=0.001")),
        ({"fixed_fees": 1.0}, ("fixed_fees=1.0", "fixed_fees=0.0")),
        ({"slippage": 0.01}, ("slippage=0.01", "slippage=0.0")),
        ({"cash": 5_000.0}, ("cash=5000.0", "cash=100000.0")),
        ({"fill": "next_close"}, ("fill='next_close'", "fill='next_open'")),
        ({"size": Percent(0.5)}, ("size=Percent(fraction=0.5)", "size=Percent(fraction=1.0)")),
        ({"size": Fixed(3.0)}, ("size=Fixed(units=3.0)", "size=Percent(fraction=1.0)")),
        ({"stop_loss": 0.1}, ("stop_loss=0.1", "stop_loss=None")),
        ({"whole_units": True}, ("whole_units=True", "whole_units=False")),
        ({"periods_per_year": 260.0}, ("periods_per_year=260.0", "periods_per_year=252.0")),
    ],
)
def test_a_rule_that_differs_is_refused_with_both_values_and_its_sweep_is_taken(
    one: pd.DataFrame, rules: dict[str, Any], said: tuple[str, str]
) -> None:
    result = traded(one, **rules)
    text = refused(result, swept(one))
    assert f"the backtest has {said[0]}; the sweep has {said[1]}. " in text
    assert text.endswith("Sweep with the backtest's settings: wb.sweep(above, bars, grid, **result.rules).")
    assert "\n" not in text
    found = swept(one, **result.rules)
    assert found.differences(result) == {}
    assert "surface" in result.report(sweep=found).figures


def test_all_differences_are_told_at_once(one: pd.DataFrame) -> None:
    found = swept(one)
    assert found.differences(traded(one, fees=0.0, size=Percent(0.5), trailing_stop=0.2)) == {
        "fees": (0.0, 0.001),
        "size": (Percent(0.5), Percent(1.0)),
        "trailing_stop": (0.2, None),
    }


def test_shared_cash_of_several_symbols_is_not_a_sweep_of_each_alone(two: pd.DataFrame) -> None:
    result = traded(two, cash_sharing=True)
    text = refused(result, swept(two))
    assert (
        "the backtest has symbols AAPL, IBM together, cash_sharing=True, size=Percent(fraction=0.5)" in text
    )
    assert "the sweep has symbols each of AAPL, IBM alone, cash_sharing=False" in text
    assert "wb.sweep(above, bars, grid, symbols='together', **result.rules)" in text
    assert set(swept(two, symbols="together").differences(result)) == {"cash_sharing", "size"}
    assert swept(two, symbols="together", **result.rules).differences(result) == {}
    assert set(swept(two).differences(traded(two))) == {"symbols"}


def test_another_strategy_and_other_symbols_are_refused(two: pd.DataFrame, one: pd.DataFrame) -> None:
    text = refused(traded(two, spread), swept(two, symbols="together"))
    assert "the backtest has strategy spread; the sweep has strategy above." in text
    ibm = two.loc[["IBM"]]
    assert swept(one).differences(traded(ibm)) == {"symbols": ("IBM", "AAPL")}
    assert swept(two).differences(traded(ibm)) == {}, "one of those that were each swept alone"


def test_the_same_rules_in_other_words_are_the_same(two: pd.DataFrame, one: pd.DataFrame) -> None:
    together = swept(two, symbols="together", cash_sharing=True)
    assert together.differences(traded(two, cash_sharing=True, size=Percent(0.5))) == {}
    assert swept(one).differences(traded(one, cash_sharing=True, size=Percent(1.0))) == {}
    assert swept(two, spread, symbols="together").differences(traded(two, spread)) == {}
    assert swept(two, spread, symbols="together", cash_sharing=True).differences(traded(two, spread)) == {}


def test_any_row_of_a_sweep_goes_beside_its_sweep(two: pd.DataFrame) -> None:
    periods = [("2000-03-01", "2000-05-31"), ("2000-06-01", None)]
    for rule, options in (
        (above, {"symbols": "each"}),
        (above, {"symbols": "each", "periods": periods}),
        (above, {"symbols": "together", "periods": periods, "cash_sharing": True, "fees": 0.0}),
        (spread, {"symbols": "together", "periods": periods}),
    ):
        found = swept(two, rule, **options)
        for number in found.frame.index:
            assert found.differences(found.backtest(number)) == {}, (options, number)


def test_parameters_that_were_searched_on_some_bars_may_be_traded_on_others(one: pd.DataFrame) -> None:
    assert swept(one.iloc[:80]).differences(traded(one)) == {}


def test_over_the_same_span_other_prices_dividends_or_code_are_found_by_the_return(
    one: pd.DataFrame,
) -> None:
    paid = pd.Series(2.0, index=one.index[20::10])
    result = traded(one, dividends=paid)
    found = swept(one)
    assert list(found.differences(result)) == ["total_return"]
    text = refused(result, found)
    assert "from 2000-03-01 to 2000-08-18, the backtest has total_return=" in text
    assert "their prices, dividends or the strategy's code differ" in text
    assert swept(one, dividends=paid).differences(result) == {}
    assert list(swept(one * 1.01).differences(traded(one, fixed_fees=0.0))) == []
    moved = one.copy()
    moved.iloc[40:] *= 1.1
    assert list(swept(moved).differences(traded(one))) == ["total_return"]


def test_signals_without_a_strategy_are_held_to_rules_and_symbols(one: pd.DataFrame) -> None:
    said = above(one)
    assert isinstance(said, Signals)
    found = swept(one)
    assert found.differences(backtest(one, said, count_trial=False)) == {}
    assert list(found.differences(backtest(one, said, fees=0.0, count_trial=False))) == ["fees"]


def test_the_rules_of_a_sweep_are_arguments_of_a_backtest(one: pd.DataFrame) -> None:
    found = swept(one, fees=0.004, size=Percent(0.3))
    assert found.differences(traded(one, **found.rules)) == {}
