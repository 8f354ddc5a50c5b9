"""`Deployment` and `FlowRun`: what Prefect holds of a promoted notebook and of one run of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from workbench.display.card import card_html
from workbench.promotion.gates.result import GateResult
from workbench.stack.flow_runs import FLOW_NAME
from workbench.stack.schedules import in_zone

__all__ = ["FLOW_NAME", "Deployment", "FlowRun", "flow_run_of"]

_FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@dataclass(frozen=True, repr=False)
class Deployment:
    """A notebook that runs by schedule.

    Attributes
    ----------
    name : str
        The deployment's name; Prefect shows it as `run-notebook/<name>`.
    deployment_id : str
        Prefect's id.
    notebook, sha256 : str
        Which notebook, and the hash of the version that was promoted: notebook, modules and files.
    schedule : str
        When it is due, in words: "30 17 * * mon-fri (America/New_York)".
    timezone : str
        The IANA name of its time zone.
    parameters : dict
        What every run gets.
    next_run : datetime or None
        When it runs next, UTC; None where Prefect had planned no run within twenty seconds.
    modules, files : tuple of str
        The project's modules and files that were promoted with it, by their paths relative to its root.
    doubts : tuple of str
        What is doubtful about it: that it failed when it was run, and why that was let pass; what a gate
        could not look at.
    version : int
        The number of this version among those of the deployment, from 1.
    gates : tuple of GateResult
        What its gates found, in their order; of those that failed, it was promoted all the same.
    forced : str or None
        Why, if it was promoted by force.
    """

    name: str
    deployment_id: str
    notebook: str
    sha256: str
    schedule: str
    timezone: str
    parameters: dict[str, Any]
    next_run: datetime | None
    modules: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    version: int = 1
    gates: tuple[GateResult, ...] = ()
    forced: str | None = None

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON can say it, with the gates as the version keeps them."""
        return {**vars(self), "gates": [gate.to_json() for gate in self.gates]}

    def __repr__(self) -> str:
        local = self.next_run.astimezone(ZoneInfo(self.timezone)) if self.next_run else None
        following = f"next {local:%Y-%m-%d %H:%M}" if local else "no run is planned"
        return f"<Deployment {self.name}: {self.notebook}, {self.schedule}, {following}>"

    def _repr_html_(self) -> str:
        rows = [
            ("notebook", f"{self.notebook} as promoted, version {self.version} ({self.sha256[:12]})"),
            *((name, ", ".join(kept)) for name, kept in self._kept().items() if kept),
            *((f"{gate.mark} {gate.gate}", gate.summary) for gate in self.gates),
            *([("forced", self.forced)] if self.forced else []),
            *(("doubtful", doubt) for doubt in self.doubts),
            ("schedule", self.schedule),
            ("next run", in_zone(self.next_run, self.timezone) if self.next_run else "none is planned"),
            ("parameters", ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())),
        ]
        return card_html(f"Deployment {self.name}", rows)

    def _kept(self) -> dict[str, tuple[str, ...]]:
        return {"modules": self.modules, "files": self.files}


@dataclass(frozen=True, repr=False)
class FlowRun:
    """One run of a deployment, as Prefect sees it."""

    flow_run_id: str
    name: str
    state: str
    message: str

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.state in _FINAL

    def __repr__(self) -> str:
        said = f": {self.message}" if self.message else ""
        return f"<FlowRun {self.name}, {self.state.lower()}{said}>"

    def _repr_html_(self) -> str:
        rows = [("state", self.state.lower()), ("message", self.message), ("flow run", self.flow_run_id)]
        return card_html(f"FlowRun {self.name}", [row for row in rows if row[1]])


def flow_run_of(facts: Mapping[str, Any]) -> FlowRun:
    """A flow run, from what Prefect's API answers about it."""
    state = facts.get("state") or {}
    return FlowRun(
        flow_run_id=str(facts["id"]),
        name=str(facts["name"]),
        state=str(facts.get("state_type") or "SCHEDULED"),
        message=str(state.get("message") or ""),
    )
