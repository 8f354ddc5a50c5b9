"""What a simulation writes down: a line for each order that was filled and each dividend that was paid."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["BUY", "DIVIDEND", "FIELDS", "LINE", "REASONS", "SELL", "as_lines"]

BUY, SELL, DIVIDEND = 0, 1, 2

REASONS = ("signal", "stop_loss", "trailing_stop", "take_profit", "rebalance", "ruin")
"""Why an order was given; a line holds the position in this tuple."""

LINE = np.dtype(
    [
        ("row", np.int64),
        ("column", np.int64),
        ("side", np.int64),
        ("size", np.float64),
        ("price", np.float64),
        ("fees", np.float64),
        ("cash", np.float64),
        ("units", np.float64),
        ("reason", np.int64),
        ("strength", np.float64),
        ("decided", np.int64),
    ]
)
"""The bar's row, the symbol's column, BUY, SELL or DIVIDEND, units, currency per unit, currency; the
account's cash and its units of the symbol after it; the reason's place in REASONS; its signal's strength; the
row at whose close it was decided, of a stop, a ruin and a dividend the row itself."""

FIELDS = len(LINE.names or ())
"""How many numbers the compiled loop writes for a line."""


def as_lines(written: npt.NDArray[np.float64]) -> npt.NDArray[np.void]:
    """What the compiled loop wrote, shape (n_lines, 11), with each field by its name and type."""
    lines = np.empty(len(written), dtype=LINE)
    for place, name in enumerate(LINE.names or ()):
        lines[name] = written[:, place]
    return lines
