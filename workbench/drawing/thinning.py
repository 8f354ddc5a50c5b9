"""Thinning: which points of long lines are drawn, so that a page of minute bars opens at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["MOST_POINTS", "drawn_rows"]

MOST_POINTS = 5_000
"""Lines with more points than this are thinned; a screen has fewer columns."""


def drawn_rows(*lines: npt.ArrayLike, most: int = MOST_POINTS) -> npt.NDArray[np.int64]:
    """The rows to draw of lines that share an axis: each line keeps its highs and its lows.

    The rows are cut into equal stretches, and of each stretch those stay where a line is at its highest or
    its lowest, and the first and the last of all. No peak and no trough is lost by it.

    Parameters
    ----------
    *lines : array_like of float64, each of shape (n_rows,)
        NaN is a gap; a stretch in which a line has only gaps keeps none of its rows for that line.
    most : int
        The most rows that stay; at most that many are returned as they are.

    Returns
    -------
    ndarray of int64
        Ascending, unique.
    """
    columns = [np.asarray(line, dtype=np.float64) for line in lines]
    n_rows = len(columns[0])
    if n_rows <= most:
        return np.arange(n_rows, dtype=np.int64)
    stretches = max((most - 2) // (2 * len(columns)), 1)
    starts = np.linspace(0, n_rows, stretches + 1).astype(np.int64)[:-1]
    stretch = np.repeat(np.arange(stretches), np.diff(np.append(starts, n_rows)))
    kept = [np.array([0, n_rows - 1])]
    for values in columns:
        rows = np.flatnonzero(~np.isnan(values))
        # By stretch, then by value: the first row of each stretch is its low, the last its high.
        ordered = rows[np.lexsort((values[rows], stretch[rows]))]
        change = np.flatnonzero(np.diff(stretch[ordered]))
        kept += [ordered[:1], ordered[change], ordered[change + 1], ordered[-1:]]
    return np.unique(np.concatenate(kept)).astype(np.int64)
