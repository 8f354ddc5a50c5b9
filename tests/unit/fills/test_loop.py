"""A sweep's figures are those that a backtest has from its orders and trades, whichever loop made them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.backtest import BacktestResult, Signals, Strategy, Weights, backtest, strategy
from workbench.fills.execution import Execution
from workbench.fills.sizing import Fixed, Percent, VolatilityTarget
from workbench.signals.inputs import read_bars
from workbench.sweep.cells import dividends_of, make_cells, prepare_bars
from workbench.sweep.chunk import Plan, Task, compute, curves_of, trade_signals
from workbench.sweep.store import METRICS

# What is drawn may well be said in every gap.
pytestmark = pytest.mark.filterwarnings("ignore::workbench.errors.SignalsInGapsWarning")

SIZES = [None, Percent(1.0), Percent(0.4), Fixed(7.0), Fixed(5_000.0), VolatilityTarget(0.3, window=5)]
STOPS = st.sampled_from([None, None, 0.01, 0.04])

# Ratios of something to a spread of nothing but rounding are noise in both.
OF_VOLATILITY = {"sharpe_ratio", "sortino", "skewness", "kurtosis"}
OF_DRAWDOWN = {"calmar"}
# Whether a trade that made nothing has won is rounding's to say, too.
OF_PROFITS = {"win_rate", "profit_factor"}
NOISE = 1e-11


def random_bars(rng: np.random.Generator, n_symbols: int, n_bars: int, *, round_prices: bool) -> pd.DataFrame:
    """Prices with gaps, missing highs and lows, and, where rounded, many that are exactly equal."""
    frames = []
    times = pd.date_range("2020-01-01", periods=n_bars, tz="UTC")
    for number in range(n_symbols):
        close = 20.0 * np.exp(np.cumsum(rng.normal(0.0, rng.choice([0.01, 0.1]), n_bars)))
        open_ = close * np.exp(rng.normal(0.0, 0.02, n_bars))
        if round_prices:
            close, open_ = np.maximum(np.round(close), 1.0), np.maximum(np.round(open_), 1.0)
        spread = np.round(rng.exponential(0.02, n_bars), 2)
        frame = pd.DataFrame(
            {
                "open": open_,
                "high": np.maximum(open_, close) * (1.0 + spread),
                "low": np.minimum(open_, close) * (1.0 - spread),
                "close": close,
            },
            index=pd.MultiIndex.from_product([[f"S{number}"], times], names=["symbol", "timestamp"]),
        )
        frame.loc[rng.random(n_bars) < 0.05, "high"] = np.nan
        kept = rng.random(n_bars) < rng.choice([0.8, 1.0])
        kept[rng.integers(n_bars)] = True
        frames.append(frame[kept])
    bars: pd.DataFrame = pd.concat(frames)
    return bars


def random_flags(rng: np.random.Generator, bars: pd.DataFrame, often: float) -> pd.DataFrame:
    market = read_bars(bars)
    said: npt.NDArray[np.bool_] = rng.random(market.present.shape) < often
    return pd.DataFrame(said, index=market.timestamps, columns=list(market.symbols))


def fixed(said: Signals | Weights) -> Strategy:
    """A strategy without parameters that always says the same."""

    @strategy
    def says(bars: pd.DataFrame) -> Signals | Weights:
        return said

    return says


def swept(
    bars: pd.DataFrame, said: Signals | Weights, dividends: Any, rules: dict[str, Any]
) -> tuple[dict[str, float], npt.NDArray[np.float64]]:
    """The figures and the equity by the compiled loops."""
    cells = make_cells(read_bars(bars), "together", None)
    plan = Plan(fixed(said), None, 1, bars, cells, Execution(**rules), dividends, batched=False)
    rows = compute(plan, Task(0, 0, 1, {}))
    assert not rows.errors
    return dict(zip(METRICS, rows.metrics[0].tolist(), strict=True)), curves_of(plan, 0, {})[0]


def assert_same(found: dict[str, float], curve: npt.NDArray[np.float64], expected: BacktestResult) -> None:
    """All figures, and equity bar by bar."""
    np.testing.assert_allclose(curve, expected.equity, rtol=1e-9, atol=1e-6)
    figures = {**expected.metrics, "n_bars": float(len(expected.equity))}
    for name in METRICS:
        if name in OF_VOLATILITY and figures["volatility"] < NOISE:
            continue
        if name in OF_DRAWDOWN and figures["max_drawdown"] > -NOISE:
            continue
        if name in OF_PROFITS and (expected.trades["pnl"].abs() < 1e-6).any():
            continue
        assert found[name] == pytest.approx(figures[name], rel=1e-9, abs=NOISE, nan_ok=True), name


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "fees": draw(st.sampled_from([0.0, 0.001, 0.02])),
        "fixed_fees": draw(st.sampled_from([0.0, 0.0, 1.0, 400.0])),
        "slippage": draw(st.sampled_from([0.0, 0.002])),
        "cash": draw(st.sampled_from([100_000.0, 1_000.0])),
        "fill": draw(st.sampled_from(["next_open", "next_close", "same_close"])),
        "whole_units": draw(st.booleans()),
        "leverage": draw(st.sampled_from([1.0, 1.0, 0.6, 2.0])),
        "periods_per_year": draw(st.sampled_from([252.0, 365.0])),
    }


@given(
    seed=st.integers(0, 2**32 - 1),
    n_symbols=st.integers(1, 4),
    n_bars=st.integers(1, 60),
    short=st.booleans(),
    round_prices=st.booleans(),
    pays=st.booleans(),
    common=rules(),
    sharing=st.booleans(),
    size=st.sampled_from(SIZES),
    stop_loss=STOPS,
    take_profit=STOPS,
    trailing_stop=STOPS,
)
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
def test_signals_give_what_backtest_gives(
    seed: int,
    n_symbols: int,
    n_bars: int,
    short: bool,
    round_prices: bool,
    pays: bool,
    common: dict[str, Any],
    sharing: bool,
    size: Any,
    stop_loss: float | None,
    take_profit: float | None,
    trailing_stop: float | None,
) -> None:
    rng = np.random.default_rng(seed)
    bars = random_bars(rng, n_symbols, n_bars, round_prices=round_prices)
    if stop_loss is None and take_profit is None and trailing_stop is None:
        bars = bars[["open", "close"]]
    elif bars[["high", "low"]].isna().all().any():
        return
    often = float(rng.choice([0.1, 0.4]))
    said = Signals(
        *(random_flags(rng, bars, often) for _ in range(2)),
        *((random_flags(rng, bars, often) for _ in range(2)) if short else ()),
    )
    options = {
        **common,
        "cash_sharing": sharing,
        "size": size,
        "stop_loss": stop_loss,
        "take_profit": take_profit,
        "trailing_stop": trailing_stop,
    }
    dividends = random_dividends(rng, bars) if pays else None
    expected = backtest(
        bars, said, dividends=dividends_of(dividends, read_bars(bars).symbols), count_trial=False, **options
    )
    assert_same(*swept(bars, said, dividends, options), expected)


@given(
    seed=st.integers(0, 2**32 - 1),
    n_symbols=st.integers(1, 4),
    n_bars=st.integers(1, 60),
    least=st.sampled_from([0.0, -1.0, -2.0]),
    round_prices=st.booleans(),
    pays=st.booleans(),
    common=rules(),
)
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
def test_weights_give_what_backtest_gives(
    seed: int,
    n_symbols: int,
    n_bars: int,
    least: float,
    round_prices: bool,
    pays: bool,
    common: dict[str, Any],
) -> None:
    rng = np.random.default_rng(seed)
    bars = random_bars(rng, n_symbols, n_bars, round_prices=round_prices)
    ordered = random_flags(rng, bars, float(rng.choice([0.1, 0.9])))
    weights = pd.DataFrame(
        rng.uniform(least, 1.5, ordered.shape), index=ordered.index, columns=ordered.columns
    )
    # Some go to nothing, and some to just what another one has.
    said = Weights(weights.round(1).where(ordered))
    dividends = random_dividends(rng, bars) if pays else None
    expected = backtest(
        bars, said, dividends=dividends_of(dividends, read_bars(bars).symbols), count_trial=False, **common
    )
    assert_same(*swept(bars, said, dividends, common), expected)


@given(
    seed=st.integers(0, 2**32 - 1),
    n_bars=st.integers(1, 300),
    n_variants=st.integers(1, 9),
    often=st.sampled_from([0.01, 0.3, 0.99]),
    fees=st.sampled_from([0.0, 0.001, 0.5]),
    fixed_fees=st.sampled_from([0.0, 1.0, 400.0, 99_999.0]),
    fraction=st.sampled_from([1.0, 0.3]),
    whole_units=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_the_fastest_loop_gives_what_the_general_one_gives(
    seed: int,
    n_bars: int,
    n_variants: int,
    often: float,
    fees: float,
    fixed_fees: float,
    fraction: float,
    whole_units: bool,
) -> None:
    rng = np.random.default_rng(seed)
    times = pd.date_range("2020-01-01", periods=n_bars, tz="UTC", name="timestamp")
    close = 50.0 * np.exp(np.cumsum(rng.normal(0.0, 0.05, n_bars)))
    bars = pd.DataFrame({"open": close * np.exp(rng.normal(0.0, 0.02, n_bars)), "close": close}, index=times)
    bars = pd.concat({"A": bars}, names=["symbol"])
    rules = Execution(
        fees=fees, fixed_fees=fixed_fees, slippage=0.001, size=Percent(fraction), whole_units=whole_units
    )
    prepared = prepare_bars(bars, make_cells(read_bars(bars), "each", None)[0], rules, None)
    assert prepared.layout.plain
    flags = [rng.random((n_variants, n_bars, 1)) < often for _ in range(2)]
    found = []
    for chosen in (prepared, replace(prepared, layout=replace(prepared.layout, plain=False))):
        metrics, curves = np.empty((n_variants, len(METRICS))), np.empty((n_variants, n_bars))
        trade_signals(chosen, (*flags, None, None), metrics, curves)
        found.append((metrics, curves))
    # What is left of a skewness of 0 is rounding.
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-12)


def random_dividends(rng: np.random.Generator, bars: pd.DataFrame) -> pd.Series:
    """Some on bars, some on days without any."""
    times = pd.date_range("2020-01-01", periods=60, tz="UTC")
    symbols = sorted(set(bars.index.get_level_values(0)))
    index = pd.MultiIndex.from_product([symbols, times], names=["symbol", "timestamp"])
    every = pd.Series(rng.exponential(0.5, len(index)), index=index)
    return every[rng.random(len(index)) < 0.1]
