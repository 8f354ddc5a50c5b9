"""A grid runs its members one after the other, each with a record and a row of the slot of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.notebooks import write_notebook
from workbench import Workbench
from workbench.errors import NotebookFailed, SlotTaken
from workbench.headless.notebook_file import open_notebook
from workbench.promotion.contents import Contents
from workbench.promotion.run import Origin
from workbench.promotion.run_version import run_version
from workbench.promotion.store import NotebookStore
from workbench.promotion.what_runs import WhatRuns

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

FAILING = """
from pathlib import Path
from typing import Any

if symbols == ["GONE"] and not Path({there!r}).exists():
    raise RuntimeError("told to fail")
"""


def quiet(*_: object) -> None:
    """Ignore what is told."""


def test_a_grid_runs_each_member_once_and_another_attempt_those_that_failed(
    wb: Workbench, tmp_path: Path
) -> None:
    path = write_notebook(
        tmp_path / "member.ipynb",
        parameters='symbols: list[str] = ["IBM"]',
        cells=[FAILING.format(there=str(tmp_path / "there"))],
    )
    store = NotebookStore(wb.settings.store_folder, Contents(wb.runs.pool))
    sha256 = store.add(open_notebook(path), {}, {}).sha256
    options: dict[str, Any] = {
        "timeout_seconds": 60.0,
        "memory_limit": None,
        "retries": 0,
        "retry_on": "away",
        "locks": [],
        "each": {"symbols": [["AAPL"], ["GONE"], ["MSFT"]]},
    }
    runs = WhatRuns("member.ipynb", sha256, {"symbols": ["IBM"]}, options)
    slot = datetime(2026, 1, 2, 22, 30, tzinfo=UTC)
    origin = Origin(trigger="deployment", deployment="grid", slot=slot, purpose="live")
    # As the slot watch says of a slot that nothing has begun for.
    wb.runs.slots.settle("grid", {slot: "no run of it has begun yet"}, "due")
    done: list[str] = []

    def run() -> None:
        run_version(
            wb.session,
            runs,
            origin,
            done=lambda result: done.append(wb.runs.show(result.run_id)["member"]),
            tell=quiet,
            progress=quiet,
        )

    with pytest.raises(NotebookFailed, match=r"1 of 3 members failed: GONE: .*told to fail"):
        run()
    assert done == ["AAPL", "MSFT"]
    listed = wb.deployments.slots("grid").sort_values("member")
    assert listed[["member", "state"]].to_numpy().tolist() == [
        ["AAPL", "completed"],
        ["GONE", "failed"],
        ["MSFT", "completed"],
    ]
    assert wb.runs.slots.state("grid", slot) == "failed"
    (tmp_path / "there").touch()
    run()
    assert done == ["AAPL", "MSFT", "GONE"]
    assert wb.runs.slots.state("grid", slot) == "completed"
    with pytest.raises(SlotTaken):
        run()
