"""`HeldServices`: the services and records of a session as attributes of `wb`, and `why`, which asks them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import pandas as pd

    from workbench.events import DataSyncEventBus
    from workbench.promotion.runs import Runs
    from workbench.runs.trials import TrialStore
    from workbench.runs.why import Why, Whys
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
        """The run records: `list()`, `show(id)`, `of(series)`, `compare(one, other)`, and `rerun(id)`."""
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

    @overload
    def why(self, row: pd.DataFrame, *, check: bool = False) -> Why | Whys: ...
    @overload
    def why(
        self, row: pd.Series[Any] | Mapping[str, Any] | str | uuid.UUID, *, check: bool = False
    ) -> Why: ...
    def why(self, row: object, *, check: bool = False) -> Why | Whys:
        """Tell where a stored row comes from: the run, the cell, the parameters, the bars and the code.

        Parameters
        ----------
        row : Series, DataFrame, mapping, str or UUID
            A row or a frame of signals (of backtests or live), performance, strategies, orders, trades,
            positions, figures or reports, as the `load_…` return them; a mapping with a whole `run_id`; or
            the id of a run (the first characters are enough), a signal, an order, a trade or a report.
        check : bool
            Also whether the row would differ today: its run is made again on today's bars, as by
            `rerun(exact=False)`, and that row of what it says is compared. For one row.

        Returns
        -------
        Why or Whys
            Of one row a `Why`: `run`, `version`, `cells`, `series` (each with the revision that was read, and
            how many bars have changed since), `today`; `print` and notebooks show it, `to_dict()` is JSON. Of
            a frame with several rows a `Whys`: a sequence of these, with a `table`.

        Raises
        ------
        QueryError
            What is given is no row, has no `run_id`, or is more than 10,000 rows; or `check=True` with
            several rows, or with what is no row of a table.
        RunError
            There is no run or row of that id; with `check=True`, the run cannot be repeated.
        NotebookFailed
            With `check=True`: the rerun failed.

        A row that was saved outside of any run is no error: `sentence()` says so.

        Examples
        --------
        >>> signals = wb.strategy_engine.load_strategy_signals("sma_cross", kind="live", latest=1)
        >>> print(wb.why(signals))
        """
        return self.runs.why(row, check=check)

    @property
    def run_id(self) -> uuid.UUID | None:
        """The id of the run that this process writes for; None outside of any run."""
        return self.session.run.run_id()
