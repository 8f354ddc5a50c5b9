"""Train/test splits: walk-forward, purged k-fold, combinatorial purged.

Rows are bars in time order, counted from 0; spans are `range`s of rows with an exclusive end. No prices are
used here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.arguments import as_flag, as_whole, named
from workbench.errors import BacktestError

__all__ = ["Split", "Splits", "combinatorial_purged", "purged_kfold", "walk_forward"]

Bars = int | pd.DatetimeIndex | pd.DataFrame
"""Number of bars, their timestamps, or the tidy bars themselves."""

_MOST_SPLITS = 100_000


@dataclass(frozen=True)
class Split:
    """Spans of rows to train on and to test on; no row is in both.

    Attributes
    ----------
    train, test : tuple of range
        Ascending, each with at least one row.
    """

    train: tuple[range, ...]
    test: tuple[range, ...]

    @property
    def train_rows(self) -> npt.NDArray[np.int64]:
        """Training rows: shape (n_train,), ascending."""
        return np.concatenate([np.arange(span.start, span.stop) for span in self.train])

    @property
    def test_rows(self) -> npt.NDArray[np.int64]:
        """Test rows: shape (n_test,), ascending."""
        return np.concatenate([np.arange(span.start, span.stop) for span in self.test])


@dataclass(frozen=True)
class Splits:
    """The splits of one scheme, and how their test spans join into full paths.

    Attributes
    ----------
    scheme : str
        "walk_forward", "purged_kfold" or "combinatorial_purged".
    n_bars : int
        Number of rows.
    splits : tuple of Split
    paths : tuple of tuple of (int, int)
        Each path is one out-of-sample record: (number of the split, number of its test span), by time.
    """

    scheme: str
    n_bars: int
    splits: tuple[Split, ...]
    paths: tuple[tuple[tuple[int, int], ...], ...]

    def __len__(self) -> int:
        return len(self.splits)

    def __iter__(self) -> Iterator[Split]:
        return iter(self.splits)

    def __getitem__(self, number: int) -> Split:
        return self.splits[number]

    @cached_property
    def forward(self) -> bool:
        """Whether every split trains on one span that ends before its test."""
        return all(len(split.train) == 1 and split.train[0].stop <= split.test[0].start for split in self)

    def table(self, index: pd.DatetimeIndex) -> pd.DataFrame:
        """The spans as timestamps.

        Parameters
        ----------
        index : DatetimeIndex of shape (n_bars,)
            The bars' timestamps, ascending.

        Returns
        -------
        DataFrame
            One row per span: split, role ("train" or "test"), start and end (first and last bar), bars.
        """
        rows = [
            (number, role, index[span.start], index[span.stop - 1], len(span))
            for number, split in enumerate(self)
            for role, spans in (("train", split.train), ("test", split.test))
            for span in spans
        ]
        return pd.DataFrame(rows, columns=["split", "role", "start", "end", "bars"])

    def __repr__(self) -> str:
        paths = f", {len(self.paths)} paths" if len(self.paths) > 1 else ""
        return f"<Splits {self.scheme}: {len(self)} of {self.n_bars} bars{paths}>"


def walk_forward(
    bars: Bars,
    *,
    train: int,
    test: int,
    anchored: bool = False,
    step: int | None = None,
    gap: int = 0,
    shorten_last: bool = False,
) -> Splits:
    """Train on a span of bars, test on the bars after it, then move both forward, up to the last bar.

    Split k tests on rows ``[train + gap + k * step, … + test)`` and trains on the `train` rows that end `gap`
    rows before; anchored, on all rows from the first one up to there. R. Pardo, The Evaluation and
    Optimization of Trading Strategies, Wiley, 2008, ch. 11. scikit-learn's ``TimeSeriesSplit(n_splits,
    test_size=test, gap=gap)`` gives the same spans if no bars are left over (it counts from the end, this
    function from the beginning).

    Parameters
    ----------
    bars : int, DatetimeIndex or DataFrame
        Number of bars, their timestamps, or tidy bars (their distinct timestamps are used).
    train, test : int
        Bars to train on (anchored: in the first split) and to test on; 1 or more.
    anchored : bool
        Whether training always begins at the first bar, so that it grows.
    step : int, optional
        Bars from one split to the next; `test` or more, so that no bar is tested twice. Default: `test`. With
        more, the bars between two tests are in no path.
    gap : int
        Bars left out between training and test: as many as a decision's outcome extends ahead.
    shorten_last : bool
        Whether to test on the last bars when they are fewer than `test`; otherwise they are left out.

    Returns
    -------
    Splits
        One path.

    Raises
    ------
    BacktestError
        Too few bars for one split, or invalid sizes.
    """
    n = _count(bars)
    train, test = (_size("walk_forward", name, size) for name, size in (("train", train), ("test", test)))
    gap = _size("walk_forward", "gap", gap, least=0)
    stride = test if step is None else _size("walk_forward", "step", step)
    anchored, shorten_last = as_flag(anchored, "anchored"), as_flag(shorten_last, "shorten_last")
    if stride < test:
        raise BacktestError(
            f"walk_forward: step={step} is less than test={test}, so bars would be tested twice; "
            "use a step of at least the test's length."
        )
    needed = train + gap + (1 if shorten_last else test)
    if n < needed:
        raise BacktestError(
            f"walk_forward: {n} bars are too few for one split, which needs {needed} "
            f"(train={train}, gap={gap}, test={test}); load more bars, or train on fewer."
        )
    splits = []
    for start in range(train + gap, n, stride):
        stop = min(start + test, n)
        if stop - start < test and not shorten_last:
            break
        first = 0 if anchored else start - gap - train
        splits.append(Split((range(first, start - gap),), (range(start, stop),)))
    return Splits("walk_forward", n, tuple(splits), (tuple((number, 0) for number in range(len(splits))),))


def purged_kfold(bars: Bars, n_splits: int = 5, *, purge: int = 0, embargo: int = 0) -> Splits:
    """K contiguous folds, each tested once; training uses the others, without bars that overlap the test.

    M. López de Prado, Advances in Financial Machine Learning, Wiley, 2018, ch. 7. For a test span ``[a, b)``
    training leaves out ``[a - purge, a)``, whose outcomes extend into the test, ``[b, b + purge)``, into
    which the test's outcomes extend, and ``[b + purge, b + purge + embargo)``.

    Parameters
    ----------
    bars : int, DatetimeIndex or DataFrame
        As in `walk_forward`.
    n_splits : int
        Folds, 2 or more. If the bars do not divide evenly, the first folds have one more.
    purge : int
        Bars that a decision's outcome extends ahead: its label's horizon, or the holding time of a trade.
    embargo : int
        Further bars left out after that, because lookback windows there still contain tested bars: use the
        longest window, so that no training row looks back on a tested bar.

    Returns
    -------
    Splits
        One path. Training data is on both sides of the test: the result measures robustness, not what the
        strategy would have earned.

    Raises
    ------
    BacktestError
        Too few bars, or no bars are left to train on.
    """
    n_splits = _size("purged_kfold", "n_splits", n_splits, least=2)
    return _grouped("purged_kfold", bars, n_splits, 1, purge, embargo)


def combinatorial_purged(
    bars: Bars, n_groups: int = 6, n_test_groups: int = 2, *, purge: int = 0, embargo: int = 0
) -> Splits:
    """Every choice of k of N contiguous groups is tested once; the tests join into several full paths.

    M. López de Prado, Advances in Financial Machine Learning, Wiley, 2018, ch. 12: there are C(N, k) splits,
    and each group is tested in C(N, k) * k / N of them; the j-th path takes, for each group, the j-th split
    that tests it. Purge and embargo work as in `purged_kfold`, around every tested group.

    Parameters
    ----------
    bars : int, DatetimeIndex or DataFrame
        As in `walk_forward`.
    n_groups : int
        N, 3 or more. If the bars do not divide evenly, the first groups have one more.
    n_test_groups : int
        k, from 1 to N - 1. Adjacent groups are still tested separately.
    purge, embargo : int
        Bars; see `purged_kfold`.

    Returns
    -------
    Splits
        With C(N, k) * k / N paths.

    Raises
    ------
    BacktestError
        Too few bars, too many combinations, or no bars are left to train on.
    """
    n_groups = _size("combinatorial_purged", "n_groups", n_groups, least=3)
    n_test_groups = _size("combinatorial_purged", "n_test_groups", n_test_groups)
    if n_test_groups >= n_groups:
        raise BacktestError(
            f"combinatorial_purged: n_test_groups={n_test_groups} of n_groups={n_groups} leaves no group "
            "to train on; test on fewer."
        )
    combinations = math.comb(n_groups, n_test_groups)
    if combinations > _MOST_SPLITS:
        raise BacktestError(
            f"combinatorial_purged: {combinations:,} ways to choose {n_test_groups} of {n_groups} groups; "
            "use fewer groups (6 and 2 make 15 splits, 10 and 2 make 45)."
        )
    return _grouped("combinatorial_purged", bars, n_groups, n_test_groups, purge, embargo)


def _grouped(scheme: str, bars: Bars, n_groups: int, n_test: int, purge: int, embargo: int) -> Splits:
    n = _count(bars)
    purge, embargo = (
        _size(scheme, name, size, least=0) for name, size in (("purge", purge), ("embargo", embargo))
    )
    if n < n_groups:
        raise BacktestError(f"{scheme}: {n} bars cannot be split into {n_groups} groups; load more bars.")
    size, rest = divmod(n, n_groups)
    edges = [group * size + min(group, rest) for group in range(n_groups + 1)]
    groups = [range(start, stop) for start, stop in itertools.pairwise(edges)]
    splits: list[Split] = []
    tested: list[list[tuple[int, int]]] = [[] for _ in groups]
    for chosen in itertools.combinations(range(n_groups), n_test):
        left = np.ones(n, dtype=np.bool_)
        for place, group in enumerate(chosen):
            span = groups[group]
            left[max(span.start - purge, 0) : span.stop + purge + embargo] = False
            tested[group].append((len(splits), place))
        if not left.any():
            raise BacktestError(
                f"{scheme}: purge={purge} and embargo={embargo} leave no bars to train on with a test of "
                f"{sum(len(groups[group]) for group in chosen)} of {n} bars; make them smaller."
            )
        splits.append(Split(_spans(left), tuple(groups[group] for group in chosen)))
    # Each group is tested equally often; its j-th test goes into the j-th path.
    return Splits(scheme, n, tuple(splits), tuple(zip(*tested, strict=True)))


def _spans(rows: npt.NDArray[np.bool_]) -> tuple[range, ...]:
    """The spans of consecutive True values."""
    turns = np.flatnonzero(np.diff(np.concatenate([[False], rows, [False]]).astype(np.int8)))
    return tuple(range(start, stop) for start, stop in turns.reshape(-1, 2).tolist())


def _count(bars: Bars) -> int:
    if isinstance(bars, pd.DataFrame):
        if "timestamp" not in bars.index.names:
            raise BacktestError(
                f"the bars' index is {list(bars.index.names)}, without 'timestamp'; pass tidy bars, their "
                "timestamps, or their number."
            )
        return bars.index.get_level_values("timestamp").nunique()
    if isinstance(bars, pd.DatetimeIndex):
        return bars.nunique()
    if isinstance(bars, bool) or not isinstance(bars, int | np.integer):
        raise BacktestError(
            f"bars: {named(bars)} is neither bars nor how many; pass tidy bars, their timestamps, or a whole "
            "number."
        )
    return int(bars)


def _size(scheme: str, name: str, size: int, *, least: int = 1) -> int:
    """A number of bars or groups as an int; `BacktestError` if it is not one, or too small."""
    number = as_whole(size, f"{scheme}: {name}", f"give a number of bars or groups, {least} or more")
    if number < least:
        raise BacktestError(f"{scheme}: {name}={number} is too small; use {least} or more.")
    return number
