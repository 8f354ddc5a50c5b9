"""What a gate does to the bars after a moment: which those are, and how they are changed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench.services.bar_store import SeriesState
from workbench.services.future import Future, completed_at


def state(symbol: str, calendar: str | None, interval: str | None, at: str = "2024-07-01") -> SeriesState:
    first = int(pd.Timestamp(at, tz="UTC").as_unit("us").asm8.astype(np.int64))
    return SeriesState(symbol, "yahoo", 1, 1, first, first, ["x"], calendar, interval)


@pytest.mark.parametrize(
    ("bar", "states", "expected"),
    [
        # New York closes at 16:00, 20:00 UTC in summer; on 2024-07-03 at 13:00.
        ("2024-07-02", [state("AAPL", "XNYS", "1d")], "2024-07-02 20:00"),
        ("2024-07-03", [state("AAPL", "XNYS", "1d")], "2024-07-03 17:00"),
        # Tokyo closes at 15:00, 06:00 UTC: the later one of the symbols that are decided on counts.
        ("2024-07-02", [state("7203", "XTKS", "1d"), state("AAPL", "XNYS", "1d")], "2024-07-02 20:00"),
        ("2024-07-02", [state("BTC-USD", "24/7", "1d")], "2024-07-03 00:00"),
        # Of a symbol with daily and minute bars: a bar at an hour is a minute bar.
        (
            "2024-07-02 14:30",
            [state("AAPL", "XNYS", "1d"), state("AAPL", "XNYS", "1min", "2024-07-01 13:30")],
            "2024-07-02 14:31",
        ),
        ("2024-07-02", [], "2024-07-03 00:00"),
    ],
)
def test_a_bar_is_complete_at(bar: str, states: list[SeriesState], expected: str) -> None:
    assert completed_at(pd.Timestamp(bar, tz="UTC"), states) == pd.Timestamp(expected, tz="UTC")


def bars(symbols: list[str], start: str, days: int) -> pd.DataFrame:
    index = pd.MultiIndex.from_product(
        [symbols, pd.date_range(start, periods=days, tz="UTC").as_unit("us")], names=["symbol", "timestamp"]
    )
    return pd.DataFrame(100.0, index=index, columns=["open", "close", "volume"])


def test_changed_bars_depend_on_symbol_time_and_seed_alone() -> None:
    bar = pd.Timestamp("2024-01-10", tz="UTC")
    future = Future(bar, ("yahoo/A",), changed=True, towards={"A": -1.0, "B": 1.0})
    bound = int((bar + pd.Timedelta(days=1)).as_unit("us").asm8.astype(np.int64))
    bounds = dict.fromkeys(["A", "B", "C"], bound)
    given = bars(["A", "B", "C"], "2024-01-01", 300)
    changed = future.change(given, bounds)
    assert (given == 100.0).all(axis=None)
    before = changed.index.get_level_values("timestamp") <= bar
    assert (changed[before] == 100.0).all(axis=None)
    # A jump by the factor 3, then steps of 3 % a day.
    closes = changed["close"].unstack("symbol").loc[bar + pd.Timedelta(days=1) :] / 100.0
    assert 0.28 < closes["A"].iloc[0] < 0.4
    assert 2.6 < closes["B"].iloc[0] < 3.5
    assert np.diff(np.log(closes["A"])).std() == pytest.approx(0.03, rel=0.2)
    assert (changed["open"] == changed["close"]).all()
    assert (changed["volume"] * changed["close"]).to_numpy() == pytest.approx(10_000.0)
    alone = future.change(bars(["B"], "2024-03-01", 20)[["close"]], bounds)
    pd.testing.assert_frame_equal(alone, changed[["close"]].loc[alone.index], check_freq=False)


def test_it_travels_in_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    future = Future(pd.Timestamp("2024-01-10", tz="UTC"), ("yahoo/A",), changed=True, towards={"A": 1.0})
    assert Future.of_process() is None
    for name, value in future.environment().items():
        monkeypatch.setenv(name, value)
    assert Future.of_process() == future
