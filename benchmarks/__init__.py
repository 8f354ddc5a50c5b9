"""Each headline speed against its peers, in one run; what every benchmark hands back is declared here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Report"]


@dataclass(frozen=True)
class Report:
    """What one benchmark measured.

    Attributes
    ----------
    columns : sequence of str
        The table's headings.
    rows : sequence of sequence
        The table: text as it is, floats in the unit that their heading names.
    figures : mapping of str to float
        The headline figures by name; they are the last lines that are printed.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str | float | int]]
    figures: Mapping[str, float]
