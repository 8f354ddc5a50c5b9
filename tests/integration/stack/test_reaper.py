"""Dead runs are found and told of everywhere, against a real PostgreSQL and a real Prefect server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import pytest

from tests.conftest import Connection
from tests.integration.stack.conftest import POOL
from tests.servers import wait_for
from workbench import Workbench
from workbench.errors import DatabaseError, ServerUnreachable
from workbench.runs import RunStore
from workbench.runs.fence import end_processes, fence
from workbench.runs.locks import RunLocks, deployment_lock
from workbench.runs.process import ProcessIdentity, identity_of, this_process
from workbench.runs.vitals import vitals_of_all
from workbench.stack.flow_runs import FLOW_NAME
from workbench.stack.prefect_api import PrefectApi
from workbench.stack.reaper import Reaper, reap

SLOT = datetime(2026, 11, 27, 22, tzinfo=UTC)
FAR = ProcessIdentity("elsewhere", "another boot", 4711, 1)

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)


@contextmanager
def a_process(code: str = "import time\ntime.sleep(600)") -> Iterator[subprocess.Popen[str]]:
    """One of its own process group, which prints a line when it has begun."""
    child = subprocess.Popen(
        [sys.executable, "-c", f"print('begun', flush=True)\n{code}"],
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "begun\n"
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def has_ended(child: subprocess.Popen[str]) -> bool:
    """Whether it has ended, also if its exit code was taken by whoever waited for that."""
    child.wait(30)
    return True


def identity(pid: int) -> ProcessIdentity:
    found = identity_of(pid)
    assert found is not None
    return found


def gone() -> ProcessIdentity:
    """A process that has ended."""
    with a_process() as child:
        return identity(child.pid)


def start(runs: RunStore, process: ProcessIdentity | None, **facts: Any) -> uuid.UUID:
    return runs.start(notebook="a.ipynb", trigger=facts.pop("trigger", "command"), process=process, **facts)


def silence(admin: Connection, run_id: uuid.UUID, seconds: float) -> None:
    admin.execute(
        "UPDATE workbench.heartbeats SET beat_at = clock_timestamp() - %s WHERE run_id = %s",
        [timedelta(seconds=seconds), run_id],
    )


def started_long_ago(admin: Connection) -> bool:
    """Whether the server runs for long enough that silence counts; it never counts its own absence."""
    row = admin.execute("SELECT clock_timestamp() - pg_postmaster_start_time() > interval '70 s'").fetchone()
    return bool(row and row[0])


def test_a_run_whose_process_is_gone_is_crashed_at_once(wb: Workbench, admin: Connection) -> None:
    alive = start(wb.runs, this_process())
    process = gone()
    dead = start(wb.runs, process, deployment="daily", slot=SLOT, purpose="live")
    (done,) = reap(wb.runs, None, work_pool=POOL)
    reason = f"its process {process.pid} on {process.host} is gone"
    assert (done.run_id, done.what) == (str(dead), f"run {dead} is crashed: {reason}")
    record = wb.runs.show(dead)
    assert (record["status"], record["error"]) == ("crashed", reason)
    assert record["ended_at"] is not None
    assert wb.runs.show(alive)["status"] == "running"
    assert admin.execute("SELECT state, reason FROM workbench.slots").fetchall() == [("failed", reason)]
    told = admin.execute("SELECT data ->> 'run_id' FROM workbench.events WHERE type = 'notebook_run.crashed'")
    assert told.fetchall() == [(str(dead),)]
    assert wb.runs.reap() == []


def test_two_reapers_at_once_tell_it_once(wb: Workbench, another_wb: Workbench, admin: Connection) -> None:
    dead = {start(wb.runs, gone()) for _ in range(6)}
    with ThreadPoolExecutor(2) as threads:
        passes = [threads.submit(reap, one.runs, None, work_pool=POOL) for one in (wb, another_wb)]
        told = [str(one.run_id) for done in passes for one in done.result(60)]
    assert sorted(told) == sorted(map(str, dead))
    events = admin.execute("SELECT count(*) FROM workbench.events WHERE type = 'notebook_run.crashed'")
    assert events.fetchone() == (6,)


def test_silence_of_another_machine_and_of_a_hung_process_count_on_the_second_look(
    wb: Workbench, admin: Connection
) -> None:
    wait_for(lambda: started_long_ago(admin), "the server runs for a while", seconds=90)
    with a_process() as child:
        far, near = start(wb.runs, FAR), start(wb.runs, identity(child.pid))
        notebook = start(wb.runs, identity(child.pid), trigger="interactive")
        fresh = start(wb.runs, FAR)
        for run_id in (far, near, notebook):
            silence(admin, run_id, 65)
        reaper = Reaper(wb.runs, None, work_pool=POOL)
        assert reaper.pass_once() == []
        assert reaper.has_suspects
        assert reaper.pass_once() == [], "too soon"
        done = reap(wb.runs, None, work_pool=POOL)
        assert {one.run_id for one in done} == {str(far), str(near)}
        assert "hangs: no heartbeat for" in wb.runs.show(near)["error"]
        assert "4711 on elsewhere has sent no heartbeat for" in wb.runs.show(far)["error"]
        assert {wb.runs.show(one)["status"] for one in (fresh, notebook)} == {"running"}


def test_a_run_that_beats_again_between_two_looks_lives(wb: Workbench, admin: Connection) -> None:
    wait_for(lambda: started_long_ago(admin), "the server runs for a while", seconds=90)
    run_id = start(wb.runs, FAR)
    silence(admin, run_id, 65)
    reaper = Reaper(wb.runs, None, work_pool=POOL)
    assert reaper.pass_once() == []
    silence(admin, run_id, 46)
    time.sleep(10)
    assert reaper.pass_once() == [], "it has slept, and begins to beat"
    silence(admin, run_id, 1)
    assert reaper.pass_once() == []
    assert not reaper.has_suspects


def test_a_run_that_never_beat_is_left_for_a_day(wb: Workbench, admin: Connection) -> None:
    old, new = start(wb.runs, None), start(wb.runs, None)
    admin.execute("UPDATE workbench.runs SET started_at = now() - interval '25 h' WHERE run_id = %s", [old])
    (done,) = wb.runs.reap()
    assert done.run_id == str(old)
    assert "never sent a heartbeat, and began more than a day ago" in wb.runs.show(old)["error"]
    assert wb.runs.show(new)["status"] == "running"


def test_a_write_of_a_dead_run_is_ended_and_its_locks_are_free(wb: Workbench, admin: Connection) -> None:
    """A write that is under way holds the record; its session is ended by name, and nothing of it stays."""
    process = gone()
    dead = start(wb.runs, process, deployment="daily", slot=SLOT, purpose="live")
    pool = wb.runs.pool.of_run(dead)
    locks = RunLocks(pool, dead)
    assert locks.take(deployment_lock("daily"), patience=0) is None
    begun = time.monotonic()

    def write() -> None:
        with pool.begin() as connection:
            connection.exec_driver_sql(f"SELECT workbench.require_live_run('{dead}')")
            connection.exec_driver_sql("INSERT INTO workbench.events (type, service) VALUES ('half', 'runs')")
            (done,) = reap(wb.runs, None, work_pool=POOL)
            assert done.run_id == str(dead)
            connection.exec_driver_sql("SELECT 1")

    with pytest.raises(ServerUnreachable):
        write()
    assert time.monotonic() - begun < 30
    assert admin.execute("SELECT count(*) FROM workbench.events WHERE type = 'half'").fetchone() == (0,)
    other = RunLocks(wb.runs.pool, uuid.uuid4())
    assert other.take(deployment_lock("daily"), patience=5) is None
    other.close()
    locks.close()
    pool.close()


def test_a_long_write_of_a_run_that_lives_is_left_alone(wb: Workbench, admin: Connection) -> None:
    run_id = start(wb.runs, this_process())
    pool = wb.runs.pool.of_run(run_id)
    with pool.begin() as connection:
        connection.exec_driver_sql(f"SELECT workbench.require_live_run('{run_id}')")
        assert wb.runs.reap() == []
        connection.exec_driver_sql("INSERT INTO workbench.events (type, service) VALUES ('whole', 'runs')")
    assert admin.execute("SELECT count(*) FROM workbench.events WHERE type = 'whole'").fetchone() == (1,)
    assert wb.runs.show(run_id)["status"] == "running"
    pool.close()


def test_sessions_end_only_of_a_run_that_is_being_declared_dead(wb: Workbench, admin: Connection) -> None:
    run_id, other = start(wb.runs, this_process()), start(wb.runs, gone())
    pool = wb.runs.pool.of_run(run_id)
    with pool.begin() as connection:
        with pytest.raises(DatabaseError, match="is not being declared dead"), wb.runs.pool.begin() as asking:
            asking.exec_driver_sql(f"SELECT workbench.end_sessions('{run_id}')")
        wb.runs.reap()
        assert wb.runs.show(other)["status"] == "crashed"
        connection.exec_driver_sql("SELECT 1")
    pool.close()


def test_only_processes_of_the_run_are_ended(wb: Workbench) -> None:
    """Its kernel, and a flow's own process; never one with another start, nor what answers for other runs."""
    start(wb.runs, this_process())
    (sample,) = vitals_of_all(wb.runs.pool)
    with a_process() as flow, a_process() as kernel, a_process() as stubborn, a_process() as reused:
        run = replace(sample, process=identity(flow.pid), kernel=identity(kernel.pid), process_group=flow.pid)
        end_processes(run, spared=[identity(flow.pid)])
        assert has_ended(kernel)
        assert flow.poll() is None
        stubborn.send_signal(signal.SIGSTOP)
        end_processes(replace(run, process=identity(stubborn.pid), process_group=stubborn.pid, kernel=None))
        assert has_ended(stubborn)
        later = replace(identity(reused.pid), started=identity(reused.pid).started + 1)
        end_processes(replace(run, process=later, process_group=reused.pid, kernel=later))
        end_processes(replace(run, process=identity(reused.pid), process_group=None, kernel=None))
        assert reused.poll() is None
        end_processes(replace(run, kernel=None))
        assert has_ended(flow)


# ------------------------------------------------------------------------------------------------- Prefect


@dataclass
class Flows:
    """A deployment of the flow, and runs of it as a worker leaves them."""

    prefect: PrefectApi
    name: str
    pool: str
    deployment_id: str

    def create(self, state: str, **body: Any) -> str:
        created = self.prefect.ask(f"/deployments/{self.deployment_id}/create_flow_run", body)
        for kind in ("PENDING", "RUNNING")[: ("PENDING", "RUNNING").index(state) + 1]:
            wanted = {"state": {"type": kind}, "force": True}
            self.prefect.ask(f"/flow_runs/{created['id']}/set_state", wanted)
        return str(created["id"])

    def state(self, flow_run_id: str) -> tuple[str, str]:
        found = self.prefect.ask(f"/flow_runs/{flow_run_id}")["state"]
        return found["type"], found["message"] or ""

    def scheduled(self) -> list[dict[str, Any]]:
        wanted = {
            "deployments": {"id": {"any_": [self.deployment_id]}},
            "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
        }
        return list(self.prefect.ask("/flow_runs/filter", wanted))


@pytest.fixture
def flows(prefect: PrefectApi) -> Flows:
    name = f"daily-{uuid.uuid4().hex[:6]}"
    # Of its own: each test has a database of its own, which knows no flow runs of the others.
    pool = f"pool-of-{name}"
    prefect.ask("/work_pools/", {"name": pool, "type": "process"})
    flow = prefect.ask("/flows/", {"name": FLOW_NAME})
    body = {
        "name": name,
        "flow_id": flow["id"],
        "work_pool_name": pool,
        "enforce_parameter_schema": False,
        "parameters": {"notebook": "a.ipynb", "parameters": {"fast": 20}, "retries": 1},
    }
    return Flows(prefect, name, pool, str(prefect.ask("/deployments/", body)["id"]))


def start_flow(wb: Workbench, flows: Flows, flow_run_id: str, slot: datetime = SLOT) -> uuid.UUID:
    facts = {"deployment": flows.name, "slot": slot, "purpose": "live", "flow_run_id": flow_run_id}
    return start(wb.runs, gone(), trigger="deployment", **facts)


def test_a_crashed_run_is_crashed_in_prefect_and_its_slot_is_tried_again_as_often_as_said(
    wb: Workbench, flows: Flows, admin: Connection
) -> None:
    values = {"notebook": "a.ipynb", "parameters": {"fast": 7}}
    flow_run = flows.create("RUNNING", parameters=values)
    run_id = start_flow(wb, flows, flow_run)
    done = reap(wb.runs, flows.prefect, work_pool=flows.pool)
    assert [one.run_id for one in done] == [str(run_id), None]
    kind, message = flows.state(flow_run)
    assert kind == "CRASHED"
    assert message.startswith(f"Run {run_id}: its process ")
    (again,) = flows.scheduled()
    slot = "2026-11-27T22:00:00+00:00"
    assert again["parameters"]["slot"] == slot
    assert again["parameters"]["parameters"] == {"fast": 7}, "as the crashed one had them"
    assert again["idempotency_key"] == f"{flows.name}/{slot}/2"
    state = admin.execute("SELECT state, attempts FROM workbench.slots").fetchall()
    assert state == [("due", 1)]
    assert reap(wb.runs, flows.prefect, work_pool=flows.pool) == []
    # The second attempt crashes, too, and the deployment has one retry.
    start_flow(wb, flows, again["id"])
    flows.prefect.ask(f"/flow_runs/{again['id']}/set_state", {"state": {"type": "RUNNING"}, "force": True})
    assert len(reap(wb.runs, flows.prefect, work_pool=flows.pool)) == 1
    assert flows.scheduled() == []
    assert admin.execute("SELECT state, attempts FROM workbench.slots").fetchall() == [("failed", 2)]


def test_a_slot_is_not_tried_again_when_a_newer_one_is_due(
    wb: Workbench, flows: Flows, admin: Connection
) -> None:
    start_flow(wb, flows, flows.create("RUNNING"))
    newer = start(
        wb.runs, this_process(), deployment=flows.name, slot=SLOT + timedelta(days=1), purpose="live"
    )
    assert len(reap(wb.runs, flows.prefect, work_pool=flows.pool)) == 1
    assert flows.scheduled() == []
    assert wb.runs.show(newer)["status"] == "running"


def test_a_run_that_was_cancelled_is_cancelled_and_not_tried_again(
    wb: Workbench, flows: Flows, admin: Connection
) -> None:
    flow_run = flows.create("RUNNING")
    run_id = start_flow(wb, flows, flow_run)
    cancelled = {"state": {"type": "CANCELLED"}, "force": True}
    flows.prefect.ask(f"/flow_runs/{flow_run}/set_state", cancelled)
    reap(wb.runs, flows.prefect, work_pool=flows.pool)
    assert wb.runs.show(run_id)["status"] == "cancelled"
    assert flows.scheduled() == []
    assert admin.execute("SELECT state FROM workbench.slots").fetchall() == [("cancelled",)]


def test_flow_runs_that_go_on_in_prefect_alone_are_crashed_there(wb: Workbench, flows: Flows) -> None:
    """Their record has ended, and the process that answered for it is gone, or is not."""
    over, lives = flows.create("RUNNING"), flows.create("RUNNING")
    ended = start_flow(wb, flows, over)
    wb.runs.finish(ended, "failed", error="a cell raised")
    pausing = start(wb.runs, this_process(), trigger="deployment", flow_run_id=lives)
    wb.runs.finish(pausing, "failed", error="a server was away")
    (done,) = reap(wb.runs, flows.prefect, work_pool=flows.pool)
    assert done.flow_run_id == over
    assert flows.state(over)[0] == "CRASHED"
    assert "its run is failed" in flows.state(over)[1]
    assert flows.state(lives)[0] == "RUNNING", "it waits for its next attempt"
    flows.prefect.ask(f"/flow_runs/{lives}", method="DELETE")


def test_a_flow_run_that_never_began_is_crashed_and_its_slot_says_so(
    wb: Workbench, flows: Flows, admin: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker took it up and died; one whose process is there has longer. Limits are moved."""
    monkeypatch.setattr("workbench.stack.reaper._BEGIN_SECONDS", 600.0)
    given = {"parameters": {"slot": SLOT.isoformat()}}
    lost, begins = flows.create("PENDING", **given), flows.create("PENDING", **given)
    environment = {**os.environ, "PREFECT__FLOW_RUN_ID": begins}
    with subprocess.Popen(["sleep", "600"], env=environment) as child:
        try:
            assert reap(wb.runs, flows.prefect, work_pool=flows.pool) == [], "too soon"
            monkeypatch.setattr("workbench.stack.reaper._BEGIN_SECONDS", 0.0)
            done = reap(wb.runs, flows.prefect, work_pool=flows.pool)
        finally:
            child.kill()
    assert [one.flow_run_id for one in done] == [lost, None]
    assert "was taken up by a worker, but did not begin within" in flows.state(lost)[1]
    assert flows.state(begins)[0] == "PENDING"
    (again,) = flows.scheduled()
    assert again["idempotency_key"].endswith("/2")
    rows = admin.execute("SELECT deployment, state, attempts, reason FROM workbench.slots").fetchall()
    assert [row[:3] for row in rows] == [(flows.name, "due", 1)]
    assert f"flow run {lost}: it was taken up" in rows[0][3]
    flows.prefect.ask(f"/flow_runs/{begins}", method="DELETE")


def test_a_flow_run_that_its_worker_found_dead_before_it_began_is_tried_again(
    wb: Workbench, flows: Flows, admin: Connection
) -> None:
    """Prefect knows of it, and our records do not."""
    flow_run = flows.create("PENDING", parameters={"slot": SLOT.isoformat()})
    crashed = {"state": {"type": "CRASHED", "message": "exited with -9"}, "force": True}
    flows.prefect.ask(f"/flow_runs/{flow_run}/set_state", crashed)
    done = reap(wb.runs, flows.prefect, work_pool=flows.pool)
    assert [one.flow_run_id for one in done if one.flow_run_id == flow_run] == [flow_run]
    (again,) = flows.scheduled()
    rows = admin.execute("SELECT state, attempts FROM workbench.slots WHERE deployment = %s", [flows.name])
    assert rows.fetchall() == [("due", 1)]
    assert reap(wb.runs, flows.prefect, work_pool=flows.pool) == []
    # The second attempt fails by itself: the crash before it is not told again.
    wb.runs.finish(start_flow(wb, flows, again["id"]), "failed", error="a cell raised")
    flows.prefect.ask(f"/flow_runs/{again['id']}", method="DELETE")
    assert reap(wb.runs, flows.prefect, work_pool=flows.pool) == []
    rows = admin.execute("SELECT state, attempts FROM workbench.slots WHERE deployment = %s", [flows.name])
    assert rows.fetchall() == [("failed", 2)]


def test_a_prefect_that_is_away_holds_up_nothing_and_is_told_later(wb: Workbench, flows: Flows) -> None:
    flow_run = flows.create("RUNNING")
    run_id = start_flow(wb, flows, flow_run)
    away = PrefectApi("http://127.0.0.1:9/api", None)
    (done,) = reap(wb.runs, away, work_pool=flows.pool)
    assert done.run_id == str(run_id)
    assert wb.runs.show(run_id)["status"] == "crashed"
    assert flows.state(flow_run)[0] == "RUNNING"
    reap(wb.runs, flows.prefect, work_pool=flows.pool)
    assert flows.state(flow_run)[0] == "CRASHED"


def test_a_fence_that_comes_late_changes_nothing(wb: Workbench) -> None:
    run_id = start(wb.runs, gone())
    (run,) = [one for one in vitals_of_all(wb.runs.pool) if one.run_id == run_id]
    wb.runs.finish(run_id, "completed")
    assert fence(wb.runs, run, "crashed", "too late") is False
    assert wb.runs.show(run_id)["status"] == "completed"
    assert psutil.pid_exists(os.getpid())
