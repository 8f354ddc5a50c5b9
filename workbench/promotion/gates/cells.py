"""Names the cells of a notebook by the numbers that its kernel gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.runs.notebook import Notebook, cells_tagged, is_run

__all__ = ["CellNames"]


class CellNames:
    """The cells as messages name them: "cell 5 (`wb.save(result)`)".

    Parameters
    ----------
    document : dict
    given : mapping
        The parameters that are given to the run: they are a cell of their own behind the declared ones.
    """

    def __init__(self, document: Notebook, given: Mapping[str, Any]) -> None:
        sources = [(place, cell["source"]) for place, cell in enumerate(document["cells"]) if is_run(cell)]
        tagged = cells_tagged(document, "parameters")
        self._sources = [source for _, source in sources]
        if tagged and given:
            before = sum(place < tagged[0][0] for place, _ in sources)
            self._sources.insert(before, "# Parameters")

    def name(self, number: int | None) -> str:
        """The cell's number and first line; "no cell" for what a process without cells did."""
        if number is None or not 0 < number <= len(self._sources):
            return "no cell, but a process that one started"
        lines = (line.strip() for line in self._sources[number - 1].splitlines())
        first = next((line for line in lines if line and not line.startswith("#")), "")
        return f"cell {number} (`{first if len(first) <= 60 else first[:57] + '...'}`)"
