"""When a run must be dead, from what is known of it."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from workbench.runs.process import ProcessIdentity, this_process
from workbench.runs.vitals import Death, Vitals, death_of

NEAR = this_process()
FAR = ProcessIdentity("elsewhere", "another boot", 4711, 1)


def vitals(
    process: ProcessIdentity | None, *, silent: float = 0.0, trigger: str = "command", age: float = 3_600.0
) -> Vitals:
    return Vitals(
        run_id=uuid.uuid4(),
        trigger=trigger,
        flow_run_id=None,
        process=process,
        kernel=None,
        process_group=None,
        beat_at=None if process is None else datetime.now(UTC),
        silent=silent,
        age=age,
    )


@pytest.mark.parametrize(
    "run",
    [
        vitals(NEAR, silent=59),
        vitals(FAR, silent=44),
        vitals(NEAR, silent=50_000, trigger="interactive"),
        vitals(FAR, silent=599, trigger="interactive"),
        vitals(None, age=86_000),
    ],
    ids=["near", "far", "busy notebook", "far notebook", "of an earlier version"],
)
def test_may_be_alive(run: Vitals) -> None:
    assert death_of(run, is_gone=False) is None


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (vitals(NEAR, silent=61), f"its process {NEAR.pid} on {NEAR.host} hangs: no heartbeat for 61 s"),
        (vitals(FAR, silent=46), "its process 4711 on elsewhere has sent no heartbeat for 46 s"),
        (
            vitals(FAR, silent=601, trigger="interactive"),
            "its process 4711 on elsewhere has sent no heartbeat for 601 s",
        ),
    ],
    ids=["hung", "far", "far notebook"],
)
def test_silence_needs_a_second_look(run: Vitals, said: str) -> None:
    assert death_of(run, is_gone=False) == Death(said, is_certain=False)


def test_a_process_that_is_gone_is_certain_however_late_its_last_beat() -> None:
    for trigger in ("command", "deployment", "interactive"):
        run = vitals(NEAR, trigger=trigger)
        assert death_of(run, is_gone=True) == Death(
            f"its process {NEAR.pid} on {NEAR.host} is gone", is_certain=True
        )


def test_one_that_never_beat_is_given_up_after_a_day() -> None:
    assert death_of(vitals(None, age=86_401), is_gone=False) == Death(
        "it never sent a heartbeat, and began more than a day ago", is_certain=True
    )


def test_a_process_is_known_by_its_start_too() -> None:
    assert NEAR.is_near
    assert NEAR.is_there()
    assert not replace(NEAR, started=NEAR.started + 1).is_there()
    assert not FAR.is_near
