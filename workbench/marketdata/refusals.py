"""The rules by which a bar is refused: one function per rule, listed in `RULES`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.marketdata.bars import BAR_COLUMNS

__all__ = ["DECIMALS", "LIMITS", "RULES", "RowsUnderCheck", "Rule", "shown"]

PRICES = ("open", "high", "low", "close")
DECIMALS = 8
"""Decimals of a stored price or volume."""
LIMITS: Mapping[str, float] = {**dict.fromkeys(PRICES, 1e12), "volume": 1e16}
"""Column to the limit that its values must be below."""
EARLIEST = pd.Timestamp("1700-01-01", tz="UTC")
# A daily bar is stamped 00:00 UTC of its date, which begins earlier east of Greenwich than in UTC.
GRACE = pd.Timedelta(days=1)

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class RowsUnderCheck:
    """The rows, which of them have broken no rule so far, and the current time.

    Attributes
    ----------
    frame : DataFrame
        Indexed from 0, with row, timestamp, open, high, low, close, volume, rule, reason.
    standing : ndarray of bool
        True for rows that have broken no earlier rule.
    now : Timestamp
        UTC.
    """

    frame: pd.DataFrame
    standing: Mask
    now: pd.Timestamp

    def values(self, column: str) -> npt.NDArray[np.float64]:
        """A column as float64."""
        return self.frame[column].to_numpy(dtype=np.float64)

    @functools.cached_property
    def readable(self) -> Mask:
        """The rows that the source could read."""
        return ~self.frame["rule"].astype(bool).to_numpy()


Rule = Callable[[RowsUnderCheck], Iterator[tuple[int, str]]]
"""Yields the positions (from 0) of the rows that break the rule, each with a reason; a row may come twice."""


def _where(mask: Mask) -> list[int]:
    positions: list[int] = np.flatnonzero(mask).tolist()
    return positions


def shown(value: float) -> str:
    """A number as text, without an exponent unless that would be very long."""
    plain = value == 0 or 1e-15 <= abs(value) < 1e16
    text = f"{Decimal(repr(float(value))):f}" if plain else repr(float(value))
    return text.removesuffix(".0")


def _unreadable(rows: RowsUnderCheck) -> Iterator[tuple[int, str]]:
    reasons = rows.frame["reason"].to_numpy(dtype=object)
    for position in _where(~rows.readable):
        yield position, str(reasons[position])


def _missing_timestamp(rows: RowsUnderCheck) -> Iterator[tuple[int, str]]:
    # Rows that the source could not read are reported by `_unreadable`.
    for position in _where(rows.frame["timestamp"].isna().to_numpy() & rows.readable):
        yield position, "the bar has no timestamp"


def _not_finite(rows: RowsUnderCheck) -> Iterator[tuple[int, str]]:
    for column in BAR_COLUMNS:
        values = rows.values(column)
        unread = np.isnan(values) & ~rows.readable
        for position in _where(~np.isfinite(values) & ~unread):
            name = "NaN" if np.isnan(values[position]) else "infinite"
            yield position, f"{column} is {name}"


def _non_positive_price(rows: RowsUnderCheck) -> Iterator[tuple[int, str]]:
    for column in PRICES:
        values = rows.values(column)
        for position in _where(values <= 0):
            yield position, f"{column} is {shown(values[position])}; a price must be above 0"


def _negative_volume(rows: RowsUnderCheck) -> Iterator[tuple[int, str]]:
    values = rows.values("volume")
    for position in _where(values < 0):
        yield position, f"volume is {shown(values[position])}; it must be 0 or more"


def _high_below_low(rows: RowsUnderCheck) -> Iterator[tuple[int, str]]:
    high, low = rows.values("high"), rows.values("low")
    for position in _where(high < low):
        yield position, f"high {shown(high[position])} is below low {shown(low[position])}"


def _outside_range(rows: RowsUnderCheck) -> Iterator[tuple[int, str]]:
    high, low = rows.values("high"), rows.values("low")
    for column in ("open", "close"):
        values = rows.values(column)
        for position in _where(values > high):
            yield position, f"{column} {shown(values[position])} is above high {shown(high[position])}"
        for position in _where(values < low):
            yield position, f"{column} {shown(values[position])} is below low {shown(low[position])}"


def _too_large(rows: RowsUnderCheck) -> Iterator[tuple[int, str]]:
    for column, limit in LIMITS.items():
        values = rows.values(column)
        for position in _where(np.isfinite(values) & (np.abs(values) >= limit)):
            yield (
                position,
                f"{column} {shown(values[position])} is too large to store; the limit is {limit:,.0f}",
            )


def _too_many_decimals(rows: RowsUnderCheck) -> Iterator[tuple[int, str]]:
    scale = 10.0**DECIMALS
    for column in BAR_COLUMNS:
        values = rows.values(column)
        with np.errstate(over="ignore", invalid="ignore"):
            # True: the value is the float closest to a number of 8 decimals, so it can be stored. False may
            # come from rounding in the product; then the decimals of the shortest text are counted.
            exact = np.rint(values * scale) / scale == values
        for position in _where(np.isfinite(values) & ~exact):
            value = float(values[position])
            decimals = -int(Decimal(repr(value)).normalize().as_tuple().exponent)
            if decimals > DECIMALS:
                yield position, f"{column} {shown(value)} has {decimals} decimals; {DECIMALS} can be stored"


def _timestamp_too_fine(rows: RowsUnderCheck) -> Iterator[tuple[int, str]]:
    times = rows.frame["timestamp"]
    if times.dt.unit != "ns":
        return
    for position in _where((times.dt.nanosecond.fillna(0) % 1000 != 0).to_numpy()):
        yield position, f"timestamp {times.iat[position]} is finer than a microsecond"


def _implausible_past(rows: RowsUnderCheck) -> Iterator[tuple[int, str]]:
    times = rows.frame["timestamp"]
    for position in _where((times < EARLIEST).to_numpy()):
        yield position, f"timestamp {times.iat[position]} lies before {EARLIEST.date()}"


def _future(rows: RowsUnderCheck) -> Iterator[tuple[int, str]]:
    times = rows.frame["timestamp"]
    for position in _where((times > rows.now + GRACE).to_numpy()):
        yield position, f"timestamp {times.iat[position]} lies in the future"


def _duplicate_bar(rows: RowsUnderCheck) -> Iterator[tuple[int, str]]:
    # Only among bars that are good so far: a bad bar must not make a good one of the same time a duplicate.
    positions = np.flatnonzero(rows.standing)
    times = pd.DatetimeIndex(rows.frame["timestamp"]).asi8[positions]
    _, where_first, groups = np.unique(times, return_index=True, return_inverse=True)
    first = np.arange(len(rows.frame))
    first[positions] = positions[where_first[groups]]
    numbers = rows.frame["row"].to_numpy()
    values = {column: rows.values(column) for column in BAR_COLUMNS}
    for position in _where(first != np.arange(len(first))):
        kept = first[position]
        differing = [
            f"{column} {shown(of[kept])} there, {shown(of[position])} here"
            for column, of in values.items()
            if of[kept] != of[position]
        ]
        verdict = f"contradicts this one: {', '.join(differing)}" if differing else "agrees with this one"
        yield position, f"row {numbers[kept]} has the same timestamp and {verdict}"


RULES: Mapping[str, Rule] = {
    # A row that the source could not read is logged under the rule that the source named, e.g. not_a_number.
    "unreadable": _unreadable,
    "missing_timestamp": _missing_timestamp,
    "not_finite": _not_finite,
    "non_positive_price": _non_positive_price,
    "negative_volume": _negative_volume,
    "high_below_low": _high_below_low,
    "outside_range": _outside_range,
    "too_large": _too_large,
    "too_many_decimals": _too_many_decimals,
    "timestamp_too_fine": _timestamp_too_fine,
    "implausible_past": _implausible_past,
    "future": _future,
    # Last, because it compares only bars that break no other rule.
    "duplicate_bar": _duplicate_bar,
}
"""Every rule, in the order of application; a row is logged under the first one that it breaks."""
