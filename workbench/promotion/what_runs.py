"""What a run of a deployment runs: the version that is in use when it begins, not when it was planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.runs.packages import installed_packages, packages_that_differ
from workbench.runs.versions import VersionStore

__all__ = ["WhatRuns", "what_runs"]

_PACKAGES = 8


@dataclass(frozen=True)
class WhatRuns:
    """What a run runs.

    Attributes
    ----------
    notebook : str
        Its name for people.
    sha256 : str or None
        The content; None for the notebook of the working tree.
    parameters : dict
    options : dict
        `timeout_seconds`, `memory_limit`, `retries`, `retry_on`, `locks`; of a grid `each`.
    version : int or None
        The number of the deployment's version; None for a run of no deployment, and for a deployment that was
        promoted before there were versions.
    in_use : bool
        Whether it is the version that the deployment runs.
    environment : list of str
        What differs from the environment that the version was promoted in: the first packages, and how many
        more.
    kind : str
        "notebook" or "ingest".
    """

    notebook: str
    sha256: str | None
    parameters: Mapping[str, Any]
    options: Mapping[str, Any]
    version: int | None = None
    in_use: bool = True
    environment: Sequence[str] = ()
    kind: str = "notebook"


def what_runs(
    versions: VersionStore,
    deployment: str | None,
    planned: WhatRuns,
    *,
    asked: int | None = None,
    by_schedule: bool,
) -> WhatRuns:
    """What a run runs that begins now.

    Parameters
    ----------
    versions : VersionStore
    deployment : str, optional
    planned : WhatRuns
        As Prefect has it, which may be older than the version in use.
    asked : int, optional
        The version that was asked for.
    by_schedule : bool
        Whether it was planned ahead: its parameters are then those of the version, too, else as they were
        given.

    Raises
    ------
    NotDeployed
        The deployment has no version of the number that was asked for.
    """
    if deployment is None:
        return planned
    in_use = versions.current(deployment)
    found = in_use if asked is None else versions.get(deployment, asked)
    if found is None:
        return planned
    state = versions.state(deployment)
    return WhatRuns(
        notebook=found.notebook,
        sha256=found.content,
        parameters=found.parameters if by_schedule else planned.parameters,
        options=found.options,
        version=found.version,
        in_use=in_use is not None and found.version == in_use.version,
        environment=packages_that_differ(found.packages, installed_packages(), _PACKAGES),
        kind="notebook" if state is None else state.kind,
    )
