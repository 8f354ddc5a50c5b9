"""Thinned lines keep their highs, their lows, their gaps and their ends."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from workbench.drawing.thinning import drawn_rows


def test_short_lines_stay_as_they_are() -> None:
    np.testing.assert_array_equal(drawn_rows(np.arange(5_000.0)), np.arange(5_000))
    assert list(drawn_rows([])) == []


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(40, 400))
def test_every_line_keeps_its_extremes_and_no_more_rows_than_asked_for(
    seed: int, lines: int, most: int
) -> None:
    walks = np.random.default_rng(seed).normal(size=(lines, 3_001)).cumsum(axis=1)
    rows = drawn_rows(*walks, most=most)
    assert len(rows) <= most
    assert rows[0] == 0
    assert rows[-1] == 3_000
    assert (np.diff(rows) > 0).all()
    for walk in walks:
        assert walk[rows].max() == walk.max()
        assert walk[rows].min() == walk.min()


def test_each_stretch_keeps_its_own_extremes() -> None:
    # 1,000 rows in stretches of 100: a spike and a dip in each must stay.
    line = np.zeros(1_000)
    line[37::100], line[61::100] = 1.0, -1.0
    kept = set(drawn_rows(line, most=22))
    assert set(range(37, 1_000, 100)) <= kept
    assert set(range(61, 1_000, 100)) <= kept


def test_gaps_are_no_extremes() -> None:
    line = np.full(1_000, np.nan)
    line[500:] = np.arange(500.0)
    rows = drawn_rows(line, np.zeros(1_000), most=60)
    assert line[rows][~np.isnan(line[rows])].max() == 499.0
    assert list(drawn_rows(np.full(1_000, np.nan), most=60)) == [0, 999]
