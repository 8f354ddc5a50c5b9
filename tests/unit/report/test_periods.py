"""Months, drawdowns and rolling figures, against other implementations and worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench import metrics
from workbench.report.periods import (
    drawdown_spells,
    monthly_returns,
    rolling_figures,
    rolling_windows,
    yearly_returns,
)


@pytest.fixture(scope="module")
def returns(aapl: pd.DataFrame) -> pd.Series[float]:
    """AAPL's daily returns, the first one 0."""
    close = aapl["close"].droplevel("symbol")
    return close.pct_change().fillna(0.0)


def _days(values: list[float]) -> pd.Series[float]:
    return pd.Series(values, index=pd.date_range("2024-01-01", periods=len(values), tz="UTC"))


def test_months_and_years_compound(returns: pd.Series[float]) -> None:
    months, years = monthly_returns(returns), yearly_returns(returns)
    assert [int(month) for month in months.columns] == list(range(1, 13))
    # Expected from empyrical-reloaded 0.7.1: aggregate_returns(returns, "monthly") and "yearly".
    assert months.loc[2008, 9] == pytest.approx(-0.32955819029082045, abs=1e-12)
    assert months.loc[2012, 1] == pytest.approx(0.12711111111111828, abs=1e-12)
    assert years[2008] == pytest.approx(-0.5691134894991887, abs=1e-12)
    assert months.isna().loc[2000, 1], "no bar, no return"
    np.testing.assert_allclose((1.0 + months).prod(axis=1) - 1.0, years)


def test_a_month_is_one_of_utc() -> None:
    late = pd.DatetimeIndex(["2024-01-31 23:59", "2024-02-01 00:00"], tz="UTC")
    months = monthly_returns(pd.Series([0.5, 0.1], index=late))
    assert list(months.loc[2024, [1, 2]]) == pytest.approx([0.5, 0.1])


def test_drawdowns_are_told_from_peak_to_recovery() -> None:
    # Equity 100, 110, 99, 104.5, 110, 121, 60.5, 90: two falls from 110 and from 121, worked by hand.
    equity = np.array([100, 110, 99, 104.5, 110, 121, 60.5, 90.0])
    drawdown = metrics.drawdown(_days([0.0, *(equity[1:] / equity[:-1] - 1.0)]))
    spells = drawdown_spells(drawdown)
    day = drawdown.index
    assert list(spells["depth"]) == pytest.approx([-0.5, -0.1])
    assert list(spells["peak"]) == [day[5], day[1]]
    assert list(spells["trough"]) == [day[6], day[2]]
    assert pd.isna(spells["recovery"][0])
    assert spells["recovery"][1] == day[4]
    assert list(spells["length"]) == [2, 3]
    assert list(spells["under_way"]) == [True, False]


def test_a_fall_from_the_starting_capital_begins_before_the_first_bar() -> None:
    spell = drawdown_spells(metrics.drawdown(_days([-0.1, 0.0, 0.2]))).iloc[0]
    assert spell["peak"] == spell["trough"] == pd.Timestamp("2024-01-01", tz="UTC")
    assert spell["length"] == 3


def test_the_deepest_and_the_longest_are_those_of_the_metrics(returns: pd.Series[float]) -> None:
    drawdown = metrics.drawdown(returns)
    everything = drawdown_spells(drawdown, most=len(drawdown))
    assert everything["depth"][0] == metrics.max_drawdown(returns)
    assert everything["length"].max() == metrics.max_drawdown_length(returns)
    pd.testing.assert_frame_equal(drawdown_spells(drawdown), everything.head(5))


def test_without_a_fall_there_is_no_drawdown() -> None:
    assert drawdown_spells(metrics.drawdown(_days([0.0, 0.1]))).empty


def test_rolling_figures_are_those_of_each_window(returns: pd.Series[float], aapl: pd.DataFrame) -> None:
    rival = returns.shift(1, fill_value=0.0) * 0.5 + returns * 0.25
    rolled = rolling_figures(returns, rival, 126, periods_per_year=252.0)
    assert rolled.iloc[:125].isna().all(axis=None)
    for end in (126, 1_000, len(returns)):
        window, other = returns.iloc[end - 126 : end], rival.iloc[end - 126 : end]
        assert rolled["sharpe"].iloc[end - 1] == pytest.approx(metrics.sharpe(window), rel=1e-9)
        assert rolled["volatility"].iloc[end - 1] == pytest.approx(metrics.volatility(window), rel=1e-9)
        assert rolled["beta"].iloc[end - 1] == pytest.approx(metrics.beta(window, other), rel=1e-9)


def test_a_window_without_volatility_has_neither_sharpe_nor_beta() -> None:
    # A sliding standard deviation leaves dust behind the jump; nothing may be divided by it.
    jump = _days([0.9, *[0.0001] * 40])
    rolled = rolling_figures(jump, jump, 10, periods_per_year=252.0)
    assert rolled["sharpe"].iloc[20:].isna().all()
    assert rolled["beta"].iloc[20:].isna().all()
    assert (rolled["volatility"].iloc[20:] == 0.0).all()


def test_the_longest_two_windows_that_fit_are_shown() -> None:
    assert rolling_windows(3_000, 252.0) == [("1 year", 252), ("6 months", 126)]
    assert rolling_windows(200, 252.0) == [("6 months", 126), ("3 months", 63)]
    assert rolling_windows(40, 252.0) == [("1 month", 21)]
    assert rolling_windows(20, 252.0) == []
    assert rolling_windows(1, 1.0) == []
