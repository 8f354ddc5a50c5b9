"""Workbench: the one object of a notebook: services, events, runs, and what one does with them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

from workbench.db.pool import ServiceConnectionPool
from workbench.db.roles import RUNS_ROLE, role_of, role_url

if TYPE_CHECKING:
    from workbench.backtest import BacktestResult
    from workbench.events import DataSyncEventBus
    from workbench.ingestion import IngestedSeries
    from workbench.promotion.deploy import Deployment, FlowRun
    from workbench.promotion.execute import Progress
    from workbench.promotion.run import NotebookRunResult, Origin
    from workbench.runs import InteractiveRun, NotebookRun, RunStore
    from workbench.runs.scope import NoRun
    from workbench.services.data_ingestion import DataIngestionService
    from workbench.services.logging import LoggingService
    from workbench.services.service import Moment, Strings
    from workbench.services.strategy_engine import StrategyEngineService
    from workbench.settings import Settings
    from workbench.stack import Endpoints, Stack

__all__ = ["Workbench"]


class Workbench:
    """The face of it all.

    Making one opens nothing. The first thing that needs the database finds the servers, and starts the
    embedded ones where none run.

    Attributes
    ----------
    data_ingestion, strategy_engine, logging
        The services: `load_<table>` and `write_<table>` for every table of their schema.
    events : DataSyncEventBus
        What was written or has run, for whoever listens.
    runs : RunStore
        Which notebook, parameters, code and data made which rows.

    Examples
    --------
    >>> wb = Workbench()
    >>> bars = wb.data_ingestion.load_market_data("AAPL", source="yahoo_adjusted")
    """

    def __init__(self, settings: Settings | None = None) -> None:
        if settings is None:
            # Here, and not above: pydantic is a third of what importing all the rest costs.
            from workbench.settings import Settings

            settings = Settings.load()
        self.settings = settings
        self._pools: dict[str, ServiceConnectionPool] = {}

    def __repr__(self) -> str:
        return (
            "<Workbench: data_ingestion, strategy_engine, logging, events, runs; ingest(), save_backtest(), "
            f"run(), promote(), trigger(); home {self.settings.home}>"
        )

    def __enter__(self) -> Workbench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ----------------------------------------------------------------------------------------- services

    @cached_property
    def data_ingestion(self) -> DataIngestionService:
        """Bars, why some were refused, and how far each series reaches."""
        from workbench.services.data_ingestion import DataIngestionService

        return DataIngestionService(self._pool("data_ingestion"), self._run)

    @cached_property
    def strategy_engine(self) -> StrategyEngineService:
        """Strategies, their configurations, signals and daily performance."""
        from workbench.services.strategy_engine import StrategyEngineService

        return StrategyEngineService(self._pool("strategy_engine"), self._run)

    @cached_property
    def logging(self) -> LoggingService:
        """What the system did, what was traded, and how long operations took."""
        from workbench.services.logging import LoggingService

        return LoggingService(self._pool("logging"), self._run)

    @cached_property
    def runs(self) -> RunStore:
        """The run records: `list()`, `show(id)`, `compare(one, other)`."""
        from workbench.runs import RunStore

        return RunStore(self._pool("runs"))

    @cached_property
    def events(self) -> DataSyncEventBus:
        """Events: `publish_data_event(…)`, `recent()`, `follow()`, `subscribe(…)`."""
        from workbench.events import DataSyncEventBus

        return DataSyncEventBus(self._pool("runs"), lambda: self._endpoints.redis_url)

    @property
    def run_id(self) -> uuid.UUID | None:
        """The run on whose behalf this process writes; None outside of any run."""
        return self._run.run_id()

    # -------------------------------------------------------------------------------------------- doing

    def ingest(
        self,
        symbols: Strings,
        *,
        source: str = "sample",
        start: Moment | None = None,
        end: Moment | None = None,
        path: str | os.PathLike[str] | None = None,
        columns: Mapping[str, str] | None = None,
        date_format: str | None = None,
        timezone: str | None = None,
        data_source: str | None = None,
        progress: Callable[[IngestedSeries], None] | None = None,
    ) -> list[IngestedSeries]:
        """Bring bars of `symbols` in `[start, end)` from a source into the database.

        Good bars are stored, the others logged with their reason in `data_quality_logs`; nothing is lost.

        Parameters
        ----------
        symbols : str or list of str
        source : str
            "sample" (real daily prices that come with the package bokeh_sampledata) or "file".
        start, end : optional
            The range `[start, end)`, UTC.
        path, columns, date_format, timezone, data_source : optional
            For "file": the CSV or Parquet file; which column is which field, where its name does not tell
            (`{"close": "Last"}`); how dates are written; the time zone of times without an offset; the
            name the bars are stored under (default "file").
        progress : callable, optional
            Called with each series when it is stored.

        Returns
        -------
        list of IngestedSeries
            One for each symbol and data source, with counts of rows written and refused.
        """
        from workbench.errors import SourceError
        from workbench.ingestion import ingest
        from workbench.services.service import as_list
        from workbench.sources import source_class

        options = {
            name: value
            for name, value in {
                "path": path,
                "columns": columns,
                "date_format": date_format,
                "timezone": timezone,
                "data_source": data_source,
            }.items()
            if value is not None
        }
        if source == "file" and path is None:
            raise SourceError("the source file needs to know which: --path FILE, or path='bars.csv'")
        if source != "file" and options:
            raise SourceError(f"the source {source} takes no {', '.join(options)}; that is for source file")
        chosen = source_class(source)(**options)
        wanted = as_list(symbols, "symbols") or []
        return ingest(self.data_ingestion, chosen, wanted, start, end, progress=progress)

    def save_backtest(
        self,
        result: BacktestResult,
        *,
        strategy_id: str,
        name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        status: str = "inactive",
    ) -> dict[str, int]:
        """Store a backtest: the strategy, its signals and its daily performance, in one transaction.

        Parameters
        ----------
        result : BacktestResult
        strategy_id : str
            What the strategy is known by; saved again under the same id, its rows are brought up to date.
        name : str, optional
            For people. Default: the result's name.
        parameters : mapping, optional
            What the strategy was run with; JSON.
        status : str
            active, inactive or paused.

        Returns
        -------
        dict
            Rows inserted or updated, by table.
        """
        written = self.strategy_engine.write_backtest(
            strategy_id=strategy_id,
            name=name or result.name,
            parameters=dict(parameters or {}),
            status=status,
            signals=result.signals(),
            performance=result.performance(),
        )
        self._run.note_headline(_headline(result.metrics))
        return {table: rows.changed for table, rows in written.items()}

    def run(
        self,
        notebook: str | os.PathLike[str],
        parameters: Mapping[str, Any] | None = None,
        *,
        sha256: str | None = None,
        origin: Origin | None = None,
        timeout_seconds: float | None = None,
        progress: Progress | None = None,
    ) -> NotebookRunResult:
        """Run a notebook headless from a clean kernel, here and now, and record it.

        See `workbench.promotion.run.run_notebook`.
        """
        from workbench.promotion.run import run_notebook
        from workbench.stack.environment import settings_environment

        # The notebook's own Workbench() must find what this one found.
        _ = self._endpoints
        return run_notebook(
            self.settings,
            self.runs,
            notebook,
            parameters,
            sha256=sha256,
            origin=origin,
            timeout_seconds=timeout_seconds,
            environment=settings_environment(self.settings),
            progress=progress,
        )

    def promote(
        self,
        notebook: str | os.PathLike[str],
        *,
        name: str,
        cron: str,
        timezone: str,
        parameters: Mapping[str, Any] | None = None,
        timeout_seconds: float | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> Deployment:
        """Turn a notebook into a scheduled Prefect job; starts Prefect and a worker where none run.

        See `workbench.promotion.deploy.promote`.

        Examples
        --------
        >>> wb.promote("strategies/sma_cross.ipynb", name="sma-cross", cron="30 17 * * mon-fri",
        ...            timezone="America/New_York", parameters={"fast": 20, "slow": 50})
        """
        from workbench.promotion.deploy import promote

        return promote(
            self.settings,
            self._prefect(progress),
            notebook,
            name=name,
            cron=cron,
            timezone=timezone,
            parameters=parameters,
            timeout_seconds=timeout_seconds,
        )

    def trigger(
        self,
        deployment: Deployment | str,
        parameters: Mapping[str, Any] | None = None,
        *,
        timeout_seconds: float = 600,
        progress: Callable[[FlowRun], None] | None = None,
    ) -> FlowRun:
        """Have a worker run a deployment now, and wait until it has ended."""
        from workbench.promotion.deploy import trigger, wait

        prefect = self._prefect(None)
        run = trigger(prefect, deployment, parameters)
        return wait(prefect, run, timeout_seconds=timeout_seconds, progress=progress)

    def close(self) -> None:
        """Close every connection; the next use opens new ones."""
        for pool in self._pools.values():
            pool.close()
        if "events" in self.__dict__:
            self.events.close()

    # ------------------------------------------------------------------------------------------- inside

    @cached_property
    def _stack(self) -> Stack:
        from workbench.stack import Stack

        return Stack(self.settings)

    @cached_property
    def _endpoints(self) -> Endpoints:
        from workbench.errors import ServerError

        try:
            if self._stack.is_set_up():
                return self._stack.endpoints()
        except ServerError:
            # Nothing runs yet: it is started below.
            pass
        return self._stack.start_servers()

    def _prefect(self, progress: Callable[[str], None] | None) -> Any:
        from workbench.stack.prefect_api import PrefectApi

        endpoints = self._stack.up(progress)
        return PrefectApi(str(endpoints.prefect_api_url), endpoints.prefect_auth_string)

    @cached_property
    def _run(self) -> NoRun | NotebookRun | InteractiveRun:
        from workbench.runs.scope import scope_of_process

        return scope_of_process(self.runs)

    def _pool(self, service: str) -> ServiceConnectionPool:
        role = RUNS_ROLE if service == "runs" else role_of(service)
        if service not in self._pools:
            self._pools[service] = ServiceConnectionPool(
                service, lambda: role_url(self.settings, self._endpoints.database_url, role)
            )
        return self._pools[service]


def _headline(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """The figures as JSON: what is not defined is null."""
    return {
        name: None if value != value or abs(value) == float("inf") else value
        for name, value in metrics.items()
    }
