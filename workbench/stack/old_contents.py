"""Removes promoted notebooks that nothing needs any more, from the database and from the home's copy."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from workbench.db.pool import ServiceConnectionPool
from workbench.errors import ServerError
from workbench.settings import Settings
from workbench.stack.cleaned import Cleaned, Cut
from workbench.stack.prefect_api import PrefectApi

__all__ = ["clean_contents"]

_PAGE = 200
_WHAT = "promoted notebooks that nothing needs"


def clean_contents(
    settings: Settings, pool: ServiceConnectionPool, prefect: PrefectApi | None, cut: Cut
) -> Cleaned:
    """Remove versions that no deployment has, or had, and no run whose rows are there.

    Deployments that were promoted before there were versions are known to Prefect alone. Where that does not
    answer, nothing is removed.
    """
    try:
        spared = sorted(_named_by_deployments(prefect)) if prefect is not None else None
    except ServerError as error:
        return Cleaned(_WHAT, 0, 0, cut.days, str(error))
    if spared is None:
        return Cleaned(
            _WHAT, 0, 0, cut.days, "Prefect does not run, which knows of deployments of earlier versions"
        )
    asked = sa.func.workbench.unneeded_versions(cut.age)
    with pool.begin("removing promoted notebooks") as connection:
        gone = sorted(set(connection.scalar(sa.select(asked)) or []) - set(spared))
        held = sa.text("SELECT coalesce(sum(size), 0) FROM workbench.contents_only_of(:shas)")
        size = int(connection.scalar(held.bindparams(sa.bindparam("shas", gone, sa.ARRAY(sa.Text)))) or 0)
        if gone and not cut.dry_run:
            forget = sa.func.workbench.forget_versions(cut.age, sa.cast(spared, sa.ARRAY(sa.Text)))
            gone = list(connection.scalar(sa.select(forget)) or [])
    if not cut.dry_run:
        for sha256 in gone:
            shutil.rmtree(settings.store_folder / sha256[:2] / sha256, ignore_errors=True)
    return Cleaned(_WHAT, len(gone), size, cut.days)


def _named_by_deployments(prefect: PrefectApi) -> set[str]:
    """The hashes that Prefect's deployments name in their parameters."""
    found: set[str] = set()
    for one in _deployments(prefect):
        named = (one.get("parameters") or {}).get("sha256")
        if isinstance(named, str):
            found.add(named)
    return found


def _deployments(prefect: PrefectApi) -> Iterable[Mapping[str, Any]]:
    offset = 0
    while page := prefect.ask("/deployments/filter", {"limit": _PAGE, "offset": offset}):
        yield from page
        offset += len(page)
