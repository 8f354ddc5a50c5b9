"""`ShownDeployment`: everything about one deployment, on one page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from workbench.display.card import card_html
from workbench.promotion.versions.schedule_facts import schedule_in_words, zone_of
from workbench.runs.deployment_changes import DeploymentChange
from workbench.runs.versions import DeploymentState, DeploymentVersion
from workbench.stack.schedules import in_zone

__all__ = ["ShownDeployment"]

_PACKAGES = 5


@dataclass(frozen=True, repr=False)
class ShownDeployment:
    """A deployment as `wb.deployments.show` gives it.

    Attributes
    ----------
    state : DeploymentState
    version : DeploymentVersion
        The one in use.
    next : tuple of datetime
        The next moments, UTC; empty for one that does not run.
    slots : DataFrame
        The newest slots, as `wb.deployments.slots` gives them.
    changes : tuple of DeploymentChange
        Newest first.
    packages : tuple of str
        What differs between the environment that it was promoted in and this one.
    problems : tuple of str
        What is amiss, one sentence each.
    """

    state: DeploymentState
    version: DeploymentVersion
    next: tuple[datetime, ...]
    slots: pd.DataFrame
    changes: tuple[DeploymentChange, ...]
    packages: tuple[str, ...]
    problems: tuple[str, ...]

    def rows(self) -> Iterator[tuple[str, str]]:
        """What there is to say, as names and values."""
        state, version = self.state, self.version
        for problem in self.problems:
            yield "problem", problem
        why = f", because {state.reason}" if state.reason else ""
        yield "state", f"{state.state}{why} (since {_moment(state.updated_at)}, by {state.changed_by})"
        content = f" ({version.content[:12]})" if version.content else ""
        made = f"{version.how} on {_moment(version.made_at)} by {version.made_by}"
        yield "version", f"{version.version}, {made}"
        yield "notebook", f"{version.notebook}{content}"
        said = {"note": version.note, "forced": version.forced}
        yield from ((name, text) for name, text in said.items() if text)
        yield "schedule", schedule_in_words(version.schedule) or "none"
        if self.next:
            yield "next", "; ".join(in_zone(moment, zone_of(version.schedule)) for moment in self.next)
        yield from (("parameter " + name, repr(value)) for name, value in version.parameters.items())
        limits = {name: value for name, value in version.options.items() if value not in (None, [])}
        yield from ((name.replace("_", " "), str(value)) for name, value in limits.items())
        for one in version.evidence:
            found = f"{one.get('outcome', '')}: {one.get('summary', '')}"
            yield f"gate {one.get('gate', '')}", found.strip(": ")
        if state.shadow is not None:
            left = f"{state.shadow_slots} slots left" if state.shadow_slots else "all of its slots are over"
            yield "shadow", f"version {state.shadow}, {left}"
        yield "code", version.code_version
        yield "environment", several(self.packages, _PACKAGES) or "as it was promoted in"
        for slot in self.slots.to_dict("records"):
            reason = f": {slot['reason']}" if isinstance(slot["reason"], str) else ""
            yield f"slot {_moment(slot['slot'])}", f"{slot['state']}{reason}".partition("\n")[0]
        for change in self.changes:
            yield (
                f"on {_moment(change.changed_at)}",
                f"version {change.version} {change.change.replace('_', ' ')} by {change.changed_by}"
                + (f": {change.reason}" if change.reason else ""),
            )

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "name": self.state.name,
            "state": asdict(self.state),
            "version": asdict(self.version) | {"packages": len(self.version.packages)},
            "next": list(self.next),
            "slots": self.slots.astype(object).where(self.slots.notna(), None).to_dict("records"),
            "changes": [asdict(one) for one in self.changes],
            "packages": list(self.packages),
            "problems": list(self.problems),
        }

    def __repr__(self) -> str:
        said = f", {len(self.problems)} problems" if self.problems else ""
        return f"<Deployment {self.state.name}: version {self.version.version}, {self.state.state}{said}>"

    def _repr_html_(self) -> str:
        return card_html(f"Deployment {self.state.name}", self.rows())


def several(lines: tuple[str, ...] | list[str], most: int) -> str:
    """The first of several texts, and how many more there are."""
    more = f", and {len(lines) - most} more" if len(lines) > most else ""
    return "; ".join(lines[:most]) + more


def _moment(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
