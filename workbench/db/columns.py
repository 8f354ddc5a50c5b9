"""For each type of column, its dtype in a frame, and encoding that checks that values are stored exactly."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from workbench.errors import NaiveTimestamp, ValueRefused

__all__ = ["NULL", "brief", "dtype_of", "encode"]

NULL = "\\N"
"""How COPY writes a NULL."""
_SHOWN = 3
_BRIEF = 200
# COPY uses two characters per byte, and a line must stay below 1 GB.
_LARGEST_FILE = 2**28


class _Unstorable(ValueError):
    """One value that the column cannot hold; the message is the reason."""


def dtype_of(column: sa.Column[Any]) -> str:
    """The pandas dtype in which the column's values are read.

    Numbers are float64 (NaN for NULL), whole numbers int64 (Int64 if NULL is allowed), timestamps
    `datetime64[us, UTC]`, dates `datetime64[s]`, text `str`, JSON, bytes and the rest `object`.
    """
    kind = column.type
    if isinstance(kind, sa.Numeric | sa.Float):
        return "float64"
    if isinstance(kind, sa.Integer):
        return "Int64" if column.nullable else "int64"
    if isinstance(kind, sa.Boolean):
        return "boolean" if column.nullable else "bool"
    if isinstance(kind, sa.DateTime):
        return "datetime64[us, UTC]"
    if isinstance(kind, sa.Date):
        return "datetime64[s]"
    if isinstance(kind, sa.Text | sa.Enum | sa.Uuid):
        return "str"
    return "object"


def encode(column: sa.Column[Any], values: pd.Series[Any], table: str) -> list[str]:
    """The column's values in COPY's text format; raises with the first bad rows.

    Parameters
    ----------
    column : sqlalchemy.Column
    values : Series
        The user's values; None, NaN, NaT and NA all mean NULL.
    table : str
        The table's full name, for errors.

    Raises
    ------
    ValueRefused, NaiveTimestamp
    """
    if isinstance(column.type, sa.DateTime):
        _refuse_naive(column, values, table)
    fast = _encode_floats(column, values)
    if fast is not None:
        return fast
    check = _check_for(column.type)
    encoded: list[str] = []
    bad: list[tuple[int, Any, str]] = []
    for position, value in enumerate(_objects(values)):
        if _is_null(value):
            if column.nullable:
                encoded.append(NULL)
                continue
            reason = "it is missing"
        else:
            try:
                encoded.append(check(value))
                continue
            except _Unstorable as error:
                reason = str(error)
        bad.append((position, value, reason))
    if bad:
        raise _refusal(column, table, bad)
    return encoded


def _encode_floats(column: sa.Column[Any], values: pd.Series[Any]) -> list[str] | None:
    """The whole column at once if it is float64 and every value fits; None if one may not fit."""
    if not isinstance(column.type, sa.Numeric | sa.Float) or values.dtype != np.float64:
        return None
    numbers = values.to_numpy()
    if not np.isfinite(numbers).all():
        return None
    if not isinstance(column.type, sa.Float):
        places, whole = _precision(column.type)
        # Beyond 2**53 scaled units rounding is not a proof: such columns are checked value by value.
        with np.errstate(over="ignore"):
            scaled = numbers * 10.0**places
        exact = (np.abs(scaled) < 2**53) & (np.abs(numbers) < 10.0**whole)
        if not (exact & (np.rint(scaled) / 10.0**places == numbers)).all():
            return None
    return [repr(number) for number in numbers.tolist()]


def _objects(values: pd.Series[Any]) -> Iterable[Any]:
    return list(values.astype(object))


def _is_null(value: Any) -> bool:
    if value is None or value is pd.NaT or value is pd.NA:
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def _check_for(kind: Any) -> Callable[[Any], str]:
    if isinstance(kind, sa.Float):
        return _double
    if isinstance(kind, sa.Numeric):
        places, whole = _precision(kind)
        return lambda value: _numeric(value, places, whole)
    if isinstance(kind, sa.Integer):
        bits = 64 if isinstance(kind, sa.BigInteger) else 32
        return lambda value: _integer(value, bits)
    if isinstance(kind, sa.Boolean):
        return _boolean
    if isinstance(kind, sa.Enum):
        return lambda value: _choice(value, kind.enums)
    if isinstance(kind, sa.Text):
        return _text
    if isinstance(kind, sa.DateTime):
        return _timestamp
    if isinstance(kind, sa.Date):
        return _date
    if isinstance(kind, sa.Uuid):
        return _uuid
    if isinstance(kind, postgresql.JSONB):
        return _json
    if isinstance(kind, sa.LargeBinary):
        return _bytes
    raise TypeError(f"no encoding for columns of type {kind!r}")


def _precision(kind: Any) -> tuple[int, int]:
    places = int(kind.scale or 0)
    return places, int(kind.precision) - places


def _number(value: Any) -> Decimal:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | Decimal | np.number):
        raise _Unstorable("it is not a number")
    try:
        # repr is the shortest decimal that reads back as this float.
        number = (
            Decimal(repr(float(value))) if isinstance(value, float | np.floating) else Decimal(str(value))
        )
    except InvalidOperation as error:
        raise _Unstorable("it is not a number") from error
    if not number.is_finite():
        raise _Unstorable("it is not finite")
    return number


def _numeric(value: Any, places: int, whole: int) -> str:
    number = _number(value)
    if abs(number) >= Decimal(10) ** whole:
        raise _Unstorable(f"the column's values must be below 1e{whole}")
    exponent = number.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > places:
        raise _Unstorable(f"it has {-exponent} decimals and the column holds {places}: round it first")
    # A numeric is read back as float64: a number with more digits would change.
    if not _survives_float64(number):
        raise _Unstorable("it has more digits than float64 can hold")
    return format(number, "f")


def _double(value: Any) -> str:
    number = _number(value)
    if not _survives_float64(number):
        raise _Unstorable("it has more digits than float64 can hold, or is beyond its range")
    return repr(float(number))


def _survives_float64(number: Decimal) -> bool:
    """Whether the nearest float64 is exactly that number, or has it as its shortest decimal, as 0.1."""
    try:
        nearest = float(number)
    except OverflowError:
        return False
    return math.isfinite(nearest) and number in {Decimal(nearest), Decimal(repr(nearest))}


def _integer(value: Any, bits: int) -> str:
    # The shortest decimal of a whole float64 beyond 2**53 may be another number.
    number = Decimal(int(value)) if isinstance(value, float) and value.is_integer() else _number(value)
    if number != number.to_integral_value():
        raise _Unstorable("it is not a whole number")
    if not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
        raise _Unstorable(f"it does not fit into {bits} bits")
    return str(int(number))


def _boolean(value: Any) -> str:
    if not isinstance(value, bool | np.bool_):
        raise _Unstorable("it is not True or False")
    return "t" if value else "f"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Unstorable(f"it is not text but {type(value).__name__}")
    if "\x00" in value:
        raise _Unstorable("it contains a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _Unstorable("it is not valid Unicode") from error
    return escaped(value)


def _choice(value: Any, choices: Sequence[str]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise _Unstorable(f"it is not one of {', '.join(choices)}")
    return escaped(value)


def _timestamp(value: Any) -> str:
    if not isinstance(value, datetime):
        raise _Unstorable(f"it is not a timestamp but {type(value).__name__}")
    stamp = pd.Timestamp(value)
    if stamp.nanosecond:
        raise _Unstorable("it is finer than a microsecond: use .dt.floor('us')")
    try:
        # Not strftime: it writes the year 24 as "24", which PostgreSQL reads as 2024.
        return stamp.tz_convert("UTC").isoformat(sep=" ", timespec="microseconds")
    except (OverflowError, ValueError) as error:
        raise _Unstorable("in UTC it lies outside of the years 1 to 9999") from error


def _date(value: Any) -> str:
    if isinstance(value, datetime):
        if value != datetime(value.year, value.month, value.day, tzinfo=value.tzinfo):
            raise _Unstorable("it has a time of day and is not a date: use .dt.normalize()")
        return value.date().isoformat()
    if not isinstance(value, date):
        raise _Unstorable(f"it is not a date but {type(value).__name__}")
    return value.isoformat()


def _uuid(value: Any) -> str:
    try:
        return str(value if isinstance(value, uuid.UUID) else uuid.UUID(str(value)))
    except ValueError as error:
        raise _Unstorable("it is not a UUID") from error


def _json(value: Any) -> str:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    except RecursionError as error:
        raise _Unstorable("it is nested too deeply") from error
    except (TypeError, ValueError) as error:
        raise _Unstorable(f"it is not JSON: {error}") from error
    if json.loads(text, parse_float=_as_jsonb_gives_it) != value:
        raise _Unstorable("it would change as JSON (tuples, keys that are not text, floats beyond 2**53)")
    # json.dumps writes a NUL as \u0000, and the text "\u0000" with two backslashes.
    if "\\u0000" in text.replace("\\\\", ""):
        raise _Unstorable("it contains a NUL character")
    return _text(text)


def _bytes(value: Any) -> str:
    if not isinstance(value, bytes | bytearray):
        raise _Unstorable(f"it is not bytes but {type(value).__name__}")
    if len(value) > _LARGEST_FILE:
        raise _Unstorable(f"it has {len(value):,} bytes and the column holds {_LARGEST_FILE:,}")
    return "\\\\x" + value.hex()


def _as_jsonb_gives_it(number: str) -> float | int:
    """The value that JSONB returns for a float: it writes `1.5e+17` as a whole number."""
    written = Decimal(number)
    return int(written) if written.as_tuple().exponent >= 0 else float(number)  # type: ignore[operator]


def escaped(text: str) -> str:
    """The text escaped for COPY."""
    if "\\" not in text and "\t" not in text and "\n" not in text and "\r" not in text:
        return text
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _refuse_naive(column: sa.Column[Any], values: pd.Series[Any], table: str) -> None:
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return
    naive = [
        position
        for position, value in enumerate(_objects(values))
        if isinstance(value, datetime) and not _is_null(value) and value.tzinfo is None
    ]
    if naive:
        raise NaiveTimestamp(
            f"{table}.{column.name}: {_rows(naive)} without a time zone; localise it first: "
            f"frame[{column.name!r}] = frame[{column.name!r}].dt.tz_localize('America/New_York'), or 'UTC'",
            table=table,
            column=column.name,
            rows=naive[:_SHOWN],
        )


def brief(value: Any) -> str:
    """The `repr` of a value, truncated if it is long, such as the text of a report."""
    if isinstance(value, str | bytes | bytearray):
        value = value[: _BRIEF + 1]
    shown = repr(value)
    return shown if len(shown) <= _BRIEF else f"{shown[:_BRIEF]}…"


def _refusal(column: sa.Column[Any], table: str, bad: list[tuple[int, Any, str]]) -> ValueRefused:
    position, value, reason = bad[0]
    more = f" (and {len(bad) - 1} more rows)" if len(bad) > 1 else ""
    return ValueRefused(
        f"{table}.{column.name}: row {position} holds {brief(value)}, which cannot be stored: "
        f"{reason}{more}; nothing was written",
        table=table,
        column=column.name,
        rows=[row for row, _, _ in bad[:_SHOWN]],
    )


def _rows(positions: Sequence[int]) -> str:
    shown = ", ".join(map(str, positions[:_SHOWN]))
    more = f" and {len(positions) - _SHOWN} more are" if len(positions) > _SHOWN else " are"
    return f"row {shown} is" if len(positions) == 1 else f"rows {shown}{more}"
