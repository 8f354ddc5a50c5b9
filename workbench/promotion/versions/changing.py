"""`DeploymentChanges`: rolls deployments back, cuts over, pauses, resumes, retires, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from workbench.errors import NotDeployed, PromotionRefused
from workbench.promotion.contents import Contents
from workbench.promotion.namesakes import deployment_named, refuse_namesake
from workbench.promotion.records import Deployment
from workbench.promotion.secret_values import refuse_secrets
from workbench.promotion.store import NotebookStore
from workbench.promotion.superseded import settle_withdrawn, withdraw_superseded
from workbench.promotion.version import Version
from workbench.promotion.versions.put_in_use import put_in_use
from workbench.runs.slot_store import SlotStore
from workbench.runs.versions import DeploymentState, DeploymentVersion, Made, VersionStore, who
from workbench.settings import Settings
from workbench.spelling import did_you_mean, near_names
from workbench.stack.model import Progress
from workbench.stack.passed_slots import settle_deployment
from workbench.stack.prefect_api import PrefectApi
from workbench.stack.timetable import Timetable, timetable_of

__all__ = ["DeploymentChanges", "known_deployment"]


def known_deployment(versions: VersionStore, name: str) -> DeploymentState:
    """How a deployment stands.

    Raises
    ------
    NotDeployed
        There is none of that name; it names near ones.
    """
    found = versions.state(name)
    if found is None:
        names = [one.name for one in versions.states()]
        raise NotDeployed(
            f"there are no versions of {name}{did_you_mean(near_names(name, names))}; "
            "wb.deployments.list() says what is deployed"
        )
    return found


@dataclass(frozen=True)
class DeploymentChanges:
    """What changes which version a deployment runs, or whether it runs.

    Each change is made alone (`VersionStore.alone`). One that was killed halfway is mended by making it
    again, and `wb.deployments.show` says what is amiss until then.

    Parameters
    ----------
    settings : Settings
    prefect : PrefectApi
    slots : SlotStore
    versions : VersionStore
    contents : Contents
    progress : callable
        Called with a few words on what is waited for.
    """

    settings: Settings
    prefect: PrefectApi
    slots: SlotStore
    versions: VersionStore
    contents: Contents
    progress: Progress = lambda _: None

    def roll_back(self, name: str, to: int | None = None, note: str | None = None) -> Deployment:
        """Make a version like an earlier one, and put it to use.

        Parameters
        ----------
        name : str
        to : int, optional
            The version's number. Default: the one that was in use before the present one.
        note : str, optional

        Raises
        ------
        NotDeployed
            There is no such deployment or version.
        PromotionRefused
            It is in use already, or there is none before it.
        NotebookError
            What was promoted then is not in the store any more.
        """
        refuse_secrets(self.settings, note=note)
        with self._alone(name) as state:
            wanted = self._before(state) if to is None else to
            if wanted == state.version:
                raise PromotionRefused(f"version {wanted} of {name} is in use already")
            return self._again(self.versions.get(name, wanted), "rolled_back", note)

    def cut_over(self, name: str, note: str | None = None) -> Deployment:
        """Make a version like the shadow, and put it to use; nothing runs as a shadow any more.

        Raises
        ------
        PromotionRefused
            It has no shadow.
        """
        refuse_secrets(self.settings, note=note)
        with self._alone(name) as state:
            made = self._again(self.versions.get(name, _shadow_of(state)), "cut_over", note)
            self.versions.set_shadow(name, None)
        return made

    def drop_shadow(self, name: str) -> int:
        """Have nothing run as a shadow any more; its version stays among the versions. Returns its number.

        Raises
        ------
        PromotionRefused
            It has no shadow.
        """
        with self._alone(name) as state:
            dropped = _shadow_of(state)
            self.versions.set_shadow(name, None)
        return dropped

    def pause(self, name: str, reason: str | None = None) -> None:
        """Have nothing run by schedule until it is resumed; what has begun goes on.

        Its slots are not missed meanwhile. By hand it can be run all the same.

        Raises
        ------
        PromotionRefused
            It is retired.
        """
        refuse_secrets(self.settings, reason=reason)
        with self._alone(name) as state:
            if state.state == "retired":
                raise PromotionRefused(f"{name} is retired; nothing of it runs that could be paused")
            self.versions.set_state(name, "paused", reason)
            self._stop(name, "paused")

    def retire(self, name: str, reason: str | None = None) -> None:
        """Have it run no more, by schedule or by hand; its versions and records stay."""
        refuse_secrets(self.settings, reason=reason)
        with self._alone(name):
            self.versions.set_state(name, "retired", reason)
            self._stop(name, "retired")

    def resume(self, name: str) -> Deployment:
        """Have the version that was in use run by schedule again, from now on.

        Raises
        ------
        PromotionRefused
            It runs.
        """
        with self._alone(name) as state:
            if state.state == "active":
                raise PromotionRefused(f"{name} is neither paused nor retired")
            # Anew: a schedule that is only switched on again would have missed what passed meanwhile.
            deployment = self._put(self.versions.get(name, state.version))
            self.versions.set_state(name, "active")
        return deployment

    @contextmanager
    def _alone(self, name: str) -> Iterator[DeploymentState]:
        known_deployment(self.versions, name)
        refuse_namesake(self.settings, self.prefect, name)
        with self.versions.alone(name):
            yield known_deployment(self.versions, name)

    def _before(self, state: DeploymentState) -> int:
        """The version that was in use before the one that is."""
        used = [one.version for one in self.versions.changes(state.name) if one.change == "used"]
        before = next((number for number in used if number != state.version), None)
        if before is None:
            raise PromotionRefused(f"{state.name} has had no version in use before version {state.version}")
        return before

    def _again(self, old: DeploymentVersion, made: Made, note: str | None) -> Deployment:
        # What it was promoted in, and what its gates have found, is as it was then.
        new = replace(
            old, version=0, made=made, of_version=old.version, note=note, made_by=who(), made_at=None
        )
        # Before anything is stored: what was promoted may be gone.
        self._content(new)
        return self._put(self.versions.add(new))

    def _put(self, version: DeploymentVersion) -> Deployment:
        state = self.versions.state(version.deployment)
        return put_in_use(
            self.settings,
            self.prefect,
            self.slots,
            self.versions,
            version,
            self._content(version),
            kind="notebook" if state is None else state.kind,
            progress=self.progress,
        )

    def _content(self, version: DeploymentVersion) -> Version | None:
        """What was promoted; None of an ingestion, which runs no notebook."""
        if version.content is None:
            return None
        return NotebookStore(self.settings.store_folder, self.contents).open(version.content)

    def _stop(self, name: str, state: str) -> None:
        """Take what lies ahead out of Prefect; the state is stored already, so that nothing begins."""
        found = deployment_named(self.prefect, name)
        if found is None:
            return
        why = f"The deployment was {state} before this run began."
        # While its schedules are active: afterwards nothing was ever due.
        timetable = timetable_of(found)
        settle_deployment(self.slots, timetable, datetime.now(UTC))
        self.prefect.ask(f"/deployments/{found['id']}/pause_deployment", {})
        gone = withdraw_superseded(self.prefect, str(found["id"]), "", Timetable(name))
        settle_withdrawn(self.slots, Timetable(name), gone, why=why)


def _shadow_of(state: DeploymentState) -> int:
    if state.shadow is None:
        raise PromotionRefused(
            f"{state.name} has no shadow; promote one with shadow=5, which runs beside it in the next 5 slots"
        )
    return state.shadow
