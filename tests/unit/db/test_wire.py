"""Bars in PostgreSQL's binary COPY: what is encoded is what the server's own format says, and comes back."""

from __future__ import annotations

import struct
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from workbench.db import wire

DAY = 86_400_000_000


def _numeric(number: Decimal) -> bytes:
    """A numeric as `numeric_send` writes it, built from its decimal digits as text, not by arithmetic."""
    whole, _, fraction = f"{abs(number):f}".partition(".")
    whole = whole.lstrip("0")
    whole = whole.rjust(-(-len(whole) // 4) * 4, "0")
    fraction = fraction.ljust(-(-len(fraction) // 4) * 4, "0")
    groups = [int((whole + fraction)[place : place + 4]) for place in range(0, len(whole + fraction), 4)]
    weight = len(whole) // 4 - 1
    while groups and groups[0] == 0:
        groups, weight = groups[1:], weight - 1
    while groups and groups[-1] == 0:
        groups = groups[:-1]
    head = struct.pack(">hhHh", len(groups), weight if groups else 0, 0x4000 if number < 0 else 0, 8)
    return head + b"".join(struct.pack(">h", group) for group in groups)


def _row(symbol: str, moment: int, numbers: list[Decimal]) -> bytes:
    fields = [symbol.encode(), struct.pack(">q", moment - wire.POSTGRES_EPOCH), *map(_numeric, numbers)]
    return struct.pack(">h", len(fields)) + b"".join(struct.pack(">i", len(one)) + one for one in fields)


class _Target:
    """Room for bars of some symbols, and what the decoder says of them."""

    def __init__(self, symbols: list[str], room: int) -> None:
        self.table = wire.SymbolTable(symbols)
        self.first = np.arange(len(symbols), dtype=np.int64) * room
        self.room = np.full(len(symbols), room, dtype=np.int64)
        self.counts = np.zeros(len(symbols), dtype=np.int64)
        self.flags = np.zeros(len(symbols), dtype=np.int64)
        self.times = np.zeros(len(symbols) * room, dtype=np.int64)
        self.values = np.zeros((5, len(symbols) * room))

    def decode(self, data: bytes, position: int = 0) -> int:
        table = self.table
        at: int = wire.decode_bars(
            np.frombuffer(bytearray(data), dtype=np.uint8),
            position,
            table.text,
            table.starts,
            table.slots,
            self.first,
            self.room,
            self.counts,
            self.flags,
            self.times,
            self.values,
        )
        return at


numbers = st.decimals(min_value=0, max_value=90_000_000, places=8, allow_nan=False, allow_infinity=False)
whole_numbers = st.integers(min_value=0, max_value=2**53 - 1).map(Decimal)


@settings(max_examples=100, deadline=None)
@given(st.lists(numbers | whole_numbers, min_size=5, max_size=5))
def test_a_number_is_decoded_to_its_nearest_float(drawn: list[Decimal]) -> None:
    """The nearest float64 is what Python's own `float` of the decimal text gives."""
    target = _Target(["AAPL"], 1)
    data = _row("AAPL", DAY, drawn)
    assert target.decode(data) == len(data)
    if target.flags[0] & wire.HARD:
        # Allowed only where one division cannot be exact.
        assert any(
            int(number * 10**8) >= 2**53 or number >= 10**12 or len(_numeric(number)) > 16 for number in drawn
        )
        return
    assert target.values[:, 0].tolist() == [float(number) for number in drawn]


@settings(max_examples=100, deadline=None)
@given(st.lists(numbers | whole_numbers, min_size=5, max_size=5), st.integers(-(10**15), 10**16))
def test_a_row_is_encoded_as_the_server_would(drawn: list[Decimal], moment: int) -> None:
    values = np.array([[float(number)] for number in drawn])
    # The writer sends other values another way: above 2**51 / 1e8 the product may round to a neighbour.
    assume(((np.rint(values * 1e8) / 1e8 == values) | (np.floor(values) == values)).all())
    text = ["".join(f"{Decimal(repr(float(number))):f}") for number in drawn]
    table = wire.SymbolTable(["BRK.B", "emoji 🚀"])
    source = np.frombuffer(b"file", dtype=np.uint8)
    room = np.zeros(wire.encoded_size(20, len(source), 1), dtype=np.uint8)
    filled = wire.encode_bars(
        room,
        table.text,
        table.starts,
        np.array([1], dtype=np.int64),
        source,
        np.array([moment], dtype=np.int64),
        values,
    )
    plain = _row("emoji 🚀", moment, [Decimal(number) for number in text])
    expected = struct.pack(">h", 8) + plain[2:] + struct.pack(">i", 4) + b"file"
    got = room[:filled].tobytes()
    # The server strips zeros that we leave at the end of a whole number: compare what the digits say.
    assert _fields(got) == _fields(expected)


def _fields(row: bytes) -> list[object]:
    (count,) = struct.unpack_from(">h", row)
    at = 2
    found: list[object] = []
    for place in range(count):
        (length,) = struct.unpack_from(">i", row, at)
        field = row[at + 4 : at + 4 + length]
        found.append(_value(field) if 2 <= place < 7 else field)
        at += 4 + length
    assert at == len(row)
    return found


def _value(field: bytes) -> Decimal:
    digits, weight, sign, _ = struct.unpack_from(">hhHh", field)
    groups = struct.unpack_from(f">{digits}h", field, 8)
    assert len(field) == 8 + 2 * digits
    parts = [Decimal(group) * Decimal(10000) ** (weight - place) for place, group in enumerate(groups)]
    number = sum(parts, Decimal(0))
    return -number if sign else number


def test_a_row_that_is_not_all_there_waits_for_the_rest() -> None:
    data = _row("AAPL", DAY, [Decimal(1)] * 5) + _row("AAPL", 2 * DAY, [Decimal(2)] * 5)
    half = len(data) // 2
    for cut in range(1, len(data)):
        target = _Target(["AAPL"], 2)
        at = target.decode(data[:cut])
        assert at in (0, half)
        assert target.decode(data[at:]) == len(data) - at
        assert target.times.tolist() == [DAY, 2 * DAY]
        assert target.values.tolist() == [[1, 2]] * 5


def test_rows_of_many_symbols_in_any_order_each_find_their_own_place() -> None:
    symbols = [f"S{number}" for number in range(500)] + ["", "O'Neil\"", "../x", "=1+1", "🚀"]
    target = _Target(symbols, 2)
    data = b"".join(
        _row(symbol, day * DAY, [Decimal(place)] * 5)
        for day in (1, 2)
        for place, symbol in enumerate(symbols)
    )
    assert target.decode(data + b"\xff\xff") == len(data) + 2
    assert (target.counts == 2).all()
    assert not target.flags.any()
    assert target.values[0].tolist() == [place for place in range(len(symbols)) for _ in range(2)]


@pytest.mark.parametrize(
    ("rows", "flag"),
    [
        ([(2, 1), (1, 1)], wire.UNSORTED),
        ([(1, 1), (2, 1), (3, 1)], wire.OVERFULL),
        ([(1, Decimal("999999999999.12345678"))], wire.HARD),
    ],
)
def test_what_cannot_simply_be_decoded_is_said(rows: list[tuple[int, Decimal]], flag: int) -> None:
    target = _Target(["AAPL"], 2)
    target.decode(b"".join(_row("AAPL", day * DAY, [Decimal(price)] * 5) for day, price in rows))
    assert target.flags[0] == flag


def test_a_symbol_that_was_not_asked_for_is_not_taken_for_another() -> None:
    target = _Target(["AAPL"], 1)
    assert target.decode(_row("AAPM", DAY, [Decimal(1)] * 5)) == wire.UNKNOWN_SYMBOL
