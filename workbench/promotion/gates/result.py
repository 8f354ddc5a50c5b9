"""`GateResult`: what one gate of a promotion found, as it is shown and as it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["GATES", "GateResult", "Outcome", "gate_in_words"]

GATES = ("headless", "repeatable", "future_cut", "future_changed", "own_writes", "floors")
"""The gates in their order."""

Outcome = Literal["passed", "failed", "not applicable"]

_MARKS: Mapping[Outcome, str] = {"passed": "✓", "failed": "✗", "not applicable": "–"}


@dataclass(frozen=True)
class GateResult:
    """What a gate found.

    Attributes
    ----------
    gate : str
        One of `GATES`.
    outcome : str
        "passed", "failed" or "not applicable".
    seconds : float
        How long its runs of the notebook took; runs of two gates may overlap.
    summary : str
        One sentence.
    details : dict
        JSON: of a failed gate the first offenders and their count, of cuts their moments, of floors figures;
        `doubts`, a list of sentences, where it could not look at everything.
    """

    gate: str
    outcome: Outcome
    seconds: float
    summary: str
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def mark(self) -> str:
        """The outcome as one character."""
        return _MARKS[self.outcome]

    @property
    def doubts(self) -> list[str]:
        """What it could not look at, each as a sentence."""
        return list(self.details.get("doubts", ()))

    def __str__(self) -> str:
        return f"{self.mark} {self.gate}: {self.summary}"

    def to_json(self) -> dict[str, Any]:
        """As the version's evidence holds it."""
        return {
            "gate": self.gate,
            "outcome": self.outcome,
            "seconds": round(self.seconds, 3),
            "summary": self.summary,
            "details": self.details,
        }


def gate_in_words(gate: str) -> str:
    """The gate for progress: "gate 3 of 6 (future_cut)"."""
    return f"gate {GATES.index(gate) + 1} of {len(GATES)} ({gate})"
