"""The seven services by name, and what the page of services says of their tables."""

from __future__ import annotations

import re
from pathlib import Path

from workbench.services.analytics import AnalyticsService
from workbench.services.data_ingestion import DataIngestionService
from workbench.services.execution import ExecutionService
from workbench.services.logging import LoggingService
from workbench.services.notification import NotificationService
from workbench.services.risk_management import RiskManagementService
from workbench.services.service import Service
from workbench.services.strategy_engine import StrategyEngineService

__all__ = ["CLASSES", "told_of_tables"]

CLASSES: dict[str, type[Service]] = {
    kind.name: kind
    for kind in (
        AnalyticsService,
        DataIngestionService,
        ExecutionService,
        LoggingService,
        NotificationService,
        RiskManagementService,
        StrategyEngineService,
    )
}


def told_of_tables() -> dict[str, tuple[str, str]]:
    """By a table's full name, the key and the filters that the page tells."""
    page = Path(__file__).resolve().parents[3] / "docs" / "services.md"
    found, service = {}, ""
    for owner, table, key, filters in re.findall(
        r"^\| (?:`(\w+)`)? ?\| `(\w+)` \| (.+) \| (.+) \|$", page.read_text(encoding="utf-8"), re.MULTILINE
    ):
        service = owner or service
        found[f"{service}.{table}"] = (key, filters)
    return found
