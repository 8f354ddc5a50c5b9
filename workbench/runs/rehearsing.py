"""Rehearsals: a promotion runs its notebook once, and nothing that this run writes to the database stays."""

from __future__ import annotations

import os

from workbench.errors import PromotionRefused
from workbench.project.imports import append_record
from workbench.runs.repeating import undoes_writes

__all__ = ["REHEARSAL_VARIABLE", "note_undone", "refuse_in_rehearsal", "rehearses"]

REHEARSAL_VARIABLE = "WORKBENCH_REHEARSAL"
"""The environment variable of a rehearsal's kernel: the file in which it notes each write that was undone."""


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


def note_undone(what: str) -> None:
    """Note that a transaction that had written something was rolled back."""
    append_record(os.environ[REHEARSAL_VARIABLE], {"undone": what})
