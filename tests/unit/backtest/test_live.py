"""The performance of what was said live: by hand, and beside the backtest where all was said promptly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.backtest import Fixed, Signals, VolatilityTarget, Weights, backtest
from workbench.backtest.live import live_performance
from workbench.errors import BacktestError

TIMES = pd.DatetimeIndex(["2026-11-23", "2026-11-24", "2026-11-25", "2026-11-27", "2026-11-30"], tz="UTC")
OPENS = [100.0, 100.0, 110.0, 120.0, 125.0]
CLOSES = [100.0, 105.0, 115.0, 125.0, 150.0]
RULES: Any = {"fees": 0.01, "cash": 1_000.0}

Row = tuple[str, str, float, str]


def bars_of(
    symbol: str = "A", opens: Sequence[float] = OPENS, closes: Sequence[float] = CLOSES
) -> pd.DataFrame:
    index = pd.MultiIndex.from_product([[symbol], TIMES], names=["symbol", "timestamp"])
    return pd.DataFrame({"open": opens, "close": closes}, index=index)


def said(*rows: Row, symbol: str = "A") -> pd.DataFrame:
    """Rows of (bar, signal, target, said at)."""
    frame = pd.DataFrame(rows, columns=["timestamp", "signal", "target", "said_at"])
    for name in ("timestamp", "said_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True)
    return frame.assign(symbol=symbol, reason=None)


def returns(frame: pd.DataFrame) -> list[tuple[str, Any]]:
    rows = zip(frame["date"], frame["returns"], strict=True)
    return [(f"{day:%m-%d}", pytest.approx(value)) for day, value in rows]


def test_a_row_is_filled_at_the_open_after_it_was_said_and_pays_its_fees() -> None:
    rows = said(("2026-11-24", "buy", 1.0, "2026-11-24 22:00"))
    # 1,000 buy 1,000 / 1.01 worth at 110, which closes at 115.
    found = live_performance(rows, bars_of(), RULES, weights=False)
    assert returns(found) == [
        ("11-25", 115 / 110 / 1.01 - 1),
        ("11-27", 125 / 115 - 1),
        ("11-30", 150 / 125 - 1),
    ]
    assert found["total_trades"].tolist() == [0, 0, 0]
    assert list(found.columns) == list(
        backtest(bars_of(), Weights(_nothing()), count_trial=False).performance()
    )


def _nothing() -> pd.DataFrame:
    return pd.DataFrame({"A": np.nan}, index=TIMES)


def test_what_was_said_after_the_next_open_is_filled_one_bar_later() -> None:
    rows = said(("2026-11-24", "buy", 1.0, "2026-11-25 15:00"))
    days = live_performance(rows, bars_of(), RULES, weights=False)
    assert returns(days) == [("11-27", 125 / 120 / 1.01 - 1), ("11-30", 150 / 125 - 1)]
    # New York opens at 14:30 UTC: what is said at 14:00 is in time, once its calendar is known.
    early = rows.assign(said_at=pd.Timestamp("2026-11-25 14:00", tz="UTC"))
    assert returns(live_performance(early, bars_of(), RULES, weights=False))[0][0] == "11-27"
    known = live_performance(early, bars_of(), RULES, weights=False, calendars={"A": "XNYS"})
    assert returns(known)[0] == ("11-25", 115 / 110 / 1.01 - 1)


def test_a_sale_leaves_and_is_a_trade() -> None:
    rows = said(
        ("2026-11-24", "buy", 1.0, "2026-11-24 22:00"),
        ("2026-11-25", "hold", 1.0, "2026-11-25 22:00"),
        ("2026-11-27", "sell", 0.0, "2026-11-27 22:00"),
    )
    found = live_performance(rows, bars_of(), RULES, weights=False)
    # Sold at 125, which was the last close, less 1 %.
    assert returns(found)[-1] == ("11-30", -0.01)
    assert found["total_trades"].tolist() == [0, 0, 1]
    assert found["win_rate"].iloc[-1] == 1.0


def test_weights_are_brought_to_their_targets() -> None:
    rows = said(
        ("2026-11-24", "buy", 0.5, "2026-11-24 22:00"),
        ("2026-11-25", "hold", 0.6, "2026-11-25 22:00"),
        ("2026-11-27", "sell", -0.5, "2026-11-27 22:00"),
    )
    free: Any = {**RULES, "fees": 0.0}
    found = live_performance(rows, bars_of(), free, weights=True)
    first = 0.5 * (115 / 110 - 1)
    second = 500 / 110 * 10 / (1000 * (1 + first))
    assert returns(found) == [("11-25", first), ("11-27", second), ("11-30", -0.5 * (150 / 125 - 1))]


def test_what_was_left_unsaid_is_made_up_for_by_the_target_and_not_with_hindsight() -> None:
    """The nights of 24 and 25 November were missed: nobody was told to buy until the 27th."""
    rows = said(
        ("2026-11-23", "hold", 0.0, "2026-11-23 22:00"), ("2026-11-27", "hold", 1.0, "2026-11-27 22:00")
    )
    found = live_performance(rows, bars_of(), RULES, weights=False)
    assert returns(found) == [
        ("11-24", 0.0),
        ("11-25", 0.0),
        ("11-27", 0.0),
        ("11-30", 150 / 125 / 1.01 - 1),
    ]


def test_a_hold_on_another_side_than_before_is_made_up_for_too() -> None:
    """As of a share that was bought on Monday because of what a coin did on Sunday."""
    rows = said(
        ("2026-11-24", "hold", 0.0, "2026-11-24 22:00"),
        ("2026-11-25", "hold", 1.0, "2026-11-25 22:00"),
        ("2026-11-27", "hold", 1.0, "2026-11-27 22:00"),
    )
    days = live_performance(rows, bars_of(), RULES, weights=False)
    assert returns(days) == [("11-25", 0.0), ("11-27", 125 / 120 / 1.01 - 1), ("11-30", 150 / 125 - 1)]


def test_rows_that_nobody_decided_and_of_older_bars_order_nothing() -> None:
    rows = said(
        ("2026-11-24", "buy", 1.0, "2026-11-24 22:00"),
        ("2026-11-24", "hold", 0.0, "2026-11-25 10:00"),
        ("2026-11-23", "sell", 0.0, "2026-11-25 11:00"),
    )
    rows.loc[1, "reason"] = "no new bar since 2026-11-24"
    alone = live_performance(rows.iloc[:1], bars_of(), RULES, weights=False)
    pd.testing.assert_frame_equal(live_performance(rows, bars_of(), RULES, weights=False), alone)


def test_days_begin_after_the_first_row_and_there_may_be_none() -> None:
    rows = said(("2026-11-30", "buy", 1.0, "2026-11-30 22:00"))
    found = live_performance(rows, bars_of(), RULES, weights=False)
    assert found.empty
    assert found.dtypes["returns"] == np.float64
    undecided = said(("2026-11-24", "hold", np.nan, "2026-11-24 22:00")).assign(reason="no bar")
    assert [value for _, value in returns(live_performance(undecided, bars_of(), RULES, weights=False))] == [
        0.0,
        0.0,
        0.0,
    ]


def test_bars_that_begin_too_late_are_refused() -> None:
    rows = said(("2026-11-24", "buy", 1.0, "2026-11-24 22:00"))
    with pytest.raises(
        BacktestError, match="those of A begin 2026-11-25, and the first live signal is of the"
    ):
        live_performance(rows, bars_of().iloc[2:], RULES, weights=False)
    with pytest.raises(BacktestError, match="those of B begin nowhere"):
        live_performance(rows.assign(symbol="B"), bars_of(), RULES, weights=False)


# ------------------------------------------------------------------------------------ beside the backtest


def _market(seed: int, days: int) -> pd.DataFrame:
    """Two symbols of daily bars, the second without some of the days."""
    rng = np.random.default_rng(seed)
    times = pd.bdate_range("2025-01-01", periods=days, tz="UTC")
    frames = []
    for symbol in ("A", "B"):
        close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, days)))
        opens = close * np.exp(rng.normal(0.0, 0.005, days))
        frame = pd.DataFrame({"open": opens, "close": close})
        frame["high"] = frame.max(axis=1) * 1.005
        frame["low"] = frame[["open", "close"]].min(axis=1) / 1.005
        frame.index = pd.MultiIndex.from_product([[symbol], times], names=["symbol", "timestamp"])
        frames.append(frame if symbol == "A" else frame[rng.random(days) > 0.1])
    return pd.concat(frames)


def _by_signals(bars: pd.DataFrame) -> Signals:
    """Decided on each symbol's own bars: a row without one says nothing."""
    of_each = bars["close"].groupby("symbol")
    change, last = of_each.diff(3).unstack("symbol"), of_each.diff().unstack("symbol")
    return Signals(change > 0.0, change < 0.0, (change < 0.0) & (last < 0.0), change > 0.0)


def _by_weights(bars: pd.DataFrame) -> Weights:
    weights = (bars["close"].unstack("symbol").pct_change(3, fill_method=None) * 5.0).clip(-0.4, 0.4)
    weights.iloc[::3] = np.nan
    return Weights(weights)


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    made=st.sampled_from(
        [
            (_by_signals, {}),
            (_by_signals, {"stop_loss": 0.02, "take_profit": 0.03, "fixed_fees": 1.0, "slippage": 0.001}),
            (_by_signals, {"cash_sharing": True, "size": VolatilityTarget(0.1, 5)}),
            (_by_signals, {"size": Fixed(10), "whole_units": True}),
            (_by_weights, {"leverage": 1.5}),
        ]
    ),
)
def test_a_year_that_was_said_promptly_is_the_year_of_the_backtest(
    seed: int, made: tuple[Callable[[pd.DataFrame], Signals | Weights], dict[str, Any]]
) -> None:
    """Each night what the newest bar says is kept; nothing else of that night's backtest is."""
    (decide, rules), bars = made, _market(seed, 252)
    times = bars.index.get_level_values("timestamp")
    said_of: dict[str, pd.Timestamp] = {}
    kept = []
    for night in times.unique().sort_values():
        part = bars[times <= night]
        newest = backtest(part, decide(part), count_trial=False, **rules).newest()
        bars_said_of = dict(zip(newest["symbol"], newest["timestamp"], strict=True))
        old = [said_of.get(name) == bar for name, bar in bars_said_of.items()]
        reason = pd.Series(["no new bar"] * len(old), dtype="str").where(pd.Series(old))
        said_of |= bars_said_of
        kept.append(newest.assign(said_at=night + pd.Timedelta(hours=22), reason=reason))
    whole = backtest(bars, decide(bars), count_trial=False, **rules)
    found = live_performance(pd.concat(kept, ignore_index=True), bars, whole.rules, weights=whole.of_weights)
    expected = whole.performance().iloc[1:].reset_index(drop=True)
    assert len(found) == len(expected)
    np.testing.assert_allclose(found["returns"], expected["returns"], rtol=0.0, atol=1e-9)
    assert (found["total_trades"] == expected["total_trades"]).all()
    assert (1.0 + found["returns"]).prod() == pytest.approx(whole.equity.iloc[-1] / whole.initial_cash)
