"""The library: documented, sourced, causal, and able to trade real bars with gaps and late starters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import workbench.strategies as library
from workbench.backtest import Signals, Strategy, Weights, backtest
from workbench.strategies import LIBRARY

EVERY = pytest.mark.parametrize("strategy", LIBRARY.values(), ids=LIBRARY)
ROLES = ("entries", "exits", "short_entries", "short_exits")


def frames_of(made: Signals | Weights) -> dict[str, pd.DataFrame]:
    if isinstance(made, Weights):
        return {"weights": made.weights}
    return {role: getattr(made, role) for role in ROLES if getattr(made, role) is not None}


@pytest.fixture(scope="module")
def gapped(stocks: pd.DataFrame) -> pd.DataFrame:
    """Real bars from 2003 to 2006 with days missing; GOOG begins in the midst of it."""
    times = stocks.index.get_level_values("timestamp")
    bars = stocks[(times >= "2003-01-01") & (times < "2007-01-01")]
    return bars[np.random.default_rng(9).random(len(bars)) > 0.03]


def traded_by(strategy: Strategy, bars: pd.DataFrame) -> pd.DataFrame:
    """All symbols, or the two that a pair is made of; GOOG, which begins late, is one of them."""
    return bars.loc[["AAPL", "GOOG"]] if strategy.family == "pairs" else bars


def test_the_registry_and_the_names_are_the_same() -> None:
    assert sorted(library.__all__) == sorted(["LIBRARY", *LIBRARY])
    for name, strategy in LIBRARY.items():
        assert strategy.name == name
        assert getattr(library, name) is strategy


@EVERY
def test_each_says_where_it_comes_from_and_what_its_parameters_may_be(strategy: Strategy) -> None:
    assert strategy.family
    assert any(year.strip(".,;: ").isdigit() for year in strategy.source.split())
    assert strategy.__doc__
    for name, parameter in strategy.parameters.items():
        assert parameter.kind is bool or parameter.range is not None or parameter.choices is not None
        assert name in strategy.__doc__


@EVERY
def test_none_changes_its_bars_and_all_are_aligned_with_them(
    strategy: Strategy, gapped: pd.DataFrame
) -> None:
    bars = traded_by(strategy, gapped)
    before = bars.copy()
    frames = frames_of(strategy(bars))
    pd.testing.assert_frame_equal(bars, before)
    index = pd.DatetimeIndex(bars.index.get_level_values("timestamp").unique()).sort_values()
    for frame in frames.values():
        assert frame.columns.tolist() == sorted(bars.index.get_level_values("symbol").unique())
        assert pd.DatetimeIndex(frame.index).equals(index)


@EVERY
def test_what_the_future_brings_changes_no_signal(strategy: Strategy, gapped: pd.DataFrame) -> None:
    bars = traded_by(strategy, gapped)
    whole = frames_of(strategy(bars))
    times = bars.index.get_level_values("timestamp")
    # In the midst of a month, on its first and on its last day, and just after GOOG began.
    for cut in ("2004-08-25", "2005-03-15", "2005-06-01", "2005-08-31", "2006-05-02"):
        known = times <= pd.Timestamp(cut, tz="UTC")
        for role, frame in frames_of(strategy(bars[known])).items():
            pd.testing.assert_frame_equal(frame, whole[role].loc[:cut, frame.columns], check_freq=False)
    assert any(frame.fillna(0).astype(float).abs().sum().sum() > 0 for frame in whole.values())


@EVERY
def test_weights_never_exceed_the_account(strategy: Strategy, gapped: pd.DataFrame) -> None:
    made = strategy(traded_by(strategy, gapped))
    if isinstance(made, Weights):
        assert made.weights.abs().sum(axis=1).max() <= 1.0 + 1e-12


@EVERY
def test_each_trades_real_bars(strategy: Strategy, gapped: pd.DataFrame) -> None:
    result = backtest(traded_by(strategy, gapped), strategy, count_trial=False)
    assert result.strategy == strategy.name
    assert len(result.orders) > 0
    assert np.isfinite(result.equity).all()
    assert result.equity.min() > 0.0
