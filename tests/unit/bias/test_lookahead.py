"""Planted look-ahead is found, with its place, its distance and its kind; expected values by reasoning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from tests.unit.bias import planted
from workbench.bias import LookaheadFinding, LookaheadReport, check_lookahead


def check(strategy: Callable[..., Any], bars: pd.DataFrame, **options: Any) -> LookaheadReport:
    """The check in a small form."""
    return check_lookahead(strategy, bars, **{"cuts": 16, "perturbations": 4, **options})


def only(report: LookaheadReport, signal: str = "entries") -> LookaheadFinding:
    """What was found of that signal."""
    assert not report.ok
    (finding,) = [finding for finding in report.findings if finding.signal == signal]
    return finding


@pytest.mark.parametrize(
    ("strategy", "signal", "horizon", "first", "hint"),
    [
        # The distance is the shift's; a centred window of 11 takes 5 bars on either side, so its first
        # value, and the first signal that could differ, stands at row 5; np.gradient takes one on each.
        (planted.next_close, "entries", 1, 0, "shift(-1)"),
        (planted.next_body, "entries", 1, 0, "shift(-1)"),
        (planted.next_volume, "entries", 1, 0, "shift(-1)"),
        (planted.slope, "entries", 1, 1, "np.gradient"),
        (planted.return_of_three_bars, "weights", 3, 0, "shift(-3)"),
        (planted.centred_mean, "entries", 5, 5, "a centred window of 11"),
        (planted.one_kind, "short_entries", 2, 0, "shift(-2)"),
    ],
)
def test_a_constant_distance_is_measured_exactly(
    strategy: Callable[..., Any], signal: str, horizon: int, first: int, hint: str, bars: pd.DataFrame
) -> None:
    report = check(strategy, bars)
    finding = only(report, signal)
    assert (finding.pattern, finding.horizon) == ("constant distance", horizon)
    assert finding.timestamp == planted.panel(bars).index[first]
    assert hint in finding.hint


def test_only_the_signal_that_leaks_is_named(bars: pd.DataFrame) -> None:
    assert [finding.signal for finding in check(planted.one_kind, bars).findings] == ["short_entries"]


@pytest.mark.parametrize(
    "strategy",
    [
        planted.z_score,
        planted.z_score_weights,
        planted.min_max,
        planted.whole_quantile,
        planted.whole_rank,
        planted.bottom,
        planted.trend_line,
    ],
)
def test_a_figure_of_the_whole_sample_is_told_as_one(
    strategy: Callable[..., Any], bars: pd.DataFrame
) -> None:
    report = check(strategy, bars)
    assert {finding.pattern for finding in report.findings} == {"whole sample"}
    assert max(finding.horizon for finding in report.findings) > planted.N_BARS // 3
    assert "the whole sample" in report.findings[0].hint


@pytest.mark.parametrize("strategy", [planted.back_filled, planted.interpolated])
def test_back_filling_looks_as_far_as_the_next_value(
    strategy: Callable[..., Any], bars: pd.DataFrame
) -> None:
    finding = only(check(strategy, bars))
    # Values stand 13 bars apart: from the bar after one it is 12 to the next.
    assert (finding.pattern, finding.horizon) == ("next value", 12)
    assert "ffill" in finding.hint


@pytest.mark.parametrize(
    ("strategy", "period", "most"),
    [
        (planted.week_labelled_at_its_start, "week", 4),
        (planted.month_labelled_at_its_start, "month", planted.MONTH - 1),
        (planted.mean_of_the_month, "month", planted.MONTH - 1),
    ],
)
def test_a_period_known_before_its_end_is_named(
    strategy: Callable[..., Any], period: str, most: int, bars: pd.DataFrame
) -> None:
    finding = only(check(strategy, bars))
    assert finding.pattern == "period end"
    assert f"its {period} to the end" in finding.hint
    # From the period's first bar to its last; that of the longest one need not be among the cuts.
    assert most * 0.8 <= finding.horizon <= most


def test_smoothing_in_both_directions_is_found(bars: pd.DataFrame) -> None:
    finding = only(check(planted.both_ways, bars))
    assert finding.horizon > 1
    assert finding.pattern in ("varying", "constant distance")


def test_the_newest_bar_alone_shows_what_the_next_bars_date_decides(bars: pd.DataFrame) -> None:
    finding = only(check(planted.last_bar_of_the_month, bars), "weights")
    assert (finding.pattern, finding.horizon) == ("number of bars", 1)
    assert finding.shown_by.startswith("a cut after")
    assert "a live run" in finding.hint


def test_a_share_of_the_length_is_told_from_values(bars: pd.DataFrame) -> None:
    finding = only(check(planted.share_of_the_length, bars))
    assert finding.pattern == "number of bars"
    assert finding.horizon > 1


def test_the_symbol_that_leaks_and_the_one_it_leaks_from_are_named(bars: pd.DataFrame) -> None:
    finding = only(check(planted.another_symbols_future, bars))
    assert (finding.symbol, finding.symbols, finding.sources) == ("BBB", ("BBB",), ("AAA",))
    assert finding.horizon == 2


def test_a_rule_that_seldom_says_anything_is_cut_where_it_does(bars: pd.DataFrame) -> None:
    entries = planted.seldom(bars).entries
    assert 0 < entries.to_numpy().mean() < 0.02
    finding = only(check(planted.seldom, bars))
    assert (finding.pattern, finding.horizon) == ("constant distance", 3)
    assert entries.loc[finding.timestamp, finding.symbol] or finding.shown_by.startswith("bars")


@pytest.mark.parametrize("strategy", planted.CAUSAL)
def test_a_rule_that_looks_back_passes(strategy: Callable[..., Any], bars: pd.DataFrame) -> None:
    report = check(strategy, bars)
    assert report.ok, report.verdict
    assert report.findings == ()
    report.raise_if_found()


def test_equal_weights_on_real_bars_do_not_know_who_will_be_listed(stocks: pd.DataFrame) -> None:
    """FB has its first bar in 2012; the universe was chosen, so 1/5 before that is no look-ahead."""
    assert check(planted.first_bar_of_the_month, stocks).ok


def test_tomorrows_close_of_real_bars_is_found_on_every_symbol(stocks: pd.DataFrame) -> None:
    finding = only(check(planted.next_close, stocks, cuts=24, perturbations=4))
    assert finding.timestamp == pd.Timestamp("2000-03-01", tz="UTC")
    assert finding.horizon == 1
    assert {"AAPL", "IBM", "MSFT"} <= set(finding.symbols)


def test_a_day_that_is_known_at_its_first_bar_shows_within_days() -> None:
    """Quarter hours of New York's sessions, in New York's time: the day's last close from its start on."""
    daily = planted.walk(("AAA",), 26 * 12).droplevel("symbol")
    days = pd.bdate_range("2024-03-04", periods=12, tz="America/New_York")
    stamps = [
        day + pd.Timedelta(hours=9.5) + pd.Timedelta(minutes=15) * bar for day in days for bar in range(26)
    ]
    index = pd.MultiIndex.from_arrays([["AAA"] * len(stamps), stamps], names=["symbol", "timestamp"])

    def known_at_midnight(bars: pd.DataFrame) -> Any:
        close = planted.panel(bars)
        return planted.states(
            close < close.resample("D").last().dropna(how="all").reindex(close.index, method="ffill")
        )

    finding = only(check(known_at_midnight, daily.set_axis(index, axis=0)))
    assert (finding.pattern, finding.horizon) == ("period end", 25)
    assert "its day to the end" in finding.hint
    assert finding.timestamp == pd.Timestamp("2024-03-04 14:30", tz="UTC")


@pytest.mark.parametrize("fill", ["next_open", "next_close"])
def test_signals_may_know_their_own_close_where_they_are_filled_later(fill: str, bars: pd.DataFrame) -> None:
    assert check(planted.averages, bars, fill=fill).ok


def test_unshifted_signals_filled_at_the_same_close_are_found(bars: pd.DataFrame) -> None:
    report = check(planted.averages, bars, fill="same_close")
    assert [finding.signal for finding in report.findings] == ["entries", "exits"]
    finding = only(report)
    assert (finding.pattern, finding.horizon) == ("own close", 0)
    # Two means first differ at row 29, the thirtieth bar.
    assert finding.timestamp >= planted.panel(bars).index[29]
    assert "Shift the signals by one bar" in finding.hint


def test_signals_of_the_bar_before_and_of_the_open_pass_at_the_same_close(bars: pd.DataFrame) -> None:
    def shifted(bars: pd.DataFrame) -> Any:
        said = planted.averages(bars).entries
        assert isinstance(said, pd.DataFrame)
        return planted.states(said.shift(1, fill_value=False))

    def opened_higher(bars: pd.DataFrame) -> Any:
        return planted.states(panel_open(bars) > planted.panel(bars).shift(1))

    assert check(shifted, bars, fill="same_close", cuts=8).ok
    assert check(opened_higher, bars, fill="same_close", cuts=8).ok


def panel_open(bars: pd.DataFrame) -> pd.DataFrame:
    return planted.panel(bars, "open")
