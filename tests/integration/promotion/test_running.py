"""How a headless run says that it lives, what it may take, and what it has to itself."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.acceptance.notebooks import write_notebook
from tests.conftest import Connection
from tests.servers import wait_for
from workbench import Workbench
from workbench.errors import DeploymentBusy, LockTimeout, NotebookError, NotebookFailed
from workbench.promotion.retrying import with_retries
from workbench.promotion.run import NotebookRunResult, Origin
from workbench.runs.locks import RunLocks, deployment_lock, resource_lock

# What PostgreSQL 15 may do differently lies beneath this, and is tested there.
pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

SLOT = datetime(2026, 11, 27, 22, tzinfo=UTC)
# Holds Python's lock for as long as it sleeps: no thread of the kernel runs.
IN_NATIVE_CODE = "import ctypes\nctypes.PyDLL(None).sleep(600)"
ALLOCATE = "kept = bytearray(400_000_000)\nimport time\ntime.sleep(600)"
IN_A_CHILD = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {ALLOCATE!r}])"


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """`make(*cells)`: a notebook with those behind its parameters."""

    def write(*cells: str, name: str = "study") -> Path:
        return write_notebook(tmp_path / f"{name}.ipynb", parameters="", cells=cells)

    return write


def live(deployment: str, slot: datetime = SLOT, *, trigger: str = "deployment") -> Origin:
    return Origin(trigger=trigger, deployment=deployment, slot=slot, purpose="live")


def running(wb: Workbench) -> dict[str, Any] | None:
    """The record of the run that is running."""
    found = wb.runs.list(status="running")
    return None if found.empty else wb.runs.show(found["run_id"].iloc[0])


def test_a_run_tells_where_it_is_and_its_record_keeps_the_peak(
    wb: Workbench, make: Callable[..., Path], threads: ThreadPoolExecutor, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    cells = (
        "1 + 1",
        f"import time, pathlib\nwhile not pathlib.Path({str(go)!r}).exists():\n    time.sleep(0.1)",
    )
    ran: Future[NotebookRunResult] = threads.submit(wb.run, make(*cells))

    def told() -> dict[str, Any] | None:
        record = running(wb)
        heartbeat = record and record["heartbeat"]
        return heartbeat if heartbeat and heartbeat["cell"] == 2 and heartbeat["memory_bytes"] else None

    heartbeat = wait_for(told, "the second cell is told")
    listed = wb.runs.list(status="running").iloc[0]
    assert (listed["cell"], listed["cells"]) == (2, 2)
    assert heartbeat["pid"] == psutil.Process().pid
    keeper = psutil.Process(heartbeat["kernel_pid"])
    assert keeper.ppid() == heartbeat["pid"]
    assert heartbeat["memory_bytes"] > 30_000_000
    assert heartbeat["process_group"] is None, "this process does more than the run"
    names = {name for (name,) in _sessions(wb) if name.endswith(str(listed["run_id"]))}
    assert f"workbench:runs:{listed['run_id']}" in names
    go.touch()
    record = wb.runs.show(ran.result(60).run_id)
    assert record["heartbeat"]["peak_bytes"] >= heartbeat["memory_bytes"]
    assert record["heartbeat"]["beat_at"] >= record["ended_at"] - timedelta(seconds=1)
    assert not [name for (name,) in _sessions(wb) if name.endswith(str(listed["run_id"]))]


def _sessions(wb: Workbench) -> list[Any]:
    with wb.runs.pool.begin() as connection:
        return list(
            connection.exec_driver_sql(
                "SELECT application_name FROM pg_stat_activity WHERE datname = current_database()"
            )
        )


def test_a_kernels_sessions_carry_the_runs_id(wb: Workbench, make: Callable[..., Path]) -> None:
    ran = wb.run(
        make(
            "from workbench import Workbench\nwb = Workbench()\nwb.data_ingestion.load_ingestion_status()",
            "from workbench.db.pool import application_name\n"
            "with wb.data_ingestion.pool.begin() as connection:\n"
            "    told = connection.exec_driver_sql('SHOW application_name').scalar_one()\n"
            "from workbench import Workbench\n"
            "assert told == f'workbench:data_ingestion:{wb.run_id}', told",
        )
    )
    assert wb.runs.show(ran.run_id)["status"] == "completed"


@pytest.mark.parametrize("cell", [ALLOCATE, IN_A_CHILD], ids=["kernel", "child"])
def test_beyond_its_memory_limit_a_run_ends_and_says_where(
    wb: Workbench, make: Callable[..., Path], cell: str
) -> None:
    with pytest.raises(
        NotebookFailed, match=r"in cell 2 .*above its limit of 300 MB; its peak was"
    ) as caught:
        wb.run(make("1 + 1", cell), memory_limit="300MB")
    assert caught.value.error_name == "MemoryLimit"
    assert caught.value.cell == 2
    record = wb.runs.show(str(caught.value.run_id))
    assert record["status"] == "failed"
    assert record["error"] == str(caught.value)
    assert record["heartbeat"]["peak_bytes"] > 300_000_000


def test_below_its_limit_it_does_not(wb: Workbench, make: Callable[..., Path]) -> None:
    ran = wb.run(make("import time\ntime.sleep(2.5)"), memory_limit="2GB")
    assert wb.runs.show(ran.run_id)["status"] == "completed"


def test_a_limit_that_is_none_is_refused_before_anything_runs(
    wb: Workbench, make: Callable[..., Path]
) -> None:
    with pytest.raises(NotebookError, match="memory_limit='much'"):
        wb.run(make("1"), memory_limit="much")
    assert wb.runs.list().empty


@pytest.mark.parametrize("cell", [IN_NATIVE_CODE, "import time\ntime.sleep(600)"], ids=["native", "python"])
def test_a_time_limit_holds_whatever_the_kernel_does(
    wb: Workbench, make: Callable[..., Path], cell: str
) -> None:
    begun = time.monotonic()
    with pytest.raises(NotebookFailed, match="was stopped after 4 s, in cell 2"):
        wb.run(make("1 + 1", cell), timeout_seconds=4)
    assert time.monotonic() - begun < 60


def test_a_run_that_was_declared_dead_ends_its_kernel(
    wb: Workbench, another_wb: Workbench, make: Callable[..., Path], threads: ThreadPoolExecutor
) -> None:
    ran = threads.submit(wb.run, make(IN_NATIVE_CODE))
    record = wait_for(
        lambda: (one := running(another_wb)) and one["heartbeat"]["cell"] == 1 and one, "it is in its cell"
    )
    another_wb.runs.finish(uuid.UUID(record["run_id"]), "crashed", error="somebody thought so")
    with pytest.raises(NotebookFailed, match="its run is over: it is crashed: somebody thought so") as caught:
        ran.result(60)
    assert caught.value.error_name == "RunFenced"
    assert wb.runs.show(record["run_id"])["status"] == "crashed"
    assert not psutil.pid_exists(record["heartbeat"]["kernel_pid"])


def test_two_runs_with_one_lock_do_not_overlap(
    wb: Workbench,
    another_wb: Workbench,
    make: Callable[..., Path],
    threads: ThreadPoolExecutor,
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    cell = (
        f"import time\nwith open({str(log)!r}, 'a') as log:\n    print('begins', file=log, flush=True)\n"
        "    time.sleep(2)\n    print('ends', file=log, flush=True)"
    )
    told: list[str] = []
    runs = [
        threads.submit(one.run, make(cell, name=name), locks=locks, progress=lambda *_: told.append(_[2]))
        for one, name, locks in ((wb, "one", ["gpu", "disk"]), (another_wb, "two", ["disk", "gpu"]))
    ]
    ids = {run.result(120).run_id for run in runs}
    assert log.read_text().splitlines() == ["begins", "ends"] * 2
    (waited,) = {words for words in told if words.startswith("waiting for")}
    assert waited in {f"waiting for the lock disk, which run {run_id} has" for run_id in ids}


def test_a_lock_that_is_not_free_in_time_fails_the_run_and_names_who_has_it(
    wb: Workbench, make: Callable[..., Path]
) -> None:
    holder = uuid.uuid4()
    locks = RunLocks(wb.runs.pool, holder)
    try:
        assert locks.take(resource_lock("gpu"), patience=0) is None
        with pytest.raises(LockTimeout, match=f"the lock gpu was not free within 2 s: run {holder} has it"):
            wb.run(make("1"), locks=["gpu"], timeout_seconds=2)
    finally:
        locks.close()
    listed = wb.runs.list().iloc[0]
    assert listed["status"] == "failed"
    assert "the lock gpu was not free" in listed["error"]
    assert wb.run(make("1"), locks=["gpu"], timeout_seconds=60).seconds > 0


def test_a_deployment_has_one_live_run_at_a_time(
    wb: Workbench, make: Callable[..., Path], admin: Connection
) -> None:
    holder = uuid.uuid4()
    locks = RunLocks(wb.runs.pool, holder)
    try:
        assert locks.take(deployment_lock("daily"), patience=0) is None
        with pytest.raises(DeploymentBusy, match=f"run {holder} of daily was still under way"):
            wb.run(make("1"), origin=live("daily"))
        assert wb.runs.list().empty
        # Another deployment, and a run that is not live, are not kept from running.
        wb.run(make("1"), origin=live("weekly"))
        wb.run(make("1"), origin=Origin(deployment="daily", slot=SLOT, purpose="backfill"))
    finally:
        locks.close()
    slots: dict[str, str] = dict(
        admin.execute("SELECT deployment, (state, reason)::text FROM workbench.slots").fetchall()
    )
    assert slots["daily"].startswith(f'(skipped,"run {holder} of daily was still under way')
    assert slots["weekly"] == "(completed,)"
    wb.run(make("1"), origin=live("daily"))
    slots = dict(admin.execute("SELECT deployment, state FROM workbench.slots").fetchall())
    assert slots["daily"] == "completed"


def test_a_retry_waits_for_its_predecessors_lock(
    wb: Workbench, make: Callable[..., Path], threads: ThreadPoolExecutor
) -> None:
    locks = RunLocks(wb.runs.pool, uuid.uuid4())
    assert locks.take(deployment_lock("daily"), patience=0) is None
    ran = threads.submit(wb.run, make("1"), origin=live("daily", trigger="retry"))
    time.sleep(2)
    assert not ran.done()
    locks.close()
    assert wb.runs.show(ran.result(60).run_id)["trigger"] == "retry"


def test_locks_outlive_a_lost_connection_unless_another_run_has_them_by_then(
    wb: Workbench, admin: Connection
) -> None:
    run_id = uuid.uuid4()
    first, second = RunLocks(wb.runs.pool, run_id), RunLocks(wb.runs.pool, uuid.uuid4())
    end = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE datname = current_database() AND application_name = 'workbench:locks:{run_id}'"
    )
    try:
        assert first.take("a thing", patience=0) is None
        admin.execute(end.encode())
        assert first.check() == ""
        assert second.take("a thing", patience=0) is not None, "taken again"
        admin.execute(end.encode())
        assert second.take("a thing", patience=5) is None
        assert "the connection that held its lock of a thing was lost, and run" in first.check()
    finally:
        first.close()
        second.close()


def test_a_vendor_that_refuses_for_a_while_is_asked_by_another_attempt(
    wb: Workbench, make: Callable[..., Path], admin: Connection
) -> None:
    """Each attempt is a run of its own, and the slot counts them."""
    asked = []

    class Vendor(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(429 if len(asked) < 3 else 200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    told: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Vendor) as server, ThreadPoolExecutor(1) as serving:
        serving.submit(server.serve_forever)
        try:
            notebook = make(
                "import urllib.request, urllib.error\n"
                "from workbench.sources.retry import Patience, Reply\n"
                "def send():\n"
                "    try:\n"
                f"        with urllib.request.urlopen('http://127.0.0.1:{server.server_port}/bars') as got:\n"
                "            return Reply(got.status, dict(got.headers), got.read())\n"
                "    except urllib.error.HTTPError as error:\n"
                "        return Reply(error.code, dict(error.headers), error.read())\n"
                "Patience('vendor', attempts=1).ask(send)"
            )
            ran = with_retries(
                lambda origin: wb.run(notebook, origin=origin),
                live("daily"),
                tell=told.append,
                pauses=(0.1, 0.2),
            )
        finally:
            server.shutdown()
    assert len(asked) == 3
    assert [words.split(":")[0] for words in told] == ["attempt 1 failed", "attempt 2 failed"]
    assert all("SourceUnreachable may pass" in words for words in told)
    rows = admin.execute("SELECT attempt, trigger, status FROM workbench.runs ORDER BY started_at").fetchall()
    assert rows == [(1, "deployment", "failed"), (2, "retry", "failed"), (3, "retry", "completed")]
    slots = admin.execute("SELECT state, attempts, run_id::text FROM workbench.slots").fetchall()
    assert slots == [("completed", 3, ran.run_id)]
