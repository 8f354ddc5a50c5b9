"""`Workbench`: the one object of a notebook; it passes on to its session, services and facets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from workbench.db.roles import SERVICES
from workbench.earlier_names import EarlierNames
from workbench.held_services import HeldServices
from workbench.promotion.deployments import Deployments
from workbench.research import Research
from workbench.session import Session

if TYPE_CHECKING:
    from datetime import timedelta

    import pandas as pd

    from workbench.backtest import Strategy
    from workbench.headless.execute import Progress
    from workbench.ingestion import IngestedSeries
    from workbench.promotion.records import Deployment
    from workbench.promotion.run import NotebookRunResult, Origin
    from workbench.schedules import CatchUp
    from workbench.services.filters import Moment, Strings
    from workbench.settings import Settings
    from workbench.sweep import SweepResult

__all__ = ["Workbench"]

# The rows of the card.
_GROUPS = {
    "Services": SERVICES,
    "Records": ("runs", "why", "trials", "events", "run_id"),
    "Data": ("ingest", "sql"),
    "Research": ("sweep", "save", "research"),
    "Notebooks": ("run", "promote", "deployments"),
    "Itself": ("settings", "close"),
}
# Not offered by completion: earlier names, and what this package alone uses.
_UNLISTED = {name for name in vars(EarlierNames) if not name.startswith("_")} | {"session"}


class Workbench(HeldServices, EarlierNames):
    """The one object of a notebook: services, records, daily verbs, and a facet for each kind of work.

    Making one opens nothing. The first thing that needs the database finds the servers, and starts the
    embedded ones where none run.

    Parameters
    ----------
    settings : Settings, optional
        Default: those of the environment, `Settings.load()`.
    session : Session, optional
        One that exists already, to share its connections; `settings` are then its own.

    Attributes
    ----------
    data_ingestion, strategy_engine, execution, risk_management, analytics, notification, logging
        The services: `load_<table>` and `write_<table>` for every table of their schema.
    research : Research
        Sweeps, honesty, tearsheets, saves.
    deployments : Deployments
        Scheduled notebooks: promote, trigger, list, slots.
    runs : Runs
        Which notebook, parameters, code and data made which rows; `rerun` runs one again.
    trials : TrialStore
        How many variants of each strategy were tried, whether or not they were kept.
    events : DataSyncEventBus
        What was written and what has run, as events.

    Examples
    --------
    >>> wb = Workbench()
    >>> bars = wb.data_ingestion.load_market_data("AAPL", source="yahoo_adjusted")
    """

    def __init__(self, settings: Settings | None = None, *, session: Session | None = None) -> None:
        if session is None:
            if settings is None:
                # Here, and not above: pydantic is a third of what importing all the rest costs.
                from workbench.settings import Settings

                settings = Settings.load()
            session = Session(settings)
        self.session = session
        if session.settings.frames == "short":
            from workbench.display.frames import short_frames

            short_frames()
        from workbench.display.tracebacks import short_tracebacks

        short_tracebacks()

    def __repr__(self) -> str:
        return f"<Workbench of {self.settings.home}>"

    def _repr_html_(self) -> str:
        from workbench.display.card import card_html

        rows = [(group, ", ".join(f"`{name}`" for name in names)) for group, names in _GROUPS.items()]
        note = f"Home: {self.settings.home}. Tab behind `wb.` completes; `help(wb.ingest)` explains."
        return card_html("Workbench", rows, note=note)

    def __dir__(self) -> Iterable[str]:
        return [name for name in super().__dir__() if name not in _UNLISTED]

    def __enter__(self) -> Workbench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def settings(self) -> Settings:
        """The settings that it was made with."""
        return self.session.settings

    def close(self) -> None:
        """Store what was tried, and close every connection; the next use opens new ones."""
        self.session.close()

    # ------------------------------------------------------------------------------------------- facets

    @cached_property
    def research(self) -> Research:
        """What is done with strategies and results: `sweep`, `honesty`, `tearsheet`, `save`."""
        return Research(self.session)

    @cached_property
    def deployments(self) -> Deployments:
        """Notebooks that run by schedule: promoting, listing, versions and the way back, pausing, shadows."""
        return Deployments(self.session)

    # -------------------------------------------------------------------------------------------- verbs

    def ingest(
        self,
        symbols: Strings,
        *,
        source: str | None = None,
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
        source : str, optional
            "sample" (real daily prices that come with the package bokeh_sampledata), "file", "yahoo",
            "polygon" or "alpaca". Default: the setting `source`, which is "sample" where it is not set.
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
            name: "XNYS", "24/7" for coins, "24/5" for currencies, "none" for none. Default: the setting
            `calendar`, else "XNYS" for vendors and none for "file"; for "sample" always "XNYS".
        progress : callable, optional
            Called with each series when it is stored, or has failed.
        on_wait : callable, optional
            Called with a few words on each long wait for a vendor.

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
        name = self.settings.source if source is None else source
        chosen = open_source(name, self.settings, options, on_wait=on_wait)
        if calendar is None and name != "sample":
            # The sample is of New York, wherever the project's other bars are from.
            calendar = self.settings.calendar
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
        max_rows, max_bytes : int
            More rows or bytes than these are refused, and one row that has more than a quarter of the bytes,
            before they are sent: text and JSON count as they are written, a number or a time counts 8.
        **parameters
            Numbers, text, times (without a time zone: UTC), None, lists (`= ANY(:symbols)`), dicts (jsonb).

        Returns
        -------
        DataFrame
            Typed by PostgreSQL's types, as `workbench.db.adhoc.query` states. In a run for a slot it shows
            bars after the slot, too, and is listed in the run's evidence.

        Examples
        --------
        >>> wb.sql("SELECT * FROM strategy_engine.strategies WHERE status = :status", status="active")
        """
        from workbench.db.adhoc import query
        from workbench.services.slot_clamp import note_unclamped

        limits: dict[str, Any] = {"timeout": timeout, "max_rows": max_rows, "max_bytes": max_bytes}
        frame = query(self.session.pool("readonly"), statement, parameters, **limits)
        note_unclamped(self.session.run, statement)
        return frame

    def sweep(
        self, strategy: Strategy, bars: pd.DataFrame, grid: Any = None, /, **options: Any
    ) -> SweepResult:
        """`research.sweep`, which has the help."""
        return self.research.sweep(strategy, bars, grid, **options)

    sweep.__doc__ = Research.sweep.__doc__

    def save(
        self,
        result: object,
        *,
        strategy_id: str | None = None,
        bars: pd.DataFrame | None = None,
        name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        status: str | None = None,
        report: bool | None = None,
        sweep: SweepResult | None = None,
        periods_per_year: float | None = None,
        live: bool | None = None,
    ) -> dict[str, int]:
        """`research.save`, which has the help."""
        return self.research.save(
            result,
            strategy_id=strategy_id,
            bars=bars,
            name=name,
            parameters=parameters,
            status=status,
            report=report,
            sweep=sweep,
            periods_per_year=periods_per_year,
            live=live,
        )

    save.__doc__ = Research.save.__doc__

    def run(
        self,
        notebook: str | os.PathLike[str],
        parameters: Mapping[str, Any] | None = None,
        *,
        sha256: str | None = None,
        origin: Origin | None = None,
        timeout_seconds: float | None = None,
        memory_limit: str | int | None = None,
        locks: Sequence[str] = (),
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
            Run the promoted version of that hash, whatever the file says now.
        origin : Origin, optional
            Who asked, for the record. Default: a command.
        timeout_seconds : float, optional
            The kernel is killed after that long. Default: no limit.
        memory_limit : str or int, optional
            "4GB", "512MB" or bytes of resident memory, beyond which the kernel is killed.
        locks : sequence of str
            Names of resources, as ["gpu"], that no two runs have at once; they are waited for.
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
        _ = self.session.endpoints
        return run_notebook(
            self.settings,
            self.runs,
            notebook,
            parameters,
            sha256=sha256,
            origin=origin,
            timeout_seconds=timeout_seconds,
            memory_limit=memory_limit,
            locks=locks,
            environment=settings_environment(self.settings),
            progress=progress,
        )

    def promote(
        self,
        notebook: str | os.PathLike[str],
        *,
        name: str,
        cron: str | None = None,
        every: str | timedelta | None = None,
        rrule: str | None = None,
        calendar: str | None = None,
        at: str | None = None,
        timezone: str | None = None,
        on: str | None = None,
        where: Mapping[str, str | Sequence[str]] | None = None,
        settle: str | float | None = None,
        after: str | None = None,
        catch_up: CatchUp = "latest",
        each: Mapping[str, Sequence[Any]] | None = None,
        parameters: Mapping[str, Any] | None = None,
        timeout_seconds: float | None = None,
        memory_limit: str | int | None = None,
        retries: int = 2,
        retry_on: Literal["away", "any"] = "away",
        locks: Sequence[str] = (),
        files: Sequence[str | os.PathLike[str]] = (),
        force: str | None = None,
        note: str | None = None,
        min_dsr: float | None = None,
        max_pbo: float | None = None,
        min_trades: int | None = None,
        max_drawdown: float | None = None,
        shadow: int | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> Deployment:
        """`deployments.promote`, which has the help."""
        return self.deployments.promote(
            notebook,
            name=name,
            cron=cron,
            every=every,
            rrule=rrule,
            calendar=calendar,
            at=at,
            timezone=timezone,
            on=on,
            where=where,
            settle=settle,
            after=after,
            catch_up=catch_up,
            each=each,
            parameters=parameters,
            timeout_seconds=timeout_seconds,
            memory_limit=memory_limit,
            retries=retries,
            retry_on=retry_on,
            locks=locks,
            files=files,
            force=force,
            note=note,
            min_dsr=min_dsr,
            max_pbo=max_pbo,
            min_trades=min_trades,
            max_drawdown=max_drawdown,
            shadow=shadow,
            progress=progress,
        )

    promote.__doc__ = Deployments.promote.__doc__
