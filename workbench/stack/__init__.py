"""Everything that runs for a home, put together: started, kept running, told about, stopped."""

from __future__ import annotations

from workbench.stack.environment import prefect_environment
from workbench.stack.model import Endpoints, Finding, ServiceStatus
from workbench.stack.stack import Stack

__all__ = ["Endpoints", "Finding", "ServiceStatus", "Stack", "prefect_environment"]
