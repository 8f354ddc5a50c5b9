"""What a simulation writes down: a line for each order that was filled and each dividend that was paid."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BUY", "DIVIDEND", "FIELDS", "REASONS", "SELL", "Lines", "as_lines"]

BUY, SELL, DIVIDEND = 0, 1, 2

REASONS = ("signal", "stop_loss", "trailing_stop", "take_profit", "rebalance", "ruin")
"""Why an order was given; a line holds the position in this tuple."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Lines:
    """Lines, a field each: arrays of shape (n_lines,).

    Attributes
    ----------
    row, column : ndarray of int64
        The bar's row and the symbol's column.
    side : ndarray of int64
        BUY, SELL or DIVIDEND.
    size, price, fees : ndarray of float64
        Units, currency per unit (with slippage; of a dividend the amount), currency.
    cash, units : ndarray of float64
        The account's cash, and its units of the symbol, after it.
    reason : ndarray of int64
        The place in REASONS.
    strength : ndarray of float64
        Of its signal.
    decided : ndarray of int64
        The row at whose close it was decided; of a stop, a ruin and a dividend the row itself.
    """

    row: Integers
    column: Integers
    side: Integers
    size: Floats
    price: Floats
    fees: Floats
    cash: Floats
    units: Floats
    reason: Integers
    strength: Floats
    decided: Integers

    def __len__(self) -> int:
        return len(self.row)

    def sha256(self) -> str:
        """A fingerprint: 64 hex digits."""
        digest = hashlib.sha256()
        for values in vars(self).values():
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()

    def take(self, places: npt.NDArray[Any]) -> Lines:
        """The lines at these places, or where this is True."""
        return Lines(**{name: values[places] for name, values in vars(self).items()})


FIELDS = len(fields(Lines))
"""How many numbers the compiled loop writes for a line."""

_WHOLE = {"row", "column", "side", "reason", "decided"}


def as_lines(written: Floats) -> Lines:
    """What the compiled loop wrote, shape (11, n_lines), with each field by its name and type."""
    named = {field.name: values for field, values in zip(fields(Lines), written, strict=True)}
    return Lines(
        **{name: values.astype(np.int64) if name in _WHOLE else values for name, values in named.items()}
    )
