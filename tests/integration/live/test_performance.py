"""The live performance that is stored is of what was said, beside that of the backtest."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.integration.live.conftest import DEPLOYMENT, Kernel, bars_of, rising, run_of, say
from workbench import Workbench

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

CLOSES = [100.0, 110.0, 121.0, 133.1, 146.41]


def day(number: int) -> str:
    """The date so many days from today."""
    return f"{pd.Timestamp.now('UTC') + pd.Timedelta(days=number):%Y-%m-%d}"


@pytest.fixture
def bars() -> pd.DataFrame:
    """Two bars of days that are over, and three that open after what a test says, which is now."""
    made = bars_of({"AAPL": CLOSES})
    times = pd.DatetimeIndex([day(number) for number in (-2, -1, 2, 3, 4)], tz="UTC")
    return made.set_axis(pd.MultiIndex.from_product([["AAPL"], times], names=made.index.names))


def test_days_come_after_the_first_say_and_are_of_what_was_said(
    wb: Workbench, kernel: Kernel, bars: pd.DataFrame
) -> None:
    load = wb.strategy_engine.load_strategy_performance
    say(kernel(day(0)), bars.iloc[:2])
    assert load(deployment=DEPLOYMENT).empty
    # It buys at the open of 121, which is that bar's close, and pays 0.1 % of what it buys.
    say(kernel(day(2)), bars.iloc[:3])
    assert load(deployment=DEPLOYMENT)["returns"].tolist() == [pytest.approx(1 / 1.001 - 1)]
    say(kernel(day(3)), bars.iloc[:4])
    days = load(kind="live")
    assert days["date"].tolist() == [pd.Timestamp(day(2)), pd.Timestamp(day(3))]
    assert days["returns"].iloc[-1] == pytest.approx(0.1)
    assert set(days["deployment"]) == {DEPLOYMENT}
    assert len(load("rising")) == 4, "the backtest has its own days"
    assert len(load("rising", kind=["live", "backtest"])) == 6


def test_a_bar_that_is_corrected_corrects_the_days(wb: Workbench, kernel: Kernel, bars: pd.DataFrame) -> None:
    for count, number in ((2, 0), (3, 2), (4, 3)):
        say(kernel(day(number)), bars.iloc[:count])
    load = wb.strategy_engine.load_strategy_performance
    before = load(deployment=DEPLOYMENT)
    bars.iloc[3] = 145.2
    say(kernel(day(4)), bars)
    after = load(deployment=DEPLOYMENT)
    assert after["date"].tolist() == [*before["date"], pd.Timestamp(day(4))]
    assert after["returns"].tolist()[1] == pytest.approx(0.2)


def test_where_it_cannot_be_computed_the_record_says_so(
    wb: Workbench, kernel: Kernel, bars: pd.DataFrame
) -> None:
    say(kernel(day(0)), bars.iloc[:2])
    run = kernel(day(2))
    run.save(rising(bars.iloc[:3]), strategy_id="rising", report=False)
    assert len(wb.strategy_engine.load_strategy_signals(kind="live")) == 2, "what was said is stored"
    assert wb.strategy_engine.load_strategy_performance(kind="live").empty
    evidence = wb.runs.show(run_of(run))["evidence"]["live_performance"]
    assert evidence == ["rising: not computed; pass bars=bars to wb.save"]
    late = kernel(day(3))
    say(late, bars.iloc[2:4], end="")
    (line,) = wb.runs.show(run_of(late))["evidence"]["live_performance"]
    assert line.startswith(
        f"rising: not computed; bars: those of AAPL begin {day(2)}, and the first live sig"
    )


def test_what_was_said_in_the_past_is_not_filled_in_the_past(wb: Workbench, kernel: Kernel) -> None:
    """Slots of last week, run today: every bar there is opened before it was said."""
    bars = bars_of({"AAPL": CLOSES}, "2020-01-06")
    for count, past in ((2, "2020-01-07"), (3, "2020-01-08"), (5, "2020-01-10")):
        say(kernel(past), bars.iloc[:count])
    assert len(wb.strategy_engine.load_strategy_signals(kind="live")) == 3
    assert wb.strategy_engine.load_strategy_performance(kind="live").empty
    assert wb.strategy_engine.load_strategy_performance()["date"].iloc[0] == pd.Timestamp("2020-01-06")
