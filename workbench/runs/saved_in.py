"""`SavedIn`: which cell wrote rows of which table, as a line of a run's evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pandas as pd
import sqlalchemy as sa

from workbench.runs.cell import RunningCell

__all__ = ["SAVED_IN", "SavedIn", "saved_in"]

SAVED_IN = "saved_in"
"""The kind of evidence."""

# Whose rows a cell wrote: of two cells that save two strategies each is named for its own.
_OWNERS = ("strategy_id", "strategy", "account_id")
_MOST_OWNERS = 20


@dataclass(frozen=True)
class SavedIn:
    """A cell that wrote rows of a table.

    Attributes
    ----------
    cell : int
        Its number, as in "In [3]".
    table : str
        With its schema.
    owners : tuple of str
        The strategies, or accounts, of the rows; empty for a table without, and where there were too many.
    code : str
        The cell's first lines.
    """

    cell: int
    table: str
    owners: tuple[str, ...]
    code: str

    @classmethod
    def of(cls, cell: RunningCell, table: sa.Table, frame: pd.DataFrame) -> SavedIn:
        """Of a frame that the cell wrote."""
        flat = frame.reset_index() if any(name is not None for name in frame.index.names) else frame
        name = next((name for name in _OWNERS if name in table.columns and name in flat.columns), None)
        found = [] if name is None else sorted(map(str, flat[name].dropna().unique()))
        return cls(cell.number, str(table), tuple(found) if len(found) <= _MOST_OWNERS else (), cell.code)

    def to_line(self) -> str:
        """As the run's evidence holds it."""
        return json.dumps(asdict(self))

    def told(self) -> str:
        """In words: "cell 5 (`wb.save(result)`)"."""
        first = self.code.partition("\n")[0].strip()
        return f"cell {self.cell} (`{first if len(first) <= 60 else first[:57] + '...'}`)"


def saved_in(evidence: Mapping[str, Sequence[str]]) -> list[SavedIn]:
    """The cells that a run's evidence names, by their numbers."""
    lines = (json.loads(line) for line in evidence.get(SAVED_IN, ()))
    found = [SavedIn(**facts | {"owners": tuple(facts["owners"])}) for facts in lines]
    return sorted(found, key=lambda one: (one.cell, one.table))
