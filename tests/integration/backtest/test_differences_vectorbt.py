"""Each difference between a backtest and vectorbt on the same decisions, as docs/research.md names them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from tests.unit.signals.sketches import bars, days
from workbench.backtest import Fixed, Signals, Weights, backtest

with warnings.catch_warnings():
    # vectorbt's own imports warn of what they will have to change.
    warnings.simplefilter("ignore")
    import vectorbt as vbt


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def panel_of(frame: pd.DataFrame) -> pd.DataFrame:
    return frame["close"].unstack("symbol")


def flags(marks: dict[str, str]) -> pd.DataFrame:
    wide = pd.DataFrame({symbol: [mark == "x" for mark in said] for symbol, said in marks.items()})
    return wide.set_axis(days(len(wide)))


def test_vectorbt_fills_a_signal_at_its_own_bar_and_a_backtest_at_the_next() -> None:
    frame = bars(A=[10.0, 20.0, 40.0])
    enter, leave = flags({"A": "x.."}), flags({"A": "..."})
    ours = backtest(frame, enter, leave, fees=0.0, count_trial=False)
    theirs = vbt.Portfolio.from_signals(panel_of(frame), enter, leave, init_cash=100_000.0)
    assert ours.orders["price"].tolist() == [20.0]
    assert theirs.orders.values["price"].tolist() == [10.0]


def test_a_reversal_is_one_order_there_and_two_at_one_price_here() -> None:
    frame = bars(A=[10.0, 10.0, 10.0, 10.0])
    long, short = flags({"A": "x..."}), flags({"A": ".x.."})
    never = flags({"A": "...."})
    ours = backtest(frame, Signals(long, never, short, never), size=Fixed(5.0), fees=0.01, count_trial=False)
    units = pd.DataFrame({"A": [np.nan, 5.0, -5.0, np.nan]}, index=days(4))
    theirs = vbt.Portfolio.from_orders(
        panel_of(frame), units, size_type="targetamount", init_cash=100_000.0, fees=0.01
    )
    assert ours.orders["size"].tolist() == [5.0, 5.0, 5.0]
    assert theirs.orders.values["size"].tolist() == [5.0, 10.0]
    assert ours.equity.iloc[-1] == pytest.approx(float(theirs.value().iloc[-1].sum()), rel=1e-12)


def test_of_entries_that_do_not_fit_vectorbt_fills_the_first_and_a_backtest_cuts_all_alike() -> None:
    frame = bars(A=[10.0, 10.0, 10.0], B=[10.0, 10.0, 10.0])
    enter, leave = flags({"A": "x..", "B": "x.."}), flags({"A": "...", "B": "..."})
    ours = backtest(
        frame, enter, leave, size=Fixed(80.0), cash=1_000.0, cash_sharing=True, fees=0.0, count_trial=False
    )
    theirs = vbt.Portfolio.from_signals(
        panel_of(frame), enter.shift(1, fill_value=False), leave, size=80.0, init_cash=1_000.0,
        group_by=True, cash_sharing=True,
    )  # fmt: skip
    assert ours.orders["size"].tolist() == [50.0, 50.0]
    assert theirs.orders.values["size"].tolist() == [80.0, 20.0]


def test_weights_of_all_equity_leave_room_for_their_fees_here_and_starve_the_last_symbol_there() -> None:
    names = [f"S{number}" for number in range(10)]
    frame = bars(**dict.fromkeys(names, (10.0, 10.0, 10.0)))
    weights = pd.DataFrame(np.nan, index=days(3), columns=names)
    weights.iloc[0] = 0.1
    ours = backtest(frame, Weights(weights), cash=1_000.0, fees=0.05, count_trial=False)
    theirs = vbt.Portfolio.from_orders(
        panel_of(frame), weights.shift(1), size_type="targetpercent", init_cash=1_000.0, fees=0.05,
        group_by=True, cash_sharing=True,
    )  # fmt: skip
    assert ours.orders["size"].tolist() == pytest.approx([1_000 / 10.5 / 10] * 10)
    sizes = theirs.orders.values["size"]
    assert sizes[0] == pytest.approx(10.0)
    assert sizes[-1] < 6.0


def test_short_positions_are_within_the_account_s_equity_here_and_without_limit_there() -> None:
    frame = bars(A=[10.0, 10.0, 10.0])
    weights = pd.DataFrame({"A": [-3.0, np.nan, np.nan]}, index=days(3))
    ours = backtest(frame, Weights(weights), cash=1_000.0, fees=0.0, count_trial=False)
    lent = backtest(frame, Weights(weights), cash=1_000.0, fees=0.0, leverage=3.0, count_trial=False)
    theirs = vbt.Portfolio.from_orders(
        panel_of(frame), weights.shift(1), size_type="targetpercent", init_cash=1_000.0
    )
    assert ours.orders["size"].tolist() == pytest.approx([100.0])
    assert lent.orders["size"].tolist() == theirs.orders.values["size"].tolist() == pytest.approx([300.0])


def test_a_decision_in_a_row_without_a_bar_is_filled_at_the_next_bar_here_and_lost_there() -> None:
    frame = bars(A=[10.0, np.nan, 10.0, 10.0], B=[10.0] * 4)
    weights = pd.DataFrame({"A": [np.nan, 0.5, np.nan, np.nan], "B": np.nan}, index=days(4))
    ours = backtest(frame, Weights(weights), fees=0.0, fill="same_close", count_trial=False)
    theirs = vbt.Portfolio.from_orders(
        panel_of(frame), weights, size_type="targetpercent", init_cash=100_000.0, group_by=True,
        cash_sharing=True,
    )  # fmt: skip
    assert ours.orders["time"].tolist() == [days(4)[2]]
    assert len(theirs.orders.values) == 0


def test_drawdown_counts_the_starting_capital_here_and_not_there() -> None:
    frame = bars(A=[10.0, 10.0, 5.0, 5.0])
    enter, leave = flags({"A": "x..."}), flags({"A": "...."})
    ours = backtest(frame, enter, leave, fees=0.5, count_trial=False)
    theirs = ours.to_vectorbt(frame)
    assert ours.metrics["max_drawdown"] == pytest.approx(float(ours.equity.min()) / 100_000.0 - 1.0)
    returns = theirs.returns(group_by=False)["A"].iloc[1:]
    assert float(returns.vbt.returns(freq="1D").max_drawdown()) > ours.metrics["max_drawdown"]
