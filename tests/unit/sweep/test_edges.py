"""A sweep at its edges: one bar, no trade, losses only, ruin, names and numbers that cannot be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pytest

from tests.unit.signals.sketches import bars as sketched
from tests.unit.signals.sketches import days
from workbench.backtest import Signals, Strategy, Weights, between, strategy
from workbench.errors import BacktestError, StrategyError, SweepError
from workbench.sweep import Random, SweepResult, sweep
from workbench.sweep.store import METRICS

NAN = math.nan


@strategy
def marked(bars: pd.DataFrame, marks: str = "") -> Signals:
    """A mark a bar: L long, S short, x out, . nothing."""
    said = pd.DataFrame({"A": list(marks)}, index=days(len(marks)))
    return Signals(said == "L", said == "x", said == "S", said == "x")


def traded(prices: Sequence[float], *marks: str, **options: Any) -> pd.DataFrame:
    """Without fees, from 1,000 on, filled at the one price of the next bar."""
    rules = {"fees": 0.0, "cash": 1_000.0, "progress": False, "workers": 1, **options}
    return sweep(marked, sketched(A=prices), {"marks": list(marks)}, **rules).frame


def swept(*arguments: Any, **options: Any) -> SweepResult:
    return sweep(*arguments, **{"progress": False, "workers": 1, **options})


def figures(row: pd.Series[Any]) -> dict[str, float]:
    return {name: row[name] for name in METRICS}


def test_one_bar_trades_nothing_and_has_no_deviation() -> None:
    row = traded([10.0], "L").iloc[0]
    assert figures(row) == pytest.approx(
        {
            "total_return": 0.0, "cagr": 0.0, "volatility": NAN, "sharpe_ratio": NAN, "sortino": NAN,
            "calmar": NAN, "max_drawdown": 0.0, "total_trades": 0.0, "win_rate": NAN, "profit_factor": NAN,
            "exposure": 0.0, "turnover": 0.0, "skewness": NAN, "kurtosis": NAN, "n_bars": 1.0,
        },
        nan_ok=True,
    )  # fmt: skip
    assert pd.isna(row["error"])


def test_without_a_trade_nothing_moves_and_no_ratio_is_defined() -> None:
    row = figures(traded([10.0, 11.0, 9.0, 12.0], "....").iloc[0])
    nothing = {"total_return", "cagr", "volatility", "max_drawdown", "total_trades", "exposure", "turnover"}
    assert {name for name in METRICS if row[name] == 0.0} == nothing
    assert {name for name in METRICS if math.isnan(row[name])} == {*METRICS} - nothing - {"n_bars"}


def test_a_price_that_stands_still_has_no_volatility_and_no_sharpe_ratio() -> None:
    row = figures(traded([10.0] * 5, "L...x").iloc[0])
    assert row["volatility"] == row["total_return"] == 0.0
    assert row["exposure"] == pytest.approx(4 / 5)
    assert all(math.isnan(row[name]) for name in ("sharpe_ratio", "sortino", "calmar", "skewness"))


def test_losses_alone_win_nothing() -> None:
    """1,000 bought at 10 and sold at 8 is 800; bought again at 8 and sold at 4 is 400."""
    row = figures(traded([10.0, 10.0, 8.0, 8.0, 4.0, 4.0], "LxLx..").iloc[0])
    assert row["total_return"] == pytest.approx(-0.6)
    assert row["max_drawdown"] == pytest.approx(-0.6)
    assert (row["total_trades"], row["win_rate"], row["profit_factor"]) == (2.0, 0.0, 0.0)
    assert row["calmar"] == pytest.approx(-(1.0 - 0.4 ** (252 / 6)) / 0.6)
    # Returns are 0, 0, -0.2, 0, -0.5 and 0.
    returns = np.array([0.0, 0.0, -0.2, 0.0, -0.5, 0.0])
    assert row["sharpe_ratio"] == pytest.approx(returns.mean() / returns.std(ddof=1) * math.sqrt(252))
    assert row["sortino"] == pytest.approx(returns.mean() / math.sqrt((0.04 + 0.25) / 6) * math.sqrt(252))


def test_gains_alone_have_no_profit_factor_and_no_drawdown() -> None:
    row = figures(traded([10.0, 10.0, 12.0, 15.0], "Lx..", whole_units=True).iloc[0])
    assert row["total_return"] == pytest.approx(0.2)
    assert row["win_rate"] == 1.0
    assert math.isnan(row["profit_factor"])
    assert math.isnan(row["calmar"])


@pytest.mark.parametrize("after", ["...", "L..", "LxL"])
def test_a_short_whose_price_rises_tenfold_ends_the_account_for_good(after: str) -> None:
    """100 units sold at 10 leave 2,000 in cash; to buy them back at 100 takes 10,000: 8,000 are owed."""
    result = swept(
        marked, sketched(A=[10.0, 10.0, 100.0, 50.0, 20.0, 20.0]), {"marks": [f"S..{after}"]},
        fees=0.0, cash=1_000.0,
    )  # fmt: skip
    row = figures(result.frame.iloc[0])
    assert (row["total_trades"], row["win_rate"], row["profit_factor"]) == (1.0, 0.0, 0.0)
    assert row["total_return"] == pytest.approx(-9.0)
    assert row["max_drawdown"] == pytest.approx(-9.0)
    assert row["cagr"] == -1.0
    assert result.returns()[0].to_list() == pytest.approx([0.0, 0.0, -9.0, 0.0, 0.0, 0.0])


def test_short_weights_whose_price_rises_tenfold_end_the_account_for_good() -> None:
    @strategy
    def weighted(bars: pd.DataFrame, weight: float = -1.0) -> Weights:
        return Weights(pd.DataFrame({"A": [weight, NAN, NAN, 1.0, 1.0]}, index=days(5)))

    prices = sketched(A=[10.0, 10.0, 100.0, 50.0, 60.0])
    found = swept(weighted, prices, {"weight": [-1.0, -0.05, 0.0]}, fees=0.0, cash=1_000.0)
    ruined, survived, idle = found.frame["total_return"]
    assert ruined == pytest.approx(-9.0)
    # 5 units are sold short at 10, and bought back at 60.
    assert survived == pytest.approx(-0.25)
    assert idle == pytest.approx(0.0)
    assert found.returns()[0].to_list() == pytest.approx([0.0, 0.0, -9.0, 0.0, 0.0])


@strategy
def back(bars: pd.DataFrame, n: Annotated[int, between(1, 50)] = 5, kind: str = "close") -> Signals:
    close = bars[kind].unstack("symbol")
    return Signals(close > close.shift(n), close < close.shift(n))


@pytest.mark.parametrize(
    ("grid", "says"),
    [
        ({"n": [10, 99]}, r"back: n=99 is not a whole number from 1 to 50"),
        ({"n": [1.5]}, r"back: n=1.5 is not a whole number"),
        ({"n": []}, r"back: n has no values"),
        ({"m": [1]}, r"back has no parameter 'm'"),
        ({"kind": [3]}, r"back: kind=3 is not"),
    ],
)
def test_a_value_that_cannot_be_is_told_with_its_parameter(grid: dict[str, Any], says: str) -> None:
    with pytest.raises(StrategyError, match=says):
        swept(back, sketched(A=[10.0, 11.0]), grid)


def test_an_empty_grid_is_the_defaults_and_no_bar_is_told() -> None:
    prices = sketched(A=[10.0, 11.0, 12.0])
    assert swept(back, prices, {}).frame[["n", "kind"]].to_numpy().tolist() == [[5, "close"]]
    with pytest.raises(BacktestError, match="there is not one row"):
        swept(back, prices.iloc[:0], {})


@pytest.mark.parametrize("name", ["period", "symbol", "volatility", "error"])
def test_a_parameter_that_is_called_as_a_column_of_the_frame_is_refused(name: str) -> None:
    """Else it would be overwritten, and the variant that is shown would be another one."""
    names: dict[str, Any] = {}
    exec(f"def said(bars, {name}: int = 5): ...", names)
    with pytest.raises(StrategyError, match=f"said: a sweep's rows already have a column '{name}'"):
        swept(strategy(names["said"]), sketched(A=[10.0, 11.0]), {name: [1, 2]})


def test_text_and_numbers_are_parameters_of_their_kinds() -> None:
    found = swept(back, sketched(A=[10.0, 11.0, 12.0, 11.0]), {"kind": ["open", "close"], "n": [1, 2]})
    assert found.frame[["kind", "n"]].to_numpy().tolist() == [
        ["open", 1], ["open", 2], ["close", 1], ["close", 2],
    ]  # fmt: skip
    assert found.variant(1) == {"n": 2, "kind": "open"}


def test_numbers_that_are_no_rows_are_told() -> None:
    found = swept(back, sketched(A=[10.0, 11.0, 12.0, 11.0]), Random(3, over={"n": range(1, 9)}))
    for number in (-1, 3):
        for ask in (found.variant, found.backtest, lambda number: found.returns([number])):
            with pytest.raises(SweepError, match=f"There is no variant {number}"):
                ask(number)
    assert found.returns([]).empty


def test_where_every_symbol_has_its_own_days_each_one_has_its_own_figures() -> None:
    """A sees three bars, B two later ones: neither is valued on the other's days."""
    prices = sketched(A=[10.0, 11.0, 12.0, NAN, NAN], B=[NAN, NAN, NAN, 5.0, 6.0]).dropna()
    found = swept(back, prices, {"n": [1]})
    assert found.frame["n_bars"].to_list() == [3.0, 2.0]
    assert found.returns().notna().sum().to_list() == [3, 2]


@pytest.mark.parametrize("symbols", ["each", "together"])
def test_the_card_says_which_symbol_and_period_where_there_are_several(
    two_years: pd.DataFrame, symbols: str
) -> None:
    """Also where all the best ones are of the same symbol."""

    def columns(made: Strategy, bars: pd.DataFrame, **options: Any) -> list[str]:
        card = swept(made, bars, {"n": [3, 4]}, symbols=symbols, **options)._repr_html_()
        return [name for name in ("symbol", "period", "n") if f">{name}</th>" in card]

    each = symbols == "each"
    assert columns(back, two_years) == (["symbol", "n"] if each else ["n"])
    halves = [("2004-06-01", "2005-05-31"), ("2005-06-01", "2006-05-31")]
    assert columns(back, two_years.loc[["IBM"]], periods=halves) == ["period", "n"]
    assert columns(back, two_years.loc[["IBM"]]) == ["n"]
