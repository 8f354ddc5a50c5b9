"""`RowToday`: whether a stored row would differ, if its run were made again on today's bars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["RowToday"]


@dataclass(frozen=True)
class RowToday:
    """What a rerun on today's bars says of a row.

    Attributes
    ----------
    rerun_id : str
    differs : bool or None
        None: it cannot be told, which `reason` explains.
    differences : mapping of str to (str, str)
        By column, the stored value and the rerun's, as text.
    reason : str
        Why it differs, where no column does, or why it cannot be told.
    """

    rerun_id: str
    differs: bool | None
    differences: Mapping[str, tuple[str, str]]
    reason: str = ""

    def sentence(self) -> str:
        """In one sentence."""
        rerun = f"(rerun {self.rerun_id[:8]} on today's bars)"
        if self.differs is None:
            return f"whether it would differ cannot be told: {self.reason} {rerun}"
        if not self.differs:
            return f"it would be the same {rerun}"
        how = f" in {', '.join(self.differences)}" if self.differences else f": {self.reason}"
        return f"it would differ{how} {rerun}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "rerun_id": self.rerun_id,
            "differs": self.differs,
            "differences": {name: list(both) for name, both in self.differences.items()},
            "reason": self.reason,
        }
