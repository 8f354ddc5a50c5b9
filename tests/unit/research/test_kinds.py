"""What can be saved, what each kind needs for it, and what is said of everything else; opens no server."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from workbench.backtest import BacktestResult, Signals, backtest
from workbench.errors import BacktestError, SaveRefused
from workbench.research import Research
from workbench.research.kinds import kind_of
from workbench.session import Session
from workbench.settings import Settings
from workbench.strategies import sma_cross
from workbench.validation import validate, walk_forward

GRID = {"fast": [10, 20], "slow": [50]}


@pytest.fixture
def research(tmp_path: Path) -> Research:
    """On a session that nothing of this file opens."""
    return Research(Session(Settings(home=tmp_path)))


@pytest.fixture(scope="module")
def result(aapl: pd.DataFrame) -> BacktestResult:
    return backtest(aapl, sma_cross, count_trial=False)


@pytest.fixture(scope="module")
def portfolio(aapl: pd.DataFrame) -> Any:
    with warnings.catch_warnings():
        # vectorbt's own imports warn of what they will have to change.
        warnings.simplefilter("ignore")
        import vectorbt as vbt

        close = aapl["close"].droplevel("symbol")
        above = close > close.rolling(50).mean()
        return vbt.Portfolio.from_signals(close, above, ~above)


def test_each_kind_is_known(
    research: Research, aapl: pd.DataFrame, result: BacktestResult, portfolio: Any
) -> None:
    few = aapl.iloc[-600:]
    assert kind_of(result) == "backtest"
    assert kind_of(research.sweep(sma_cross, few, GRID, progress=False)) == "sweep"
    assert kind_of(validate(sma_cross, few, GRID, walk_forward(few, train=200, test=100))) == "validation"
    assert kind_of(portfolio) == "vectorbt portfolio"


@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (lambda bars: bars, r"DataFrame; .*write_market_data\(bars, source="),
        (lambda bars: sma_cross, r"Strategy; .*wb\.save\(backtest\(bars, strategy\)\)"),
        (
            lambda bars: sma_cross(bars),
            r"Signals; .*wb\.save\(backtest\(bars, signals\), strategy_id=",
        ),
        (lambda bars: [1], r"list; .*for one in results: wb\.save\(one\)"),
        (lambda bars: {"a": 1}, r"dict; .*wb\.save\(one, strategy_id=name\)"),
        (lambda bars: None, "NoneType; .*pass the result itself"),
        (lambda bars: 5, "int$"),
    ],
)
def test_of_anything_else_is_said_what_to_do_with_it(
    research: Research, aapl: pd.DataFrame, make: Any, advice: str
) -> None:
    takes = "wb.save takes a backtest, a sweep, a validation or a vectorbt portfolio, not an object of type"
    with pytest.raises(SaveRefused, match=f"^{takes} {advice}"):
        research.save(make(aapl))


def test_what_looks_like_a_portfolio_and_is_none_is_refused(research: Research) -> None:
    class Portfolio:
        """Not vectorbt's."""

    with pytest.raises(SaveRefused, match=r"not an object of type Portfolio$"):
        research.save(Portfolio())


def test_a_portfolio_needs_its_bars_and_a_name(
    research: Research, aapl: pd.DataFrame, portfolio: Any
) -> None:
    with pytest.raises(SaveRefused, match=r"not hold the bars .* and has no name .*; pass bars=, strateg"):
        research.save(portfolio)
    with pytest.raises(SaveRefused, match=r"has no name to store it under; pass strategy_id=: wb\.save\("):
        research.save(portfolio, bars=aapl)
    with pytest.raises(SaveRefused, match="does not hold the bars that it was made on; pass bars=:"):
        research.save(portfolio, strategy_id="mine")
    with pytest.raises(BacktestError, match="strategy_id=' ' is empty"):
        research.save(portfolio, strategy_id=" ", bars=aapl)


def test_options_that_a_kind_does_not_take_are_refused_by_name(
    research: Research, aapl: pd.DataFrame, result: BacktestResult, portfolio: Any
) -> None:
    few = aapl.iloc[-600:]
    found = research.sweep(sma_cross, few, GRID, progress=False)
    walked = validate(sma_cross, few, GRID, walk_forward(few, train=200, test=100))
    cases: list[tuple[object, dict[str, Any], str]] = [
        (result, {"periods_per_year": 365}, "a backtest takes no periods_per_year=; it takes strategy_id="),
        (found, {"status": "active", "name": "n"}, "a sweep takes no name=, status=; it takes strategy_id="),
        (walked, {"bars": few}, "a validation takes no bars=; it takes strategy_id=$"),
        (portfolio, {"sweep": found}, "a vectorbt portfolio takes no sweep=; it takes"),
    ]
    for one, options, said in cases:
        with pytest.raises(SaveRefused, match=f"^the save of {said}"):
            research.save(one, **options)


def test_a_refusal_is_a_backtest_error_and_a_type_error(research: Research) -> None:
    with pytest.raises(BacktestError):
        research.save(5)
    with pytest.raises(TypeError):
        research.save(5)


def test_signals_are_signals_here(aapl: pd.DataFrame) -> None:
    assert isinstance(sma_cross(aapl), Signals), "or the advice above is tested on something else"
