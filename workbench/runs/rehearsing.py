"""Rehearsals: kernels in which nothing that a notebook writes to the database stays; what it saves is noted.

A promotion runs its notebook so, once to begin with and then for its gates.
"""

from __future__ import annotations

import itertools
import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.attempt import Attempt
from workbench.db.pool import READ_ONLY
from workbench.errors import PromotionRefused
from workbench.project.imports import append_record
from workbench.runs.repeating import undoes_writes

if TYPE_CHECKING:
    import pandas as pd
    import sqlalchemy as sa

    from workbench.runs.decisions_kept import KeptDecisions

__all__ = [
    "REHEARSAL_VARIABLE",
    "RehearsalRun",
    "note_figures",
    "note_undone",
    "refuse_in_rehearsal",
    "rehearsal_environment",
    "rehearses",
]

REHEARSAL_VARIABLE = "WORKBENCH_REHEARSAL"
"""The environment variable of a rehearsal's kernel: the file of its notes, beside which it keeps rows."""

_ALL_BYTES = 2**31


def rehearsal_environment(notes: Path) -> dict[str, str]:
    """The variables for the kernel of a rehearsal.

    With PGOPTIONS connections to PostgreSQL that are not of this package may only read, as far as they are
    made by libpq (psycopg, psql and whatever is built on them) without options of their own.
    """
    return {REHEARSAL_VARIABLE: str(notes), "PGOPTIONS": READ_ONLY}


def rehearses() -> bool:
    """Whether this process belongs to a rehearsal."""
    return bool(os.environ.get(REHEARSAL_VARIABLE))


def refuse_in_rehearsal(verb: str) -> None:
    """Refuse what reaches beyond the database, and so could not be undone: to promote or to trigger.

    Raises
    ------
    PromotionRefused
        This process belongs to a rehearsal, or to a run whose writes are undone.
    """
    if purpose := undoes_writes():
        raise PromotionRefused(f"a {purpose} may not {verb}: that could not be undone")
    if rehearses():
        raise PromotionRefused(
            f"a notebook that is run once in order to be promoted may not {verb}: that could not be undone"
        )


def note_undone(service: str, what: str, *, by_service: bool) -> None:
    """Note that a transaction that had written something was rolled back, and whether a service did it."""
    _note({"undone": what, "service": service, "by_service": by_service})


def note_figures(figures: Mapping[str, float | None]) -> None:
    """Note figures that no table has, such as the deflated Sharpe ratio, in a rehearsal; else nothing."""
    if rehearses():
        _note({"figures": {name: value for name, value in figures.items() if value is not None}})


class RehearsalRun:
    """The run that a rehearsal's kernel writes for: none, but what it reads and saves is noted."""

    def __init__(self) -> None:
        self._writes = itertools.count(1)

    def run_id(self) -> uuid.UUID | None:
        """None: there is no record."""
        return None

    def attempt(self) -> Attempt | None:
        """None: a rehearsal is for no slot."""
        return None

    def note_read(self, revisions: Mapping[str, int]) -> None:
        """Note which series were read."""
        if revisions:
            _note({"read": dict(revisions)})

    def note_evidence(self, kind: str, items: Sequence[str]) -> None:
        """Note it with the other notes."""
        _note({"evidence": kind, "items": list(items)})

    def known_to(self) -> uuid.UUID | None:
        """None: bars are read as they are."""
        return None

    def note_written(self, table: sa.Table, frame: pd.DataFrame, key: Sequence[str], changed: int) -> None:
        """Keep the rows beside the notes, and note the cell that wrote them."""
        from workbench.runs.written import keep_rows

        notes = Path(os.environ[REHEARSAL_VARIABLE])
        number = next(self._writes)
        write = keep_rows(notes.parent / "rows", number, table, frame, key, most_bytes=_ALL_BYTES)
        _note(
            {
                "table": str(table),
                "changed": changed,
                "file": None if write is None else write.file,
                "key": [] if write is None else list(write.key),
            }
        )

    def note_decided(self, kept: KeptDecisions) -> None:
        """Does nothing: a rehearsal is for no slot, so nothing that was said is compared with it."""

    def note_headline(self, headline: Mapping[str, Any]) -> None:
        """Does nothing: the figures are among the rows."""


def _note(fact: dict[str, Any]) -> None:
    append_record(os.environ[REHEARSAL_VARIABLE], {**fact, "cell": _cell()})


def _cell() -> int | None:
    """The number of the cell that runs, as in "In [3]"; None in a process that is no kernel."""
    shell = sys.modules.get("IPython.core.interactiveshell")
    if shell is None or not shell.InteractiveShell.initialized():
        return None
    # Its counter is a cell ahead in some versions; what was entered until now, after an empty first, is not.
    return len(shell.InteractiveShell.instance().history_manager.input_hist_raw) - 1
