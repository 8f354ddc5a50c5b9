"""Workbench: the one object of a notebook: services, events, runs, and what one does with them.

Longer than most files, for it is the face of all the others: each method says what there is to say to those
who call it, and hands over to the module that does it.
"""

from __future__ import annotations

import atexit
import os
import uuid
from collections.abc import Callable, Mapping
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

from workbench.db.pool import ServiceConnectionPool
from workbench.db.roles import READONLY_ROLE, RUNS_ROLE, role_of, role_url

if TYPE_CHECKING:
    import pandas as pd

    from workbench.backtest import BacktestResult, Strategy
    from workbench.events import DataSyncEventBus
    from workbench.ingestion import IngestedSeries
    from workbench.overfitting import Honesty
    from workbench.promotion.deploy import Deployment, FlowRun
    from workbench.promotion.execute import Progress
    from workbench.promotion.run import NotebookRunResult, Origin
    from workbench.report import Tearsheet
    from workbench.runs import InteractiveRun, NotebookRun, RunStore
    from workbench.runs.scope import NoRun
    from workbench.runs.trials import TrialStore
    from workbench.services.analytics import AnalyticsService
    from workbench.services.data_ingestion import DataIngestionService
    from workbench.services.execution import ExecutionService
    from workbench.services.filters import Moment, Strings
    from workbench.services.logging import LoggingService
    from workbench.services.notification import NotificationService
    from workbench.services.risk_management import RiskManagementService
    from workbench.services.strategy_engine import StrategyEngineService
    from workbench.settings import Settings
    from workbench.stack import Endpoints, Stack
    from workbench.sweep import SweepResult
    from workbench.validation import ValidationResult

__all__ = ["Workbench"]

# How the card sorts what there is.
_GROUPS = {
    "Services": (
        "data_ingestion",
        "strategy_engine",
        "execution",
        "risk_management",
        "analytics",
        "notification",
        "logging",
    ),
    "Records": ("runs", "trials", "events", "run_id"),
    "Data": ("ingest", "sql"),
    "Research": ("sweep", "tearsheet", "honesty", "save_backtest", "save_sweep", "save_validation"),
    "Notebooks": ("run", "promote", "trigger"),
    "Itself": ("settings", "close"),
}


class Workbench:
    """The face of it all.

    Making one opens nothing. The first thing that needs the database finds the servers, and starts the
    embedded ones where none run.

    Attributes
    ----------
    data_ingestion, strategy_engine, execution, risk_management, analytics, notification, logging
        The services: `load_<table>` and `write_<table>` for every table of their schema.
    events : DataSyncEventBus
        What was written or has run, for whoever listens.
    runs : RunStore
        Which notebook, parameters, code and data made which rows.
    trials : TrialStore
        How many variants of each strategy were looked at, whatever became of them.

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
        if settings.frames == "short":
            from workbench.display.frames import short_frames

            short_frames()
        from workbench.display.tracebacks import short_tracebacks

        short_tracebacks()
        self._pools: dict[str, ServiceConnectionPool] = {}
        self._counts = False

    def __repr__(self) -> str:
        return f"<Workbench of {self.settings.home}>"

    def _repr_html_(self) -> str:
        from workbench.display.card import card_html

        rows = [(group, ", ".join(f"`{name}`" for name in names)) for group, names in _GROUPS.items()]
        note = f"Home: {self.settings.home}. Tab behind `wb.` completes; `help(wb.ingest)` explains."
        return card_html("Workbench", rows, note=note)

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
        from workbench.marketdata.cache import BarCache
        from workbench.services.data_ingestion import DataIngestionService

        # One folder a database: copies of one do not push each other's bars out.
        cache = BarCache(
            self.settings.home / "cache" / "bars" / self.settings.trading_database, self.settings.cache_size
        )
        return DataIngestionService(self._pool("data_ingestion"), self._run, cache)

    @cached_property
    def strategy_engine(self) -> StrategyEngineService:
        """Strategies, their configurations, signals and daily performance."""
        from workbench.services.strategy_engine import StrategyEngineService

        return StrategyEngineService(self._pool("strategy_engine"), self._run)

    @cached_property
    def execution(self) -> ExecutionService:
        """Orders, the trades that filled them, positions, and what happened on the way."""
        from workbench.services.execution import ExecutionService

        return ExecutionService(self._pool("execution"), self._run)

    @cached_property
    def risk_management(self) -> RiskManagementService:
        """Limits, how large a position may be, and what broke a limit."""
        from workbench.services.risk_management import RiskManagementService

        return RiskManagementService(self._pool("risk_management"), self._run)

    @cached_property
    def analytics(self) -> AnalyticsService:
        """Figures over periods, reports, and results that were expensive to compute."""
        from workbench.services.analytics import AnalyticsService

        return AnalyticsService(self._pool("analytics"), self._run)

    @cached_property
    def notification(self) -> NotificationService:
        """Of what people want to be told, and what they were told."""
        from workbench.services.notification import NotificationService

        return NotificationService(self._pool("notification"), self._run)

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
    def trials(self) -> TrialStore:
        """How many variants of each strategy were looked at: `count(strategy)`, `list()`."""
        from workbench.backtest.trials import JOURNAL
        from workbench.runs.trials import TrialStore

        return TrialStore(self._pool("runs"), lambda: self._run, JOURNAL)

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
        interval: str | None = None,
        feed: str | None = None,
        calendar: str | None = None,
        progress: Callable[[IngestedSeries], None] | None = None,
        on_wait: Callable[[str], None] | None = None,
    ) -> list[IngestedSeries]:
        """Bring bars of `symbols` in `[start, end)` from a source into the database.

        Good bars are stored, the others logged with their reason in `data_quality_logs`; nothing is lost.

        Parameters
        ----------
        symbols : str or list of str
        source : str
            "sample" (real daily prices that come with the package bokeh_sampledata), "file", "yahoo",
            "polygon" or "alpaca".
        start, end : optional
            The range `[start, end)`, UTC. From a vendor, without `start`: what is missing since last time.
        path, columns, date_format, timezone : optional
            For "file": the CSV or Parquet file; which column is which field, where its name does not tell
            (`{"close": "Last"}`); how dates are written; the time zone of times without an offset.
        data_source : str, optional
            The name the bars are stored under; not for "sample". Default: the source's, and of a vendor's
            intraday bars with their length behind it: "yahoo_1min".
        interval : str, optional
            For a vendor: "1d" (default), "1h", "30min", "15min", "5min" or "1min".
        feed : str, optional
            For "alpaca": "sip" or "iex". Default: the best that the plan gives.
        calendar : str, optional
            The exchange's calendar against which gaps and odd hours are noted, by its exchange_calendars
            name: "XNYS", "24/7" for coins, "24/5" for currencies, "none" for none. Default: "XNYS" for
            vendors and "sample", none for "file".
        progress : callable, optional
            Called with each series when it is stored, or has failed.
        on_wait : callable, optional
            Told in words of long waits for a vendor.

        Returns
        -------
        list of IngestedSeries
            One for each symbol and data source, with counts of rows written and refused, and from a vendor
            why a symbol could not be had.
        """
        from workbench.ingestion import ingest
        from workbench.services.filters import as_list
        from workbench.sources.opening import open_source

        options = {
            "path": path,
            "columns": columns,
            "date_format": date_format,
            "timezone": timezone,
            "data_source": data_source,
            "interval": interval,
            "feed": feed,
        }
        chosen = open_source(source, self.settings, options, on_wait=on_wait)
        wanted = as_list(symbols, "symbols") or []
        return ingest(self.data_ingestion, chosen, wanted, start, end, calendar=calendar, progress=progress)

    def sql(
        self,
        statement: str,
        /,
        *,
        timeout: float = 60.0,
        max_rows: int = 1_000_000,
        max_bytes: int = 500_000_000,
        **parameters: Any,
    ) -> pd.DataFrame:
        """Ask the database in SQL, as a role that may only read; a notebook has `%%sql` for the same.

        Parameters
        ----------
        statement : str
            One statement that reads. `:name` stands for the parameter of that name, which is bound on the
            server and never becomes part of the statement.
        timeout : float
            Seconds after which the server cancels it.
        max_rows : int
            More rows than these are refused.
        max_bytes : int
            More bytes than these are refused, and one row that has more than a quarter of them, before they
            are sent: text and JSON count as they are written, a number or a time counts 8.
        **parameters
            Numbers, text, times (without a time zone: UTC), None, lists (`= ANY(:symbols)`), dicts (jsonb).

        Returns
        -------
        DataFrame
            Typed by PostgreSQL's types, as `workbench.db.adhoc.query` states.

        Examples
        --------
        >>> wb.sql("SELECT * FROM strategy_engine.strategies WHERE status = :status", status="active")
        """
        from workbench.db.adhoc import query

        return query(
            self._pool("readonly"),
            statement,
            parameters,
            timeout=timeout,
            max_rows=max_rows,
            max_bytes=max_bytes,
        )

    def sweep(
        self, strategy: Strategy, bars: pd.DataFrame, grid: Any = None, /, **options: Any
    ) -> SweepResult:
        """Backtest many variants of a strategy, resumable: `workbench.sweep` with this home's store.

        What was finished before a kill is kept below the home; the same call goes on from there. Every
        variant counts as a trial of the strategy.

        Parameters
        ----------
        strategy : Strategy
        bars : DataFrame
            Tidy bars.
        grid : mapping, Grid, Random or Bayesian
            What to search: ``{"fast": range(5, 50, 5), "slow": [100, 200]}``.
        **options
            Whatever `workbench.sweep` takes: symbols, periods, fees, cluster, seed, … The rules of a
            backtest are ``**result.rules``; without them the sweep has rules of its own.

        Examples
        --------
        >>> found = wb.sweep(sma_cross, bars, {"fast": range(5, 50, 5), "slow": range(60, 210, 10)})
        >>> found.heatmap("fast", "slow")
        """
        from workbench.home.temporary import temporaries_in
        from workbench.sweep import sweep

        options.setdefault("store", self.settings.home / "sweeps")
        with temporaries_in(self.settings.home):
            found = sweep(strategy, bars, grid, **options)
        if "_endpoints" in self.__dict__:
            self.trials.store_or_warn()
        return found

    def honesty(
        self,
        result: BacktestResult | ValidationResult,
        *,
        pbo: float | None = None,
        spa: float | None = None,
    ) -> Honesty:
        """How likely a result is luck, given everything that was ever tried of its strategy here.

        Parameters
        ----------
        result : BacktestResult or ValidationResult
        pbo, spa : float, optional
            From `probability_of_overfitting` and `reality_check`, to be told in the same breath.

        Returns
        -------
        Honesty
            Its `sentence` says it in one line; trials are those of `wb.trials.count(…)`.
        """
        from workbench.research import counted_under, honesty_of

        count = self.trials.count(counted_under(result))
        return honesty_of(result, count, pbo=pbo, spa=spa)

    def tearsheet(
        self,
        result: BacktestResult,
        *,
        bars: pd.DataFrame | None = None,
        sweep: SweepResult | None = None,
        title: str | None = None,
    ) -> Tearsheet:
        """The report of a backtest, with the trials of every run and notebook in its honesty section.

        Parameters
        ----------
        result : BacktestResult
        bars : DataFrame, optional
            What it was run on, to draw the trades on the price.
        sweep : SweepResult, optional
            What it was chosen from, to draw the surface of its parameters. One of another strategy, of other
            symbols or by other rules is refused (`SweepDiffers`, which names them).
        title : str, optional
            Default: the result's name.
        """
        return result.report(bars=bars, honesty=self.honesty(result), sweep=sweep, title=title)

    def save_backtest(
        self,
        result: BacktestResult,
        *,
        strategy_id: str | None = None,
        name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        status: str = "inactive",
        report: bool = True,
        bars: pd.DataFrame | None = None,
        sweep: SweepResult | None = None,
    ) -> dict[str, int]:
        """Store a backtest: the strategy, its signals, daily performance, figures and report.

        What was decided at the newest bar is stored as `pending`. With the strategy go the rules of filling
        and what was traded, so that the backtest can be made again: `load_strategies`.

        Parameters
        ----------
        result : BacktestResult
        strategy_id : str, optional
            What the strategy is known by; saved again under the same id, its rows are brought up to date, and
            all of them name the run that saved them last.
            Default: made of the strategy's name and the symbols.
        name : str, optional
            For people. Default: the result's name.
        parameters : mapping, optional
            What the strategy was run with; JSON. Default: the result's parameters.
        status : str
            active, inactive or paused.
        report : bool
            Whether to store the tearsheet, as a page and as a picture.
        bars, sweep : optional
            For the tearsheet, as in `tearsheet`.

        Returns
        -------
        dict
            Rows inserted or updated, by table.
        """
        from workbench.research import as_json, chosen_id, save_backtest, strategy_id_of

        stored_under = chosen_id(strategy_id, lambda: strategy_id_of(result))
        if sweep is not None:
            sweep.require_same(result)
        written = save_backtest(
            self.strategy_engine,
            self.analytics,
            result,
            strategy_id=stored_under,
            name=name or result.name,
            parameters=dict(result.parameters if parameters is None else parameters),
            status=status,
            tearsheet=self.tearsheet(result, bars=bars, sweep=sweep, title=name) if report else None,
        )
        self._run.note_headline(as_json(result.metrics))
        return {table: rows.changed for table, rows in written.items()}

    def save_sweep(
        self, sweep: SweepResult, *, strategy_id: str | None = None, bars: pd.DataFrame | None = None
    ) -> dict[str, int]:
        """Store what a sweep searched, its best variants, and the tearsheet of the best one.

        The variants go to `analytics_cache` under ``sweep/<strategy_id>``, the page and its picture to
        `reports`.

        Parameters
        ----------
        sweep : SweepResult
        strategy_id : str, optional
            Default: the strategy's name.
        bars : DataFrame, optional
            What was swept, to draw the best variant's trades on the price.

        Returns
        -------
        dict
            Rows inserted or updated, by table.
        """
        from workbench.research import chosen_id, save_sweep

        stored_under = chosen_id(strategy_id, lambda: sweep.strategy)
        best = sweep.backtest(int(sweep.best(1).index[0]))
        written = save_sweep(
            self.analytics,
            sweep,
            strategy_id=stored_under,
            tearsheet=self.tearsheet(best, bars=bars, sweep=sweep),
        )
        return {table: rows.changed for table, rows in written.items()}

    def save_validation(
        self, validation: ValidationResult, *, strategy_id: str | None = None
    ) -> dict[str, int]:
        """Store a validation's out-of-sample record as a strategy of its own: daily performance, figures.

        Parameters
        ----------
        validation : ValidationResult
        strategy_id : str, optional
            Default: the strategy's name with the kind of validation behind it.

        Returns
        -------
        dict
            Rows inserted or updated, by table.
        """
        from workbench.research import as_json, chosen_id, save_validation

        written = save_validation(
            self.strategy_engine,
            self.analytics,
            validation,
            strategy_id=chosen_id(strategy_id, lambda: f"{validation.strategy}-{validation.kind}"),
        )
        self._run.note_headline(as_json(validation.metrics))
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

        Parameters
        ----------
        notebook : str or path
            A path, or a name below `notebooks/`, with or without `.ipynb`.
        parameters : mapping, optional
            Values by name, checked strictly against the "parameters" cell; those left out keep its defaults.
        sha256 : str, optional
            Run the promoted notebook of that hash, whatever the file says now.
        origin : Origin, optional
            Who asked, for the record. Default: a command.
        timeout_seconds : float, optional
            The kernel is killed after that long. Default: no limit.
        progress : callable, optional
            Called as `progress(cells done, cells in all, what runs now)`.

        Returns
        -------
        NotebookRunResult
            The run's id, and where its output notebook and page lie.

        Raises
        ------
        ParametersRefused
            Before anything ran; no record is left.
        NotebookFailed
            A cell raised, the kernel died, time ran out; the record says so.

        Examples
        --------
        >>> wb.run("strategies/sma_cross.ipynb", {"symbols": ["MSFT"], "fast": 10})
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
        force: bool = False,
        progress: Callable[[str], None] | None = None,
    ) -> Deployment:
        """Turn a notebook into a scheduled Prefect job; starts Prefect and a worker where none run.

        What runs is the notebook as it is now, whatever is edited later; the same name again replaces what
        was promoted under it.

        Parameters
        ----------
        notebook : str or path
            A path, or a name below `notebooks/`, with or without `.ipynb`.
        name : str
            The deployment's: letters, digits, dots, dashes and underscores.
        cron : str
            Five fields: "30 17 * * mon-fri".
        timezone : str
            The IANA name of the time zone that the fields are read in: "America/New_York".
        parameters : mapping, optional
            Values for every run, checked strictly against the "parameters" cell.
        timeout_seconds : float, optional
            A run is killed after that long. Default: no limit.
        force : bool
            Promote what is not fit to run by schedule, too: a notebook without a "parameters" cell, one that
            promotes or triggers, values that its strategy would refuse. Its description in Prefect tells it.
        progress : callable, optional
            Told in words what is being started, and waited for.

        Returns
        -------
        Deployment
            For `wb.trigger`.

        Raises
        ------
        NotebookError, ParametersRefused
            The notebook or its parameters are not as they must be; nothing was deployed.
        PromotionRefused
            A name, schedule or time zone that cannot be used, or Prefect refuses.

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
            progress=progress,
            force=force,
        )

    def trigger(
        self,
        deployment: Deployment | str,
        parameters: Mapping[str, Any] | None = None,
        *,
        timeout_seconds: float = 600,
        progress: Callable[[FlowRun], None] | None = None,
    ) -> FlowRun:
        """Have a worker run a deployment now, and wait until it has ended.

        Parameters
        ----------
        deployment : Deployment or str
            What `wb.promote` returned, or its name.
        parameters : mapping, optional
            Values for this run, in place of the deployment's.
        timeout_seconds : float
            How long to wait for its end, in seconds; the run itself goes on.
        progress : callable, optional
            Called with the `FlowRun` again and again until it has ended.

        Returns
        -------
        FlowRun
            How it ended: its `state` and Prefect's `message`.

        Raises
        ------
        PromotionRefused, ParametersRefused
            There is no such deployment, or it has no such parameters.
        ServerError
            The run has not ended in time.

        Examples
        --------
        >>> wb.trigger("sma-cross")
        """
        from workbench.promotion.deploy import trigger, wait

        prefect = self._prefect(None)
        run = trigger(self.settings, prefect, deployment, parameters)
        return wait(prefect, run, timeout_seconds=timeout_seconds, progress=progress)

    def close(self) -> None:
        """Store what was tried, and close every connection; the next use opens new ones."""
        if "_endpoints" in self.__dict__:
            self.trials.store_or_warn()
        if self._counts:
            # Also where no server was found: else what is tried later would have it look for one again.
            self._count_no_more()
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

        self._count_trials()
        self._stack.claim()
        try:
            if self._stack.is_set_up():
                return self._stack.endpoints()
        except ServerError:
            # Nothing runs yet: it is started below.
            pass
        return self._stack.start_servers(_tell_what_lasts)

    def _count_trials(self) -> None:
        """From now on, whatever is tried in this process is counted in this database, until its end."""
        from workbench.backtest.trials import JOURNAL

        self._counts = True
        _ = self._run  # Whose own end, registered with it, then comes after that of counting.
        JOURNAL.listen(self.trials.store_in_passing)
        atexit.register(self.trials.store_or_warn)

    def _count_no_more(self) -> None:
        """Until servers are looked for again, which the next use does."""
        from workbench.backtest.trials import JOURNAL

        self._counts = False
        self.__dict__.pop("_endpoints", None)
        JOURNAL.ignore(self.trials.store_in_passing)
        atexit.unregister(self.trials.store_or_warn)

    def _prefect(self, progress: Callable[[str], None] | None) -> Any:
        from workbench.stack.prefect_api import PrefectApi

        endpoints = self._stack.up(progress)
        return PrefectApi(str(endpoints.prefect_api_url), endpoints.prefect_auth_string)

    @cached_property
    def _run(self) -> NoRun | NotebookRun | InteractiveRun:
        from workbench.runs.scope import scope_of_process

        return scope_of_process(self.runs)

    def _pool(self, service: str) -> ServiceConnectionPool:
        role = {"runs": RUNS_ROLE, "readonly": READONLY_ROLE}.get(service) or role_of(service)
        if service not in self._pools:
            self._pools[service] = ServiceConnectionPool(
                service,
                lambda: role_url(self.settings, self._endpoints.database_url, role),
                size=self.settings.pool_size,
                overflow=self.settings.pool_overflow,
            )
        return self._pools[service]


def _tell_what_lasts(step: str) -> None:
    """Of what a start does, tell what people must know later: what became of an earlier home's data."""
    from workbench.embedded.place import EARLIER_HOME
    from workbench.terminal import warn

    if step.startswith(EARLIER_HOME):
        warn(step)
