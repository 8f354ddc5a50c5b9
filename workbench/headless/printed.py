"""What a notebook printed during a run, as lines for a log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.errors import NotebookError
from workbench.runs.notebook import read_notebook

__all__ = ["printed_lines"]

LINES_LIMIT = 400
"""Maximum lines of one run; of more, the first half of that and the last half are kept."""
LINE_LENGTH = 500
"""Maximum characters of one line."""

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def printed_lines(output: Path) -> list[str]:
    """What the cells of an output notebook printed, to stdout and stderr, each line with its cell's number.

    Parameters
    ----------
    output : Path
        The output notebook of a run, also of one that failed. If it cannot be read, there are no lines.

    Returns
    -------
    list of str
        As in "cell 5: 3,270 bars". At most `LINES_LIMIT`, and one that says how many were left out. Of a
        line that was overwritten, as a progress bar is, only the last state is given.
    """
    try:
        document = read_notebook(output)
    except NotebookError:
        return []
    lines = [
        f"cell {cell.get('execution_count') or '?'}: {line}"
        for cell in document["cells"]
        for line in _lines(cell.get("outputs", []))
    ]
    if len(lines) <= LINES_LIMIT:
        return lines
    half = LINES_LIMIT // 2
    left_out = f"({len(lines) - LINES_LIMIT:,} more lines were printed here; {output} has them)"
    return [*lines[:half], left_out, *lines[-half:]]


def _lines(outputs: list[Any]) -> Iterator[str]:
    for output in outputs:
        if output.get("output_type") == "stream":
            text = output.get("text", "")
            for line in ("".join(text) if isinstance(text, list) else text).split("\n"):
                shown = _ANSI.sub("", line.rstrip("\r").rpartition("\r")[2]).rstrip()
                if shown:
                    yield shown if len(shown) <= LINE_LENGTH else f"{shown[:LINE_LENGTH]}…"
