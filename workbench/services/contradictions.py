"""Why two runs say different things about one slot, told from their records, and the sentences for it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
import sqlalchemy as sa

from workbench.tables.strategy_engine import signal_contradictions
from workbench.tables.workbench import runs

__all__ = ["CAUSES", "sentence", "sentences_of", "told_causes"]

CAUSES = {
    "bars_revised": "bars were revised",
    "code": "the code differs",
    "parameters": "the parameters differ",
    "nondeterminism": "nothing that is recorded differs, so the notebook is not deterministic",
}
"""The causes, in the order in which they are looked for, in words."""

_CODE = ("version_sha256", "notebook_sha256", "code_version")


def told_causes(
    connection: sa.Connection, contradictions: Sequence[Mapping[str, Any]], run_id: uuid.UUID
) -> pd.DataFrame:
    """Contradictions with `cause`, the first that is found, and `details`: of each cause what differs.

    Parameters
    ----------
    connection : Connection
    contradictions : sequence of mapping
        With said_run_id, said_timestamp, timestamp and slot.
    run_id : UUID
        The run that contradicts.
    """
    now = _record(connection, run_id) if contradictions else {}
    records: dict[str, Mapping[str, Any]] = {}
    told = []
    for row in contradictions:
        said_by = row["said_run_id"]
        if said_by not in records:
            records[said_by] = _record(connection, uuid.UUID(said_by))
        bars = [row[name] for name in ("said_timestamp", "timestamp") if pd.notna(row[name])]
        until = max(bars) if bars else row["slot"]
        details = _details(connection, records[said_by], now, until)
        told.append({**row, "cause": next(iter(details), "nondeterminism"), "details": details})
    return pd.DataFrame(told)


def sentences_of(connection: sa.Connection, run_id: uuid.UUID) -> list[str]:
    """The contradictions of what a run said, and of what it says to what was said, oldest first."""
    table = signal_contradictions
    query = sa.select(table).where(sa.or_(table.c.run_id == run_id, table.c.said_run_id == run_id))
    return [sentence(dict(row)) for row in connection.execute(query.order_by(table.c.id)).mappings()]


def sentence(row: Mapping[str, Any]) -> str:
    """A row of `signal_contradictions` in words."""
    return (
        f"{row['symbol']}: run {str(row['said_run_id'])[:8]} said {_call(row, 'said_')}, "
        f"run {str(row['run_id'])[:8]} says {_call(row, '')}: {CAUSES[row['cause']]}"
    )


def _call(row: Mapping[str, Any], prefix: str) -> str:
    signal, target, time = (row[f"{prefix}{name}"] for name in ("signal", "target", "timestamp"))
    facts = [f"target {target:.4g}"] if pd.notna(target) else []
    facts += [f"bar {time:%Y-%m-%d %H:%M}".removesuffix(" 00:00")] if pd.notna(time) else []
    return f"{signal} ({', '.join(facts)})" if facts else str(signal)


def _record(connection: sa.Connection, run_id: uuid.UUID) -> Mapping[str, Any]:
    names = (*_CODE, "modules", "files", "parameters", "data_revisions")
    query = sa.select(*(runs.c[name] for name in names)).where(runs.c.run_id == run_id)
    return dict(connection.execute(query).mappings().one())


def _details(
    connection: sa.Connection, said: Mapping[str, Any], now: Mapping[str, Any], until: pd.Timestamp
) -> dict[str, list[str]]:
    """By cause, in the order of `CAUSES`, what differs."""
    revisions = (said["data_revisions"], now["data_revisions"])
    read_by_both = sorted(set(revisions[0]) & set(revisions[1]))
    revised = [
        series
        for series in read_by_both
        if revisions[0][series] != revisions[1][series]
        and _changed(connection, series, revisions[0][series], revisions[1][series], until)
    ]
    code = [name for name in _CODE if said[name] != now[name]]
    for group in ("modules", "files"):
        code += _differing(said[group], now[group], f"{group}.")
    found = {
        "bars_revised": [
            f"{series}: revision {revisions[0][series]}, then {revisions[1][series]}" for series in revised
        ],
        "code": code,
        "parameters": _differing(said["parameters"], now["parameters"]),
    }
    return {cause: what for cause, what in found.items() if what}


def _differing(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> list[str]:
    names: Iterable[str] = sorted({*one, *other})
    return [f"{prefix}{name}" for name in names if one.get(name) != other.get(name)]


def _changed(connection: sa.Connection, series: str, before: int, after: int, until: pd.Timestamp) -> bool:
    """Whether bars up to a moment changed between two revisions."""
    source, _, symbol = series.partition("/")
    first, last = sorted((before, after))
    query = (
        "SELECT EXISTS (SELECT FROM data_ingestion.series_revisions WHERE symbol = :symbol "
        "AND data_source = :source AND revision > :first AND revision <= :last AND first_changed <= :until)"
    )
    facts = {"symbol": symbol, "source": source, "first": first, "last": last, "until": until}
    return bool(connection.execute(sa.text(query), facts).scalar())
