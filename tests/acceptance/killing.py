"""Runs of deployments that are killed at random moments, and what must hold whatever was killed when."""

from __future__ import annotations

import contextlib
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from tests.acceptance.conftest import Site
from tests.acceptance.notebooks import write_notebook
from tests.servers import wait_for
from workbench.embedded.process import ManagedProcess
from workbench.promotion.once import add_run_at
from workbench.promotion.records import Deployment
from workbench.stack import Stack
from workbench.stack.prefect_api import PrefectApi

__all__ = ["TARGETS", "Killing", "Round"]

TARGETS = ("kernel", "flow", "worker", "flow and kernel", "worker and flow", "all")
CELLS = 6
FAR = "0 0 29 2 *"
CRASHED_WITHIN = 90.0
_FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
# When it is run once in order to be promoted, it has no run.
_NAME = """
name = "rehearsed"
if wb.run_id is not None:
    run = wb.runs.show(wb.run_id)
    name = f"{run['deployment']}-{run['slot']:%Y%m%d%H%M%S}"
"""
_CELL = """
wb.strategy_engine.write_strategies(
    pd.DataFrame({{"strategy_id": [f"{{name}}-{number}"], "name": [f"step {number} of {{name}}"]}})
)
wb.logging.write_performance_logs(
    pd.DataFrame(
        {{
            "service": ["killed"], "operation": [f"{{name}}-{number}"], "execution_time_ms": [{number}.0],
            "timestamp": [pd.Timestamp("2026-01-01", tz="UTC")],
        }}
    )
)
time.sleep(0.6)
"""


@dataclass
class Round:
    """What was killed of which flow run, when; and how long it stayed running after that."""

    name: str
    slot: datetime
    target: str
    flow_run_id: str
    after: float
    killed: list[str] = field(default_factory=list)
    running_for: float = 0.0


class Killing:
    """Deployments of one notebook that writes a row in each of its cells.

    Parameters
    ----------
    site : Site
        Where everything is up.
    deployments : int
        How many run at once.
    seed : int
        Of what is killed when.
    """

    def __init__(self, site: Site, *, deployments: int, seed: int) -> None:
        self.site = site
        self.random = random.Random(seed)
        endpoints = Stack(site.settings).endpoints()
        self.prefect = PrefectApi(str(endpoints.prefect_api_url), endpoints.prefect_auth_string)
        self.names = [f"killed-{number}" for number in range(deployments)]
        self.killed_at: dict[str, float] = {}
        notebook = write_notebook(
            site.folder / "steps.ipynb",
            parameters="",
            cells=[
                "import time\nimport pandas as pd\nfrom workbench import Workbench\nwb = Workbench()",
                _NAME,
                *(_CELL.format(number=number) for number in range(CELLS)),
            ],
        )
        self.deployments: dict[str, Deployment] = {}
        with site.workbench() as wb:
            for name in self.names:
                self.deployments[name] = wb.promote(notebook, name=name, cron=FAR, timezone="UTC", retries=2)

    def round(self, targets: list[str]) -> list[Round]:
        """Schedule a run of each deployment, kill something of each, and wait until all is settled."""
        slot = (datetime.now(UTC) + timedelta(seconds=45)).replace(microsecond=0)
        rounds = []
        for name in self.names[: len(targets)]:
            add_run_at(self.prefect, self.deployments[name], slot)
        for name, target in zip(self.names, targets, strict=False):
            flow_run = wait_for(partial(self._planned, name, slot), f"{name} is planned", seconds=180)
            after = self.random.uniform(0.0, 8.0 + 4.0 * len(targets))
            rounds.append(Round(name, slot, target, flow_run, after))
        begun = time.monotonic() + max(0.0, (slot - datetime.now(UTC)).total_seconds())
        for one in sorted(rounds, key=lambda one: one.after):
            time.sleep(max(0.0, begun + one.after - time.monotonic()))
            self._kill(one)
        for one in rounds:
            wait_for(partial(self._has_ended, one), f"{one} is told", seconds=300)
        for one in rounds:
            wait_for(partial(self._is_settled, one), f"{one} is settled", seconds=600)
        return rounds

    def check(self, rounds: list[Round]) -> None:
        """Nothing that a clean run would not have written, and all of it where the slot is completed."""
        with self.site.workbench() as wb:
            strategies = wb.strategy_engine.load_strategies()
            logs = wb.logging.load_performance_logs(service="killed")
            records = wb.runs.list(latest=1_000)
        stored = dict(zip(strategies["strategy_id"], strategies["name"], strict=True))
        for one in rounds:
            state = self._slot(one)["state"]
            key = f"{one.name}-{one.slot:%Y%m%d%H%M%S}"
            clean = {f"{key}-{number}": f"step {number} of {key}" for number in range(CELLS)}
            found = {name: said for name, said in stored.items() if name.startswith(f"{key}-")}
            assert found.items() <= clean.items(), one
            timed = logs[logs["operation"].str.startswith(f"{key}-")]
            assert set(timed["operation"]) <= set(clean), one
            assert timed["execution_time_ms"].tolist() == [
                float(name.rpartition("-")[2]) for name in timed["operation"]
            ]
            if state == "completed":
                assert found == clean, one
            mine = records[(records["deployment"] == one.name) & (records["slot"] == one.slot)]
            facts = (
                one,
                state,
                mine.drop(columns=["notebook", "headline"], errors="ignore").to_dict("records"),
            )
            assert (mine["status"] == "completed").sum() == (state == "completed"), facts
            assert not (mine["status"] == "running").any(), facts
            assert one.running_for <= CRASHED_WITHIN, one

    def _planned(self, name: str, slot: datetime) -> str | None:
        """The flow run that Prefect's scheduler made for the slot."""
        wanted = {
            "deployments": {"id": {"any_": [self.deployments[name].deployment_id]}},
            "flow_runs": {"expected_start_time": {"after_": slot.isoformat(), "before_": slot.isoformat()}},
        }
        found = [one["id"] for one in self.prefect.ask("/flow_runs/filter", wanted) if one["auto_scheduled"]]
        return str(found[0]) if found else None

    def _kill(self, one: Round) -> None:
        family = self._family(one.flow_run_id)
        pids = {process.pid for process in family}
        flows = [process for process in family if process.ppid() not in pids]
        kernels = [process for process in family if _is_kernel(process, pids)]
        victims = []
        if "flow" in one.target or one.target == "all":
            victims += flows
        if "kernel" in one.target or one.target == "all":
            victims += kernels
        if "worker" in one.target or one.target == "all":
            pid = ManagedProcess("worker", self.site.home).pid()
            victims += [psutil.Process(pid)] if pid is not None else []
        for victim in victims:
            with contextlib.suppress(psutil.Error):
                one.killed.append(" ".join(victim.cmdline())[:60])
                victim.kill()
        self.killed_at[one.flow_run_id] = time.monotonic()

    def _family(self, flow_run_id: str) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("PREFECT__FLOW_RUN_ID") == flow_run_id:
                    found.append(process)
        return found

    def _has_ended(self, one: Round) -> bool:
        """Whether neither our records nor Prefect say that the killed flow run goes on.

        One that was not killed, since nothing of it was there yet or any more, ends by itself.
        """
        state = self.prefect.ask(f"/flow_runs/{one.flow_run_id}")["state_type"]
        if state not in _FINAL or self._running(one.flow_run_id):
            return False
        if any("worker" not in words for words in one.killed):
            one.running_for = time.monotonic() - self.killed_at[one.flow_run_id]
        return True

    def _running(self, flow_run_id: str) -> bool:
        with self.site.workbench() as wb:
            rows = wb.sql(
                "SELECT 1 FROM workbench.runs WHERE status = 'running' AND flow_run_id::text = :flow_run",
                flow_run=flow_run_id,
            )
        return not rows.empty

    def _is_settled(self, one: Round) -> bool:
        return (
            self._slot(one).get("state") in {"completed", "failed"}
            and not self._is_tried_again(one)
            and not self._goes_on(one)
        )

    def _is_tried_again(self, one: Round) -> bool:
        """Whether a failed slot is about to get another attempt: its last one crashed, and one is left."""
        slot = self._slot(one)
        return bool(slot["state"] == "failed" and slot["status"] == "crashed" and slot["attempts"] <= 2)

    def _goes_on(self, one: Round) -> bool:
        """Whether a run of the deployment has not ended, such as one whose kernel died and is tried again."""
        wanted = {
            "deployments": {"id": {"any_": [self.deployments[one.name].deployment_id]}},
            "flow_runs": {
                "state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING", "CANCELLING"]}},
                "expected_start_time": {"before_": (datetime.now(UTC) + timedelta(minutes=5)).isoformat()},
            },
        }
        return bool(self.prefect.ask("/flow_runs/filter", wanted))

    def _slot(self, one: Round) -> dict[str, Any]:
        with self.site.workbench() as wb:
            rows = wb.sql(
                "SELECT s.state, s.attempts, coalesce(r.status, 'crashed') AS status FROM workbench.slots s "
                "LEFT JOIN workbench.runs r USING (run_id) WHERE s.deployment = :name AND s.slot = :slot",
                name=one.name,
                slot=one.slot,
            )
        return {} if rows.empty else {str(name): value for name, value in rows.iloc[0].items()}


def _is_kernel(process: psutil.Process, family: set[int]) -> bool:
    """Whether it is a run's kernel: not the keeper above it, nor what it starts."""
    try:
        above = process.parent()
        return bool(
            "WORKBENCH_KERNEL" in process.environ()
            and above is not None
            and above.pid in family
            and "WORKBENCH_KERNEL" in above.environ()
            and Path(f"/proc/{process.pid}").exists()
        )
    except psutil.Error:
        return False
