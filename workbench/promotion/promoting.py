"""`Promoting`: the verbs of `wb.deployments` that make something run by schedule, or for past slots."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from workbench.promotion.versions.verbs import VersionVerbs

if TYPE_CHECKING:
    from datetime import timedelta

    import pandas as pd

    from workbench.promotion.backfill import Backfilled
    from workbench.promotion.records import Deployment
    from workbench.schedules import CatchUp
    from workbench.services.filters import Moment

__all__ = ["Promoting"]


class Promoting(VersionVerbs):
    """Promotes notebooks and ingestions, and backfills.

    Parameters
    ----------
    session : Session
        Whose Prefect they are deployed to.
    """

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
        """Turn a notebook into a scheduled Prefect job; starts Prefect and a worker where none run.

        What runs is the notebook as it is now, with the project's modules that it imports as they are now,
        whatever is edited later; the same name again makes another version of the deployment.

        Before, it must pass the gates, for which it runs up to eight times, two at once; what these runs
        write to the database is undone. In their order: `headless` (it runs from a clean kernel),
        `repeatable` (a second run saves the same), `future_cut` and `future_changed` (signals stay the same
        when later bars are hidden or changed, after up to three bars with signals, inside of whatever window
        it has), `own_writes` (it writes by the services alone) and `floors` (its figures reach `min_dsr`,
        `max_pbo`, `min_trades` and `max_drawdown`). Interrupted, it leaves nothing.

        Parameters
        ----------
        notebook : str or path
            A path, or a name below `notebooks/`, with or without `.ipynb`.
        name : str
            The deployment's: letters, digits, dots, dashes and underscores.
        cron : str, optional
            Five fields: "30 17 * * mon-fri". Exactly one of `cron`, `every`, `rrule`, `calendar`, `on` and
            `after` is given.
        every : str or timedelta, optional
            A length of at least a minute: "15min", "2h", "1d". Counted from a midnight, UTC, in time that
            passes: a set clock changes nothing.
        rrule : str, optional
            A recurrence rule of iCalendar: "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18".
        calendar : str, optional
            An exchange, by its name in exchange_calendars: "XNYS". Due once each session: on no holiday, and
            with its early closes.
        at : str, optional
            When, of a calendar's session: "close" (the default), "close+15min", "open-30min".
        timezone : str, optional
            The IANA name of the time zone that `cron` or `rrule` is read in: "America/New_York". Default: the
            setting `timezone`; without one it must be given. A calendar has its exchange's.
        on : str, optional
            A type of events: "market_data.written". Due when such events have come and have settled; the slot
            is the moment of the last one. What its own runs write starts no run.
        where : mapping, optional
            What an event must name, one of the values for each name: {"symbol": ["AAPL", "MSFT"]}.
        settle : str or float, optional
            How long no further event may come before a run begins, so that a bulk write starts one run:
            "30s" (the default), "5min". A run begins after ten such times although events still come.
        after : str, optional
            Another deployment: due when a live run of it has completed, of a grid all of a slot.
        catch_up : str or int
            What is still run of the slots that were due while nothing ran: the "latest", "all", "none", or at
            most so many of the newest; oldest first, one after the other. The others are missed.
        each : mapping, optional
            A grid: parameters with the values that each have a run of their own in every slot, one after the
            other: {"symbols": ["AAPL", "MSFT"]}. What a run says live is said for its member. If one fails,
            the others run all the same.
        parameters : mapping, optional
            Values for every run, checked strictly against the "parameters" cell.
        timeout_seconds : float, optional
            A run is killed after that long. Default: no limit.
        memory_limit : str or int, optional
            "4GB", "512MB" or bytes: a run whose kernel, with all that descends from it, has more resident
            memory than that is killed. Default: no limit.
        retries : int
            How many attempts may follow a first one that failed, after 5 s, 30 s, and then two minutes each.
        retry_on : str
            Which failures: "away", of a server or a vendor that does not answer, or "any" failure of a cell.
            A run whose process was killed is tried again in either case.
        locks : sequence of str
            Names of resources that no two runs have at once, such as ["gpu"]. A run waits for them, as long
            as `timeout_seconds`, or an hour.
        files : sequence of path
            Files of the project to promote with it, relative to the project's root: "data/universe.csv". The
            notebook opens `project_file("data/universe.csv")`. Of at most 1 GB each.
        force : str, optional
            Why to promote all the same what is refused: a notebook without a "parameters" cell, one that
            promotes or triggers, values that its strategy would refuse, one that does not pass a gate. All
            gates are run; the version keeps the reason, who gave it, and what the gates found.
        note : str, optional
            What you say of this version, such as why it was made.
        min_dsr : float, optional
            The least deflated Sharpe ratio of what it saves, a probability from 0 to 1.
        max_pbo : float, optional
            The highest probability of backtest overfitting, from 0 to 1.
        min_trades : int, optional
            The fewest closed trades.
        max_drawdown : float, optional
            The deepest drawdown, as a fraction: 0.25 for 25 %.
        shadow : int, optional
            Do not put it to use yet: in each of the next `shadow` slots it runs after the live run and beside
            it, undone but for its record. `compare` shows both; `cut_over` or `drop_shadow` ends it.
        progress : callable, optional
            Called with a few words on what is being started or waited for.

        Returns
        -------
        Deployment
            What `wb.deployments.trigger` takes.

        Raises
        ------
        NotebookError, ParametersRefused
            The notebook or its parameters are not as they must be; nothing was deployed.
        PromotionRefused
            A name, floor or file that cannot be used; or Prefect refuses.
        GateFailed
            The notebook does not pass a gate: which, by which cell, symbol and bar; nothing was deployed.
        ScheduleRefused
            A schedule, time zone, policy or event that cannot be, or a circle of deployments.
        OutputsUnreachable
            Outputs cannot be put below the URL of the setting `outputs`.

        Examples
        --------
        >>> wb.promote("strategies/sma_cross.ipynb", name="sma-cross", cron="30 17 * * mon-fri",
        ...            timezone="America/New_York", parameters={"fast": 20, "slow": 50})
        >>> wb.promote("strategies/sma_cross.ipynb", name="sma-daily", calendar="XNYS", at="close+15min")
        """
        from workbench.promotion.contents import Contents
        from workbench.promotion.deploy import promote
        from workbench.promotion.gates.floors import Floors
        from workbench.promotion.scheduling import chosen_schedule
        from workbench.runs.rehearsing import refuse_in_rehearsal
        from workbench.stack.environment import settings_environment

        refuse_in_rehearsal("promote")
        schedule = chosen_schedule(
            self._session,
            name,
            "notebook",
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
        )
        return promote(
            self._session.settings,
            self._session.prefect(progress),
            self._session.runs.slots,
            notebook,
            versions=self._session.runs.versions,
            name=name,
            schedule=schedule,
            catch_up=catch_up,
            each=each,
            parameters=parameters,
            timeout_seconds=timeout_seconds,
            memory_limit=memory_limit,
            retries=retries,
            retry_on=retry_on,
            locks=locks,
            files=files,
            environment=settings_environment(self._session.settings),
            progress=progress,
            force=force,
            note=note,
            floors=Floors(min_dsr, max_pbo, min_trades, max_drawdown),
            shadow=shadow,
            contents=Contents(self._session.pool("runs")),
        )

    def promote_ingestion(
        self,
        symbols: str | Sequence[str],
        *,
        name: str,
        source: str | None = None,
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
        start: str | None = None,
        interval: str | None = None,
        data_source: str | None = None,
        feed: str | None = None,
        path: str | None = None,
        bars_calendar: str | None = None,
        retries: int = 2,
        locks: Sequence[str] = (),
        note: str | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> Deployment:
        """Turn an ingestion into a scheduled Prefect job; starts Prefect and a worker where none run.

        Each run fetches what is missing, as `wb.ingest` does, and has a record and a slot as a notebook's
        has. A symbol that fails stops no other one; the run fails in the end, and names it.

        Parameters
        ----------
        symbols : str or sequence of str
        name, cron, every, rrule, calendar, at, timezone, on, where, settle, after, catch_up
            As `promote` takes them.
        source, start, interval, data_source, feed, path
            As `wb.ingest` takes them.
        bars_calendar : str, optional
            The exchange calendar that bars are checked against: the `calendar` of `wb.ingest`.
        retries : int
            How many attempts may follow one for which the vendor did not answer.
        locks, note, progress
            As `promote` takes them.

        Returns
        -------
        Deployment
            What `wb.deployments.trigger` takes.

        Raises
        ------
        PromotionRefused
            A name or schedule that cannot be used, or that is a notebook's deployment.
        ParametersRefused, SourceError, QueryError
            There is no such source or calendar, or the source takes no such option; nothing was stored.

        Examples
        --------
        >>> wb.deployments.promote_ingestion(["AAPL", "MSFT"], name="prices", source="yahoo",
        ...                                  calendar="XNYS", at="close+10min")
        >>> wb.promote("strategies/sma_cross.ipynb", name="sma-cross", after="prices")
        """
        from workbench.promotion.promote_ingestion import promote_ingestion
        from workbench.promotion.scheduling import chosen_schedule
        from workbench.runs.rehearsing import refuse_in_rehearsal

        refuse_in_rehearsal("promote")
        schedule = chosen_schedule(
            self._session,
            name,
            "ingest",
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
        )
        given = {
            "source": source,
            "start": start,
            "interval": interval,
            "data_source": data_source,
            "feed": feed,
            "path": path,
            "bars_calendar": bars_calendar,
        }
        return promote_ingestion(
            self._session.settings,
            self._session.prefect(progress),
            self._session.runs.slots,
            versions=self._session.runs.versions,
            name=name,
            schedule=schedule,
            parameters={
                "symbols": [symbols] if isinstance(symbols, str) else list(symbols),
                **{option: value for option, value in given.items() if value is not None},
            },
            catch_up=catch_up,
            retries=retries,
            locks=locks,
            note=note,
            progress=progress,
        )

    def backfill(
        self,
        name: str,
        start: Moment,
        end: Moment,
        *,
        kind: Literal["backtest", "shadow"] = "backtest",
        progress: Callable[[Backfilled], None] | None = None,
    ) -> pd.DataFrame:
        """Run past slots of a deployment in order, here and now: never live.

        Each run is of the version in use, for its slot: it reads no bar that was not complete then. One that
        fails stops no later one. Ended halfway, it can be run again.

        Parameters
        ----------
        name : str
            The deployment's.
        start, end : str, date or Timestamp
            The slots in [start, end), UTC; of a deployment that events start those that are known.
        kind : str
            "backtest": what a run saves is stored as a backtest's rows, each replacing those of the one
            before. "shadow": it is undone, and kept in the run's folder and record.
        progress : callable, optional
            Called with each run when it has ended.

        Returns
        -------
        DataFrame
            By slot: `slot` (UTC), `status` ("completed" or "failed"), `run_id`, `error`.

        Raises
        ------
        NotDeployed
            There is no such deployment.
        SlotRefused
            It had no slot there, or more than 10,000; it is an ingestion; or `kind` is another word.

        Examples
        --------
        >>> wb.deployments.backfill("sma-cross", "2026-10-01", "2026-11-01", kind="shadow")
        """
        import pandas as pd

        from workbench.promotion.backfill import backfill
        from workbench.runs.rehearsing import refuse_in_rehearsal

        refuse_in_rehearsal("backfill")
        # The notebook's own Workbench() must find what this one found.
        _ = self._session.endpoints
        done = backfill(self._session, name, start, end, kind=kind, done=progress)
        return pd.DataFrame(
            {
                "slot": pd.Series([one.slot for one in done], dtype="datetime64[us, UTC]"),
                "status": pd.Series([one.status for one in done], dtype="str"),
                "run_id": pd.Series([one.run_id for one in done], dtype="object"),
                "error": pd.Series([one.error for one in done], dtype="object"),
            }
        )
