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
Rows = npt.NDArray[np.int32]
Codes = npt.NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Lines:
    """Lines, a field each: arrays of shape (n_lines,).

    Attributes
    ----------
    row, column : ndarray of int32
        The bar's row and the symbol's column.
    side : ndarray of int8
        BUY, SELL or DIVIDEND.
    size, price, fees : ndarray of float64
        Units, currency per unit (with slippage; of a dividend the amount), currency.
    cash, units : ndarray of float64
        The account's cash, and its units of the symbol, after it.
    reason : ndarray of int8
        The place in REASONS.
    strength : ndarray of float64
        Of its signal.
    decided : ndarray of int32
        The row at whose close it was decided; of a stop, a ruin and a dividend the row itself.
    """

    row: Rows
    column: Rows
    side: Codes
    size: Floats
    price: Floats
    fees: Floats
    cash: Floats
    units: Floats
    reason: Codes
    strength: Floats
    decided: Rows

    def __len__(self) -> int:
        return len(self.row)

    def sha256(self) -> str:
        """A fingerprint: 64 hex digits."""
        digest = hashlib.sha256()
        for values in vars(self).values():
            digest.update((values if values.dtype == np.float64 else values.astype(np.int64)).tobytes())
        return digest.hexdigest()

    def take(self, places: npt.NDArray[Any]) -> Lines:
        """The lines at these places, or where this is True."""
        if places.dtype == np.bool_:
            places = np.flatnonzero(places)
        # One room for all fields of a type: the system hands out a large one faster than many smaller ones.
        rooms: dict[np.dtype[Any], list[str]] = {}
        for name, values in vars(self).items():
            rooms.setdefault(values.dtype, []).append(name)
        taken = {}
        for dtype, names in rooms.items():
            for name, room in zip(names, np.empty((len(names), len(places)), dtype), strict=True):
                # Its places are there; "raise" would go through a buffer.
                taken[name] = np.take(getattr(self, name), places, out=room, mode="clip")
        return Lines(**taken)

    def by_bar(self) -> Lines:
        """The lines by bar and then by symbol, else in the order in which they stand here."""
        if len(self) and not self.column.any() and _ascends(self.row):
            return self
        order = _order(self.column)
        return self.take(order[_order(self.row[order])])


def _ascends(values: Rows) -> bool:
    return not (values[1:] < values[:-1]).any()


def _order(values: Rows) -> npt.NDArray[np.int64]:
    """Where each goes in a stable sort; NumPy sorts 16 bits by their digits, several times as fast."""
    few = len(values) == 0 or int(values.max()) <= np.iinfo(np.int16).max
    return np.argsort(values.astype(np.int16) if few else values, kind="stable")


FIELDS = len(fields(Lines))
"""How many numbers the compiled loop writes for a line."""

# What is written for hundreds of thousands of orders costs what its bytes cost: no wider than it must be.
_TYPES: dict[str, type[np.signedinteger[Any]]] = {
    "row": np.int32,
    "column": np.int32,
    "side": np.int8,
    "reason": np.int8,
    "decided": np.int32,
}


def as_lines(written: Floats) -> Lines:
    """What the compiled loop wrote, shape (11, n_lines), with each field by its name and type."""
    named = {field.name: values for field, values in zip(fields(Lines), written, strict=True)}
    return Lines(
        **{name: values.astype(_TYPES[name]) if name in _TYPES else values for name, values in named.items()}
    )
