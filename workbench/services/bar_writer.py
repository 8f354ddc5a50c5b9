"""Writes bars that differ from the stored ones: new ones by COPY, changed ones by UPDATE."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import psycopg
import sqlalchemy as sa

from workbench.db import frames
from workbench.db.columns import escaped
from workbench.db.copying import copying
from workbench.db.frames import Written
from workbench.marketdata.bars import BAR_COLUMNS
from workbench.services.bar_series import series_states
from workbench.services.bar_store import BarStore
from workbench.tables.constraints import RULES
from workbench.tables.data_ingestion import market_data

__all__ = ["KEY", "write_bars"]

KEY = ("symbol", "timestamp", "data_source")
"""What tells one bar from another."""

_COLUMNS = (*KEY[:2], *BAR_COLUMNS, KEY[2])
_SOURCE_RULE = RULES["market_data_source_check"]
_SCALE = 1e8
_EXACT = 2.0**53
_PRICE_LIMIT, _VOLUME_LIMIT = 1e12, 1e16
# From that many bars on the compiled encoder is faster, its import included.
_MANY, _MANY_WHEN_LOADED = 50_000, 2_000
_COPY_BYTES = 1 << 20


def write_bars(connection: sa.Connection, store: BarStore, frame: pd.DataFrame) -> Written:
    """Insert bars, and update those with other values; in the caller's transaction.

    Does what `frames.write` does, errors included. A frame of plain float64 bars of one source is first
    compared with the stored bars, so that only differences are sent.
    """
    plain = _plain(frame)
    if plain is None:
        return frames.write(connection, market_data, frame, key=KEY)
    frames.take_turns(connection, market_data)
    new, changed = _against_stored(connection, store, plain)
    updated = inserted = 0
    if changed.any():
        rows = plain.order[changed]
        updated = frames.write(connection, market_data, _flat(frame).iloc[rows], key=KEY).updated
    if new.any():
        try:
            with connection.begin_nested():
                _copy(connection, plain, new)
            inserted = int(new.sum())
        except psycopg.errors.UniqueViolation:
            # Another writer inserted the same bars without our lock, by plain SQL: write row by row.
            done = frames.write(connection, market_data, _flat(frame).iloc[plain.order[new]], key=KEY)
            inserted, updated = done.inserted, updated + done.updated
    return Written(inserted, updated, len(plain.times) - inserted - updated)


@dataclass(frozen=True)
class _Plain:
    """A frame of bars as arrays, sorted by symbol and time.

    Attributes
    ----------
    symbols : list of str
    source : str
    order : ndarray of int64, shape (n,)
        The row of the frame that each bar comes from.
    numbers : ndarray of int64, shape (n,)
        Each bar's position in `symbols`; ascending.
    times : ndarray of int64, shape (n,)
        Microseconds since 1970, UTC.
    values : ndarray of float64, shape (5, n)
    """

    symbols: list[str]
    source: str
    order: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]


def _flat(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.reset_index() if any(name is not None for name in frame.index.names) else frame


def _plain(frame: pd.DataFrame) -> _Plain | None:
    """The frame as arrays; None where it holds anything else than plain bars, for `frames.write`."""
    if any(name in frame.columns for name in frame.index.names if name is not None):
        return None
    flat = _flat(frame)
    if sorted(map(str, flat.columns)) != sorted(_COLUMNS) or flat.empty:
        return None
    if not isinstance(flat["timestamp"].dtype, pd.DatetimeTZDtype) or flat["timestamp"].isna().any():
        return None
    times = _microseconds(flat["timestamp"])
    values = _values(flat)
    sources, source_names = pd.factorize(flat["data_source"])
    numbers, names = pd.factorize(flat["symbol"], sort=True)
    if times is None or values is None or len(source_names) != 1 or (sources < 0).any():
        return None
    if not _SOURCE_RULE.holds(pd.DataFrame({"data_source": source_names})).all():
        return None
    if (numbers < 0).any() or not all(_is_storable(name) for name in [*names, *source_names]):
        return None
    numbers = numbers.astype(np.int64)
    order = np.arange(len(numbers))
    if not _ascending(numbers, times):
        order = np.lexsort((times, numbers))
        numbers, times, values = numbers[order], times[order], values[:, order]
        if not _ascending(numbers, times):
            return None
    return _Plain(list(names), str(source_names[0]), order, numbers, times, values)


def _microseconds(stamps: pd.Series[pd.Timestamp]) -> npt.NDArray[np.int64] | None:
    index = pd.DatetimeIndex(stamps)
    exact = index.as_unit("us")
    return exact.asi8 if index.unit != "ns" or (exact.as_unit("ns").asi8 == index.asi8).all() else None


def _values(flat: pd.DataFrame) -> npt.NDArray[np.float64] | None:
    """The numbers; None where one would not be stored exactly, or is refused by a rule."""
    for name in BAR_COLUMNS:
        if flat[name].dtype not in (np.float64, np.int64):
            return None
    values = np.empty((len(BAR_COLUMNS), len(flat)))
    for row, name in enumerate(BAR_COLUMNS):
        values[row] = flat[name].to_numpy()
    opened, high, low, close, volume = values
    in_order = (low > 0) & (low <= opened) & (low <= close) & (opened <= high) & (close <= high)
    if not (in_order & (high < _PRICE_LIMIT) & (volume >= 0) & (volume < _VOLUME_LIMIT)).all():
        return None
    for numbers in values:
        # Exact are whole numbers, and those equal to their nearest number of eight decimals.
        scaled = numbers * _SCALE
        exact = (scaled < _EXACT) & (np.rint(scaled) / _SCALE == numbers)
        if not (exact | ((numbers < _EXACT) & (np.floor(numbers) == numbers))).all():
            return None
    return values


def _is_storable(name: object) -> bool:
    if not isinstance(name, str) or not name or "\0" in name:
        return False
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _ascending(numbers: npt.NDArray[np.int64], times: npt.NDArray[np.int64]) -> bool:
    step = np.diff(numbers)
    return bool(((step > 0) | ((step == 0) & (np.diff(times) > 0))).all())


def _against_stored(
    connection: sa.Connection, store: BarStore, plain: _Plain
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which rows are new, and which are stored with other values."""
    states = {state.symbol: state for state in series_states(connection, plain.symbols, plain.source)}
    bounds = np.searchsorted(plain.numbers, np.arange(len(plain.symbols) + 1))
    overlapping = {}
    for number, symbol in enumerate(plain.symbols):
        state = states.get(symbol)
        rows = slice(int(bounds[number]), int(bounds[number + 1]))
        span = plain.times[rows]
        if state is not None and state.bars and span[0] <= state.last and span[-1] >= state.first:
            overlapping[symbol] = (state, rows)
    new = np.ones(len(plain.times), dtype=bool)
    changed = np.zeros(len(plain.times), dtype=bool)
    if not overlapping:
        return new, changed
    first = min(int(plain.times[rows][0]) for _, rows in overlapping.values())
    last = max(int(plain.times[rows][-1]) for _, rows in overlapping.values())
    # keep=False: this transaction has no snapshot; others may commit between two of its statements.
    for stored in store.read(
        connection, [state for state, _ in overlapping.values()], first, last + 1, keep=False
    ):
        if not len(stored):
            continue
        rows = overlapping[stored.symbol][1]
        places = np.searchsorted(stored.times, plain.times[rows])
        places[places == len(stored)] = 0
        there = stored.times[places] == plain.times[rows]
        differs = (stored.values[:, places] != plain.values[:, rows]).any(axis=0)
        new[rows] = ~there
        changed[rows] = there & differs
    return new, changed


def _copy(connection: sa.Connection, plain: _Plain, rows: npt.NDArray[np.bool_]) -> None:
    """Copy rows into the table itself, sorted by its key."""
    whole = bool(rows.all())
    numbers = plain.numbers if whole else plain.numbers[rows]
    times = plain.times if whole else plain.times[rows]
    values = plain.values if whole else plain.values[:, rows]
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    many = len(times) >= (_MANY_WHEN_LOADED if "workbench.db.wire" in sys.modules else _MANY)
    names = ", ".join(_COLUMNS)
    how = "FORMAT binary" if many else "FORMAT text"
    with (
        driver.cursor() as cursor,
        copying(cursor, f"COPY {market_data} ({names}) FROM STDIN ({how})") as copy,
    ):
        data = _as_binary(plain, numbers, times, values) if many else _as_text(plain, numbers, times, values)
        for start in range(0, len(data), _COPY_BYTES):
            copy.write(data[start : start + _COPY_BYTES])


def _as_binary(
    plain: _Plain,
    numbers: npt.NDArray[np.int64],
    times: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
) -> memoryview:
    from workbench.db import wire

    table = wire.SymbolTable(plain.symbols)
    source = np.frombuffer(plain.source.encode(), dtype=np.uint8)
    lengths = np.diff(table.starts)
    size = wire.encoded_size(int(lengths[numbers].sum()), len(source), len(times))
    head = len(wire.HEADER)
    # Always one memory layout, since Numba compiles the loops for each anew.
    values = np.ascontiguousarray(values)
    data = np.empty(head + size + len(wire.TRAILER), dtype=np.uint8)
    data[:head] = np.frombuffer(wire.HEADER, dtype=np.uint8)
    filled = wire.encode_bars(data[head:], table.text, table.starts, numbers, source, times, values)
    end = head + filled + len(wire.TRAILER)
    data[head + filled : end] = np.frombuffer(wire.TRAILER, dtype=np.uint8)
    return data.data[:end]


def _as_text(
    plain: _Plain,
    numbers: npt.NDArray[np.int64],
    times: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
) -> bytes:
    names = [escaped(name) for name in plain.symbols]
    source = escaped(plain.source)
    # numpy writes ISO 8601 without a time zone; these are UTC.
    stamps = np.datetime_as_string(times.view("M8[us]")).tolist()
    rows = zip(numbers.tolist(), stamps, values.T.tolist(), strict=True)
    return "".join(
        f"{names[number]}\t{stamp}+00\t{o!r}\t{h!r}\t{low!r}\t{c!r}\t{v!r}\t{source}\n"
        for number, stamp, (o, h, low, c, v) in rows
    ).encode()
