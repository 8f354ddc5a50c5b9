"""`Attempt`: what a run is for: which slot of which deployment, and whether it counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

__all__ = ["PURPOSES", "RUN_ID_VARIABLE", "UNDONE_PURPOSES", "Attempt", "Purpose"]

RUN_ID_VARIABLE = "WORKBENCH_RUN_ID"
"""The environment variable with the run's id, for the kernel of a headless notebook and what it starts."""

Purpose = Literal["live", "rehearsal", "shadow", "backfill", "rerun"]
"""Why a run works on a slot; only `live` runs say what counts, one a slot."""

PURPOSES: tuple[Purpose, ...] = ("live", "rehearsal", "shadow", "backfill", "rerun")
UNDONE_PURPOSES: tuple[Purpose, ...] = ("shadow", "backfill")
"""What such runs write is kept in their folders and undone in the database, unless it is asked for."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A run's attempt at a slot.

    Attributes
    ----------
    deployment : str
        The deployment's name.
    slot : datetime
        The moment at which the run was due, UTC; the run reads no bar that was not complete then.
    member : str
        Of a deployment with several members, which; else empty.
    purpose : str
        "live", "rehearsal", "shadow", "backfill" or "rerun".
    version_sha256 : str or None
        The promoted version that runs.
    """

    deployment: str
    slot: datetime
    member: str = ""
    purpose: Purpose = "live"
    version_sha256: str | None = None

    @property
    def is_live(self) -> bool:
        """Whether what the run says is kept as said."""
        return self.purpose == "live"
