"""No run begins before its slot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from workbench.promotion.slot_of_run import await_slot


def test_a_slot_that_is_a_moment_ahead_is_waited_for() -> None:
    """Prefect begins a run up to half a second early."""
    slot = datetime.now(UTC) + timedelta(seconds=0.3)
    await_slot(slot)
    assert datetime.now(UTC) >= slot
    await_slot(slot)
