"""`Session`: settings, servers, connection pools, services, the run, and the counting of trials.

`Workbench` and the facets behind it (`wb.research`, `wb.deployments`) share one; it knows none of them.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from workbench.db.pool import ServiceConnectionPool
from workbench.db.roles import READONLY_ROLE, RUNS_ROLE, role_of, role_url
from workbench.runs.rehearsing import note_undone, rehearses
from workbench.runs.repeating import undoes_writes

if TYPE_CHECKING:
    from workbench.events import DataSyncEventBus
    from workbench.runs import InteractiveRun, NotebookRun, RunStore
    from workbench.runs.rehearsing import RehearsalRun
    from workbench.runs.scope import NoRun
    from workbench.runs.trials import TrialStore
    from workbench.services.analytics import AnalyticsService
    from workbench.services.data_ingestion import DataIngestionService
    from workbench.services.execution import ExecutionService
    from workbench.services.logging import LoggingService
    from workbench.services.notification import NotificationService
    from workbench.services.risk_management import RiskManagementService
    from workbench.services.service import RunScope
    from workbench.services.strategy_engine import StrategyEngineService
    from workbench.settings import Settings
    from workbench.stack import Endpoints, Stack
    from workbench.stack.model import Progress
    from workbench.stack.prefect_api import PrefectApi

__all__ = ["Session"]

# The pool of the events and trials of a run whose writes are undone, unlike its record.
_UNDONE_RUNS = "rerun"


class Session:
    """What everything behind one `Workbench` shares. Making one opens nothing.

    The first thing that needs the database finds the servers, and starts the embedded ones where none run.
    From then on every trial of this process is counted in that database.

    Parameters
    ----------
    settings : Settings
    only_looks : bool
        Whether the servers may be stopped again after a look: see `Stack.looking`.
    """

    def __init__(self, settings: Settings, *, only_looks: bool = False) -> None:
        self.settings = settings
        self._only_looks = only_looks
        self._pools: dict[str, ServiceConnectionPool] = {}
        self._counts = False

    # ------------------------------------------------------------------------------------------ servers

    @cached_property
    def stack(self) -> Stack:
        """The servers of the home; asking for it starts none."""
        from workbench.stack import Stack

        return Stack(self.settings, only_looks=self._only_looks)

    @cached_property
    def endpoints(self) -> Endpoints:
        """Where PostgreSQL and Redis answer; starts the embedded ones where they do not run."""
        from workbench.errors import ServerError

        self._count_trials()
        self.stack.claim()
        try:
            if self.stack.is_set_up():
                return self.stack.endpoints()
        except ServerError:
            # Nothing runs yet: it is started below.
            pass
        return self.stack.start_servers(_warn_of_old_data)

    def prefect(self, progress: Progress | None = None) -> PrefectApi:
        """Prefect's API; starts Prefect, a worker and all that they need where they do not run.

        Parameters
        ----------
        progress : callable, optional
            Called with a few words on what is being started.
        """
        from workbench.stack.prefect_api import PrefectApi

        endpoints = self.stack.up(progress)
        return PrefectApi(str(endpoints.prefect_api_url), endpoints.prefect_auth_string)

    def pool(self, service: str) -> ServiceConnectionPool:
        """The connections of a service's role, or of "runs" or "readonly"; opened when first used.

        In a rehearsal what is written over them is undone; in a rerun, a shadow or a backfill, too, but
        for the run's own record.
        """
        roles = {"runs": RUNS_ROLE, _UNDONE_RUNS: RUNS_ROLE, "readonly": READONLY_ROLE}
        role = roles.get(service) or role_of(service)
        if service not in self._pools:
            self._pools[service] = ServiceConnectionPool(
                service,
                lambda: role_url(self.settings, self.endpoints.database_url, role),
                size=self.settings.pool_size,
                overflow=self.settings.pool_overflow,
                undone=self._undone(service),
            )
        return self._pools[service]

    def _undone(self, service: str) -> Callable[[str, bool], None] | None:
        if rehearses():
            return lambda what, by_service: note_undone(service, what, by_service=by_service)
        return _let_go if undoes_writes() and service != "runs" else None

    def close(self) -> None:
        """Store what was tried, and close every connection; the next use opens new ones."""
        self.store_trials()
        if self._counts:
            # Also where no server was found: else what is tried later would have it look for one again.
            self._count_no_more()
        for pool in self._pools.values():
            pool.close()
        if "events" in self.__dict__:
            self.events.close()

    # ----------------------------------------------------------------------------------------- services

    @cached_property
    def data_ingestion(self) -> DataIngestionService:
        """Bars, with their cache on disk."""
        return self._bars(self.pool("data_ingestion"), self.run)

    @contextmanager
    def bars_of(self, run: RunScope) -> Iterator[DataIngestionService]:
        """Bars, written for another run than this process's own, over connections that end with it."""
        run_id = run.run_id()
        assert run_id is not None
        pool = self.pool("data_ingestion").of_run(run_id)
        try:
            yield self._bars(pool, run)
        finally:
            pool.close()

    def _bars(self, pool: ServiceConnectionPool, run: RunScope) -> DataIngestionService:
        from workbench.marketdata.cache import BarCache
        from workbench.services.data_ingestion import DataIngestionService

        # A folder for each database, so that copies of one do not evict each other's bars.
        folder = self.settings.home / "cache" / "bars" / self.settings.trading_database
        cache = BarCache(folder, self.settings.cache_size)
        return DataIngestionService(
            pool, run, cache, source=self.settings.data_source, calendar=self.settings.calendar
        )

    @cached_property
    def strategy_engine(self) -> StrategyEngineService:
        """Strategies and their signals."""
        from workbench.services.strategy_engine import StrategyEngineService

        return StrategyEngineService(self.pool("strategy_engine"), self.run)

    @cached_property
    def execution(self) -> ExecutionService:
        """Orders, trades and positions."""
        from workbench.services.execution import ExecutionService

        return ExecutionService(self.pool("execution"), self.run)

    @cached_property
    def risk_management(self) -> RiskManagementService:
        """Limits."""
        from workbench.services.risk_management import RiskManagementService

        return RiskManagementService(self.pool("risk_management"), self.run)

    @cached_property
    def analytics(self) -> AnalyticsService:
        """Figures and reports."""
        from workbench.services.analytics import AnalyticsService

        return AnalyticsService(self.pool("analytics"), self.run)

    @cached_property
    def notification(self) -> NotificationService:
        """Alerts."""
        from workbench.services.notification import NotificationService

        return NotificationService(self.pool("notification"), self.run)

    @cached_property
    def logging(self) -> LoggingService:
        """Logs."""
        from workbench.services.logging import LoggingService

        return LoggingService(self.pool("logging"), self.run)

    # ------------------------------------------------------------------------------------------ records

    @cached_property
    def runs(self) -> RunStore:
        """The run records."""
        from workbench.runs import RunStore

        return RunStore(self.pool("runs"), self.settings.runs_folder)

    @cached_property
    def run(self) -> NoRun | NotebookRun | InteractiveRun | RehearsalRun:
        """The run that this process writes for."""
        from workbench.runs.scope import scope_of_process

        return scope_of_process(self.runs, self.settings.home)

    @cached_property
    def events(self) -> DataSyncEventBus:
        """Events on Redis."""
        from workbench.events import DataSyncEventBus

        prefix = self.settings.event_prefix
        return DataSyncEventBus(
            self.pool(_UNDONE_RUNS if undoes_writes() else "runs"),
            lambda: self.endpoints.redis_url,
            prefix=prefix,
        )

    @cached_property
    def trials(self) -> TrialStore:
        """The trials of every run and notebook."""
        from workbench.backtest.trials import JOURNAL
        from workbench.runs.trials import TrialStore

        return TrialStore(self.pool(_UNDONE_RUNS if undoes_writes() else "runs"), lambda: self.run, JOURNAL)

    def store_trials(self) -> None:
        """Store what was tried in this process, where a database was found already; warns if it cannot."""
        if "endpoints" in self.__dict__:
            self.trials.store_or_warn()

    def _count_trials(self) -> None:
        """From now on, whatever is tried in this process is counted in this database, until its end."""
        from workbench.backtest.trials import JOURNAL

        self._counts = True
        _ = self.run  # Whose own end, registered with it, then comes after that of counting.
        JOURNAL.listen(self.trials.store_in_passing)
        atexit.register(self.trials.store_or_warn)

    def _count_no_more(self) -> None:
        """Until servers are looked for again, which the next use does."""
        from workbench.backtest.trials import JOURNAL

        self._counts = False
        self.__dict__.pop("endpoints", None)
        JOURNAL.ignore(self.trials.store_in_passing)
        atexit.unregister(self.trials.store_or_warn)


def _let_go(_doing: str, _by_service: bool) -> None:
    """What the run wrote was kept in its folder, and is undone."""


def _warn_of_old_data(step: str) -> None:
    """Of a start's steps, show only the one that says what became of an earlier home's data."""
    from workbench.embedded.place import EARLIER_HOME
    from workbench.terminal import warn

    if step.startswith(EARLIER_HOME):
        warn(step)
