"""`Cleaned`: what a cleaning removed of one kind, or would remove."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

__all__ = ["Cleaned", "Cut"]


@dataclass(frozen=True)
class Cut:
    """From when on something is old, and whether that is only counted.

    Attributes
    ----------
    days : int
        One or more.
    dry_run : bool
        Count, and remove nothing.
    """

    days: int
    dry_run: bool = False

    @property
    def age(self) -> timedelta:
        """The same as a time span."""
        return timedelta(days=self.days)


@dataclass(frozen=True)
class Cleaned:
    """What was removed of one kind, or would be.

    Attributes
    ----------
    what : str
        "outputs of runs".
    count : int
    bytes : int or None
        Where that can be told; in the database it is free for new rows, and not given back to the disk.
    days : int
        Older than that.
    note : str
        Why something was left.
    """

    what: str
    count: int
    bytes: int | None
    days: int
    note: str = ""
