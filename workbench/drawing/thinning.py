"""Chooses which points of long lines to draw, so that a page of minute bars opens quickly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["MOST_POINTS", "drawn_rows"]

MOST_POINTS = 5_000
"""Lines with more points than this are thinned; a screen has fewer columns."""


def drawn_rows(*lines: npt.ArrayLike, most: int = MOST_POINTS) -> npt.NDArray[np.int64]:
    """The rows to draw, for lines that share an axis: each line keeps its highs and lows.

    The rows are cut into equal intervals; of each interval the rows with a line's highest and lowest value
    are kept, as are the first and the last row of all. So no peak and no trough is lost.

    Parameters
    ----------
    *lines : array_like of float64, each of shape (n_rows,)
        NaN is a gap; an interval in which a line is all NaN keeps no row for that line.
    most : int
        Maximum number of rows to return; if there are no more than that, all are returned.

    Returns
    -------
    ndarray of int64
        Ascending, unique.
    """
    columns = [np.asarray(line, dtype=np.float64) for line in lines]
    n_rows = len(columns[0])
    if n_rows <= most:
        return np.arange(n_rows, dtype=np.int64)
    intervals = max((most - 2) // (2 * len(columns)), 1)
    starts = np.linspace(0, n_rows, intervals + 1).astype(np.int64)[:-1]
    interval = np.repeat(np.arange(intervals), np.diff(np.append(starts, n_rows)))
    kept = [np.array([0, n_rows - 1])]
    for values in columns:
        rows = np.flatnonzero(~np.isnan(values))
        # By interval, then by value: the first row of each interval is its low, the last its high.
        ordered = rows[np.lexsort((values[rows], interval[rows]))]
        change = np.flatnonzero(np.diff(interval[ordered]))
        kept += [ordered[:1], ordered[change], ordered[change + 1], ordered[-1:]]
    return np.unique(np.concatenate(kept)).astype(np.int64)
