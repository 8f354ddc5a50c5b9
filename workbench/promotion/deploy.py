"""Promotes a notebook to a Prefect deployment with a schedule."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from workbench.errors import PromotionRefused
from workbench.headless.memory import memory_limit_bytes
from workbench.headless.notebook_file import open_notebook
from workbench.promotion.checks import check_locks, check_name, refuse_other_kind
from workbench.promotion.contents import Contents
from workbench.promotion.fitness import refused_values, unfit
from workbench.promotion.gates.floors import Floors
from workbench.promotion.keeping import keep
from workbench.promotion.members import check_each
from workbench.promotion.namesakes import refuse_namesake
from workbench.promotion.records import Deployment
from workbench.promotion.retrying import RETRIES, RetryOn, check_retries
from workbench.promotion.run import check_timeout
from workbench.promotion.secret_values import refuse_secrets
from workbench.promotion.store import NotebookStore
from workbench.promotion.versions.put_in_use import put_in_use, shadowed
from workbench.runs.code import promoted_code_version
from workbench.runs.outputs import Outputs
from workbench.runs.slot_store import SlotStore
from workbench.runs.versions import DeploymentState, DeploymentVersion, VersionStore
from workbench.schedules import CatchUp, Schedule, check_catch_up
from workbench.settings import Settings
from workbench.stack.model import Progress
from workbench.stack.prefect_api import PrefectApi

__all__ = ["promote"]


def promote(
    settings: Settings,
    prefect: PrefectApi,
    slots: SlotStore,
    notebook: str | os.PathLike[str],
    *,
    versions: VersionStore,
    name: str,
    schedule: Schedule,
    catch_up: CatchUp = "latest",
    parameters: Mapping[str, Any] | None = None,
    timeout_seconds: float | None = None,
    memory_limit: str | int | None = None,
    retries: int = RETRIES,
    retry_on: RetryOn = "away",
    locks: Sequence[str] = (),
    each: Mapping[str, Sequence[Any]] | None = None,
    files: Sequence[str | os.PathLike[str]] = (),
    environment: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    force: str | None = None,
    floors: Floors | None = None,
    note: str | None = None,
    shadow: int | None = None,
    contents: Contents | None = None,
) -> Deployment:
    """Copy a notebook and what it imports into the store and schedule it; a second time replaces the first.

    Parameters
    ----------
    settings : Settings
    prefect : PrefectApi
        The server to deploy to.
    slots : SlotStore
        Takes in what becomes of the slots of the schedule that is replaced.
    notebook : path
        As `open_notebook` takes it.
    name : str
        Letters, digits, dots, dashes and underscores.
    schedule : Schedule
        When it is due.
    catch_up : str or int
        What is still run of that which was due while nothing ran, as `Deployments.promote` takes it.
    parameters : mapping, optional
        Values for every run, checked strictly.
    timeout_seconds : float, optional
        A run that takes longer is killed.
    memory_limit, retries, retry_on, locks, each
        As `Deployments.promote` takes them.
    files : sequence of path
        Files of the project to promote with it, as `gathering.named_files` takes them.
    environment : mapping, optional
        The settings, for the kernel of its rehearsal.
    progress : callable, optional
        Called with a few words on what is being waited for.
    force : str, optional
        Why to promote a notebook all the same that is not fit to run by schedule
        (`workbench.promotion.readiness`), with parameters that its strategies would refuse (`refusals`), or
        that does not pass a gate (`gates`). The version and the deployment's description say so, and who.
    floors : Floors, optional
        What the figures that it saves must reach.
    note : str, optional
        What whoever promotes says of this version.
    shadow : int, optional
        Store it without putting it to use, and have it run beside the version in use in so many slots.
    contents : Contents, optional
        Those of the database, from which the workers of other machines fetch what was promoted.

    Raises
    ------
    PromotionRefused
        A name or policy that cannot be used, or another project's deployment of that name; a notebook
        without a "parameters" cell, or one that promotes or triggers; a file that cannot be promoted; `force`
        without a reason.
    GateFailed
        The notebook does not pass a gate; nothing was stored or deployed.
    ParametersRefused, NotebookError
        The notebook or its parameters; nothing was deployed.
    OutputsUnreachable
        Outputs cannot be put below the URL of the setting `outputs`; nothing was deployed.
    """
    check_name(name)
    check_timeout(timeout_seconds)
    memory_bytes = memory_limit_bytes(memory_limit)
    check_retries(retries, retry_on)
    check_locks(locks)
    forced = _reason(force)
    (floors or Floors()).check()
    check_catch_up(catch_up)
    file = open_notebook(notebook)
    values = file.parameters.complete(file.parameters.validate(dict(parameters or {})))
    if shadow is not None:
        _check_shadow(shadow, versions.state(name), name)
    refuse_secrets(settings, parameters=values, note=note, locks=list(locks), schedule=schedule.to_json())
    overruled = unfit(file.document, file.path.name, force=forced is not None)
    overruled += refused_values(file.document, file.path.name, values, force=forced is not None)
    refuse_namesake(settings, prefect, name)
    refuse_other_kind(versions, name, "notebook")
    grid = check_each(file.parameters, each)
    refuse_secrets(settings, each=grid)
    if settings.outputs_url is not None:
        Outputs(settings.outputs_url).check()
    kept = keep(
        settings,
        file,
        values,
        files=files,
        environment=environment or {},
        timeout_seconds=timeout_seconds,
        memory_limit=memory_bytes,
        alone=bool(locks),
        floors=floors,
        progress=progress or _quiet,
        force=forced is not None,
        contents=contents,
    )
    stored, doubts = kept.version, kept.doubts
    overruled += kept.overruled
    new = DeploymentVersion(
        deployment=name,
        notebook=file.shown,
        content=stored.sha256,
        parameters=values,
        options={
            "timeout_seconds": timeout_seconds,
            "memory_limit": memory_limit,
            "retries": retries,
            "retry_on": retry_on,
            "locks": sorted(set(locks)),
            **({} if grid is None else {"each": grid}),
        },
        schedule={**schedule.to_json(), "catch_up": catch_up},
        code_version=promoted_code_version(stored.commit),
        evidence=[gate.to_json() for gate in kept.gates],
        forced=None if forced is None else "; ".join([forced, *(f"although {why}" for why in overruled)]),
        note=note,
    )
    told = [*doubts, *filter(None, [schedule.warning(datetime.now(UTC))])]
    with versions.alone(name):
        # Stored before Prefect knows of it, and used from the moment at which Prefect does.
        if shadow is not None:
            _check_shadow(shadow, versions.state(name), name)
        with NotebookStore(settings.store_folder, contents).held(stored.sha256):
            version = versions.add(new)
        if shadow is not None:
            versions.set_shadow(name, version.version, shadow)
            deployment = shadowed(prefect, version, stored, told)
        else:
            deployment = put_in_use(
                settings,
                prefect,
                slots,
                versions,
                version,
                stored,
                doubts=told,
                progress=progress or _quiet,
            )
    return replace(deployment, gates=tuple(kept.gates), forced=forced)


def _check_shadow(slots: int, state: DeploymentState | None, name: str) -> None:
    if isinstance(slots, bool) or not isinstance(slots, int) or slots < 1:
        raise PromotionRefused(f"shadow={slots!r}: give in how many slots it runs beside, 1 or more")
    if state is None or state.state != "active":
        stands = "there are no versions of it" if state is None else f"it is {state.state}"
        raise PromotionRefused(f"nothing runs as {name} that a shadow could run beside: {stands}")


def _reason(force: str | None) -> str | None:
    """Why a refusal is overruled; None where none is.

    Raises
    ------
    PromotionRefused
        A reason is missing.
    """
    if force is None:
        return None
    if not isinstance(force, str) or not force.strip():
        raise PromotionRefused(
            f'force={force!r} gives no reason; say why in a few words, force="why", which the version keeps'
        )
    return force.strip()


def _quiet(step: str) -> None:
    """Ignore progress."""
