"""Which of the two numbers in 3/1/2017 is the month: decided from the whole column, else an error."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.errors import FileRefused
from workbench.sources.faults import quote
from workbench.sources.layouts import Parts

__all__ = ["day_first"]


def day_first(parts: Parts, texts: Any, rows: npt.NDArray[np.int64], path: str) -> bool:
    """Whether dates such as 3/1/2017 are day first, decided by the dates with a number above 12.

    Parameters
    ----------
    parts : Parts
        The parsed dates, with the numbers a and b.
    texts : pyarrow.Array of string, shape (n_rows,)
        The dates as read.
    rows : ndarray of int64, shape (n_rows,)
        Row numbers, for errors.
    path : str
        The file's name, for errors.

    Raises
    ------
    FileRefused
        All dates are ambiguous, or some are day first and some month first.
    """
    a, b = parts.numbers["a"], parts.numbers["b"]
    could_be = parts.matched & (a >= 1) & (b >= 1)
    by_day = could_be & (a > 12) & (a <= 31) & (b <= 12)
    by_month = could_be & (b > 12) & (b <= 31) & (a <= 12)
    either = could_be & (a <= 12) & (b <= 12) & (a != b)

    def example(mask: npt.NDArray[np.bool_]) -> str:
        position = int(np.argmax(mask))
        return f"row {rows[position]}: {quote(texts[position].as_py())}"

    which = f"choose with --date-format, e.g. {_formats(texts[int(np.argmax(could_be))].as_py())}"
    if by_day.any() and by_month.any():
        raise FileRefused(
            f"{path}: some dates are day first ({example(by_day)}), some month first "
            f"({example(by_month)}); {which}",
            path=path,
        )
    if either.any() and not by_day.any() and not by_month.any():
        raise FileRefused(
            f"{path}: every date can be read month first or day first ({example(either)}); {which}",
            path=path,
        )
    return bool(by_day.any())


def _formats(text: str) -> str:
    """The two strptime formats possible for such a date."""
    date, _, time = text.partition("T" if "T" in text else " ")
    mark = re.sub(r"[0-9]", "", date)[:1]
    year = "%Y" if len(re.split(r"[-/.]", date)[-1]) == 4 else "%y"
    tail = ""
    if time:
        half = " %p" if " " in time.strip() else "%p"
        twelve = bool(re.search(r"[AaPp][Mm]", time))
        tail = text[len(date)] + ("%I" if twelve else "%H") + ":%M" + (":%S" if time.count(":") > 1 else "")
        tail += half if twelve else ""
    return f'"%m{mark}%d{mark}{year}{tail}" or "%d{mark}%m{mark}{year}{tail}"'
