"""Windows hold nothing of what comes after them, and other bars are bars that there could be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.unit.bias.planted import panel
from workbench.bias.cuts import calendar_periods, choose_cuts
from workbench.bias.slices import PERTURBATIONS, BarSlices, Perturbation
from workbench.signals.inputs import read_bars


@pytest.fixture(scope="module")
def slices(bars: pd.DataFrame) -> BarSlices:
    return BarSlices(bars, read_bars(bars))


def test_a_window_is_the_panel_cut_off(slices: BarSlices, bars: pd.DataFrame) -> None:
    window = slices.window(20, 60)
    for field in bars.columns:
        pd.testing.assert_frame_equal(panel(window, field), panel(bars, field).iloc[20:60], check_freq=False)


def test_a_windows_index_does_not_know_later_bars_even_in_its_levels(slices: BarSlices) -> None:
    index = slices.window(0, 30).index
    assert isinstance(index, pd.MultiIndex)
    times = index.levels[1]
    assert times[-1] == slices.market.timestamps[29]
    assert len(times) == 30


def test_a_symbol_without_a_bar_stands_in_a_row_of_nan_or_not_at_all(slices: BarSlices) -> None:
    # CCC begins at row 40.
    with_it, without = slices.window(0, 30), slices.window(0, 30, absent=False)
    assert with_it.loc["CCC"].isna().to_numpy().all()
    assert with_it.loc["CCC"].index.tolist() == [slices.market.timestamps[29]]
    assert without.index.get_level_values("symbol").unique().tolist() == ["AAA", "BBB"]


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_other_bars_begin_where_they_should_and_are_possible(
    kind: Perturbation, slices: BarSlices, bars: pd.DataFrame
) -> None:
    made = slices.perturbed(kind, 100, len(slices), np.random.default_rng(1))
    assert made.index.equals(bars.index)
    for field in bars.columns:
        before, after = panel(made, field), panel(bars, field)
        pd.testing.assert_frame_equal(before.iloc[:100], after.iloc[:100])
        assert before.iloc[100:].ne(after.iloc[100:]).to_numpy().mean() > 0.9
    assert (made["low"] <= made[["open", "close"]].min(axis=1)).all()
    assert (made["high"] >= made[["open", "close"]].max(axis=1)).all()
    assert (made > 0).to_numpy().all()


def test_the_bars_of_one_symbol_alone_can_be_others(slices: BarSlices, bars: pd.DataFrame) -> None:
    made = slices.perturbed("made noisy", 100, len(slices), np.random.default_rng(1), symbol=1)
    pd.testing.assert_frame_equal(made.loc[["AAA", "CCC"]], bars.loc[["AAA", "CCC"]])
    assert not made.loc[["BBB"]].equals(bars.loc[["BBB"]])


def test_another_close_leaves_the_open_and_all_earlier_bars(slices: BarSlices, bars: pd.DataFrame) -> None:
    made = slices.with_other_close(99, 3.0)
    pd.testing.assert_frame_equal(panel(made, "open"), panel(bars, "open").iloc[:100], check_freq=False)
    pd.testing.assert_frame_equal(panel(made).iloc[:99], panel(bars).iloc[:99], check_freq=False)
    changed = panel(made).iloc[99] / panel(bars).iloc[99]
    np.testing.assert_allclose(changed, [3.0, 1 / 3.0, 3.0])
    assert (made["low"] <= made["close"]).all()
    assert (made["high"] >= made["close"]).all()


def test_cuts_come_at_the_end_at_ends_of_months_before_them_and_at_signals(slices: BarSlices) -> None:
    times = slices.market.timestamps
    said = np.zeros((len(slices), 3), dtype=np.bool_)
    said[[77, 123, 201], 1] = True
    cuts = choose_cuts(times, {"entries": said}, 10, 60, np.random.default_rng(0))
    assert cuts[0] >= 10
    assert cuts[-1] == len(slices) - 1
    assert len(set(cuts.tolist())) == len(cuts) == 60
    # Right after the bars at which the signal turns on.
    assert {78, 124, 202} <= set(cuts.tolist())
    ends = set((np.flatnonzero(np.diff(calendar_periods(times)["month"])) + 1).tolist())
    assert {end for end in ends if end in cuts and end - 1 in cuts}


def test_periods_as_short_as_the_bars_are_left_out(slices: BarSlices) -> None:
    assert list(calendar_periods(slices.market.timestamps)) == ["year", "quarter", "month", "week"]
    hours = pd.date_range("2024-01-01", periods=48, freq="h", tz="UTC")
    assert list(calendar_periods(hours)) == ["year", "quarter", "month", "week", "day"]
