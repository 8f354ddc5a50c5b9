"""Tries a run again that failed for what passes by itself: a server or a vendor that was away."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, TypeVar, get_args

from workbench.errors import (
    NotebookError,
    NotebookFailed,
    ServerUnreachable,
    SourceUnreachable,
    WorkbenchError,
)
from workbench.promotion.run import Origin

__all__ = ["PAUSES", "RETRIES", "RetryOn", "check_retries", "with_retries"]

RetryOn = Literal["away", "any"]
"""Which failures are tried again: of servers and vendors that were away, or any failure of a cell."""

RETRIES = 2
PAUSES = (5.0, 30.0, 120.0)
"""Seconds before the second attempt, the third, and each further one."""

_MOST = 20
# Our own errors, by whose name a cell's failure is known.
_AWAY = (ServerUnreachable, SourceUnreachable)

Result = TypeVar("Result")


def check_retries(retries: int, retry_on: str) -> None:
    """Refuse a policy that could not be kept, with a `NotebookError`."""
    if isinstance(retries, bool) or not isinstance(retries, int) or not 0 <= retries <= _MOST:
        raise NotebookError(f"retries={retries!r}: give a whole number from 0 to {_MOST}")
    if retry_on not in get_args(RetryOn):
        raise NotebookError(
            f'retry_on={retry_on!r}: give "away" (a server or a vendor was away) or "any" (any failure of a '
            "cell)"
        )


def with_retries(
    attempt: Callable[[Origin], Result],
    origin: Origin,
    *,
    tell: Callable[[str], None],
    retries: int = RETRIES,
    retry_on: RetryOn = "away",
    made: int = 0,
    pauses: Sequence[float] = PAUSES,
) -> Result:
    """Make an attempt, and others after growing pauses while that is worth it.

    Parameters
    ----------
    attempt : callable
        Makes one, with a record of its own, and returns its result.
    origin : Origin
        For the first one; that of the others is a "retry".
    tell : callable
        Called with a sentence on what is tried again, when and why.
    retries : int
        How many attempts may follow the first.
    retry_on : str
        "away": `ServerUnreachable` and `SourceUnreachable`, raised in a cell or around the run. "any": any
        failure of a cell, too. A run that was declared dead is never tried again here.
    made : int
        How many attempts others made before.
    pauses : sequence of float
        Seconds.
    """
    for number in range(made + 1, _MOST + made + 2):
        try:
            return attempt(origin)
        except WorkbenchError as error:
            why = _why_again(error, retry_on)
            if not why or number > retries:
                raise
            pause = pauses[min(number, len(pauses)) - 1]
            tell(
                f"attempt {number} failed: {error} Attempt {number + 1} begins in {pause:g} s, because {why}."
            )
        time.sleep(pause)
        origin = replace(origin, trigger="retry")
    raise AssertionError("more attempts than there may be")


def _why_again(error: WorkbenchError, retry_on: RetryOn) -> str:
    """Why a failure is worth another attempt; empty if it is not."""
    if isinstance(error, _AWAY):
        return "a server was away"
    if not isinstance(error, NotebookFailed) or error.error_name == "RunFenced":
        return ""
    if error.error_name in {kind.__name__ for kind in _AWAY}:
        return f"{error.error_name} may pass"
    return "any failure is tried again" if retry_on == "any" else ""
