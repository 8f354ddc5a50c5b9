"""Splits are those of scikit-learn and skfolio where they agree, and test nothing that was trained on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import BacktestError
from workbench.validation import Split, Splits, combinatorial_purged, purged_kfold, walk_forward

Bounds = list[tuple[int, int]]


def bounds(spans: Iterable[range]) -> Bounds:
    return [(span.start, span.stop) for span in spans]


def trained_and_tested(splits: Splits) -> list[tuple[Bounds, Bounds]]:
    return [(bounds(split.train), bounds(split.test)) for split in splits]


# Expected: skfolio 1.12.2, WalkForward(test_size=4, train_size=8), of 20 rows; scikit-learn 1.9.1 gives the
# same by TimeSeriesSplit(n_splits=3, test_size=4, max_train_size=8).
def test_a_rolling_window_walks_forward() -> None:
    assert trained_and_tested(walk_forward(20, train=8, test=4)) == [
        ([(0, 8)], [(8, 12)]),
        ([(4, 12)], [(12, 16)]),
        ([(8, 16)], [(16, 20)]),
    ]


# Expected: skfolio 1.12.2, WalkForward(test_size=4, train_size=8, expand_train=True, purged_size=2), 20 rows.
def test_an_anchored_window_grows_and_leaves_a_gap() -> None:
    assert trained_and_tested(walk_forward(20, train=8, test=4, anchored=True, gap=2)) == [
        ([(0, 8)], [(10, 14)]),
        ([(0, 12)], [(14, 18)]),
    ]


# Expected: skfolio 1.12.2, WalkForward(test_size=5, train_size=7, reduce_test=True, purged_size=1), 20 rows.
def test_the_last_test_can_be_shorter() -> None:
    assert trained_and_tested(walk_forward(20, train=7, test=5, gap=1, shorten_last=True)) == [
        ([(0, 7)], [(8, 13)]),
        ([(5, 12)], [(13, 18)]),
        ([(10, 17)], [(18, 20)]),
    ]


# Expected: scikit-learn 1.9.1, TimeSeriesSplit(n_splits=2, test_size=4, gap=2), 20 rows.
def test_an_anchored_walk_is_scikit_learns_where_the_bars_come_out_even() -> None:
    assert trained_and_tested(walk_forward(20, train=10, test=4, anchored=True, gap=2)) == [
        ([(0, 10)], [(12, 16)]),
        ([(0, 14)], [(16, 20)]),
    ]


def test_a_longer_step_leaves_bars_untested() -> None:
    splits = walk_forward(20, train=5, test=3, step=6)
    assert [bounds(split.test) for split in splits] == [[(5, 8)], [(11, 14)], [(17, 20)]]
    assert [bounds(split.train) for split in splits] == [[(0, 5)], [(6, 11)], [(12, 17)]]


def test_folds_are_tested_once_without_what_touches_them() -> None:
    # By hand: of rows [4, 7), rows 2 and 3 reach into the test, it reaches into 7 and 8, and 9 is embargoed.
    assert trained_and_tested(purged_kfold(10, 3, purge=2, embargo=1)) == [
        ([(7, 10)], [(0, 4)]),
        ([(0, 2)], [(4, 7)]),
        ([(0, 5)], [(7, 10)]),
    ]


# Expected: skfolio 1.12.2, CombinatorialPurgedCV(n_folds=4, n_test_folds=2, purged_size=1, embargo_size=1),
# of 24 rows: its splits and its get_path_ids().
def test_combinations_are_skfolios() -> None:
    splits = combinatorial_purged(24, 4, 2, purge=1, embargo=1)
    assert trained_and_tested(splits) == [
        ([(14, 24)], [(0, 6), (6, 12)]),
        ([(8, 11), (20, 24)], [(0, 6), (12, 18)]),
        ([(8, 17)], [(0, 6), (18, 24)]),
        ([(0, 5), (20, 24)], [(6, 12), (12, 18)]),
        ([(0, 5), (14, 17)], [(6, 12), (18, 24)]),
        ([(0, 11)], [(12, 18), (18, 24)]),
    ]
    path_of = {part: path for path, parts in enumerate(splits.paths) for part in parts}
    ids = [[path_of[split, place] for place in range(2)] for split in range(6)]
    assert ids == [[0, 0], [1, 0], [2, 0], [1, 1], [2, 1], [2, 2]]


# Expected: skfolio 1.12.2, CombinatorialPurgedCV(n_folds=6, n_test_folds=2, purged_size=5, embargo_size=10),
# of 600 rows.
def test_larger_combinations_are_skfolios() -> None:
    splits = combinatorial_purged(600, 6, 2, purge=5, embargo=10)
    expected = [385, 365, 365, 365, 380, 380, 360, 360, 375, 380, 360, 375, 380, 375, 395]
    assert [len(split.train_rows) for split in splits] == expected
    assert trained_and_tested(splits)[6] == ([(0, 95), (215, 295), (415, 600)], [(100, 200), (300, 400)])


# Expected: skfolio 1.12.2's n_splits and n_test_paths; C(N, k) * k / N of López de Prado (2018), 12.3.
@pytest.mark.parametrize(("n", "k", "splits", "paths"), [(6, 2, 15, 5), (10, 2, 45, 9), (8, 3, 56, 21)])
def test_so_many_paths_come_of_so_many_groups(n: int, k: int, splits: int, paths: int) -> None:
    made = combinatorial_purged(240, n, k)
    assert (len(made), len(made.paths)) == (splits, paths)
    assert paths == math.comb(n, k) * k // n


def _nothing_left(n: int, groups: int, tested: int, purge: int, embargo: int) -> bool:
    """Whether some choice of groups, with all that is near them, covers every row."""
    folds = np.array_split(np.arange(n), groups)
    return any(
        len(
            {row for fold in chosen for row in range(fold[0] - purge, fold[-1] + 1 + purge + embargo)}
            & set(range(n))
        )
        == n
        for chosen in itertools.combinations(folds, tested)
    )


@given(
    n=st.integers(30, 400),
    groups=st.integers(3, 8),
    tested=st.integers(1, 3),
    purge=st.integers(0, 3),
    embargo=st.integers(0, 3),
)
def test_every_path_tests_every_bar_once_and_no_split_trains_near_its_test(
    n: int, groups: int, tested: int, purge: int, embargo: int
) -> None:
    tested = min(tested, groups - 1)
    if purge + embargo and _nothing_left(n, groups, tested, purge, embargo):
        with pytest.raises(BacktestError, match="to train on"):
            combinatorial_purged(n, groups, tested, purge=purge, embargo=embargo)
        return
    splits = combinatorial_purged(n, groups, tested, purge=purge, embargo=embargo)
    for path in splits.paths:
        rows = [row for split, place in path for row in splits[split].test[place]]
        assert rows == list(range(n))
    parts = [part for path in splits.paths for part in path]
    assert len(parts) == len(set(parts)) == sum(len(split.test) for split in splits)
    for split in splits:
        train = set(split.train_rows.tolist())
        for span in split.test:
            assert train.isdisjoint(range(span.start - purge, span.stop + purge + embargo))
        # Nothing else is left out.
        near = {row for span in split.test for row in range(span.start - purge, span.stop + purge + embargo)}
        assert train | near >= set(range(n))


@given(
    n=st.integers(10, 300),
    train=st.integers(1, 60),
    test=st.integers(1, 40),
    gap=st.integers(0, 10),
    anchored=st.booleans(),
    shorten=st.booleans(),
)
def test_a_walk_never_trains_on_what_comes_after(
    n: int, train: int, test: int, gap: int, anchored: bool, shorten: bool
) -> None:
    needed = train + gap + (1 if shorten else test)
    if n < needed:
        with pytest.raises(BacktestError, match=f"{n} bars are too few for one split, which needs {needed}"):
            walk_forward(n, train=train, test=test, gap=gap, anchored=anchored, shorten_last=shorten)
        return
    splits = walk_forward(n, train=train, test=test, gap=gap, anchored=anchored, shorten_last=shorten)
    assert splits.forward
    rows = np.concatenate([split.test_rows for split in splits])
    assert rows.tolist() == list(range(train + gap, train + gap + len(rows)))
    assert n - rows[-1] - 1 < (1 if shorten else test)
    for split in splits:
        assert split.train[0].stop + gap == split.test[0].start
        assert len(split.train_rows) == train if not anchored else split.train[0].start == 0


def test_bars_are_counted_by_their_distinct_times() -> None:
    times = pd.date_range("2024-01-01", periods=12, tz="UTC")
    index = pd.MultiIndex.from_product([["A", "B"], times], names=["symbol", "timestamp"])
    bars = pd.DataFrame({"close": 1.0}, index=index)
    for given_bars in (12, times, bars):
        assert walk_forward(given_bars, train=4, test=4).n_bars == 12
    with pytest.raises(BacktestError, match="without 'timestamp'"):
        walk_forward(bars.reset_index(drop=True), train=4, test=4)


def test_spans_can_be_read_as_times() -> None:
    times = pd.date_range("2024-01-01", periods=10, tz="UTC")
    table = purged_kfold(times, 2, purge=1).table(times)
    assert table.to_dict("list") == {
        "split": [0, 0, 1, 1],
        "role": ["train", "test", "train", "test"],
        "start": [times[6], times[0], times[0], times[5]],
        "end": [times[9], times[4], times[3], times[9]],
        "bars": [4, 5, 4, 5],
    }


def test_splits_are_a_sequence_that_says_what_it_is() -> None:
    splits = combinatorial_purged(60, 6, 2)
    assert len(splits) == 15
    assert splits[0] == Split((range(20, 60),), (range(10), range(10, 20)))
    assert repr(splits) == "<Splits combinatorial_purged: 15 of 60 bars, 5 paths>"
    assert repr(walk_forward(20, train=8, test=4)) == "<Splits walk_forward: 3 of 20 bars>"
    assert not splits.forward
    # One of these trains before its test only; the others do not.
    assert not purged_kfold(20, 2).forward


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: walk_forward(10, train=0, test=2), "train=0 is too small"),
        (lambda: walk_forward(10, train=2, test=0), "test=0 is too small"),
        (lambda: walk_forward(10, train=2, test=2, gap=-1), "gap=-1 is too small"),
        (lambda: walk_forward(10, train=2, test=4, step=2), "bars would be tested twice"),
        (lambda: walk_forward(10, train=8, test=4), "10 bars are too few for one split, which needs 12"),
        (lambda: purged_kfold(10, 1), "n_splits=1 is too small"),
        (lambda: purged_kfold(3, 5), "3 bars cannot be split into 5 groups"),
        (lambda: purged_kfold(10, 2, purge=-1), "purge=-1"),
        (lambda: purged_kfold(10, 2, purge=6), "leave no bars to train on with a test of 5 of 10 bars"),
        (lambda: combinatorial_purged(10, 2, 1), "n_groups=2 is too small"),
        (lambda: combinatorial_purged(10, 4, 0), "n_test_groups=0"),
        (lambda: combinatorial_purged(10, 4, 4), "leaves no group to train on"),
        (lambda: combinatorial_purged(1000, 40, 20), "ways to choose 20 of 40 groups"),
        (lambda: combinatorial_purged(20, 4, 2, embargo=20), "purge=0 and embargo=20 leave no bars"),
    ],
)
def test_what_makes_no_splits_is_refused(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(BacktestError, match=message):
        make()
