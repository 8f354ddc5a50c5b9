"""`Reaped`: one thing that was done about runs that are dead."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Reaped"]


@dataclass(frozen=True, slots=True)
class Reaped:
    """One thing that a pass did.

    Attributes
    ----------
    what : str
        One sentence.
    run_id, flow_run_id : str or None
    """

    what: str
    run_id: str | None = None
    flow_run_id: str | None = None
