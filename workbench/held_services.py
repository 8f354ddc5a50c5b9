"""`HeldServices`: the services and records of a session as attributes of `wb`."""

from __future__ import annotations

import uuid
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.events import DataSyncEventBus
    from workbench.promotion.runs import Runs
    from workbench.runs.trials import TrialStore
    from workbench.services.analytics import AnalyticsService
    from workbench.services.data_ingestion import DataIngestionService
    from workbench.services.execution import ExecutionService
    from workbench.services.logging import LoggingService
    from workbench.services.notification import NotificationService
    from workbench.services.risk_management import RiskManagementService
    from workbench.services.strategy_engine import StrategyEngineService
    from workbench.session import Session

__all__ = ["HeldServices"]


class HeldServices:
    """A base of `Workbench`: each service is made by the session when it is first asked for."""

    session: Session

    @cached_property
    def data_ingestion(self) -> DataIngestionService:
        """Bars, why some were refused, and how far each series reaches."""
        return self.session.data_ingestion

    @cached_property
    def strategy_engine(self) -> StrategyEngineService:
        """Strategies, their configurations, signals and daily performance."""
        return self.session.strategy_engine

    @cached_property
    def execution(self) -> ExecutionService:
        """Orders, the trades that filled them, positions, and a log of execution."""
        return self.session.execution

    @cached_property
    def risk_management(self) -> RiskManagementService:
        """Limits, how large a position may be, and what broke a limit."""
        return self.session.risk_management

    @cached_property
    def analytics(self) -> AnalyticsService:
        """Figures over periods, reports, and results that were expensive to compute."""
        return self.session.analytics

    @cached_property
    def notification(self) -> NotificationService:
        """Which alerts people want, and which were sent."""
        return self.session.notification

    @cached_property
    def logging(self) -> LoggingService:
        """What the system did, what was traded, and how long operations took."""
        return self.session.logging

    @cached_property
    def runs(self) -> Runs:
        """The run records: `list()`, `show(id)`, `compare(one, other)`, and `rerun(id)`."""
        from workbench.promotion.runs import Runs

        return Runs(self.session)

    @cached_property
    def trials(self) -> TrialStore:
        """How many variants of each strategy were tried: `count(strategy)`, `list()`."""
        return self.session.trials

    @cached_property
    def events(self) -> DataSyncEventBus:
        """Events: `publish_data_event(…)`, `recent()`, `follow()`, `subscribe(…)`."""
        return self.session.events

    @property
    def run_id(self) -> uuid.UUID | None:
        """The id of the run that this process writes for; None outside of any run."""
        return self.session.run.run_id()
