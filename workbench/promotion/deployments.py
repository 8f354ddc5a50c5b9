"""`Deployments`: the facet behind `wb.deployments`: notebooks that run by schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.errors import NotDeployed
from workbench.promotion.promoting import Promoting

if TYPE_CHECKING:
    import pandas as pd

    from workbench.parity.result import Parity
    from workbench.promotion.records import Deployment, FlowRun
    from workbench.services.filters import Moment

__all__ = ["Deployments"]


class Deployments(Promoting):
    """Notebooks as scheduled Prefect jobs.

    What changes a deployment starts Prefect and a worker where none run; what looks at it does not.

    Parameters
    ----------
    session : Session
        Whose Prefect they are deployed to.
    """

    def trigger(
        self,
        deployment: Deployment | str,
        parameters: Mapping[str, Any] | None = None,
        *,
        slot: str | None = None,
        timeout_seconds: float = 600,
        progress: Callable[[FlowRun], None] | None = None,
    ) -> FlowRun:
        """Have a worker run a deployment now, and wait until it has ended.

        The run is for the newest slot that is due. If that one has completed already, it is a rerun, which
        says nothing live.

        Parameters
        ----------
        deployment : Deployment or str
            What `wb.promote` returned, or its name.
        parameters : mapping, optional
            Values for this run, in place of the deployment's.
        slot : str, optional
            Another slot, in ISO 8601 with an offset: "2026-11-27T22:30:00+00:00". One that is not the
            newest is a backfill, which says nothing live.
        timeout_seconds : float
            How long to wait for its end, in seconds; the run itself goes on.
        progress : callable, optional
            Called with the `FlowRun` again and again until it has ended.

        Returns
        -------
        FlowRun
            How it ended: its `state`, and a `message` that says for which slot it was and as what.

        Raises
        ------
        NotDeployed
            There is no such deployment, or it is retired.
        ParametersRefused
            It has no such parameters, or the notebook's strategies would refuse their values.
        SlotRefused
            The deployment was not due at `slot`.
        ServerError
            The run has not ended in time.

        Examples
        --------
        >>> wb.deployments.trigger("sma-cross")
        """
        from workbench.promotion.contents import Contents
        from workbench.promotion.trigger import trigger, wait
        from workbench.runs.rehearsing import refuse_in_rehearsal

        refuse_in_rehearsal("trigger")
        name = deployment if isinstance(deployment, str) else deployment.name
        stands = self._session.runs.versions.state(name)
        if stands is not None and stands.state == "retired":
            raise NotDeployed(f"{name} is retired; have it run again with wb.deployments.resume({name!r})")
        prefect = self._session.prefect()
        run = trigger(
            self._session.settings,
            prefect,
            self._session.runs.slots,
            deployment,
            parameters,
            slot=slot,
            contents=Contents(self._session.pool("runs")),
        )
        return wait(prefect, run, timeout_seconds=timeout_seconds, progress=progress)

    def slots(self, name: str | None = None, *, latest: int = 30) -> pd.DataFrame:
        """What became of the moments at which deployments were due; starts no Prefect.

        Parameters
        ----------
        name : str, optional
            Of this deployment only.
        latest : int
            How many, the newest ones.

        Returns
        -------
        DataFrame
            Newest first: `deployment`, `slot` (when it was due, UTC), `member`, `state` (due, running,
            completed, failed, missed, skipped or cancelled), `reason` (why it was missed, or how its last run
            failed; None where there is none), `attempts` (live runs of it), `run_id` of the last one (None
            where there was none) and `updated_at` (UTC).

        Raises
        ------
        QueryError
            `latest` is less than 1.

        Examples
        --------
        >>> wb.deployments.slots("sma-cross").query("state == 'missed'")
        """
        return self._session.runs.slots.list(name, latest=latest)

    def parity(
        self,
        name: str,
        *,
        days: int = 60,
        since: Moment | None = None,
        fresh: bool = False,
        progress: Callable[[str], None] | None = None,
    ) -> Parity:
        """Compare what was said live, slot by slot, with what the content in use says today.

        It says it on the bars as they are now: as the newest run has kept it, if that ran the same content
        for the last slot and no bar was revised since; else the notebook is run once, as a rerun whose writes
        are undone. Starts no Prefect.

        A slot is *matched* if it says the same; *differed* if not; *revised* if not, since bars that its run
        read were revised; *late* if it was said after the open at which the backtest fills it; *missed* if
        nothing was said. The difference between the return of what was said, as it could be traded, and that
        which the backtest claims for the same days is split into causes that add up to it
        (`workbench.parity.causes.split` has the formula).

        Parameters
        ----------
        name : str
            The deployment's.
        days : int
            Of the slots of the last so many days, at most the newest 5,000.
        since : str, date or timestamp, optional
            Of the slots since then, UTC, in place of `days`.
        fresh : bool
            Run the content now in any case, and again the newest three runs whose bars were revised, on the
            bars that they knew: what differs there as well was not the bars' doing.
        progress : callable, optional
            Called with a few words on what is being done.

        Returns
        -------
        Parity
            `.table`, `.slots`, `.causes`, `.returns`, `.days`, `.summary`, `.to_dict()`; a notebook shows it
            as a strip of tiles.

        Raises
        ------
        NotDeployed
            There is no such deployment, or it runs no notebook.
        QueryError
            `days` is less than 1, or `since` is no moment.
        NotebookError
            The content had to be run, and cannot be; `NotebookFailed` if a cell failed.

        Examples
        --------
        >>> wb.deployments.parity("sma-cross").summary                              # doctest: +SKIP
        'sma-cross: 58 matched, 1 late, 1 missed. Live +1.20%, backtest +1.90%: missed −0.60%, late −0.10%'
        """
        from workbench.promotion.parity import parity, window
        from workbench.runs.rehearsing import refuse_in_rehearsal
        from workbench.stack.environment import settings_environment

        refuse_in_rehearsal("compute the parity of a deployment")
        first = window(days, since)
        # The notebook's own Workbench() must find what this one found.
        _ = self._session.endpoints
        return parity(
            self._session.settings,
            self._session.runs,
            name,
            since=first,
            fresh=fresh,
            environment=settings_environment(self._session.settings),
            tell=progress or (lambda _words: None),
        )
