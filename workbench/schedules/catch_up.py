"""The policy for what was due while nothing ran: which of those slots are still run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from workbench.errors import ScheduleRefused

__all__ = ["CatchUp", "catch_up_in_words", "caught_up", "check_catch_up", "read_catch_up"]

CatchUp = Literal["latest", "all", "none"] | int
"""The newest one, all of them, none, or at most the newest so many; always oldest first."""

_WORDS = ("latest", "all", "none")
_MOST = 1_000


def check_catch_up(policy: object) -> CatchUp:
    """The policy, if it is one.

    Raises
    ------
    ScheduleRefused
    """
    if policy in _WORDS and isinstance(policy, str):
        return policy  # type: ignore[return-value]
    if isinstance(policy, int) and not isinstance(policy, bool) and 1 <= policy <= _MOST:
        return policy
    raise ScheduleRefused(
        f'catch_up={policy!r} is no policy; give "latest", "all", "none", or how many slots at most, from 1 '
        f"to {_MOST}"
    )


def read_catch_up(text: str) -> CatchUp:
    """The policy that a command line gives, where a number is text, too."""
    return check_catch_up(int(text) if text.isdecimal() else text)


def caught_up(policy: CatchUp, passed: Sequence[datetime]) -> list[datetime]:
    """Which of the slots that passed without a run are still run, oldest first.

    Under "none" that is nothing: the newest one runs only in time.
    """
    ordered = sorted(passed)
    if policy == "all":
        return ordered
    if policy == "none":
        return []
    return ordered[-(1 if policy == "latest" else int(policy)) :]


def catch_up_in_words(policy: CatchUp) -> str:
    """Why a slot is not caught up: "only the newest is caught up"."""
    if policy == "latest":
        return "only the newest is caught up"
    if policy == "none":
        return "nothing is caught up"
    return "all are caught up" if policy == "all" else f"at most the newest {policy} are caught up"
