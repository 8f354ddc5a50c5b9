"""A deployment's versions: numbered, never changed, and resolved when a run begins."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from workbench import Workbench
from workbench.errors import DatabaseError, MissingReference, NotDeployed
from workbench.promotion.what_runs import WhatRuns, what_runs
from workbench.runs.packages import installed_packages, lock_hash
from workbench.runs.versions import DeploymentVersion, VersionStore, who

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

OPTIONS: dict[str, Any] = {
    "timeout_seconds": 60.0,
    "memory_limit": None,
    "retries": 2,
    "retry_on": "away",
    "locks": [],
}
FIRST = DeploymentVersion(
    deployment="sma",
    notebook="strategies/sma.ipynb",
    content="a" * 64,
    parameters={"fast": 20},
    options=OPTIONS,
    schedule={"kind": "cron", "cron": "30 17 * * mon-fri", "timezone": "America/New_York"},
    code_version="0.1.0",
    evidence=[{"gate": "headless", "outcome": "passed"}],
    note="as researched",
)
PLANNED = WhatRuns("strategies/sma.ipynb", "a" * 64, {"fast": 20}, OPTIONS)


@pytest.fixture
def versions(wb: Workbench) -> VersionStore:
    return wb.runs.versions


def test_a_version_comes_back_as_it_was_stored_with_who_made_it_and_in_what(versions: VersionStore) -> None:
    stored = versions.add(FIRST)
    assert stored.made_at is not None
    assert stored == replace(FIRST, version=1, made_at=stored.made_at, evidence=list(FIRST.evidence))
    assert stored.made_by == who()
    assert stored.packages["prefect"].startswith("3.")
    assert stored.lock_sha256 == lock_hash(installed_packages())
    assert versions.list("sma") == [stored]
    # Stored is not yet used.
    assert versions.current("sma") is None
    versions.use("sma", 1)
    assert versions.current("sma") == stored


def test_two_at_once_get_two_numbers(versions: VersionStore) -> None:
    with ThreadPoolExecutor(6) as pool:
        stored = list(pool.map(lambda _: versions.add(FIRST), range(6)))
    assert sorted(one.version for one in stored) == [1, 2, 3, 4, 5, 6]
    assert versions.add(replace(FIRST, deployment="other")).version == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE workbench.deployment_versions SET note = 'better'",
        "DELETE FROM workbench.deployment_versions",
    ],
)
def test_a_version_is_never_changed(wb: Workbench, versions: VersionStore, change: str) -> None:
    versions.add(FIRST)
    with (
        pytest.raises(DatabaseError, match="holds what was promoted, and is never changed"),
        wb.session.pool("runs").begin() as connection,
    ):
        connection.exec_driver_sql(change)


def test_what_is_in_use_has_been_stored(versions: VersionStore) -> None:
    with pytest.raises(MissingReference, match="deployment_versions"):
        versions.use("sma", 1)


def test_states_are_kept_with_whoever_changed_them(versions: VersionStore) -> None:
    assert versions.state("sma") is None
    with pytest.raises(NotDeployed, match="there are no versions of sma; promote it again"):
        versions.set_state("sma", "paused")
    versions.add(FIRST)
    versions.use("sma", 1)
    versions.set_state("sma", "paused", "the vendor is late")
    state = versions.state("sma")
    assert state is not None
    assert (state.state, state.reason, state.changed_by) == ("paused", "the vendor is late", who())
    versions.use("sma", 1)
    state = versions.state("sma")
    assert state is not None
    assert (state.state, state.reason) == ("active", None)


def test_a_run_gets_the_version_that_is_in_use_when_it_begins(versions: VersionStore) -> None:
    versions.add(FIRST)
    versions.add(replace(FIRST, content="b" * 64, parameters={"fast": 30}))
    versions.use("sma", 2)
    planned_ahead = what_runs(versions, "sma", PLANNED, by_schedule=True)
    assert (planned_ahead.sha256, planned_ahead.parameters) == ("b" * 64, {"fast": 30})
    assert (planned_ahead.version, planned_ahead.in_use) == (2, True)
    by_hand = what_runs(versions, "sma", replace(PLANNED, parameters={"fast": 5}), by_schedule=False)
    assert (by_hand.sha256, by_hand.parameters) == ("b" * 64, {"fast": 5})
    earlier = what_runs(versions, "sma", PLANNED, asked=1, by_schedule=True)
    assert (earlier.sha256, earlier.version, earlier.in_use) == ("a" * 64, 1, False)
    with pytest.raises(NotDeployed, match="sma has no version 3; it has 1 to 2"):
        what_runs(versions, "sma", PLANNED, asked=3, by_schedule=True)


def test_what_was_promoted_before_there_were_versions_runs_as_it_was_planned(versions: VersionStore) -> None:
    assert what_runs(versions, "sma", PLANNED, by_schedule=True) == PLANNED
    assert what_runs(versions, None, PLANNED, by_schedule=False) == PLANNED


def test_a_run_says_which_version_it_was_of(wb: Workbench) -> None:
    run = wb.runs.start(
        notebook="a.ipynb", trigger="deployment", deployment="sma", deployment_version=2, purpose="live"
    )
    assert wb.runs.show(run)["deployment_version"] == 2
