"""The seven services, by name."""

from __future__ import annotations

from workbench.services.analytics import AnalyticsService
from workbench.services.data_ingestion import DataIngestionService
from workbench.services.execution import ExecutionService
from workbench.services.logging import LoggingService
from workbench.services.notification import NotificationService
from workbench.services.risk_management import RiskManagementService
from workbench.services.service import Service
from workbench.services.strategy_engine import StrategyEngineService

__all__ = ["CLASSES"]

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
