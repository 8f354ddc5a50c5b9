"""Text to float64, strictly: a plain decimal or scientific number, or a rule and a reason for that row."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from workbench.sources.faults import Faults, quote

__all__ = ["NUMBER", "parse_numbers"]

NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
"""The texts that are numbers (the same in RE2 and `re`)."""

NOT_FINITE = {"nan", "inf", "infinity", "null", "none", "n/a", "na", "#n/a"}
GROUPED = re.compile(r"^[+-]?[0-9]{1,3}(?:[,' ][0-9]{3})+(?:\.[0-9]*)?$|^[+-]?[0-9]+,[0-9]+$")
# Every decimal of up to 15 digits survives conversion to float64 and back.
ALWAYS_EXACT = 15


def parse_numbers(column: str, texts: Any, faults: Faults) -> npt.NDArray[np.float64]:
    """Convert a column of texts to numbers.

    Parameters
    ----------
    column : str
        The column's name, for reasons.
    texts : pyarrow.Array of string, shape (n_rows,)
        Nulls count as empty. Spaces around a number are allowed.
    faults : Faults
        Receives each row whose text is not a number (``missing_value``, ``not_a_number``), not finite
        (``not_finite``), or has more digits than a float64 can hold (``inexact_number``).

    Returns
    -------
    ndarray of float64, shape (n_rows,)
        NaN where the text is not a finite number that a float64 holds exactly.
    """
    trimmed = pc.utf8_trim_whitespace(pc.fill_null(texts, ""))
    readable = pc.match_substring_regex(trimmed, NUMBER)
    numbers = pc.cast(pc.if_else(readable, trimmed, pa.scalar(None, pa.string())), pa.float64())
    values: npt.NDArray[np.float64] = np.array(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)

    for position, text in _at(trimmed, ~_numpy(readable)):
        faults.add(position, *_unreadable(column, text))

    suspect = pc.or_(
        pc.greater(pc.utf8_length(trimmed), ALWAYS_EXACT), pc.match_substring_regex(trimmed, "[eE]")
    )
    for position, text in _at(trimmed, _numpy(suspect) & _numpy(readable)):
        value = float(values[position])
        if np.isinf(value):
            values[position] = np.nan
            faults.add(position, "not_finite", f"{column}: {quote(text)} is beyond a float64")
        elif Decimal(repr(value)) != Decimal(text):
            values[position] = np.nan
            reason = f"{column}: {quote(text)} has more digits than a float64 holds"
            faults.add(position, "inexact_number", reason)
    return values


def _numpy(mask: Any) -> npt.NDArray[np.bool_]:
    return np.asarray(mask.to_numpy(zero_copy_only=False), dtype=bool)


def _at(texts: Any, mask: npt.NDArray[np.bool_]) -> list[tuple[int, str]]:
    positions = np.flatnonzero(mask)
    return list(zip(positions.tolist(), texts.take(pa.array(positions)).to_pylist(), strict=True))


def _unreadable(column: str, text: str) -> tuple[str, str]:
    if not text:
        return "missing_value", f"{column} is empty"
    if text.lstrip("+-").casefold() in NOT_FINITE:
        return "not_finite", f"{column}: {quote(text)} is not a finite number"
    if GROUPED.match(text):
        return "not_a_number", (
            f"{column}: {quote(text)} is not a plain number (no thousands separator; a decimal point)"
        )
    return "not_a_number", f"{column}: {quote(text)} is not a number"
