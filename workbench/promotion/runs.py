"""`Runs`: the facet behind `wb.runs`: the records of runs, where rows come from, and running one again."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.errors import QueryError
from workbench.runs import RunStore

if TYPE_CHECKING:
    from workbench.headless.execute import Progress
    from workbench.promotion.rerun_result import RerunResult
    from workbench.runs.reaped import Reaped
    from workbench.runs.why import Why, Whys
    from workbench.session import Session

__all__ = ["Runs"]


class Runs(RunStore):
    """The run records, `why`, `rerun` and `reap`.

    Parameters
    ----------
    session : Session
        Whose records they are.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session.pool("runs"), session.settings.runs_folder)
        self._session = session

    def rerun(
        self,
        run_id: str | uuid.UUID,
        *,
        exact: bool = True,
        timeout_seconds: float | None = None,
        progress: Progress | None = None,
    ) -> RerunResult:
        """Run a headless run again, and say what differs; what it writes is compared, and undone.

        The same content runs (the promoted version; a notebook that was not promoted, only if it and all that
        it used of the project are as they were), with the same parameters, for the same slot. The rerun has a
        record of its own, with the purpose "rerun"; no event tells of it. As in a promotion's first run, each
        transaction is rolled back at its end, so a cell that reads what an earlier one wrote does not find
        it; what a notebook does outside of the database happens.

        Parameters
        ----------
        run_id : str or UUID
            The first characters are enough.
        exact : bool
            On the bars as they were known to the run, by the revisions in its record: every load that has no
            `as_known` of its own. A series that it did not read is refused. False: on today's bars. Splits
            and dividends, and what is read by SQL or from other tables, is today's in both cases.
        timeout_seconds : float, optional
            The kernel is killed after that long. Default: no limit.
        progress : callable, optional
            Called as `progress(cells done, cells in all, what runs now)`.

        Returns
        -------
        RerunResult
            `.same`, `.differences`, `.revised` (bars that were revised since).

        Raises
        ------
        RunError
            There is no such run; it is still running, or was a kernel of JupyterLab; or what ran has changed.
        NotebookError
            The promoted version is not in the store, or is damaged.
        NotebookFailed
            The rerun failed; its record says so.

        Examples
        --------
        >>> wb.runs.rerun("1f0c2d3e").differences
        """
        from workbench.promotion.rerun import rerun
        from workbench.runs.rehearsing import refuse_in_rehearsal
        from workbench.stack.environment import settings_environment

        refuse_in_rehearsal("run another one again")
        # The notebook's own Workbench() must find what this one found.
        _ = self._session.endpoints
        return rerun(
            self._session.settings,
            self,
            str(run_id),
            exact=exact,
            environment=settings_environment(self._session.settings),
            timeout_seconds=timeout_seconds,
            progress=progress,
        )

    def why(self, row: object, *, check: bool = False) -> Why | Whys:
        """`wb.why`, which has the help."""
        from workbench.promotion.row_check import row_today
        from workbench.runs.explaining import explain, rows_meant
        from workbench.runs.why import Whys

        rows = rows_meant(self.pool, row)
        if check and (len(rows) > 1 or rows[0].of is None):
            what = f"{len(rows):,} rows" if len(rows) > 1 else "a run"
            raise QueryError(
                f"check=True makes a run again to compare one row, and this is {what}; give one row, or see "
                "wb.runs.rerun(…, exact=False)"
            )
        found = explain(self.pool, rows)
        if len(found) > 1:
            return Whys(found)
        why = found[0]
        if not check or why.run is None:
            return why
        result = self.rerun(why.run["run_id"], exact=False)
        return replace(why, today=row_today(self._session.settings, rows[0], self.show(result.rerun_id)))

    def reap(self) -> list[Reaped]:
        """Find runs whose process, machine or heartbeat is gone; end them here and in Prefect.

        The stack does so by itself, every ten seconds. Silence alone takes a second look ten seconds later.
        Prefect is told where it runs, and not started for it.

        Returns
        -------
        list of Reaped
            What was done, each as a sentence in `what`, with the ids of the run and the flow run.
        """
        from workbench.stack.prefect_api import PrefectApi
        from workbench.stack.reaper import reap

        _ = self._session.endpoints
        now = self._session.stack.endpoints()
        prefect = None
        if now.prefect_api_url is not None:
            prefect = PrefectApi(now.prefect_api_url, now.prefect_auth_string)
        return reap(self, prefect, work_pool=self._session.settings.work_pool)
