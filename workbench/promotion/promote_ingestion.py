"""Promotes an ingestion: bars of some symbols, fetched by schedule as a notebook is run by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.promotion.checks import check_locks, check_name, refuse_other_kind
from workbench.promotion.ingesting import INGESTION, check_ingestion
from workbench.promotion.namesakes import refuse_namesake
from workbench.promotion.records import Deployment
from workbench.promotion.retrying import check_retries
from workbench.promotion.versions.put_in_use import put_in_use
from workbench.runs.code import promoted_code_version
from workbench.runs.slot_store import SlotStore
from workbench.runs.versions import DeploymentVersion, VersionStore
from workbench.schedules import CatchUp, Schedule, check_catch_up
from workbench.settings import Settings
from workbench.stack.model import Progress
from workbench.stack.prefect_api import PrefectApi

__all__ = ["promote_ingestion"]


def promote_ingestion(
    settings: Settings,
    prefect: PrefectApi,
    slots: SlotStore,
    *,
    versions: VersionStore,
    name: str,
    schedule: Schedule,
    parameters: Mapping[str, Any],
    catch_up: CatchUp = "latest",
    retries: int,
    locks: Sequence[str] = (),
    note: str | None = None,
    progress: Progress | None = None,
) -> Deployment:
    """Schedule an ingestion; a second time replaces the first.

    Parameters
    ----------
    settings, prefect, slots, versions, name, schedule, catch_up, locks, note, progress
        As `promote` takes them.
    parameters : mapping
        As `check_ingestion` takes them.
    retries : int
        How many attempts may follow one for which the vendor did not answer.

    Raises
    ------
    PromotionRefused
        A name that cannot be used, or that is a notebook's or another project's deployment.
    ParametersRefused, SourceError, QueryError
        As `check_ingestion`; nothing was stored.
    """
    check_name(name)
    check_retries(retries, "away")
    check_locks(locks)
    check_catch_up(catch_up)
    values = check_ingestion(settings, parameters)
    refuse_namesake(settings, prefect, name)
    refuse_other_kind(versions, name, "ingest")
    new = DeploymentVersion(
        deployment=name,
        notebook=INGESTION,
        content=None,
        parameters=values,
        options={
            "timeout_seconds": None,
            "memory_limit": None,
            "retries": retries,
            "retry_on": "away",
            "locks": sorted(set(locks)),
        },
        schedule={**schedule.to_json(), "catch_up": catch_up},
        code_version=promoted_code_version(None),
        note=note,
    )
    with versions.alone(name):
        version = versions.add(new)
        return put_in_use(
            settings,
            prefect,
            slots,
            versions,
            version,
            None,
            kind="ingest",
            progress=progress or _quiet,
        )


def _quiet(step: str) -> None:
    """Ignore progress."""
