"""What a deployment's content says today: as its newest run kept it, or by a run now that is undone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from workbench.errors import NotDeployed
from workbench.promotion.contents import Contents
from workbench.promotion.parity.reading import revised_since
from workbench.promotion.rerun import files_of
from workbench.promotion.run import Origin, run_notebook
from workbench.promotion.store import NotebookStore
from workbench.runs import RunStore
from workbench.runs.decisions_kept import EVIDENCE, KeptDecisions, decisions_of
from workbench.runs.repeating import rerun_environment
from workbench.settings import Settings
from workbench.tables.workbench import runs as runs_table

__all__ = ["Content", "ContentReader", "Spoken", "content_in_use"]

_CANDIDATES = 3


@dataclass(frozen=True)
class Content:
    """What is compared with.

    Attributes
    ----------
    deployment, notebook : str
    sha256 : str or None
        None for the notebook of the working tree.
    parameters, options : dict
    version : int or None
        The number of the deployment's version; None if it was promoted before there were versions.
    """

    deployment: str
    notebook: str
    sha256: str | None
    parameters: Mapping[str, Any]
    options: Mapping[str, Any]
    version: int | None


@dataclass(frozen=True, eq=False)
class Spoken:
    """What it says at each bar.

    Attributes
    ----------
    run_id : str
        The run that says it.
    kept : list of KeptDecisions
    source : str
        Where it is from, in a sentence.
    """

    run_id: str
    kept: list[KeptDecisions]
    source: str


def content_in_use(runs: RunStore, deployment: str) -> Content:
    """The content that a deployment runs now; of one from before there were versions, of its newest run.

    Raises
    ------
    NotDeployed
        There are no versions of it, and it has never run; or it runs no notebook.
    """
    state = runs.versions.state(deployment)
    if state is not None and state.kind != "notebook":
        raise NotDeployed(f"{deployment} runs no notebook ({state.kind}), so that it says nothing to compare")
    found = runs.versions.current(deployment)
    if found is not None:
        return Content(
            deployment, found.notebook, found.content, found.parameters, found.options, found.version
        )
    newest = _newest_live(runs, deployment)
    if newest is None:
        raise NotDeployed(
            f"nothing is deployed as {deployment}, and no run of it is known; wb.deployments.list() shows "
            "what is"
        )
    return Content(
        deployment, newest["notebook"], newest["version_sha256"], _own(newest["parameters"]), {}, None
    )


class ContentReader:
    """Finds what a content says.

    Parameters
    ----------
    settings : Settings
    runs : RunStore
    environment : mapping
        For the kernel of a run.
    tell : callable
        Called with a few words on what is being done.
    """

    def __init__(
        self,
        settings: Settings,
        runs: RunStore,
        environment: Mapping[str, str],
        tell: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._runs = runs
        self._environment = environment
        self._tell = tell

    def read(self, content: Content, member: str, first: datetime, until: datetime, *, fresh: bool) -> Spoken:
        """What a content says at each bar that was complete at one of the slots.

        Of the runs that kept it, the newest one is taken that was for the last slot or a later one, had the
        same content and parameters, reaches back to the first slot, and whose bars have not been revised
        since. If there is none, or with `fresh`, the content is run now for the last slot, as a rerun on
        today's bars: what that writes is undone.

        Parameters
        ----------
        content : Content
        member : str
        first, until : datetime
            The first and the last slot.
        fresh : bool

        Raises
        ------
        NotebookFailed, NotebookError
            It had to be run, and cannot be.
        """
        lacking = "" if not fresh else "a fresh one was asked for"
        if not fresh:
            found = self._kept(content, member, first, until)
            if isinstance(found, Spoken):
                return found
            lacking = found
        return self._run_now(content, member, until, lacking)

    def again(self, run_id: str) -> list[KeptDecisions] | None:
        """What a run says at each bar if it is run again on the bars that it knew."""
        from workbench.promotion.rerun import rerun

        self._tell(f"running {run_id[:8]} again on the bars that it knew")
        done = rerun(self._settings, self._runs, run_id, exact=True, environment=self._environment)
        run = self._runs.show(done.rerun_id)
        return decisions_of(run["evidence"], files_of(self._settings, run))

    def _progress(self, done: int, cells: int, what: str) -> None:
        self._tell(f"cell {done} of {cells}: {what}" if cells else what)

    def _kept(self, content: Content, member: str, first: datetime, until: datetime) -> Spoken | str:
        """What a run kept, or why there is none that can be taken."""
        table = runs_table
        query = (
            sa.select(table.c.run_id)
            .where(
                table.c.deployment == content.deployment,
                table.c.member == member,
                table.c.status == "completed",
                table.c.purpose.in_(["live", "rerun"]),
                table.c.slot >= until,
                table.c.version_sha256.is_not_distinct_from(content.sha256),
                table.c.evidence.has_key(EVIDENCE),
            )
            .order_by(table.c.slot.desc(), table.c.started_at.desc())
            .limit(_CANDIDATES)
        )
        with self._runs.pool.snapshot("looking for what runs kept") as connection:
            run_ids = [str(run_id) for run_id in connection.execute(query).scalars()]
        why = "no run of this version for the last slot has kept what it says"
        for run_id in run_ids:
            run = self._runs.show(run_id)
            lines = [json.loads(line) for line in run["evidence"][EVIDENCE]]
            if not self._same_parameters(content, member, run["parameters"]):
                why = "the newest run had other parameters"
            elif max(pd.Timestamp(line["first"]) for line in lines) > first:
                why = "what the newest run kept does not reach back to the first slot"
            elif revised := self._revised(run_id, max(pd.Timestamp(line["last"]) for line in lines)):
                why = f"bars were revised since the newest run ({revised})"
            else:
                kept = decisions_of(run["evidence"], files_of(self._settings, run))
                if kept is not None:
                    return Spoken(run_id, kept, f"Compared with what run {run_id[:8]} kept.")
                why = "the files of the newest run are gone"
        return why

    def _revised(self, run_id: str, until: pd.Timestamp) -> str | None:
        with self._runs.pool.snapshot("looking for revised bars") as connection:
            return revised_since(connection, {run_id: until}).get(run_id)

    def _same_parameters(self, content: Content, member: str, ran: Mapping[str, Any]) -> bool:
        given = _own(ran)
        if member:
            # A member's own values are not among those of the version.
            return True
        if content.sha256 is None:
            return all(given.get(name) == value for name, value in content.parameters.items())
        store = NotebookStore(self._settings.store_folder, Contents(self._runs.pool))
        schema = store.open(content.sha256).file.parameters
        return _own(schema.complete(schema.validate(dict(content.parameters)))) == given

    def _run_now(self, content: Content, member: str, until: datetime, why: str) -> Spoken:
        self._tell(f"running {content.notebook} on today's bars: {why}")
        newest = _newest_live(self._runs, content.deployment, member)
        parameters = dict(content.parameters)
        if member and newest is not None:
            parameters = _own(newest["parameters"])
        before = newest["run_id"] if newest is not None else f"the parity of {content.deployment}"
        done = run_notebook(
            self._settings,
            self._runs,
            content.notebook,
            parameters,
            sha256=content.sha256,
            origin=Origin(
                deployment=content.deployment,
                version=content.version,
                slot=until,
                member=member,
                purpose="rerun",
                rerun_of=before,
            ),
            timeout_seconds=content.options.get("timeout_seconds"),
            memory_limit=content.options.get("memory_limit"),
            locks=content.options.get("locks") or (),
            environment={**self._environment, **rerun_environment(before, exact=False)},
            progress=self._progress,
        )
        run = self._runs.show(done.run_id)
        kept = decisions_of(run["evidence"], files_of(self._settings, run)) or []
        return Spoken(done.run_id, kept, f"Compared with a run of now, {done.run_id[:8]}: {why}.")


def _newest_live(runs: RunStore, deployment: str, member: str = "") -> dict[str, Any] | None:
    table = runs_table
    query = (
        sa.select(table.c.run_id)
        .where(table.c.deployment == deployment, table.c.member == member, table.c.purpose == "live")
        .order_by((table.c.status == "completed").desc(), table.c.slot.desc(), table.c.started_at.desc())
        .limit(1)
    )
    with runs.pool.snapshot("looking for the newest run") as connection:
        run_id = connection.execute(query).scalar_one_or_none()
    return None if run_id is None else runs.show(str(run_id))


def _own(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters without the slot, which each run has its own of."""
    return {name: value for name, value in parameters.items() if name != "slot"}
