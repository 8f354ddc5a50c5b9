"""`RerunResult`: whether a rerun came to the same as the run that it repeats, and what differs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from workbench.display.card import card_html

__all__ = ["RerunResult"]

_SHOWN = 8


@dataclass(frozen=True, repr=False)
class RerunResult:
    """A rerun beside the run that it repeats.

    Attributes
    ----------
    run_id, rerun_id : str
        The run that was repeated, and the rerun, which has a record of its own (purpose "rerun").
    notebook : str
    exact : bool
        Whether it read the bars as they were known to the run; else today's.
    same : bool
        Whether both wrote the same rows, and have the same headline figures.
    rows : int
        How many rows the rerun wrote, all undone.
    differences : DataFrame
        table ("headline" for a figure), key, column, before, now; values as text, None where there is none.
        The first 1,000 of rows. `column` is empty where only one of the two has a row of that key.
    revised : DataFrame
        Of each series that the run read: how many bars were corrected, added or removed since within what it
        read (`bars`), the first and the last of them; those without are left out.
    notes : tuple of str
        Why something could not be compared.
    html : Path
        The rerun's page.
    """

    run_id: str
    rerun_id: str
    notebook: str
    exact: bool
    same: bool
    rows: int
    differences: pd.DataFrame
    revised: pd.DataFrame
    notes: tuple[str, ...]
    html: Path

    def __repr__(self) -> str:
        return f"<RerunResult {self.notebook}: {self.sentence()}>"

    def sentence(self) -> str:
        """What came of it, in one sentence."""
        bars = "the bars that it knew" if self.exact else "today's bars"
        what = "the same rows and figures" if self.same else f"{len(self.differences):,} differences"
        return f"run {self.run_id[:8]} again on {bars}: {what}"

    def _repr_html_(self) -> str:
        rows = [("run", self.run_id), ("rerun", self.rerun_id), ("rows", f"{self.rows:,}, all undone")]
        rows += [
            (
                " ".join(filter(None, (one["table"], one["key"], one["column"]))),
                f"{one['before']} → {one['now']}",
            )
            for one in self.differences.head(_SHOWN).to_dict("records")
        ]
        if len(self.differences) > _SHOWN:
            rows.append(("", f"and {len(self.differences) - _SHOWN:,} more, in .differences"))
        rows += [
            (one["series"], f"{one['bars']:,} bars revised since")
            for one in self.revised.head(_SHOWN).to_dict("records")
        ]
        rows += [("note", text) for text in self.notes] + [("page", str(self.html))]
        return card_html(f"{self.notebook}: {self.sentence()}", rows)
