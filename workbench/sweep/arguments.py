"""Arguments that only searches and sweeps have: counts, metrics, folders, refused in a sentence."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.arguments import as_whole, named
from workbench.errors import BacktestError, SweepError
from workbench.sweep.store import METRICS

__all__ = ["as_count", "as_folder", "as_metric", "as_values"]

_MOST = 2**62
"""No count and no seed is larger: rows are numbered in 64 bits."""


def as_count(value: object, name: str, *, least: int = 1, most: int = _MOST) -> int:
    """A whole number of any type (also 20.0) from `least` to `most`, as an int.

    Raises
    ------
    SweepError
        It is none, or out of these bounds.
    """
    advice = f"give a whole number of {least} or more"
    try:
        number = as_whole(value, name, advice)
    except BacktestError as error:
        raise SweepError(str(error)) from error
    if number < least:
        raise SweepError(f"{name}: {number} is below {least}; {advice}.")
    if number > most:
        raise SweepError(f"{name}: {named(value)} is too large; give at most {most:,}.")
    return number


def as_metric(value: object) -> str:
    """The name of a metric of a sweep; `SweepError` where it is none."""
    if not isinstance(value, str) or value not in METRICS:
        raise SweepError(
            f"objective: {named(value)} is not a metric of a sweep; choose one of {', '.join(METRICS)}."
        )
    return value


def as_values(values: Any, name: str) -> Mapping[str, Any]:
    """What to try, by parameter; `SweepError` where it is no mapping."""
    if not isinstance(values, Mapping):
        raise SweepError(
            f"{name}: {named(values)} is no mapping; give the values to try by parameter, as in "
            "{'fast': range(5, 50)}."
        )
    return values


def as_folder(store: Any) -> Path:
    """A path given as text or as a path.

    Raises
    ------
    SweepError
        It is neither, it is empty, or no folder can have that name.
    """
    given = os.fspath(store) if isinstance(store, os.PathLike) else store
    if not isinstance(given, str) or not given or "\0" in given:
        raise SweepError(f"store: {named(store)} is no folder; give its path, as in 'results/sweeps'.")
    return Path(given)
