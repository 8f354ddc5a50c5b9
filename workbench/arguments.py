"""Arguments as they are given: numbers, switches and frames, refused in a sentence where they are none."""

from __future__ import annotations

import math
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import BacktestError

__all__ = [
    "as_finite",
    "as_flag",
    "as_matrix",
    "as_number",
    "as_positive",
    "as_series",
    "as_whole",
    "named",
    "real_numbers",
]


def as_number(value: object, name: str, advice: str) -> float:
    """A number of any type (int, float, NumPy's, Decimal, Fraction) as a float; NaN and infinity pass.

    Parameters
    ----------
    value : object
        What was given.
    name : str
        The argument's name, for the message.
    advice : str
        What to give instead, as in "give a fraction such as 0.05".

    Raises
    ------
    BacktestError
        It is text, a bool, `pd.NA` or another object, or more than a float holds.
    """
    if type(value) is float:
        return value
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real | Decimal):
        raise BacktestError(f"{name}: {named(value)} is not a number; {advice}.")
    try:
        return float(value)
    except (OverflowError, ValueError) as error:  # 10 ** 400, Decimal("sNaN")
        raise BacktestError(f"{name}: the number is not one that a float holds; {advice}.") from error


def as_finite(value: object, name: str, advice: str) -> float:
    """As `as_number`, without NaN and infinity."""
    number = as_number(value, name, advice)
    if not math.isfinite(number):
        raise BacktestError(f"{name}: {number} is not a finite number; {advice}.")
    return number


def as_positive(value: object, name: str, advice: str) -> float:
    """As `as_finite`, and above 0."""
    number = as_finite(value, name, advice)
    if not number > 0.0:
        raise BacktestError(f"{name}: {number} is not above 0; {advice}.")
    return number


def as_whole(value: object, name: str, advice: str) -> int:
    """A whole number (also 20.0) as an int; `BacktestError` where it is none."""
    number = as_number(value, name, advice)
    if not number.is_integer():
        raise BacktestError(f"{name}: {number} is not a whole number; {advice}.")
    return int(number)


def as_flag(value: object, name: str) -> bool:
    """True or False, also NumPy's; `BacktestError` for "yes", 1 and whatever else is neither."""
    if not isinstance(value, bool | np.bool_):
        raise BacktestError(f"{name}: {named(value)} is neither True nor False; give one of them.")
    return bool(value)


def as_series(values: Any, name: str) -> pd.Series[float]:
    """A Series of real numbers; an empty one may have any dtype.

    Raises
    ------
    BacktestError
        It is no Series, or its dtype is not numeric (object, text, bool, complex, timestamps).
    """
    if not isinstance(values, pd.Series):
        raise BacktestError(f"{name}: {named(values)} is not a Series; give pd.Series(values, index=…).")
    if len(values) and not real_numbers(values.dtype):
        raise BacktestError(
            f"{name}: the Series is {values.dtype}, not numbers; convert it with .astype('float64')."
        )
    return values


def as_matrix(values: Any, name: str) -> npt.NDArray[np.float64]:
    """A frame, a Series or an array of real numbers as float64, missing ones as NaN; else `BacktestError`."""
    if not isinstance(values, pd.DataFrame | pd.Series | np.ndarray):
        raise BacktestError(f"{name}: {named(values)} is neither a frame nor an array; give one of numbers.")
    for dtype in values.dtypes if isinstance(values, pd.DataFrame) else [values.dtype]:
        if not real_numbers(dtype):
            raise BacktestError(
                f"{name}: a part is {dtype}, not numbers; convert it with .astype('float64')."
            )
    if isinstance(values, np.ndarray):
        return np.asarray(values, dtype=np.float64)
    return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def real_numbers(dtype: Any) -> bool:
    """Whether a dtype is one of real numbers: bool and complex, which pandas calls numeric, are not."""
    kinds = pd.api.types
    return bool(
        kinds.is_numeric_dtype(dtype) and not kinds.is_bool_dtype(dtype) and not kinds.is_complex_dtype(dtype)
    )


def named(value: object) -> str:
    """What was given, for a message: itself where it is short, else its type."""
    if value is None or value is pd.NA or isinstance(value, str | bool | Real | Decimal | np.generic):
        shown = repr(value)
        if len(shown) <= 60:
            return shown
    kind = "array" if isinstance(value, np.ndarray) else type(value).__name__
    return f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"
