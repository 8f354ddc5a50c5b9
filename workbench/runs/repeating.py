"""Reruns: a kernel repeats an earlier run, on the bars that it knew, and nothing that it writes stays."""

from __future__ import annotations

import os
import uuid

from workbench.errors import SettingsError

__all__ = ["RERUN_VARIABLE", "known_to", "repeats", "rerun_environment"]

RERUN_VARIABLE = "WORKBENCH_RERUN_OF"
"""The environment variable of a rerun's kernel: the repeated run's id, and `:today` for today's bars."""

_TODAY = ":today"


def rerun_environment(run_id: str, *, exact: bool) -> dict[str, str]:
    """The variable for the kernel of a rerun."""
    return {RERUN_VARIABLE: run_id if exact else run_id + _TODAY}


def repeats() -> bool:
    """Whether this process belongs to a rerun."""
    return bool(os.environ.get(RERUN_VARIABLE))


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
