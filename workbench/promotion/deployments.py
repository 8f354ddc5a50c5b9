"""`Deployments`: the facet behind `wb.deployments`: notebooks that run by schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.errors import NotDeployed
from workbench.promotion.promoting import Promoting

if TYPE_CHECKING:
    import pandas as pd

    from workbench.promotion.records import Deployment, FlowRun

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
