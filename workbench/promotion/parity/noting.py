"""After a live run: how what was said of the slots before compares with what the run would say of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import sqlalchemy as sa

from workbench.attempt import Attempt
from workbench.events import outbox
from workbench.promotion.parity.reading import (
    decided_before,
    read_runs,
    read_said,
    read_series,
    read_slots,
    revised_since,
)
from workbench.promotion.parity.rows import STATES, lay_out
from workbench.promotion.parity.why import told_why
from workbench.runs import RunStore
from workbench.runs.decisions_kept import decisions_of
from workbench.tables.workbench import runs as runs_table

__all__ = ["BROKEN", "NOTED", "note_parity"]

NOTED = "parity"
"""The kind of evidence that says it in words: "58 matched, 1 differed, 1 missed"."""
BROKEN = "parity_broken"
"""The kind of evidence that lists the slots of which the run would order something else, in ISO 8601."""

_SLOTS = 60
_WORSE = ("differed", "revised")


def note_parity(
    runs: RunStore, run_id: uuid.UUID, attempt: Attempt, fetch: Callable[[str], Path | None]
) -> None:
    """Note it in the run's evidence; of slots that were never said to differ before, an event tells.

    It is of the newest 60 slots of the run's member before its own, from what the run itself has kept:
    nothing is run again. No return is computed.

    The event `parity.broken` holds deployment, member, slots (new ones, ISO 8601), and run_id. It comes once
    for each slot.

    Parameters
    ----------
    runs : RunStore
    run_id : UUID
        A live run whose kernel has ended, and which is still running by its record.
    attempt : Attempt
    fetch : callable
        Gives the path of a file in the run's folder.
    """
    record = runs.show(run_id)
    kept = decisions_of(record["evidence"], fetch)
    if not kept:
        return
    with runs.pool.snapshot("reading what was said") as connection:
        slots = read_slots(connection, attempt.deployment, None, _SLOTS, member=attempt.member)
        if slots.empty:
            return
        first = slots["slot"].min()
        said = read_said(connection, attempt.deployment, first)
        said = said[(said["member"] == attempt.member) & said["slot"].isin(slots["slot"])]
        decided = decided_before(connection, attempt.deployment, first)
        series = read_series(connection, str(run_id))
        rows = lay_out(slots, said, {attempt.member: kept}, series, decided)
        records = read_runs(connection, list(said["run_id"].unique()))
        untils = said.groupby("run_id")["slot"].max()
        revised = revised_since(connection, {str(one): moment for one, moment in untils.items()})
    own = {name: value for name, value in record["parameters"].items() if name != "slot"}
    rows = told_why(rows, records, revised, sha256=record["version_sha256"], parameters={attempt.member: own})
    worst = rows["state"].map(STATES.index).groupby(rows["slot"]).min()
    counts = worst.map(dict(enumerate(STATES))).value_counts()
    told = ", ".join(f"{counts[state]:,} {state}" for state in reversed(STATES) if state in counts)
    runs.note_evidence(run_id, NOTED, [told])
    # Under another version or other parameters it is meant to say something else.
    because = rows["why"].fillna("").str.contains("version|parameters", regex=True)
    broken = rows[rows["state"].isin(_WORSE) & ~because]["slot"].unique()
    _tell(runs, run_id, attempt, [pd.Timestamp(slot).isoformat() for slot in broken])


def _tell(runs: RunStore, run_id: uuid.UUID, attempt: Attempt, broken: list[str]) -> None:
    if not broken:
        return
    table = runs_table
    told = sa.func.jsonb_array_elements_text(table.c.evidence[BROKEN]).column_valued("slot")
    query = sa.select(told).where(
        table.c.deployment == attempt.deployment,
        table.c.member == attempt.member,
        table.c.evidence.has_key(BROKEN),
    )
    with runs.pool.begin("telling of broken parity") as connection:
        new = sorted(set(broken) - set(connection.execute(query).scalars()))
        if new:
            outbox.add(
                connection,
                "parity.broken",
                "runs",
                {
                    "deployment": attempt.deployment,
                    "member": attempt.member,
                    "slots": new,
                    "run_id": str(run_id),
                },
                key=attempt.deployment,
            )
    # After the event: a run that is killed between the two tells twice, and never not at all.
    runs.note_evidence(run_id, BROKEN, broken)
