"""Where in a notebook an error arose: read from the traceback that IPython shows."""

from __future__ import annotations

import re

from workbench.paths import PACKAGE
from workbench.project import find_project

__all__ = ["failing_line"]

# One frame of IPython's traceback, in a cell or in a file; that of a line that is no Python is indented.
_FRAME = re.compile(
    r"^ *(?:Cell In\[(?P<cell>\d+)\], line (?P<line>\d+)|File (?P<file>[^\n]+?):(?P<file_line>\d+))"
    r"(?:, in (?P<function>[^\n(]+))?",
    re.MULTILINE,
)
# What Python, and a promoted run's import rules, do between an import and its error.
_IMPORTING = re.compile(r"<frozen importlib|/(importlib/__init__|workbench/project/imports)\.py$")
_STORED = re.compile(r".*/[0-9a-f]{2}/[0-9a-f]{64}/project/")
_TRACEBACK = "Traceback (most recent call last)"


def failing_line(traceback: str, number: int | None) -> str:
    """The line of cell `number` where the error arose, and the innermost line if it is elsewhere.

    As words that follow the cell's name: ", line 2, inside pandas/core/frame.py, line 4378 (__getitem__)". Of
    errors that followed from each other, the traceback's last is the one that was raised.
    """
    frames = list(_FRAME.finditer(traceback.rpartition(_TRACEBACK)[2]))
    if not frames:
        return ""
    while len(frames) > 1 and _IMPORTING.search(frames[-1]["file"] or ""):
        frames.pop()
    own = [frame for frame in frames if frame["cell"] == str(number)]
    place = f", line {own[-1]['line']}" if own else ""
    innermost = frames[-1]
    if own and innermost is own[-1]:
        return place
    function = f" ({innermost['function'].strip()})" if innermost["function"] else ""
    if innermost["cell"]:
        return f"{place}, inside cell {innermost['cell']}, line {innermost['line']}{function}"
    return f"{place}, inside {_short(innermost['file'])}, line {innermost['file_line']}{function}"


def _short(file: str) -> str:
    """A file as people know it: from the package on, or from the project, also if it was promoted."""
    inside = _STORED.sub("", file).rpartition("/site-packages/")[2]
    return inside.removeprefix(f"{find_project() or PACKAGE.parent}/").removeprefix(f"{PACKAGE.parent}/")
