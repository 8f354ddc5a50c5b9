"""Which cell of a notebook runs in this process at the moment."""

from __future__ import annotations

import sys
from dataclasses import dataclass

__all__ = ["RunningCell", "running_cell"]

_LINES = 3
_CHARACTERS = 240


@dataclass(frozen=True)
class RunningCell:
    """A cell that runs.

    Attributes
    ----------
    number : int
        As in "In [3]": in a headless run the code cells in their order, that of the given parameters
        included; in JupyterLab how many were run before it in this kernel.
    code : str
        Its first lines that are not empty, cut if long.
    """

    number: int
    code: str


def running_cell() -> RunningCell | None:
    """The cell that runs, or between two cells, as for a thread, the last one; None outside of IPython."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is None:
        return None
    # A cell's text is kept before it runs; the count moves on before it or behind it, by IPython's version.
    history = getattr(shell.history_manager, "input_hist_raw", ())
    number = len(history) - 1
    return RunningCell(number, first_lines(history[number])) if number > 0 else None


def first_lines(source: str) -> str:
    """The first lines that are not empty, three at most and 240 characters of them."""
    lines = [line.rstrip() for line in source.splitlines() if line.strip()]
    text = "\n".join(lines[:_LINES])
    if len(text) > _CHARACTERS:
        return f"{text[: _CHARACTERS - 3]}..."
    return text if len(lines) <= _LINES else f"{text}\n..."
