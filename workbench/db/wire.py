"""Decodes and encodes PostgreSQL's binary COPY of bars in compiled loops; no connection, no SQL.

A row is an int16 count of fields, then per field an int32 length and its bytes, big-endian. A numeric is
four int16 (number of digits, the first one's weight, the sign, the display scale) and its digits in base
10,000. A timestamptz is an int64 of microseconds since 2000-01-01 UTC. Source: PostgreSQL's documentation of
COPY ("Binary Format") and `numeric_send`, `timestamptz_send`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.compiled import compiled

__all__ = [
    "HARD",
    "HEADER",
    "OVERFULL",
    "POSTGRES_EPOCH",
    "TRAILER",
    "UNKNOWN_SYMBOL",
    "UNSORTED",
    "SymbolTable",
    "compile_all",
    "decode_bars",
    "encode_bars",
    "encoded_size",
]

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""The start of a binary COPY: the signature, no flags, no extension."""

TRAILER = b"\xff\xff"
"""The end of a binary COPY."""

POSTGRES_EPOCH = 946_684_800_000_000
"""Microseconds from 1970 to 2000, PostgreSQL's epoch."""

# The flags that `decode_bars` sets for a symbol's bars, as bits.
UNSORTED = 1
"""They are not in time order."""
HARD = 2
"""A number has too many digits for one exact division of two floats: read the bars another way."""
OVERFULL = 4
"""There were more bars than the allocated memory."""
UNKNOWN_SYMBOL = -1
"""Returned as the new position if a row's symbol is not in the table."""

_FIELDS = 7
_VALUES = 5
# A row without its symbol: the lengths, the time, and five numerics of at most eight digits each.
_LONGEST = 2 + _FIELDS * 4 + 8 + _VALUES * (8 + 2 * 8)
_POWERS = np.array([1.0, 1e4, 1e8, 1e12, 1e16, 1e20])

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class SymbolTable:
    """The number of each symbol, as a hash table for compiled code.

    Parameters
    ----------
    symbols : list of str
        Distinct; a symbol's number is its position.
    """

    def __init__(self, symbols: list[str]) -> None:
        encoded = [symbol.encode() for symbol in symbols]
        self.text: Bytes = np.frombuffer(b"".join(encoded) or b"\0", dtype=np.uint8)
        self.starts: Integers = np.concatenate([[0], np.cumsum([len(name) for name in encoded])]).astype(
            np.int64
        )
        self.slots: Integers = np.full(1 << (2 * len(symbols) + 1).bit_length(), -1, dtype=np.int64)
        _fill_table(self.text, self.starts, self.slots)


@compiled
def _hash(text: Bytes, start: int, end: int) -> Any:
    # FNV-1a, in 63 bits to keep it positive.
    value = np.int64(1469598103934665603)
    for position in range(start, end):
        value = ((value ^ np.int64(text[position])) * np.int64(1099511628211)) & np.int64(0x7FFFFFFFFFFFFFFF)
    return value


@compiled
def _fill_table(text: Bytes, starts: Integers, slots: Integers) -> None:
    mask = len(slots) - 1
    for number in range(len(starts) - 1):
        slot = _hash(text, starts[number], starts[number + 1]) & mask
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = number


@compiled
def _same(one: Bytes, start: int, text: Bytes, text_start: int, length: int) -> Any:
    for position in range(length):  # noqa: SIM110  compiled: a loop is the plain way
        if one[start + position] != text[text_start + position]:
            return False
    return True


@compiled
def _int16(data: Bytes, at: int) -> Any:
    value = (np.int64(data[at]) << 8) | np.int64(data[at + 1])
    return value - 65536 if value >= 32768 else value


@compiled
def _int32(data: Bytes, at: int) -> Any:
    value = (
        (np.int64(data[at]) << 24)
        | (np.int64(data[at + 1]) << 16)
        | (np.int64(data[at + 2]) << 8)
        | np.int64(data[at + 3])
    )
    return value - 4294967296 if value >= 2147483648 else value


@compiled
def _int64(data: Bytes, at: int) -> Any:
    value = np.int64(0)
    for position in range(at, at + 8):
        value = (value << 8) | np.int64(data[position])
    return value


@compiled
def _number(data: Bytes, at: int) -> Any:
    """The numeric at that position as float64, and whether it is exactly the nearest float64."""
    digits = _int16(data, at)
    if digits == 0:
        return 0.0, True
    weight = _int16(data, at + 2)
    sign = _int16(data, at + 4)
    # Signs of 0xC000 and above are NaN and the infinities; five digits may exceed 2**53.
    if digits > 4 or sign < -16384 or sign > 16384:
        return np.nan, False
    whole = np.int64(0)
    for digit in range(digits):
        whole = whole * 10000 + _int16(data, at + 8 + 2 * digit)
    shift = weight - digits + 1
    if whole >= 9007199254740992 or shift > 5 or shift < -5:
        return np.nan, False
    # Both operands are exact, so one operation rounds once, to the nearest float64.
    value = whole * _POWERS[shift] if shift >= 0 else whole / _POWERS[-shift]
    return (-value if sign == 16384 else value), True


@compiled
def _row_end(data: Bytes, position: int) -> Any:
    """Above 0 if the row is complete, 0 if it is incomplete, -2 if it is the trailer."""
    size = len(data)
    if position + 2 > size:
        return np.int64(0)
    if _int16(data, position) != _FIELDS:
        return np.int64(-2)
    if position + 6 <= size and position + _int32(data, position + 2) + _LONGEST <= size:
        # Certainly complete: its end is found when its numbers are read.
        return np.int64(1)
    at = np.int64(position + 2)
    for _ in range(_FIELDS):
        if at + 4 > size:
            return np.int64(0)
        at += 4 + _int32(data, at)
        if at > size:
            return np.int64(0)
    return at


@compiled
def _number_of(
    data: Bytes, at: int, length: int, guess: int, text: Bytes, starts: Integers, slots: Integers
) -> Any:
    """The number of the symbol at that position; -1 if it is not in the table."""
    number = np.int64(guess)
    # Most rows have the same symbol as the row before.
    if starts[number + 1] - starts[number] == length and _same(data, at, text, starts[number], length):
        return number
    slot = _hash(data, at, at + length) & (len(slots) - 1)
    while True:
        number = slots[slot]
        if number < 0:
            return number
        if starts[number + 1] - starts[number] == length and _same(data, at, text, starts[number], length):
            return number
        slot = (slot + 1) & (len(slots) - 1)


@compiled
def decode_bars(
    data: Bytes,
    position: int,
    text: Bytes,
    starts: Integers,
    slots: Integers,
    first: Integers,
    room: Integers,
    counts: Integers,
    flags: Integers,
    times: Integers,
    values: Floats,
) -> Any:
    """Decode the complete rows of `data` from `position` on; return the position of the first incomplete one.

    A row is (symbol, timestamp, open, high, low, close, volume). It is written to the next free row of its
    symbol, `first[number] + counts[number]`, of which there are `room[number]`, one or more.

    Parameters
    ----------
    data : ndarray of uint8
    position : int
    text, starts, slots
        A `SymbolTable`.
    first, room, counts, flags : ndarray of int64, one each per symbol
        `counts` and `flags` are changed.
    times : ndarray of int64
        Microseconds since 1970, UTC.
    values : ndarray of float64, shape (5, n)
    """
    number = np.int64(0)
    while True:
        there = _row_end(data, position)
        if there <= 0:
            # The trailer, or an incomplete row.
            return position - there
        length = _int32(data, position + 2)
        number = _number_of(data, position + 6, length, number, text, starts, slots)
        if number < 0:
            return UNKNOWN_SYMBOL
        if counts[number] >= room[number]:
            # The last row is overwritten: these bars are read another way.
            flags[number] |= OVERFULL
            counts[number] -= 1
        row = first[number] + counts[number]
        at = position + 6 + length + 4
        times[row] = _int64(data, at) + POSTGRES_EPOCH
        if counts[number] > 0 and times[row] <= times[row - 1]:
            flags[number] |= UNSORTED
        at += 8
        for column in range(_VALUES):
            value, exact = _number(data, at + 4)
            if not exact:
                flags[number] |= HARD
            values[column, row] = value
            at += 4 + _int32(data, at)
        counts[number] += 1
        position = at


def encoded_size(symbol_bytes: int, source_bytes: int, rows: int) -> int:
    """Maximum bytes that `encode_bars` writes: `symbol_bytes` over all rows, `source_bytes` per row."""
    # Five numerics of at most six digits; three lengths; a timestamp; the count of fields.
    return symbol_bytes + rows * (2 + 3 * 4 + 8 + source_bytes + _VALUES * (4 + 8 + 2 * 6))


@compiled
def _put16(data: Bytes, at: int, value: int) -> Any:
    data[at] = (value >> 8) & 255
    data[at + 1] = value & 255
    return at + 2


@compiled
def _put32(data: Bytes, at: int, value: int) -> Any:
    _put16(data, at, value >> 16)
    return _put16(data, at + 2, value & 65535)


@compiled
def _put_number(data: Bytes, at: int, value: float) -> Any:
    """Write a value of at most eight decimals, not negative, as numeric; return the position after it."""
    if value == np.floor(value):
        whole, fraction = np.int64(value), np.int64(0)
    else:
        scaled = np.int64(np.rint(value * 1e8))
        whole, fraction = scaled // 100000000, scaled % 100000000
    low, high = fraction % 10000, fraction // 10000
    weight = np.int64(-1)
    power = np.int64(1)
    while whole // power > 0:
        weight += 1
        power *= 10000
    digits = weight + 1 + (2 if low > 0 else 1 if high > 0 else 0)
    start = at + 12
    if weight < 0 and high == 0 and low > 0:
        # 0.0000dddd starts with its second digit in base 10,000.
        digits, weight = np.int64(1), np.int64(-2)
        end = _put16(data, start, low)
    else:
        end = start
        for _ in range(weight + 1):
            power //= 10000
            end = _put16(data, end, (whole // power) % 10000)
        if fraction > 0:
            end = _put16(data, end, high)
            if low > 0:
                end = _put16(data, end, low)
    if whole == 0 and fraction == 0:
        weight = np.int64(0)
    _put32(data, at, 8 + 2 * digits)
    _put16(data, at + 4, digits)
    _put16(data, at + 6, weight & 65535)
    _put16(data, at + 8, 0)
    _put16(data, at + 10, 8)
    return end


@compiled
def encode_bars(
    data: Bytes,
    text: Bytes,
    starts: Integers,
    numbers: Integers,
    source: Bytes,
    times: Integers,
    values: Floats,
) -> Any:
    """Encode rows (symbol, timestamp, open, high, low, close, volume, data_source); return the bytes written.

    Parameters
    ----------
    data : ndarray of uint8
        The output, `encoded_size` bytes.
    text, starts
        The symbols, as in `SymbolTable`.
    numbers : ndarray of int64
        Each row's symbol.
    source : ndarray of uint8
    times : ndarray of int64
        Microseconds since 1970, UTC.
    values : ndarray of float64, shape (5, n)
        Not negative, at most eight decimals, below 2**53 or, with decimals, 2**53 / 1e8.
    """
    at = 0
    for row in range(len(times)):
        at = _put16(data, at, _FIELDS + 1)
        start, end = starts[numbers[row]], starts[numbers[row] + 1]
        at = _put32(data, at, end - start)
        for position in range(start, end):
            data[at] = text[position]
            at += 1
        at = _put32(data, at, 8)
        moment = times[row] - POSTGRES_EPOCH
        at = _put32(data, at, (moment >> 32) & 0xFFFFFFFF)
        at = _put32(data, at, moment & 0xFFFFFFFF)
        for column in range(_VALUES):
            at = _put_number(data, at, values[column, row])
        at = _put32(data, at, len(source))
        for position in range(len(source)):
            data[at] = source[position]
            at += 1
    return at


def compile_all() -> None:
    """Compile the loops and cache them on disk, so that the first large load does not wait for it."""
    table, times, values = SymbolTable(["A"]), np.zeros(1, dtype=np.int64), np.ones((5, 1))
    data = np.empty(encoded_size(1, 1, 1), dtype=np.uint8)
    encode_bars(data, table.text, table.starts, times, np.frombuffer(b"s", dtype=np.uint8), times, values)
    nothing = np.frombuffer(bytearray(TRAILER), dtype=np.uint8)
    numbers = [np.zeros(1, dtype=np.int64) for _ in range(5)]
    decode_bars(nothing, 0, table.text, table.starts, table.slots, *numbers, values)
