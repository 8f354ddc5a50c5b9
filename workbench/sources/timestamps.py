"""Converts a column of dates to UTC timestamps: texts of a recognised or given format, or Parquet's types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from workbench.errors import FileRefused
from workbench.sources.day_first import day_first
from workbench.sources.faults import Faults, quote
from workbench.sources.layouts import Parts, choose, split

__all__ = ["DateColumn", "from_texts", "from_typed"]

Instants = npt.NDArray[np.datetime64]
NAT = np.datetime64("NaT", "us")
DAY = np.timedelta64(1, "D")
EPOCH_STEP = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


@dataclass(frozen=True)
class DateColumn:
    """A column of dates, with the options for parsing it.

    Attributes
    ----------
    column, path : str
        Names of the column and the file, for messages.
    date_format : str or None
        As for strptime; None: recognised.
    timezone : str or None
        The IANA zone of times without an offset; None: not given.
    """

    column: str
    path: str
    date_format: str | None
    timezone: str | None


def from_texts(texts: Any, rows: npt.NDArray[np.int64], dates: DateColumn, faults: Faults) -> Instants:
    """UTC instants (datetime64[us], NaT if a text is not a time) of a column of strings.

    Dates without a time are daily bars at 00:00 UTC, and so are times without an offset that are midnight in
    every row. Any other time without an offset is local time in ``dates.timezone``.

    Parameters
    ----------
    texts : pyarrow.Array of string, shape (n_rows,)
        Nulls count as empty.
    rows : ndarray of int64, shape (n_rows,)
        Row numbers, for messages.
    dates : DateColumn
    faults : Faults
        Receives ``missing_timestamp``, ``unreadable_timestamp``, ``timestamp_too_fine``,
        ``naive_timestamp``, ``ambiguous_time`` and ``nonexistent_time``.

    Raises
    ------
    FileRefused
        No text is a date, or all could be month first or day first.
    """
    if not len(texts):
        return np.array([], dtype="M8[us]")
    trimmed = pc.utf8_trim_whitespace(pc.fill_null(texts, ""))
    if dates.date_format is not None:
        wall, aware, fine = _by_format(trimmed, dates)
    else:
        wall, aware, fine = _recognised(trimmed, rows, dates)
    shown = _Shown(trimmed, dates.column)
    empty = np.asarray(pc.equal(trimmed, "").to_numpy(zero_copy_only=False), dtype=bool)
    for position, _ in shown.at(empty):
        faults.add(position, "missing_timestamp", f"{dates.column} is empty")
    like = "" if dates.date_format is None else f" in the format {dates.date_format}"
    for position, text in shown.at(np.isnat(wall) & ~empty & ~fine):
        faults.add(position, "unreadable_timestamp", f"{text} is not a date{like}")
    _too_fine(shown, fine, faults)
    wall[fine] = NAT
    return _to_utc(wall, aware, shown, dates, faults)


def from_typed(values: Any, dates: DateColumn, faults: Faults) -> Instants:
    """As `from_texts`, for a pyarrow array of dates or timestamps (any unit, with or without a time zone)."""
    shown = _Shown(pc.fill_null(pc.cast(values, pa.string()), ""), dates.column)
    zoned = pa.types.is_timestamp(values.type) and values.type.tz is not None
    fine = np.zeros(len(values), dtype=bool)
    if pa.types.is_timestamp(values.type) and values.type.unit == "ns":
        fine = _int64(pc.cast(values, pa.int64())) % 1000 != 0
    # Casting a timestamp with a time zone to a plain one keeps the instant in UTC.
    micros = pc.cast(values, pa.timestamp("us", values.type.tz if zoned else None), safe=False)
    wall = _int64(pc.cast(micros, pa.int64())).astype("M8[us]")
    wall[~np.asarray(pc.is_valid(values).to_numpy(zero_copy_only=False), dtype=bool)] = NAT
    for position, _ in shown.at(np.isnat(wall)):
        faults.add(position, "missing_timestamp", f"{dates.column} is empty")
    _too_fine(shown, fine, faults)
    wall[fine] = NAT
    return _to_utc(wall, np.full(len(wall), zoned), shown, dates, faults)


@dataclass(frozen=True)
class _Shown:
    """The column as texts, for reasons."""

    texts: Any
    column: str

    def at(self, mask: npt.NDArray[np.bool_]) -> list[tuple[int, str]]:
        positions = np.flatnonzero(mask)
        texts = self.texts.take(pa.array(positions)).to_pylist()
        return [(p, f"{self.column}: {quote(t)}") for p, t in zip(positions.tolist(), texts, strict=True)]


def _int64(array: Any) -> npt.NDArray[np.int64]:
    return np.asarray(pc.fill_null(array, 0).to_numpy(zero_copy_only=False), dtype=np.int64)


def _too_fine(shown: _Shown, fine: npt.NDArray[np.bool_], faults: Faults) -> None:
    for position, text in shown.at(fine):
        faults.add(position, "timestamp_too_fine", f"{text} is finer than a microsecond")


def _by_format(
    texts: Any, dates: DateColumn
) -> tuple[Instants, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    given = dates.date_format or ""
    zoned = "%z" in given or "%Z" in given
    try:
        parsed = pd.to_datetime(
            pd.Series(texts.to_pylist(), dtype=object), format=given, errors="coerce", utc=zoned
        )
    except ValueError as error:
        raise FileRefused(
            f"{dates.path}: the date format {quote(given)} cannot be used: {error}", path=dates.path
        ) from error
    index = pd.DatetimeIndex(parsed)
    wall = index.tz_localize(None) if zoned else index
    fine = np.zeros(len(wall), dtype=bool)
    if wall.unit == "ns":
        fine = (wall.asi8 % 1000 != 0) & np.asarray(wall.notna())
    return np.array(wall.as_unit("us"), dtype="M8[us]"), np.full(len(wall), zoned), fine


def _recognised(
    texts: Any, rows: npt.NDArray[np.int64], dates: DateColumn
) -> tuple[Instants, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    layout = choose(texts)
    if layout is None:
        filled = texts.filter(pc.not_equal(texts, ""))
        found = f"has no date, e.g. {quote(filled[0].as_py())}" if len(filled) else "is empty in every row"
        raise FileRefused(
            f"{dates.path}: the column {dates.column} {found}; if it holds dates, give their format, "
            'e.g. --date-format "%Y-%m-%d"',
            path=dates.path,
        )
    parts = split(texts, layout)
    numbers = dict(parts.numbers)
    if layout.unit:
        nanos = numbers["n"] * EPOCH_STEP[layout.unit]
        wall = (nanos // 1000).astype("M8[us]")
        wall[~parts.matched] = NAT
        return wall, parts.matched, parts.matched & (nanos % 1000 != 0)
    if "a" in numbers:
        first, second = ("d", "m") if day_first(parts, texts, rows, dates.path) else ("m", "d")
        numbers[first], numbers[second] = numbers["a"], numbers["b"]
    wall = _assemble(numbers, parts)
    return wall, parts.aware, ~np.isnat(wall) & (parts.fine % 1000 != 0)


def _assemble(numbers: dict[str, npt.NDArray[np.int64]], parts: Parts) -> Instants:
    hour, minute, second = numbers["H"], numbers["M"], numbers["S"]
    fits = parts.matched & (numbers["m"] >= 1) & (numbers["m"] <= 12) & (numbers["d"] >= 1)
    fits &= (
        (numbers["y"] >= 1) & (hour <= 23) & (minute <= 59) & (second <= 59) & (abs(parts.offset) < 24 * 60)
    )
    month = np.where(fits, (numbers["y"] - 1970) * 12 + numbers["m"] - 1, 0).astype("M8[M]")
    day = month.astype("M8[D]") + np.where(fits, numbers["d"] - 1, 0)
    fits &= day.astype("M8[M]") == month
    micros = ((hour * 60 + minute - parts.offset) * 60 + second) * 1_000_000 + parts.fine // 1000
    wall: Instants = day.astype("M8[us]") + np.where(fits, micros, 0)
    wall[~fits] = NAT
    return wall


def _to_utc(
    wall: Instants, aware: npt.NDArray[np.bool_], shown: _Shown, dates: DateColumn, faults: Faults
) -> Instants:
    naive = ~aware & ~np.isnat(wall)
    if not naive.any():
        return wall
    if not aware.any() and (wall[naive] == wall[naive].astype("M8[D]")).all():
        return wall
    if dates.timezone is None:
        for position, text in shown.at(naive):
            reason = f"{text} has no time zone; give it, e.g. --timezone America/New_York"
            faults.add(position, "naive_timestamp", reason)
        return np.where(naive, NAT, wall)
    positions = np.flatnonzero(naive)
    times = pd.DatetimeIndex(wall[naive])
    once = times.tz_localize(dates.timezone, ambiguous="NaT", nonexistent="NaT")
    # A repeated hour can be localised if one of the two is chosen; a skipped hour cannot.
    either = times.tz_localize(dates.timezone, ambiguous=np.ones(len(times), dtype=bool), nonexistent="NaT")
    utc = wall.copy()
    utc[naive] = np.array(once.tz_convert("UTC").tz_localize(None).as_unit("us"), dtype="M8[us]")
    for rule, mask, what in (
        ("nonexistent_time", np.asarray(either.isna()), "does not exist"),
        ("ambiguous_time", np.asarray(once.isna()) & np.asarray(either.notna()), "exists twice"),
    ):
        chosen = np.zeros(len(wall), dtype=bool)
        chosen[positions[mask]] = True
        for position, text in shown.at(chosen):
            reason = (
                f"{text} {what} in {dates.timezone}, where clocks change; give times with an offset, or UTC"
            )
            faults.add(position, rule, reason)
    return utc
