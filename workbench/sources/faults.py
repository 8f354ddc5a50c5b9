"""Why rows cannot be read: one rule and one reason per row, collected column by column."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Faults", "quote"]

LONGEST_QUOTE = 60


def quote(text: str) -> str:
    """The text in quotation marks, truncated if it is long."""
    return f'"{text}"' if len(text) <= LONGEST_QUOTE else f'"{text[:LONGEST_QUOTE]}…"'


class Faults:
    """What is wrong with each of `length` rows; a row keeps its first rule, and its reasons are joined.

    Attributes
    ----------
    rule, reason : ndarray of object (str), shape (length,)
        Empty where nothing is wrong.
    """

    def __init__(self, length: int) -> None:
        self.rule: npt.NDArray[np.object_] = np.full(length, "", dtype=object)
        self.reason: npt.NDArray[np.object_] = np.full(length, "", dtype=object)

    def add(self, position: int, rule: str, reason: str) -> None:
        """Record that the row at `position` (from 0) breaks `rule`, and why."""
        if self.rule[position]:
            self.reason[position] += f"; {reason}"
        else:
            self.rule[position], self.reason[position] = rule, reason
