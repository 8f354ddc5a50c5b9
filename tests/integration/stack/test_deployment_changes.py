"""A deployment goes back, pauses and retires: in the database and in Prefect, one change after the other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.notebooks import write_notebook
from workbench import Workbench
from workbench.errors import LockTimeout, NotDeployed, PromotionRefused
from workbench.headless.notebook_file import NotebookFile
from workbench.promotion.contents import Contents
from workbench.promotion.namesakes import deployment_named
from workbench.promotion.store import NotebookStore
from workbench.promotion.versions.changing import DeploymentChanges
from workbench.promotion.versions.prefect_problems import prefect_problems
from workbench.promotion.versions.put_in_use import put_in_use
from workbench.promotion.what_runs import WhatRuns, what_runs
from workbench.runs.versions import DeploymentVersion
from workbench.settings import Settings
from workbench.stack.prefect_api import PrefectApi

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

# Further ahead than Prefect plans, so that nothing has to be waited for.
MONTH = (datetime.now(UTC).month + 5) % 12 + 1
OPTIONS: dict[str, Any] = {
    "timeout_seconds": 60.0,
    "memory_limit": None,
    "retries": 2,
    "retry_on": "away",
    "locks": [],
}


class Desk:
    """Deploys small notebooks under one name."""

    def __init__(
        self, wb: Workbench, settings: Settings, prefect: PrefectApi, folder: Path, name: str
    ) -> None:
        self.wb, self.prefect, self.folder, self.name = wb, prefect, folder, name
        self.settings = settings.model_copy(update={"prefect_api_url": prefect._url})
        self.versions = wb.runs.versions
        self.contents = Contents(wb.session.pool("runs"))
        self.changes = DeploymentChanges(self.settings, prefect, wb.runs.slots, self.versions, self.contents)

    def store(self, fast: int, hour: int, cell: str = "fast") -> DeploymentVersion:
        """Store a version without putting it to use."""
        path = write_notebook(self.folder / "study.ipynb", parameters="fast: int = 1", cells=[cell])
        stored = NotebookStore(self.settings.store_folder, self.contents).add(NotebookFile.read(path))
        return self.versions.add(
            DeploymentVersion(
                deployment=self.name,
                notebook="study.ipynb",
                content=stored.sha256,
                parameters={"fast": fast},
                options=OPTIONS,
                schedule={"kind": "cron", "cron": f"0 {hour} 1 {MONTH} *", "timezone": "UTC"},
                code_version="0.1.0",
            )
        )

    def deploy(self, fast: int, hour: int, cell: str = "fast") -> DeploymentVersion:
        version = self.store(fast, hour, cell)
        stored = NotebookStore(self.settings.store_folder, self.contents).open(str(version.content))
        put_in_use(
            *(self.settings, self.prefect, self.wb.runs.slots, self.versions, version, stored),
            progress=lambda _: None,
        )
        return version

    def in_prefect(self) -> tuple[str, bool, list[str], Any]:
        """Version, whether it is paused, its schedules, and the notebook's parameters."""
        found = deployment_named(self.prefect, self.name)
        crons = [entry["schedule"]["cron"] for entry in found["schedules"]]
        return found["version"], found["paused"], crons, found["parameters"]["parameters"]

    def state(self) -> tuple[str, int, str | None]:
        found = self.versions.state(self.name)
        assert found is not None
        return found.state, found.version, found.reason

    def problems(self) -> list[str]:
        state = self.versions.state(self.name)
        assert state is not None
        found = prefect_problems(self.prefect, self.settings.work_pool, state)
        # There is no worker here.
        return [problem for problem in found if not problem.startswith("no worker has ever polled")]


@pytest.fixture
def desk(
    wb: Workbench, database_settings: Settings, prefect: PrefectApi, tmp_path: Path, request: Any
) -> Desk:
    return Desk(wb, database_settings, prefect, tmp_path, request.node.name.partition("[")[0][:90])


def test_going_back_is_a_version_with_all_that_the_earlier_one_had(desk: Desk) -> None:
    first, second = desk.deploy(20, 6), desk.deploy(30, 7, cell="fast + 1")
    made = desk.changes.roll_back(desk.name, note="the second loses")
    assert made.version == 3
    assert desk.in_prefect() == ("3", False, [f"0 6 1 {MONTH} *"], {"fast": 20})
    third = desk.versions.get(desk.name, 3)
    assert (third.made, third.of_version, third.note) == ("rolled_back", 1, "the second loses")
    assert (third.content, third.parameters, third.schedule) == (first.content, {"fast": 20}, first.schedule)
    description = deployment_named(desk.prefect, desk.name)["description"]
    assert "rolled back to version 1" in description
    assert "the second loses" in description
    # A run that was planned before begins with what is in use now.
    planned = WhatRuns("study.ipynb", second.content, {"fast": 30}, OPTIONS)
    runs = what_runs(desk.versions, desk.name, planned, by_schedule=True)
    assert (runs.sha256, runs.parameters, runs.version) == (first.content, {"fast": 20}, 3)
    # Again: to what was in use before that.
    assert desk.changes.roll_back(desk.name).version == 4
    assert desk.versions.get(desk.name, 4).of_version == 2
    assert desk.changes.roll_back(desk.name, to=1).parameters == {"fast": 20}
    with pytest.raises(PromotionRefused, match=r"version 5 of .* is in use already"):
        desk.changes.roll_back(desk.name, to=5)
    with pytest.raises(NotDeployed, match="has no version 9; it has 1 to 5"):
        desk.changes.roll_back(desk.name, to=9)


def test_there_is_nothing_to_go_back_to(desk: Desk) -> None:
    desk.deploy(20, 6)
    with pytest.raises(PromotionRefused, match="has had no version in use before version 1"):
        desk.changes.roll_back(desk.name)
    with pytest.raises(NotDeployed, match=rf"no versions of {desk.name}x .did you mean {desk.name}"):
        desk.changes.roll_back(desk.name + "x")


def test_pausing_and_retiring_take_it_out_of_prefect_and_resuming_puts_it_back(desk: Desk) -> None:
    desk.deploy(20, 6)
    desk.changes.pause(desk.name, "earnings season")
    assert desk.state() == ("paused", 1, "earnings season")
    assert desk.in_prefect()[:2] == ("1", True)
    before = deployment_named(desk.prefect, desk.name)["schedules"][0]
    desk.changes.resume(desk.name)
    assert desk.state() == ("active", 1, None)
    assert desk.in_prefect() == ("1", False, [f"0 6 1 {MONTH} *"], {"fast": 20})
    # Of a schedule that is new nothing was missed meanwhile.
    assert deployment_named(desk.prefect, desk.name)["schedules"][0]["id"] != before["id"]
    with pytest.raises(PromotionRefused, match="is neither paused nor retired"):
        desk.changes.resume(desk.name)
    desk.changes.retire(desk.name, "nobody trades it")
    assert desk.state() == ("retired", 1, "nobody trades it")
    assert desk.in_prefect()[1]
    with pytest.raises(PromotionRefused, match="is retired; nothing of it runs"):
        desk.changes.pause(desk.name)
    # Promoting under the old name revives it.
    desk.deploy(25, 8)
    assert desk.state() == ("active", 2, None)
    assert desk.in_prefect() == ("2", False, [f"0 8 1 {MONTH} *"], {"fast": 25})
    told = [(one.change, one.version) for one in reversed(desk.versions.changes(desk.name))]
    assert told == [("used", 1), ("paused", 1), ("resumed", 1), ("retired", 1), ("used", 2)]


def test_two_at_once_are_made_one_after_the_other(desk: Desk) -> None:
    desk.deploy(20, 6)
    desk.deploy(30, 7)
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda _: desk.changes.roll_back(desk.name).version, range(3)))
    assert sorted(made) == [3, 4, 5]
    assert desk.state() == ("active", 5, None)
    # Each went back to what was in use before it: 1, 2, 1.
    assert [desk.versions.get(desk.name, number).of_version for number in (3, 4, 5)] == [1, 2, 3]
    assert desk.in_prefect() == ("5", False, [f"0 6 1 {MONTH} *"], {"fast": 20})
    with desk.versions.alone(desk.name):
        with (
            pytest.raises(LockTimeout, match="another promotion or rollback of it is under way"),
            desk.versions.alone(desk.name, patience=0.1),
        ):
            pass
        with desk.versions.alone("another", patience=0.1):
            pass


def test_what_was_ended_halfway_is_seen_and_mended_by_the_next_change(desk: Desk) -> None:
    desk.deploy(20, 6)
    assert desk.problems() == []
    # Killed between storing and using: what ran before runs on.
    desk.store(30, 7)
    assert desk.state()[1] == 1
    problem = desk.wb.deployments.show(desk.name).problems[0]
    assert problem.startswith("version 2 is stored and was never put to use")
    # Killed between Prefect and the database.
    found = deployment_named(desk.prefect, desk.name)
    kept = {key: found[key] for key in ("name", "flow_id", "entrypoint", "work_pool_name")}
    desk.prefect.ask("/deployments/", {**kept, "version": "2", "parameters": found["parameters"]})
    assert any("Prefect has version 2, and version 1 is in use" in problem for problem in desk.problems())
    desk.deploy(40, 9)
    assert desk.in_prefect() == ("3", False, [f"0 9 1 {MONTH} *"], {"fast": 40})
    assert desk.problems() == []
    # Killed between the state and Prefect.
    desk.versions.set_state(desk.name, "paused")
    (problem,) = desk.problems()
    assert "it is paused here and not in Prefect: pause it again" in problem
    desk.changes.pause(desk.name)
    assert desk.problems() == []


def test_a_shadow_is_stored_beside_and_cut_over_or_dropped(desk: Desk) -> None:
    desk.deploy(20, 6)
    with pytest.raises(PromotionRefused, match="has no shadow; promote one with shadow=5"):
        desk.changes.cut_over(desk.name)
    shadow = desk.store(30, 7, cell="fast * 2")
    desk.versions.set_shadow(desk.name, shadow.version, 2)
    assert desk.in_prefect()[0] == "1"
    assert [desk.versions.take_shadow_slot(desk.name) for _ in range(3)] == [2, 2, None]
    made = desk.changes.cut_over(desk.name, note="it says the same, sooner")
    assert (made.version, desk.versions.get(desk.name, 3).made) == (3, "cut_over")
    assert desk.in_prefect() == ("3", False, [f"0 7 1 {MONTH} *"], {"fast": 30})
    desk.versions.set_shadow(desk.name, 1, 5)
    assert desk.changes.drop_shadow(desk.name) == 1
    assert desk.versions.take_shadow_slot(desk.name) is None
    assert desk.state()[1] == 3
