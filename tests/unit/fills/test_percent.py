"""`Percent` of a frame by hand: whose bar's fraction counts, what enters nothing, what is refused."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.unit.signals.sketches import NAN, bars, days, run
from workbench.backtest import Percent, Signals, VolatilityTarget, backtest, strategy, sweep
from workbench.backtest.rules_json import rules_from_json, rules_to_json
from workbench.errors import BacktestError
from workbench.fills.execution import Execution


def shares(**by_symbol: list[float]) -> Percent:
    return Percent(pd.DataFrame(by_symbol, index=days(len(next(iter(by_symbol.values()))))))


def refused(fraction: Any) -> str:
    with pytest.raises(BacktestError) as caught:
        Percent(fraction)
    return str(caught.value)


def test_the_fraction_of_the_deciding_bar_counts_and_what_is_held_stays_as_it_is() -> None:
    """Decided at the second bar, filled at the third: 40 % of 1,000 at 20 are 20 units."""
    prices = {"A": [10, 10, 20, 20, 20]}
    result = run(prices, {"A": ".L..."}, size=shares(A=[0.9, 0.4, 0.7, 0.1, 0.2]))
    assert result.orders["size"].tolist() == [20]
    same = run(prices, {"A": ".L..."}, size=shares(A=[0.9, 0.4, 0.7, 0.1, 0.2]), fill="same_close")
    assert same.orders["size"].tolist() == [40], "at 10, and still the second bar's fraction"


def test_over_a_gap_it_is_the_fraction_of_the_symbols_own_last_bar() -> None:
    """A has no bar on the second and third day; what its panel says there is of no bar of A."""
    prices: dict[str, list[float]] = {"A": [10, NAN, NAN, 10], "B": [10, 10, 10, 10]}
    size = shares(A=[0.5, 0.1, 0.2, 1.0], B=[NAN] * 4)
    result = run(prices, {"A": "L...", "B": "...."}, size=size, cash_sharing=True)
    assert result.orders["size"].tolist() == [50]


def test_an_entry_that_waits_keeps_its_own_days_fraction_whatever_exit_is_said_later() -> None:
    """A is entered on a day without a bar; covering a short position that it has not changes nothing."""
    prices: dict[str, list[float]] = {"A": [10, NAN, NAN, 10, 10], "B": [10, 10, 10, 10, 10]}
    index = days(5)
    wide = pd.DataFrame(False, index=index, columns=["A", "B"])
    entries, short_entries, short_exits = wide.copy(), wide.copy(), wide.copy()
    entries.loc[index[1], "A"] = short_entries.loc[index[0], "B"] = short_exits.loc[index[2], "A"] = True
    size = Percent(pd.DataFrame({"A": [NAN, 0.5, NAN, NAN, NAN], "B": [NAN] * 5}, index=index))
    said = Signals(entries, wide, short_entries, short_exits)
    result = backtest(bars(**prices), said, size=size, cash=1_000.0, fees=0.0)
    assert result.orders[["size", "signal_time"]].to_numpy().tolist() == [[25, index[1]]]
    early = backtest(bars(**prices).drop(index=[("A", index[3]), ("A", index[4])]), said, size=size, fees=0.0)
    assert early.pending["timestamp"].tolist() == [index[1]]


def test_each_symbol_has_its_own_and_short_entries_take_theirs() -> None:
    prices = {"A": [10, 10, 10], "B": [20, 20, 20]}
    size = shares(B=[0.6, NAN, NAN], A=[0.25, NAN, NAN])
    result = run(prices, {"A": "L..", "B": "S.."}, size=size, cash_sharing=True)
    assert list(zip(result.orders["symbol"], result.orders["side"], result.orders["size"], strict=True)) == [
        ("A", "buy", 25),
        ("B", "sell", 30),
    ]


@pytest.mark.parametrize("none", [0.0, NAN])
def test_nothing_enters_nothing_also_at_the_last_bar(none: float) -> None:
    size = shares(A=[none, 0.5, none])
    result = run({"A": [10, 10, 10]}, {"A": "L.L"}, size=size)
    assert result.orders.empty
    assert result.pending.empty
    assert len(run({"A": [10, 10, 10]}, {"A": "L.L"}, size=shares(A=[none, none, 0.1])).pending) == 1


def test_an_entry_that_still_stands_enters_when_there_is_a_fraction() -> None:
    result = run({"A": [10, 10, 10, 10]}, {"A": "LLLL"}, size=shares(A=[NAN, 0.0, 0.3, 1.0]))
    assert result.orders["size"].tolist() == [30]
    assert result.orders["signal_time"].tolist() == [days(4)[2]]


def test_a_series_is_of_a_single_symbol_and_a_tidy_one_of_several() -> None:
    prices, marks = {"A": [10, 10, 10]}, {"A": "L.."}
    series = pd.Series([0.2, NAN, NAN], index=days(3))
    assert run(prices, marks, size=Percent(series)).orders["size"].tolist() == [20]
    two = {"A": [10.0, 10.0, 10.0], "B": [10.0, 10.0, 10.0]}
    with pytest.raises(BacktestError, match="one Series of fractions cannot say which of 2 symbols"):
        run(two, {"A": "L..", "B": "L.."}, size=Percent(series))
    tidy = pd.Series(0.2, index=bars(**two).index)
    tidy.loc["B"] = 0.4
    result = run(two, {"A": "L..", "B": "L.."}, size=Percent(tidy), cash_sharing=True)
    assert result.orders["size"].tolist() == [20, 40]


def test_what_the_bars_have_and_the_frame_lacks_is_refused() -> None:
    prices, marks = {"A": [10.0, 10.0, 10.0], "B": [10.0, 10.0, 10.0]}, {"A": "L..", "B": "..."}
    with pytest.raises(BacktestError, match=r"no column for 'B' \(it has A\); compute it on the panel"):
        run(prices, marks, size=shares(A=[0.1, 0.1, 0.1]))
    with pytest.raises(BacktestError, match="no row for the bar at 2020-01-03"):
        run(prices, marks, size=shares(A=[0.1, 0.1], B=[0.1, 0.1]))


def test_what_is_no_fraction_is_refused_with_its_place() -> None:
    frame = pd.DataFrame({"A": [0.5, 0.5], "B": [0.5, -1.5]}, index=days(2))
    assert "the fraction of B at 2020-01-02 is -1.5; give fractions of 0 or more" in refused(frame)
    assert "at 2020-01-02 15:30:00+00:00 is -12.35; give" in refused(
        frame.replace(-1.5, -12.345678).shift(freq="930min")
    )
    assert "is inf" in refused(frame / 0.0)
    assert "timestamps have no time zone" in refused(frame.tz_localize(None))
    assert "the index holds no timestamps" in refused(frame.reset_index(drop=True))
    assert "stands there twice" in refused(pd.concat([frame[["A"]], frame[["A"]]]))
    assert "A is object; give fractions as float64" in refused(frame[["A"]].astype(object))
    assert "A is bool" in refused(frame[["A"]] > 0)
    assert "a tidy Series needs a unique index" in refused(frame.stack(future_stack=True))
    assert "Percent: an array is not a number; give a fraction" in refused(frame.to_numpy())
    assert "Percent: 'half' is not a number" in refused("half")
    assert "Percent: True is not a number" in refused(True)
    assert refused(-1.5).startswith("Percent: -1.5 is not above 0; give a fraction of equity such as 0.5")
    assert refused(NAN).startswith("Percent: nan is not a finite number")


@pytest.mark.parametrize(
    "size", [Percent(1.5), shares(A=[0.5, 1.5]), VolatilityTarget(0.2, max_fraction=1.5)]
)
def test_a_fraction_needs_the_leverage_for_it(size: Any) -> None:
    with pytest.raises(BacktestError, match=r"size: 1\.5 of equity is more than leverage=1 allows"):
        Execution(size=size)
    assert Execution(size=size, leverage=1.5).size is size


@pytest.mark.parametrize("size", [lambda bars: 0.5, 0.5, pd.DataFrame({"A": [0.5]}), object(), Percent])
def test_of_a_size_of_ones_own_the_refusal_names_the_frame_and_weights(size: Any) -> None:
    with pytest.raises(
        BacktestError, match=r"is no size; .* give Percent\(frame\), .*, or trade Weights"
    ) as told:
        Execution(size=size)
    assert "\n" not in str(told.value), "a frame is not printed in the sentence"


def test_what_is_changed_afterwards_changes_no_size() -> None:
    frame = pd.DataFrame({"A": [0.2, 0.2]}, index=days(2))
    size = Percent(frame)
    frame.iloc[0, 0] = 0.9
    assert run({"A": [10, 10]}, {"A": "L."}, size=size).orders["size"].tolist() == [20]


def test_other_fractions_are_another_size_in_keys_and_texts() -> None:
    one, same, other = shares(A=[0.2, NAN]), shares(A=[0.2, NAN]), shares(A=[0.2, 0.0])
    assert one == same
    assert len({one, same, other, Percent(0.2)}) == 3
    assert one != shares(B=[0.2, NAN])
    assert repr(one).startswith("Percent(<fractions of 2 bars, sha256 ")
    assert repr(Percent(0.5)) == "Percent(fraction=0.5)", "as trials of earlier versions were counted"
    assert pickle.loads(pickle.dumps(one)) == one


def test_of_a_frame_json_keeps_what_it_is_known_by() -> None:
    size = shares(A=[0.2, NAN], B=[0.1, 0.75])
    told = json.loads(json.dumps(rules_to_json(Execution(size=size)), allow_nan=False))
    assert told["size"] == {
        "kind": "Percent",
        "per_bar": {"sha256": size.sha256, "rows": 2, "symbols": ["A", "B"], "least": 0.1, "most": 0.75},
    }
    with pytest.raises(BacktestError, match="was a frame of fractions, of which only a fingerprint is kept"):
        rules_from_json(told)


def test_every_row_of_a_sweep_takes_its_bars_fractions(stocks: pd.DataFrame) -> None:
    """Also where one symbol without gaps, long only, could take the fastest loop; and in a period."""
    some = stocks.loc[["AAPL", "IBM"]].sort_index()
    some = some[some.index.get_level_values("timestamp") < "2001-06-01"]
    close = some["close"].unstack("symbol")
    risk = close.pct_change().rolling(10).std() * np.sqrt(252)
    size = Percent((0.3 / risk).clip(upper=1.0))

    @strategy
    def above(bars: pd.DataFrame, n: int = 10) -> Signals:
        close = bars["close"].unstack("symbol")
        mean = close.rolling(n).mean()
        return Signals(close > mean, close < mean)

    def figures(symbols: list[str]) -> dict[str, float]:
        return backtest(some.loc[symbols], above, size=size, count_trial=False).metrics

    found = sweep(above, some, {"n": [10, 20]}, size=size, progress=False, workers=1).frame
    for symbol in ("AAPL", "IBM"):
        row = found[(found["symbol"] == symbol) & (found["n"] == 10)].iloc[0]
        expected = figures([symbol])
        assert row["total_return"] == pytest.approx(expected["total_return"], rel=1e-9)
        assert row["exposure"] == pytest.approx(expected["exposure"], rel=1e-9)
        plain = backtest(some.loc[[symbol]], above, count_trial=False).metrics
        assert abs(row["exposure"] - plain["exposure"]) > 0.05, "the fractions do something"
    together = sweep(above, some, {"n": [10]}, symbols="together", size=size, progress=False, workers=1)
    assert together.frame["total_return"][0] == pytest.approx(figures(["AAPL", "IBM"])["total_return"])
    cut = sweep(
        above, some, {"n": [10]}, periods=[("2000-09-01", "2001-01-31")], size=size, progress=False, workers=1
    )
    row = cut.frame.iloc[0]
    again = cut.backtest(0)
    assert row["total_return"] == pytest.approx(again.metrics["total_return"], rel=1e-9)
    assert again.orders["size"].iloc[0] * again.orders["price"].iloc[0] * 1.001 == pytest.approx(
        size.fraction.loc[again.orders["signal_time"].iloc[0], "AAPL"] * 100_000  # type: ignore[union-attr]
    )


def test_a_sweep_refuses_a_frame_that_lacks_a_symbol_before_it_starts(stocks: pd.DataFrame) -> None:
    some = stocks.loc[["AAPL", "IBM"]].groupby("symbol").head(50)
    close = some["close"].unstack("symbol")

    @strategy
    def never(bars: pd.DataFrame, n: int = 1) -> Signals:
        raise AssertionError("not called")

    for fractions in (close[["AAPL"]] * 0 + 0.5, close["AAPL"] * 0 + 0.5):
        with pytest.raises(BacktestError, match=r"no column for 'IBM'|which of 2 symbols"):
            sweep(never, some, {"n": [1]}, size=Percent(fractions), progress=False, workers=1)
