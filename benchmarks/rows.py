"""Bars as rows of PostgreSQL's binary COPY, encoded by numpy: every row of a symbol has the same length."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from benchmarks.data import FIELDS, Bars, Floats

__all__ = ["binary_rows"]

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
# PostgreSQL counts microseconds from 2000-01-01.
_EPOCH = 946_684_800_000_000
# A numeric's digits are base 10,000: three before the point and two after it hold what we have. Zeros in
# front and behind are allowed on the wire; the server strips them.
_WHOLE_DIGITS, _DECIMAL_DIGITS = 3, 2
_DIGITS = _WHOLE_DIGITS + _DECIMAL_DIGITS
_SCALE = 10_000**_DECIMAL_DIGITS


def binary_rows(bars: Bars, source: str) -> Iterator[bytes]:
    """The whole COPY stream of (symbol, timestamp, OHLCV as numeric, data_source), a symbol at a time.

    Raises
    ------
    ValueError
        A value has more than eight decimals, or is too large to tell.
    """
    yield _HEADER
    for position in range(len(bars.symbols)):
        one = bars.of(position)
        yield _rows(one.symbols[0].encode(), one.stamps, one.values, source.encode())
    yield _TRAILER


def _rows(symbol: bytes, stamps: npt.NDArray[np.int64], values: Floats, source: bytes) -> bytes:
    numeric = [
        ("length", ">i4"), ("ndigits", ">i2"), ("weight", ">i2"), ("sign", ">i2"), ("dscale", ">i2"),
        ("digits", ">i2", (_DIGITS,)),
    ]  # fmt: skip
    row = np.empty(
        len(stamps),
        np.dtype(
            [
                ("columns", ">i2"),
                ("symbol_length", ">i4"),
                ("symbol", f"S{len(symbol)}"),
                ("stamp_length", ">i4"),
                ("stamp", ">i8"),
                *((field, numeric) for field in FIELDS),
                ("source_length", ">i4"),
                ("source", f"S{len(source)}"),
            ]
        ),
    )
    row["columns"] = 3 + len(FIELDS)
    row["symbol_length"], row["symbol"] = len(symbol), symbol
    row["stamp_length"], row["stamp"] = 8, stamps - _EPOCH
    row["source_length"], row["source"] = len(source), source
    for field, numbers in zip(FIELDS, values, strict=True):
        part = row[field]
        part["length"] = 8 + 2 * _DIGITS
        part["ndigits"], part["weight"] = _DIGITS, _WHOLE_DIGITS - 1
        part["sign"], part["dscale"] = 0, 4 * _DECIMAL_DIGITS
        part["digits"] = _digits(numbers)
    return row.tobytes()


def _digits(numbers: Floats) -> npt.NDArray[np.int64]:
    """The base-10,000 digits of non-negative numbers with at most eight decimals, as (n, digits)."""
    scaled = np.rint(numbers * _SCALE)
    if not ((scaled < 2**53) & (scaled / _SCALE == numbers)).all():
        raise ValueError("a value has more than eight decimals, or is too large to be exact")
    left = scaled.astype(np.int64)
    digits = np.empty((len(numbers), _DIGITS), np.int64)
    for place in reversed(range(_DIGITS)):
        left, digits[:, place] = np.divmod(left, 10_000)
    return digits
