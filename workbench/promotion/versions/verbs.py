"""`VersionVerbs`: the part of `wb.deployments` that looks at deployments and changes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from workbench.display.face import Face
from workbench.errors import QueryError, ServerError

if TYPE_CHECKING:
    import pandas as pd

    from workbench.promotion.records import Deployment
    from workbench.promotion.versions.changing import DeploymentChanges
    from workbench.promotion.versions.diff import VersionDiff
    from workbench.promotion.versions.shown import ShownDeployment
    from workbench.session import Session
    from workbench.stack.prefect_api import PrefectApi

__all__ = ["VersionVerbs"]

_NEXT, _SLOTS = 5, 5


class VersionVerbs(Face):
    """What there is to ask of deployments, and what changes them.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def list(self) -> pd.DataFrame:
        """Every deployment: how it stands, how its last run went, what it said, and when it runs next.

        Starts no Prefect. What only Prefect knows is missing while it does not run.

        Returns
        -------
        DataFrame
            By name: `name`, `state` (active, paused or retired), `version` (missing: promoted before there
            were versions), `outcome` (what became of its newest slot), `last_slot` (when that was due, UTC),
            `last_run` (when its last run began, UTC), `run_id`, `buy`, `sell` and `hold` (how many symbols it
            said that of, live, for its newest slot), `next_run` (UTC; NaT where none lies ahead), `schedules`
            ("30 17 * * mon-fri (America/New_York)"), `shadow` (the version that runs beside it), `late` (runs
            that wait although their slot has passed; missing without Prefect) and `problem` (why it does not
            run as scheduled; empty where it does, missing without Prefect).

        Examples
        --------
        >>> wb.deployments.list()
        """
        from workbench.promotion.versions.listing import list_deployments
        from workbench.stack.schedules import schedules_in

        pool = self._session.pool("runs")
        prefect = self._prefect_if_up()
        scheduled = None
        if prefect is not None:
            try:
                scheduled = schedules_in(prefect, self._session.settings.work_pool).deployments
            except ServerError:
                # Just stopped, or not ready yet.
                scheduled = None
        return list_deployments(pool, scheduled)

    def show(self, name: str) -> ShownDeployment:
        """Everything about one deployment; starts no Prefect.

        Its schedule and next moments, parameters and limits, what its gates have found, who made its version,
        when and why, the packages that differ from those that it was promoted in, its last slots and changes,
        and its problems: a notebook that has gone, series that nobody ingests, a lock that is held.

        Raises
        ------
        NotDeployed
            There are no versions of it.

        Examples
        --------
        >>> wb.deployments.show("sma-cross")
        """
        from workbench.promotion.contents import Contents
        from workbench.promotion.store import NotebookStore
        from workbench.promotion.versions.changing import known_deployment
        from workbench.promotion.versions.prefect_problems import prefect_problems
        from workbench.promotion.versions.problems import problems_of
        from workbench.promotion.versions.schedule_facts import moments_ahead
        from workbench.promotion.versions.shown import ShownDeployment
        from workbench.runs.packages import installed_packages, packages_that_differ

        session = self._session
        pool = session.pool("runs")
        state = known_deployment(session.runs.versions, name)
        versions, changes = session.runs.versions.list(name), session.runs.versions.changes(name)
        in_use = next(one for one in versions if one.version == state.version)
        last = session.runs.list(deployment=name, latest=1)
        problems = problems_of(
            pool,
            NotebookStore(session.settings.store_folder, Contents(pool)),
            state,
            versions,
            changes,
            None if last.empty else session.runs.show(last["run_id"].iloc[0]),
        )
        if (prefect := self._prefect_if_up()) is not None:
            problems += prefect_problems(prefect, session.settings.work_pool, state)
        return ShownDeployment(
            state=state,
            version=in_use,
            next=tuple(moments_ahead(in_use.schedule, _NEXT)) if state.state == "active" else (),
            slots=session.runs.slots.list(name, latest=_SLOTS),
            changes=tuple(changes[:_SLOTS]),
            packages=tuple(packages_that_differ(in_use.packages, installed_packages())),
            problems=tuple(problems),
        )

    def versions(self, name: str) -> pd.DataFrame:
        """All versions of a deployment, newest first; starts no Prefect.

        Returns
        -------
        DataFrame
            `version` (from 1), `use` ("in use", "shadow" or empty), `made` (promoted, "rolled back to 2" or
            "cut over from 3"), `made_at` (UTC), `made_by`, `note`, `forced` (why a refusal was overruled),
            `notebook`, `content` (its SHA-256), `schedule`, `parameters`, `code_version`.

        Raises
        ------
        NotDeployed
            There are no versions of it.
        """
        from workbench.promotion.versions.changing import known_deployment
        from workbench.promotion.versions.listing import list_versions

        store = self._session.runs.versions
        state = known_deployment(store, name)
        return list_versions(store.list(name), state.version, state.shadow)

    def diff(self, name: str, a: int | None = None, b: int | None = None) -> VersionDiff:
        """What differs between two versions: cells, modules, parameters, limits, schedule, code, packages.

        Parameters
        ----------
        name : str
        a, b : int, optional
            The versions' numbers, the earlier first. Default: the one in use, and the one before `b`.

        Raises
        ------
        NotDeployed
            There is no such deployment or version.

        Examples
        --------
        >>> print(wb.deployments.diff("sma-cross", 1, 2))
        """
        from workbench.promotion.contents import Contents
        from workbench.promotion.store import NotebookStore
        from workbench.promotion.versions.changing import known_deployment
        from workbench.promotion.versions.diff import contents_of_version, diff_versions

        versions = self._session.runs.versions
        now = versions.get(name, known_deployment(versions, name).version if b is None else b)
        before = versions.get(name, max(now.version - 1, 1) if a is None else a)
        store = NotebookStore(self._session.settings.store_folder, Contents(self._session.pool("runs")))
        return diff_versions(
            before, now, (contents_of_version(store, before), contents_of_version(store, now))
        )

    def next(self, name: str, count: int = 10) -> pd.DataFrame:
        """The next moments at which a deployment is due; none of one that is paused or retired.

        Returns
        -------
        DataFrame
            `slot` (UTC) and `local` (in its schedule's time zone, as text).

        Raises
        ------
        NotDeployed
            There are no versions of it.
        """
        import pandas as pd

        from workbench.promotion.versions.changing import known_deployment
        from workbench.promotion.versions.schedule_facts import moments_ahead, zone_of
        from workbench.stack.schedules import in_zone

        if count < 1:
            raise QueryError(f"count={count}: expected 1 or more")
        versions = self._session.runs.versions
        state = known_deployment(versions, name)
        schedule = versions.get(name, state.version).schedule
        found = moments_ahead(schedule, count) if state.state == "active" else []
        return pd.DataFrame(
            {
                "slot": pd.Series(found, dtype="datetime64[us, UTC]"),
                "local": pd.Series([in_zone(one, zone_of(schedule)) for one in found], dtype="str"),
            }
        )

    def runs(self, name: str, *, latest: int = 20) -> pd.DataFrame:
        """The newest runs of a deployment, newest first, as `wb.runs.list` gives them; starts no Prefect."""
        return self._session.runs.list(deployment=name, latest=latest)

    def rollback(
        self,
        name: str,
        to: int | None = None,
        *,
        note: str | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> Deployment:
        """Go back to an earlier version: its content, parameters, limits and schedule, as a new version.

        Every run that begins from then on gets it, also one that was planned before. A deployment that was
        paused or retired runs again.

        Parameters
        ----------
        name : str
        to : int, optional
            The version's number. Default: the one that was in use before the present one.
        note : str, optional
            Why.
        progress : callable, optional
            Called with a few words on what is waited for.

        Raises
        ------
        NotDeployed
            There is no such deployment or version.
        PromotionRefused
            It is in use already; there is none before it; or Prefect refuses.
        NotebookError
            What was promoted then is not in the store any more.

        Examples
        --------
        >>> wb.deployments.rollback("sma-cross", note="the new exit loses on gaps")
        """
        return self._changing("roll back", progress).roll_back(name, to, note)

    def compare(self, name: str, version: int | None = None) -> pd.DataFrame:
        """What the live version and its shadow said, slot by slot and symbol by symbol; starts no Prefect.

        Parameters
        ----------
        name : str
        version : int, optional
            Of an earlier shadow. Default: the one there is, else the last that there was.

        Returns
        -------
        DataFrame
            Newest slot first: `slot` (UTC), `member`, `symbol`, `live` and `shadow` (buy, sell or hold;
            missing where one said nothing), `same` (of the same bar, but for rounding), `live_target`,
            `shadow_target`, `live_strength`, `shadow_strength`, `live_bar` and `shadow_bar` (UTC),
            `live_run_id`, `shadow_run_id`, `shadow_status`.

        Raises
        ------
        NotDeployed, PromotionRefused
            There is no such deployment or version, or it never had a shadow.

        Examples
        --------
        >>> wb.deployments.compare("sma-cross").query("not same")
        """
        from workbench.promotion.versions.changing import known_deployment
        from workbench.promotion.versions.comparing import compare_shadow

        versions = self._session.runs.versions
        known_deployment(versions, name)
        return compare_shadow(self._session.pool("runs"), versions, name, version)

    def cut_over(
        self,
        name: str,
        *,
        note: str | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> Deployment:
        """Put what runs as a shadow in the place of the live version, as a new version.

        Raises
        ------
        NotDeployed, PromotionRefused
            There is no such deployment, or it has no shadow.
        """
        return self._changing("cut over", progress).cut_over(name, note)

    def drop_shadow(self, name: str) -> int:
        """Have nothing run as a shadow any more; its version stays. Returns its number.

        Raises
        ------
        NotDeployed, PromotionRefused
            There is no such deployment, or it has no shadow.
        """
        return self._changing("drop a shadow").drop_shadow(name)

    def pause(self, name: str, *, reason: str | None = None) -> None:
        """Have nothing of it run by schedule until `resume`; what has begun goes on, slots are not missed.

        By hand (`trigger`) it can be run all the same.

        Raises
        ------
        NotDeployed, PromotionRefused
            There is no such deployment, or it is retired.
        """
        self._changing("pause").pause(name, reason)

    def resume(self, name: str, *, progress: Callable[[str], None] | None = None) -> Deployment:
        """Have a paused or retired deployment run by schedule again, from now on.

        Raises
        ------
        NotDeployed, PromotionRefused
            There is no such deployment, or it runs.
        """
        return self._changing("resume", progress).resume(name)

    def retire(self, name: str, *, reason: str | None = None) -> None:
        """Have it run no more, by schedule or by hand; its versions and records stay.

        Promoting under its name, or `resume`, has it run again.

        Raises
        ------
        NotDeployed
            There is no such deployment.
        """
        self._changing("retire").retire(name, reason)

    def _changing(self, verb: str, progress: Callable[[str], None] | None = None) -> DeploymentChanges:
        from workbench.promotion.contents import Contents
        from workbench.promotion.versions.changing import DeploymentChanges
        from workbench.runs.rehearsing import refuse_in_rehearsal

        refuse_in_rehearsal(verb)
        return DeploymentChanges(
            settings=self._session.settings,
            prefect=self._session.prefect(progress),
            slots=self._session.runs.slots,
            versions=self._session.runs.versions,
            contents=Contents(self._session.pool("runs")),
            progress=progress or (lambda _: None),
        )

    def _prefect_if_up(self) -> PrefectApi | None:
        from workbench.stack.prefect_api import PrefectApi

        _ = self._session.endpoints
        now = self._session.stack.endpoints()
        if now.prefect_api_url is None:
            return None
        return PrefectApi(now.prefect_api_url, now.prefect_auth_string)
