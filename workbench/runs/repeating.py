"""Runs whose writes are undone: reruns, which repeat an earlier run on the bars that it knew, and others.

What they write is kept in their folder, and nothing of it stays in the database but their record.
"""

from __future__ import annotations

import os
import uuid

from workbench.errors import SettingsError

__all__ = [
    "RERUN_VARIABLE",
    "UNDONE_VARIABLE",
    "known_to",
    "repeats",
    "rerun_environment",
    "undoes_writes",
    "undone_environment",
]

RERUN_VARIABLE = "WORKBENCH_RERUN_OF"
"""The environment variable of a rerun's kernel: the repeated run's id, and `:today` for today's bars."""

UNDONE_VARIABLE = "WORKBENCH_UNDONE"
"""The environment variable of the kernel of another run whose writes are undone: its purpose."""

_TODAY = ":today"


def rerun_environment(run_id: str, *, exact: bool) -> dict[str, str]:
    """The variable for the kernel of a rerun."""
    return {RERUN_VARIABLE: run_id if exact else run_id + _TODAY}


def repeats() -> bool:
    """Whether this process belongs to a rerun."""
    return bool(os.environ.get(RERUN_VARIABLE))


def undone_environment(purpose: str) -> dict[str, str]:
    """The variable for the kernel of a shadow or a backfill."""
    return {UNDONE_VARIABLE: purpose}


def undoes_writes() -> str:
    """What this process belongs to if its writes are undone: "rerun", "shadow" or "backfill"; else empty."""
    return "rerun" if repeats() else os.environ.get(UNDONE_VARIABLE, "")


def known_to() -> uuid.UUID | None:
    """The run as to which bars are read; None outside of an exact rerun.

    Raises
    ------
    SettingsError
        The variable holds no run's id.
    """
    given = os.environ.get(RERUN_VARIABLE, "")
    if not given or given.endswith(_TODAY):
        return None
    try:
        return uuid.UUID(given)
    except ValueError as error:
        raise SettingsError(f"{RERUN_VARIABLE}: {given!r} is not a run's id") from error
