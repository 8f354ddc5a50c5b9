"""Removes old flow runs, with their artifacts, from Prefect through its API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from workbench.errors import PrefectRefused, ServerError
from workbench.stack.cleaned import Cleaned, Cut
from workbench.stack.prefect_api import PrefectApi

__all__ = ["clean_flow_runs"]

_WHAT = "flow runs of Prefect"
_PAGE = 100
# Of one cleaning: what is left after years without any is done by the next ones.
_MOST = 20_000
_ENDED = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]


def clean_flow_runs(prefect: PrefectApi | None, work_pool: str, cut: Cut) -> Cleaned:
    """Remove the flow runs of the project's work pool that ended and are old, with their artifacts.

    Its tables of states and logs follow: a state table that only grows slows Prefect's scheduler down.
    """
    if prefect is None:
        return Cleaned(_WHAT, 0, None, cut.days, "Prefect does not run")
    before = (datetime.now(UTC) - cut.age).isoformat()
    which: Mapping[str, Any] = {
        "work_pools": {"name": {"any_": [work_pool]}},
        # One that never began has no end in Prefect.
        "flow_runs": {"state": {"type": {"any_": _ENDED}}, "expected_start_time": {"before_": before}},
    }
    removed = 0
    try:
        if cut.dry_run:
            return Cleaned(_WHAT, int(prefect.ask("/flow_runs/count", which)), None, cut.days)
        while removed < _MOST and (page := prefect.ask("/flow_runs/filter", {**which, "limit": _PAGE})):
            ids = [str(one["id"]) for one in page]
            _remove_artifacts(prefect, ids)
            for flow_run_id in ids:
                _delete(prefect, f"/flow_runs/{flow_run_id}")
            removed += len(ids)
    except ServerError as error:
        return Cleaned(_WHAT, removed, None, cut.days, str(error))
    return Cleaned(_WHAT, removed, None, cut.days)


def _remove_artifacts(prefect: PrefectApi, flow_run_ids: list[str]) -> None:
    which = {"artifacts": {"flow_run_id": {"any_": flow_run_ids}}, "limit": _PAGE}
    while page := prefect.ask("/artifacts/filter", which):
        for one in page:
            _delete(prefect, f"/artifacts/{one['id']}")


def _delete(prefect: PrefectApi, path: str) -> None:
    try:
        prefect.ask(path, method="DELETE")
    except PrefectRefused as error:
        # Somebody else has removed it.
        if error.status != 404:
            raise
