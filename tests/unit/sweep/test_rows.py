"""Rows of a sweep over markets with gaps, late starters and early ends are backtests, warmed up or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.backtest import BacktestResult, Signals, Weights, backtest, between, strategy
from workbench.fills.sizing import Fixed, Percent, VolatilityTarget
from workbench.sweep import sweep
from workbench.sweep.store import METRICS

# Closes are carried over gaps, so what is drawn may well be said in all rows of one.
pytestmark = pytest.mark.filterwarnings("ignore::workbench.errors.SignalsInGapsWarning")

NOISE = 1e-11
N_BARS = 80

# What is drawn may well be said in every gap.
pytestmark = pytest.mark.filterwarnings("ignore::workbench.errors.SignalsInGapsWarning")


def market(seed: int, n_symbols: int) -> pd.DataFrame:
    """Random walks; some symbols begin late, some end early, some have gaps; the first has all bars."""
    rng = np.random.default_rng(seed)
    times = pd.date_range("2021-01-04", periods=N_BARS, tz="UTC")
    frames = []
    for number in range(n_symbols):
        close = 30.0 * np.exp(np.cumsum(rng.normal(0.0, 0.04, N_BARS)))
        open_ = close * np.exp(rng.normal(0.0, 0.02, N_BARS))
        bars = pd.DataFrame(
            {
                "open": open_,
                "high": np.maximum(open_, close) * 1.02,
                "low": np.minimum(open_, close) * 0.98,
                "close": close,
            },
            index=pd.MultiIndex.from_product([[f"S{number}"], times], names=["symbol", "timestamp"]),
        )
        first, last = (rng.integers(0, 30), rng.integers(45, N_BARS)) if number else (0, N_BARS)
        kept = rng.random(N_BARS) < (0.9 if number % 2 else 2.0)
        kept[first] = True
        frames.append(bars[first:last][kept[first:last]])
    tidy: pd.DataFrame = pd.concat(frames)
    return tidy


def closes(bars: pd.DataFrame) -> pd.DataFrame:
    return bars["close"].unstack("symbol").ffill()


@strategy
def both_ways(bars: pd.DataFrame, n: Annotated[int, between(1, 50)] = 9, short: bool = True) -> Signals:
    """Long above, short below an average of closes."""
    close = closes(bars)
    mean = close.rolling(n).mean()
    above, below = close > mean, close < mean
    return Signals(above, below, below, above) if short else Signals(above, below)


@strategy
def inverse(bars: pd.DataFrame, n: Annotated[int, between(1, 50)] = 9, short: bool = True) -> Weights:
    """More of what moved less, short of what fell, every fifth bar."""
    close = closes(bars)
    change = close / close.shift(n) - 1.0
    weights = (1.0 / (1.0 + 100.0 * change.abs())).div(len(close.columns))
    return Weights((weights * np.sign(change) if short else weights).iloc[::5])


def per_bar() -> Percent:
    """A share of equity for each bar and symbol, some of them none."""
    rng = np.random.default_rng(5)
    shares = rng.choice([np.nan, 0.0, 0.2, 0.7, 1.0], (N_BARS, 3))
    times = pd.date_range("2021-01-04", periods=N_BARS, tz="UTC")
    return Percent(pd.DataFrame(shares, index=times, columns=["S0", "S1", "S2"]))


def rules_of(draw: Callable[..., Any], *, signals: bool) -> dict[str, Any]:
    def one(*choices: Any) -> Any:
        return draw(st.sampled_from(choices))

    rules = {
        "fees": one(0.0, 0.001, 0.02),
        "fixed_fees": one(0.0, 2.0),
        "slippage": one(0.0, 0.003),
        "fill": one("next_open", "next_close", "same_close"),
        "whole_units": one(False, True),
        "periods_per_year": one(252.0, 365.0),
    }
    if signals:
        rules |= {
            "cash_sharing": one(None, True),
            "size": one(None, Percent(0.5), Fixed(40.0), VolatilityTarget(0.4, window=4), per_bar()),
            "stop_loss": one(None, 0.03),
            "take_profit": one(None, 0.08),
            "trailing_stop": one(None, 0.05),
        }
    return rules


def assert_is(row: pd.Series[Any], expected: BacktestResult) -> None:
    figures = {**expected.metrics, "n_bars": float(len(expected.equity))}
    assert pd.isna(row["error"])
    for name in METRICS:
        assert row[name] == pytest.approx(figures[name], rel=1e-9, abs=NOISE, nan_ok=True), name


def within(said: pd.DataFrame | None, index: pd.DatetimeIndex, symbols: list[str]) -> Any:
    return None if said is None else said.reindex(index=index, columns=symbols).dropna(how="all")


@settings(max_examples=8, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1), n_symbols=st.integers(1, 3), signals=st.booleans())
def test_rows_are_plain_backtests(data: st.DataObject, seed: int, n_symbols: int, signals: bool) -> None:
    bars, rules = market(seed, n_symbols), rules_of(data.draw, signals=signals)
    each = data.draw(st.booleans())
    rule = both_ways if signals else inverse
    days = pd.MultiIndex.from_product(
        [["S0", "S1", "S2"][:n_symbols], pd.to_datetime(["2021-02-14"], utc=True)]
    )
    dividends = pd.Series(0.4, index=days) if data.draw(st.booleans()) else None
    found = sweep(
        rule, bars, {"n": [1, 9], "short": [False, True]}, symbols="each" if each else "together",
        dividends=dividends, progress=False, workers=1, **rules,
    ).frame  # fmt: skip
    assert len(found) == 4 * (n_symbols if each else 1)
    for _, row in found.iterrows():
        symbols = [row["symbol"]] if each else sorted(set(bars.index.get_level_values(0)))
        expected = backtest(
            bars.loc[symbols], rule, parameters={"n": row["n"], "short": row["short"]},
            dividends=None if dividends is None else dividends.loc[symbols], count_trial=False, **rules,
        )  # fmt: skip
        assert_is(row, expected)


@settings(max_examples=8, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1), n_symbols=st.integers(1, 3), signals=st.booleans())
def test_rows_of_a_period_are_backtests_of_signals_made_on_all_bars_before_its_end(
    data: st.DataObject, seed: int, n_symbols: int, signals: bool
) -> None:
    """The strategy is called by hand on the bars so far, and what it says in the period is traded alone."""
    bars, rules = market(seed, n_symbols), rules_of(data.draw, signals=signals)
    rule = both_ways if signals else inverse
    times = pd.date_range("2021-01-04", periods=N_BARS, tz="UTC")
    first = data.draw(st.integers(0, N_BARS - 2))
    start, end = times[first], times[data.draw(st.integers(first, N_BARS - 1))]
    found = sweep(
        rule, bars, {"n": [1, 20]}, symbols="together", periods={"p": (start, end)}, progress=False,
        workers=1, **rules,
    ).frame  # fmt: skip
    when = bars.index.get_level_values(1)
    seen, traded = bars[when <= end], bars[(when >= start) & (when <= end)]
    index = pd.DatetimeIndex(sorted(set(traded.index.get_level_values(1))))
    symbols = sorted(set(traded.index.get_level_values(0)))
    for _, row in found.iterrows():
        said = rule(seen, n=row["n"], short=True)
        made: Signals | Weights
        if isinstance(said, Weights):
            made = Weights(within(said.weights, index, symbols))
        else:
            made = Signals(
                *(within(getattr(said, role), index, symbols) for role in ("entries", "exits")),
                *(within(getattr(said, role), index, symbols) for role in ("short_entries", "short_exits")),
            )
        assert_is(row, backtest(traded, made, count_trial=False, **rules))
