"""Two run records side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

__all__ = ["compared"]

_COMPARED = (
    "notebook",
    "notebook_sha256",
    "version_sha256",
    "code_version",
    "status",
    "trigger",
    "deployment",
    "slot",
    "purpose",
    "started_at",
)
# Groups that are compared item by item: name in the comparison to column of the record.
_GROUPS = {
    "parameters": "parameters",
    "modules": "modules",
    "files": "files",
    "data": "data_revisions",
    "headline": "headline",
}


def compared(one: Mapping[str, Any], other: Mapping[str, Any]) -> pd.DataFrame:
    """The fields of two records, those that differ first; as `RunStore.compare` describes it."""
    sides = {}
    for run in (one, other):
        facts = {name: run[name] for name in _COMPARED}
        for group, column in _GROUPS.items():
            facts |= {f"{group}.{name}": value for name, value in run[column].items()}
        sides[run["run_id"][:8]] = pd.Series(facts, dtype="object")
    table = pd.DataFrame(sides)
    table = table.loc[sorted(table.index, key=_place)]
    table["differs"] = [not _same(*row) for row in table.itertuples(index=False)]
    return table.sort_values("differs", ascending=False, kind="stable")


def _place(fact: str) -> tuple[int, str]:
    """The sort key of a field; `started_at` is last, because it always differs."""
    if fact in _COMPARED:
        return (len(_COMPARED) + len(_GROUPS) if fact == "started_at" else _COMPARED.index(fact)), ""
    return len(_COMPARED) + list(_GROUPS).index(fact.partition(".")[0]), fact


def _same(one: Any, other: Any, *_rest: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and one != one and other != other:
        return True
    return bool(one == other)
