"""The processes of a home: start, supervision, status, stop."""

from __future__ import annotations

from workbench.stack.environment import prefect_environment
from workbench.stack.model import Endpoints, Finding, ServiceStatus
from workbench.stack.running import RunningProject, running_projects
from workbench.stack.stack import Stack

__all__ = [
    "Endpoints",
    "Finding",
    "RunningProject",
    "ServiceStatus",
    "Stack",
    "prefect_environment",
    "running_projects",
]
