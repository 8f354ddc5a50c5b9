"""Any signals, weights, stops, sizes and costs against a plain loop over the bars (`reference`)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.fills import reference
from workbench.backtest import BacktestResult, Signals, Weights, backtest
from workbench.fills.sizing import Fixed, Percent, VolatilityTarget

# What is drawn may well be said in every gap.
pytestmark = pytest.mark.filterwarnings("ignore::workbench.errors.SignalsInGapsWarning")

PRICE = st.integers(500, 2_000).map(lambda cents: cents / 100)
FLAG = st.booleans()
DIVIDEND = st.sampled_from([0.0, 0.0, 0.0, 0.5, 2.0])


@st.composite
def bar(draw: st.DrawFn) -> reference.Bar:
    """A bar, sometimes without a range, sometimes none."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return None
    open_, close = draw(PRICE), draw(PRICE)
    if kind == 1:
        return open_, math.nan, math.nan, close
    up, down = draw(st.integers(0, 20)), draw(st.integers(0, 20))
    return open_, max(open_, close) * (1 + up / 100), min(open_, close) * (1 - down / 100), close


@st.composite
def market(
    draw: st.DrawFn, said: st.SearchStrategy[Any]
) -> tuple[list[list[reference.Bar]], list[list[Any]]]:
    """Bars by symbol, each symbol with one at least, and what is said at each."""
    n_bars, n_symbols = draw(st.integers(1, 25)), draw(st.integers(1, 3))
    bars = [draw(st.lists(bar(), min_size=n_bars, max_size=n_bars)) for _ in range(n_symbols)]
    for mine in bars:
        if all(one is None for one in mine):
            mine[draw(st.integers(0, n_bars - 1))] = (10.0, 11.0, 9.0, 10.0)
    return bars, [draw(st.lists(said, min_size=n_bars, max_size=n_bars)) for _ in range(n_symbols)]


COSTS = st.fixed_dictionaries(
    {
        "fees": st.sampled_from([0.0, 0.001, 0.03]),
        "fixed_fees": st.sampled_from([0.0, 0.0, 5.0, 300.0]),
        "slippage": st.sampled_from([0.0, 0.0005, 0.02]),
        "cash": st.sampled_from([1_000.0, 100_000.0]),
        "whole_units": st.booleans(),
        "fill": st.sampled_from(["next_open", "next_open", "next_close", "same_close"]),
        "leverage": st.sampled_from([1.0, 1.0, 0.5, 2.5]),
    }
)
STOP = st.sampled_from([None, None, 0.03, 0.1, 0.4])
STOPS = st.fixed_dictionaries({"stop_loss": STOP, "take_profit": STOP, "trailing_stop": STOP})
SIZES = st.sampled_from(
    [
        None,
        ("percent", 1.0),
        ("percent", 0.35),
        ("fixed", 7.0),
        ("fixed", 90.0),
        ("volatility", (0.3, 3, 0.8)),
        ("volatility", (5.0, 2, 1.0)),
    ]
)


def times(count: int) -> pd.DatetimeIndex:
    return pd.date_range("2020-01-01", periods=count, tz="UTC", name="timestamp")


def tidy(bars: list[list[reference.Bar]]) -> pd.DataFrame:
    frames = []
    for number, mine in enumerate(bars):
        rows = [(math.nan,) * 4 if one is None else one for one in mine]
        index = pd.MultiIndex.from_product([[f"S{number}"], times(len(mine))], names=["symbol", "timestamp"])
        frames.append(pd.DataFrame(rows, index=index, columns=["open", "high", "low", "close"]))
    return pd.concat(frames)


def wide(said: list[list[Any]]) -> pd.DataFrame:
    return pd.DataFrame({f"S{number}": mine for number, mine in enumerate(said)}, index=times(len(said[0])))


def as_signals(said: list[list[Any]]) -> Signals:
    sides = [wide([[bool(flags[side]) for flags in mine] for mine in said]) for side in range(4)]
    return Signals(*sides)


def as_size(size: Any) -> Any:
    if size is None:
        return None
    kind, value = size
    return (
        {"percent": Percent, "fixed": Fixed}[kind](value)
        if kind != "volatility"
        else VolatilityTarget(*value)
    )


_DUST = 1e-9


def assert_same(result: BacktestResult, expected: tuple[list[float], list[reference.Fill]]) -> None:
    equity, fills = expected
    largest = max(1.0, *map(abs, equity))
    np.testing.assert_allclose(result.equity, equity, rtol=1e-9, atol=1e-9 * largest)
    # An order for next to nothing is rounding, and either may leave it out.
    fills = sorted((fill for fill in fills if fill.size > _DUST), key=lambda fill: (fill.bar, fill.symbol))
    ours = result.orders[result.orders["size"] > _DUST]
    assert ours["time"].tolist() == [result.equity.index[fill.bar] for fill in fills]
    assert ours["symbol"].tolist() == [f"S{fill.symbol}" for fill in fills]
    assert ours["side"].tolist() == [fill.side for fill in fills]
    assert ours["reason"].tolist() == [fill.reason for fill in fills]
    for column, name in (("size", "size"), ("price", "price"), ("fees", "fee")):
        np.testing.assert_allclose(
            ours[column], [getattr(fill, name) for fill in fills], rtol=1e-9, atol=1e-9, err_msg=column
        )


def assert_books_balance(result: BacktestResult) -> None:
    """Cash and units follow from the orders, and profits add up to what was earned."""
    bought = np.where(result.orders["side"] == "buy", 1.0, -1.0) * result.orders["size"]
    spent = float((bought * result.orders["price"] + result.orders["fees"]).sum())
    cash = result.initial_cash - spent + float(result.dividends.sum())
    scale = max(result.initial_cash, float(result.equity.abs().max()))
    assert math.isclose(result.cash.iloc[-1], cash, rel_tol=1e-9, abs_tol=1e-8 * scale)
    earned = result.equity.iloc[-1] - result.initial_cash
    assert math.isclose(result.trades["pnl"].sum(), earned, rel_tol=1e-9, abs_tol=1e-8 * scale)
    assert math.isclose(
        result.trades["fees"].sum(), result.orders["fees"].sum(), rel_tol=1e-9, abs_tol=1e-9 * scale
    )
    assert math.isclose(result.trades["dividends"].sum(), result.dividends.sum(), rel_tol=1e-9, abs_tol=1e-6)


@settings(deadline=None, max_examples=60)
@given(market(st.tuples(FLAG, FLAG, FLAG, FLAG)), COSTS, STOPS, SIZES, st.booleans())
def test_any_signals_are_filled_as_the_plain_loop_fills_them(
    drawn: tuple[list[list[reference.Bar]], list[list[Any]]],
    costs: dict[str, Any],
    stops: dict[str, Any],
    size: Any,
    shared: bool,
) -> None:
    bars, said = drawn
    frame = tidy(bars)
    if frame["high"].isna().all():
        frame["high"], frame["low"] = (
            frame[["open", "close"]].max(axis=1),
            frame[["open", "close"]].min(axis=1),
        )
    result = backtest(frame, as_signals(said), **costs, **stops, size=as_size(size), cash_sharing=shared)
    default = ("percent", 1 / len(bars) if shared else 1.0)
    rules = {**costs, **stops, "size": size or default, "cash_sharing": shared, "year": 252.0}
    assert_same(result, reference.run(bars, said, **rules))
    assert_books_balance(result)


@settings(deadline=None, max_examples=40)
@given(market(DIVIDEND), COSTS)
def test_buying_and_holding_is_what_the_plain_loop_makes_of_it(
    drawn: tuple[list[list[reference.Bar]], list[list[Any]]], costs: dict[str, Any]
) -> None:
    """The benchmark: all of an account of its own in each symbol, and never out."""
    bars, paid = drawn
    frame = tidy(bars)
    dividends = pd.Series([amount for mine in paid for amount in mine], index=frame.index)
    dividends = dividends[frame["open"].notna() & (dividends > 0)]
    never = wide([[False] * len(mine) for mine in bars])
    result = backtest(frame, Signals(never, never), **costs, dividends=dividends)
    flags = [[(True, False, False, False)] * len(mine) for mine in bars]
    rules = {
        **costs,
        **dict.fromkeys(("stop_loss", "take_profit", "trailing_stop")),
        "leverage": 1.0,
        "size": ("percent", 1.0),
        "cash_sharing": False,
        "year": 252.0,
    }
    equity, _ = reference.run(bars, flags, paid, **rules)
    np.testing.assert_allclose(result.benchmark, equity, rtol=1e-9)


SHARE = st.one_of(st.just(math.nan), st.sampled_from([0.0, 1e-6, 0.1, 0.35, 0.999, 1.0]))


@settings(deadline=None, max_examples=60)
@given(market(st.tuples(FLAG, FLAG, FLAG, FLAG, SHARE)), COSTS, STOPS, st.booleans(), st.data())
def test_any_fractions_by_bar_and_symbol_are_filled_as_the_plain_loop_fills_them(
    drawn: tuple[list[list[reference.Bar]], list[list[Any]]],
    costs: dict[str, Any],
    stops: dict[str, Any],
    shared: bool,
    data: st.DataObject,
) -> None:
    bars, rows = drawn
    said = [[row[:4] for row in mine] for mine in rows]
    shares = [[row[4] for row in mine] for mine in rows]
    full = (10.0, 20.0, 5.0, 10.0)
    bars = [[full if one is not None and math.isnan(one[1]) else one for one in mine] for mine in bars]
    # Columns in another order, and of symbols and days that are not traded, change nothing.
    frame = wide(shares)[data.draw(st.permutations([f"S{number}" for number in range(len(bars))]))]
    longer = pd.concat([frame, frame.iloc[:1].set_axis(frame.index[-1:] + pd.Timedelta(days=1))])
    sizes = [Percent(frame), Percent(longer.assign(OTHER=0.5))]
    results = [
        backtest(tidy(bars), as_signals(said), **costs, **stops, size=size, cash_sharing=shared)
        for size in sizes
    ]
    rules = {**costs, **stops, "size": ("per_bar", shares), "cash_sharing": shared, "year": 252.0}
    for result in results:
        assert_same(result, reference.run(bars, said, **rules))
    assert_books_balance(results[0])


WEIGHT = st.one_of(st.just(math.nan), st.integers(-10, 12).map(lambda tenths: tenths / 10))


@settings(deadline=None, max_examples=60)
@given(market(st.tuples(WEIGHT, DIVIDEND)), COSTS)
def test_any_weights_are_filled_as_the_plain_loop_fills_them(
    drawn: tuple[list[list[reference.Bar]], list[list[Any]]], costs: dict[str, Any]
) -> None:
    bars, pairs = drawn
    weights = [[weight for weight, _ in mine] for mine in pairs]
    paid = [[dividend for _, dividend in mine] for mine in pairs]
    frame = tidy(bars)
    dividends = pd.Series([amount for mine in paid for amount in mine], index=frame.index)
    dividends = dividends[frame["open"].notna() & (dividends > 0)]
    result = backtest(frame, Weights(wide(weights)), **costs, dividends=dividends)
    expected = reference.run(bars, weights, paid, weights=True, **costs, cash_sharing=True)
    assert_same(result, expected)
    assert_books_balance(result)


@settings(deadline=None, max_examples=30)
@given(market(st.tuples(FLAG, FLAG, FLAG, FLAG)), COSTS, STOPS, st.data())
def test_the_future_does_not_change_the_past(
    drawn: tuple[list[list[reference.Bar]], list[list[Any]]],
    costs: dict[str, Any],
    stops: dict[str, Any],
    data: st.DataObject,
) -> None:
    bars, said = drawn
    # A cut may leave a symbol no bar, or no range at all, and both are refused.
    full = (10.0, 20.0, 5.0, 10.0)
    bars = [[full if one is None or math.isnan(one[1]) else one for one in mine] for mine in bars]
    known = data.draw(st.integers(1, len(bars[0])))
    size = None
    if data.draw(st.booleans()):
        # The same frame for both: the cut one must not look at its later rows.
        shares = st.lists(SHARE, min_size=len(bars[0]), max_size=len(bars[0]))
        size = Percent(wide([data.draw(shares) for _ in bars]))
    whole = backtest(tidy(bars), as_signals(said), **costs, **stops, size=size)
    cut = backtest(
        tidy([mine[:known] for mine in bars]),
        as_signals([mine[:known] for mine in said]),
        **costs,
        **stops,
        size=size,
    )
    assert whole.equity.tolist()[:known] == cut.equity.tolist()
    earlier = whole.orders[whole.orders["time"] <= cut.end].reset_index(drop=True)
    pd.testing.assert_frame_equal(cut.orders, earlier)
