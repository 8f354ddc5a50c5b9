"""The history that a strategy needs, exactly where reasoning gives it, and that some need all of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.unit.bias import planted
from workbench.backtest import Signals, Weights
from workbench.bias import check_recursive
from workbench.errors import BacktestError


def above_mean_of_50(bars: pd.DataFrame) -> Signals:
    close = planted.panel(bars)
    return planted.states(close > close.rolling(50).mean())


def crossing_of_mean_of_50(bars: pd.DataFrame) -> Signals:
    close = planted.panel(bars)
    above = close > close.rolling(50).mean()
    before = above.shift(1, fill_value=False)
    return Signals(entries=above & ~before, exits=~above & before)


def momentum_of_60(bars: pd.DataFrame) -> Signals:
    return planted.states(planted.panel(bars).pct_change(60) > 0.0)


def no_history(bars: pd.DataFrame) -> Signals:
    return planted.states(planted.panel(bars) > planted.panel(bars, "open"))


def refuses_fewer_than_80(bars: pd.DataFrame) -> Signals:
    if len(planted.panel(bars)) < 80:
        raise ValueError("80 bars, please")
    return planted.averages(bars)


@pytest.mark.parametrize(
    ("strategy", "needs"),
    [
        (above_mean_of_50, 50),
        # With 50 bars the day before has no mean, and every day above it seems a crossing.
        (crossing_of_mean_of_50, 51),
        (momentum_of_60, 61),
        # The highest of the 55 bars before this one; the deviation of 20 returns.
        (planted.channel, 56),
        (planted.volatility, 21),
        (planted.averages, 30),
        (no_history, 1),
        # Only that the bar before belongs to another month.
        (planted.first_bar_of_the_month, 2),
        (refuses_fewer_than_80, 80),
        # What it takes from the future is compared with a history that has no future either.
        (planted.next_close, 1),
    ],
)
def test_a_window_needs_just_its_bars(strategy: Callable[..., Any], needs: int, bars: pd.DataFrame) -> None:
    report = check_recursive(strategy, bars, lengths=[1, 40, 70, 90, 161], probes=6)
    assert report.settles
    assert report.needs == needs
    if needs > 1:
        assert report.last_difference is not None
        assert report.last_difference.length == needs - 1


@pytest.mark.parametrize("tolerance", [1e-2, 1e-6])
def test_an_exponential_mean_needs_what_its_beginning_takes_to_fade(
    tolerance: float, bars: pd.DataFrame
) -> None:
    """Expected by trying every length at the one probe date, in plain pandas."""

    def mean(close: pd.DataFrame) -> pd.DataFrame:
        return close.ewm(span=10, adjust=False).mean() / 1000.0

    report = check_recursive(
        lambda bars: Weights(mean(planted.panel(bars))),
        bars,
        probes=[planted.panel(bars).index[-1]],
        tolerance=tolerance,
    )
    close = planted.panel(bars)
    whole = mean(close).iloc[-1]
    differ = [
        length
        for length in range(1, len(close))
        if ((mean(close.iloc[-length:]).iloc[-1] / whole - 1.0).abs() > tolerance).any()
    ]
    assert report.needs == differ[-1] + 1


def since_the_first_bar(bars: pd.DataFrame) -> Signals:
    close = planted.panel(bars)
    return planted.states(close > close.bfill().iloc[0])


def every_seventh_bar(bars: pd.DataFrame) -> Weights:
    close = planted.panel(bars)
    turn = np.arange(len(close)) % 7 == 0
    return Weights(close.gt(0).astype(np.float64).div(3.0).where(np.broadcast_to(turn[:, None], close.shape)))


def running_sum(bars: pd.DataFrame) -> Weights:
    return Weights(planted.panel(bars).pct_change().cumsum().clip(-1.0, 1.0))


@pytest.mark.parametrize(
    "strategy", [since_the_first_bar, every_seventh_bar, running_sum, planted.expanding, planted.seeded]
)
def test_what_never_settles_is_said_to_depend_on_the_whole_history(
    strategy: Callable[..., Any], bars: pd.DataFrame
) -> None:
    report = check_recursive(strategy, bars, lengths=[1, 40, 90, 158, 160, 161], probes=8)
    assert report.needs is None
    assert not report.settles
    assert "depends on the whole history" in report.verdict


def test_the_table_says_at_how_many_dates_each_length_differs(bars: pd.DataFrame) -> None:
    report = check_recursive(above_mean_of_50, bars, probes=10)
    assert list(report.table.columns) == ["differ", "share"]
    differ, share = report.table["differ"].to_dict(), report.table["share"].to_dict()
    assert share[50] == 0.0
    # The first probe date is the middle of 320 bars, row 160, with 161 bars up to it.
    assert report.longest == report.table.index[-1] == 161
    # Without a mean no day is above it; one that is, for any symbol, differs.
    above = above_mean_of_50(bars).entries
    assert isinstance(above, pd.DataFrame)
    assert differ[49] == above.loc[report.probes].any(axis=1).sum()
    assert share[49] == differ[49] / len(report.probes)
    assert report.verdict == (
        f"above_mean_of_50 needs 50 bars of history; with 49 its signals differ on {differ[49]} "
        f"of {len(report.probes)} probe dates."
    )


def test_real_bars_of_five_symbols_need_what_the_windows_say(stocks: pd.DataFrame) -> None:
    report = check_recursive(crossing_of_mean_of_50, stocks, lengths=[30, 50, 60, 400], probes=8)
    assert report.needs == 51


def test_lengths_and_probes_can_be_given(bars: pd.DataFrame) -> None:
    dates = [pd.Timestamp("2020-12-31", tz="UTC"), pd.Timestamp("2021-01-03", tz="UTC")]
    report = check_recursive(above_mean_of_50, bars, lengths=[10, 100], probes=dates)
    # 2021-01-03 is a Sunday; the last bar before it is Friday's.
    assert [f"{date:%Y-%m-%d}" for date in report.probes] == ["2020-12-31", "2021-01-01"]
    assert report.longest == 100


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lengths": [10]}, "lengths: .* cannot be used"),
        ({"lengths": [10, 5000]}, "lengths: .* cannot be used"),
        ({"probes": 0}, "probes: 0 is too few"),
        ({"probes": [pd.Timestamp("2020-12-31")]}, "probes: the dates have no time zone"),
        ({"probes": [pd.Timestamp("2019-12-31", tz="UTC")]}, "probes: there is no bar before"),
        ({"tolerance": -1.0}, "tolerance: -1.0 is not a fraction"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], message: str, bars: pd.DataFrame) -> None:
    with pytest.raises(BacktestError, match=message):
        check_recursive(planted.averages, bars, **options)


def test_too_few_bars_are_refused(bars: pd.DataFrame) -> None:
    with pytest.raises(BacktestError, match="19 are too few"):
        check_recursive(planted.averages, bars.loc[["AAA"]].head(19))


def test_chance_is_told_from_history(bars: pd.DataFrame) -> None:
    generator = np.random.default_rng()

    def chance(bars: pd.DataFrame) -> Weights:
        close = planted.panel(bars)
        return Weights(close * 0.0 + generator.random(close.shape))

    report = check_recursive(chance, bars)
    assert (report.deterministic, report.needs, len(report.table)) == (False, None, 0)
    assert "two calls on the same bars" in report.verdict
    assert "not deterministic" in report._repr_html_()


def test_a_notebook_shows_the_table_without_external_parts(bars: pd.DataFrame) -> None:
    report = check_recursive(crossing_of_mean_of_50, bars, probes=8)
    shown = report._repr_html_()
    assert "needs 51 bars" in shown
    assert "dates that differ" in shown
    assert "http" not in shown
    assert "<script" not in shown
    assert repr(report).startswith(
        "<RecursionReport: crossing_of_mean_of_50 needs 51 bars of history; with 50"
    )
