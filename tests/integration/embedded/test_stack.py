"""The whole stack, once: it starts, answers, survives being killed in parts, and ends without a trace."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from sqlalchemy.engine import make_url

from workbench import Workbench
from workbench.embedded import EmbeddedPostgres, ManagedProcess
from workbench.embedded.process import is_alive, marked, wait_until
from workbench.errors import ServerError
from workbench.settings import Settings
from workbench.stack import Stack
from workbench.stack.environment import process_environment
from workbench.stack.prefect_api import PrefectApi

# One stack for all of them, in order.
pytestmark = [pytest.mark.timeout(600)]

KILLS = int(os.environ.get("POSTGRES_KILLS", "8"))
"""How often PostgreSQL is killed; more by POSTGRES_KILLS=100."""

SERVICES = ["PostgreSQL", "Valkey", "Prefect server", "Worker", "Relay", "Supervisor"]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """In a folder that every account may enter, as a clone's is; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="workbench-test-"))
    folder.chmod(0o755)
    yield folder / "home"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[Stack]:
    """One stack for the tests of this file, in order: each leaves it running."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("WORKBENCH_", "PREFECT_"))]:
            patch.delenv(name)
        # Prefect's processes must not even look at what a user of this machine has configured.
        patch.setenv("HOME", str(home.parent))
        made = Stack(Settings(home=home))
        try:
            made.up()
            yield made
        finally:
            made.down()


def pids(home: Path) -> dict[str, int]:
    names = ("supervisor", "prefect-server", "worker", "relay")
    found = {name: ManagedProcess(name, home).pid() for name in names}
    return {name: pid for name, pid in found.items() if pid is not None}


def all_run(stack: Stack) -> bool:
    return all(service.running for service in stack.status())


def kill(pid: int | None, number: signal.Signals) -> None:
    assert pid is not None
    os.kill(pid, number)
    assert wait_until(lambda: not is_alive(pid), 30)


def test_everything_runs_and_tells_so(stack: Stack, home: Path) -> None:
    assert [service.name for service in stack.status()] == SERVICES
    assert all_run(stack)
    assert stack.is_up()
    assert stack.is_set_up()
    assert not [finding for finding in stack.doctor() if finding.level != "ok"]
    # What is old is removed once a day, and at the first start.
    assert wait_until((home / "run" / "cleaned").exists, 60)


def test_prefect_wants_a_password(stack: Stack) -> None:
    endpoints = stack.endpoints()
    assert endpoints.prefect_api_url is not None
    assert endpoints.prefect_auth_string is not None
    assert PrefectApi(endpoints.prefect_api_url, endpoints.prefect_auth_string).version()
    with pytest.raises(ServerError, match="refuses our login"):
        PrefectApi(endpoints.prefect_api_url, "admin:guess").version()
    with pytest.raises(ServerError, match="refuses our login"):
        PrefectApi(endpoints.prefect_api_url, None).version()


def test_prefect_s_pages_are_there_for_who_shows_the_login(stack: Stack) -> None:
    endpoints = stack.endpoints()
    user, _, password = str(endpoints.prefect_auth_string).partition(":")
    assert "Prefect" in httpx.get(f"{endpoints.prefect_ui_url}/", auth=(user, password)).text
    assert httpx.get(f"{endpoints.prefect_ui_url}/").status_code == 401


def test_nobody_hears_but_loopback(stack: Stack, home: Path) -> None:
    ours = {service.pid for service in stack.status()}
    heard = [one for one in psutil.net_connections("inet") if one.pid in ours]
    addresses = {one.laddr[0] for one in heard if one.status == psutil.CONN_LISTEN and one.laddr}
    assert addresses == {"127.0.0.1"}


def test_the_worker_shares_no_folder_with_other_users(stack: Stack, home: Path) -> None:
    """Prefect's default folder for runs is shared by the machine, and only its first user may enter it."""
    scratch = psutil.Process(pids(home)["worker"]).environ()["TMPDIR"]
    assert Path(scratch).is_relative_to(home)


def test_up_again_changes_nothing(stack: Stack, home: Path) -> None:
    before = pids(home)
    assert stack.up() == stack.endpoints()
    assert pids(home) == before


def test_status_fails_while_prefect_s_server_hangs(stack: Stack, home: Path) -> None:
    environment = {"WORKBENCH_HOME": str(home), "HOME": str(home.parent), "PATH": os.environ["PATH"]}
    server = psutil.Process(pids(home)["prefect-server"])
    server.suspend()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "workbench.cli", "status", "--json"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        server.resume()
    assert done.returncode == 1
    (problem,) = json.loads(done.stdout)["problems"]
    assert problem.startswith("what is scheduled cannot be told: Prefect")


def test_an_event_that_prefect_cannot_read_holds_up_no_other(stack: Stack, home: Path) -> None:
    """Prefect answers 500 to one nested this deep, whenever it is asked."""
    endpoints = stack.endpoints()
    database = make_url(endpoints.database_url).set(database="trading_system")
    with psycopg.connect(database.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO workbench.events (type, service, data) VALUES "
            "('deep.done', 'runs', (repeat('{\"a\":', 400) || '1' || repeat('}', 400))::jsonb), "
            "('late.done', 'runs', '{\"n\": 7}')"
        )
    user, _, password = (endpoints.prefect_auth_string or "").partition(":")

    def told(name: str) -> list[dict[str, Any]]:
        asked = {"filter": {"event": {"name": [name]}}}
        url = f"{endpoints.prefect_api_url}/events/filter"
        events: list[dict[str, Any]] = httpx.post(url, json=asked, auth=(user, password)).json()["events"]
        return events

    assert wait_until(lambda: bool(told("data_sync.event.put_aside")), 120, every=0.5)
    (aside,), (late,) = told("data_sync.event.put_aside"), told("data_sync.late.done")
    assert late["payload"] == {"n": 7}
    assert (aside["payload"]["type"], aside["payload"]["sink"]) == ("deep.done", "prefect")
    assert aside["payload"]["reason"].startswith("it answers 500")
    (finding,) = [finding for finding in stack.doctor() if finding.level != "ok"]
    assert "1 event was put aside" in finding.what
    with Workbench(Settings(home=home)) as wb:
        (one,) = wb.events.put_aside()
        assert (one.event_id, one.tries) == (aside["payload"]["event_id"], 5)
        assert [event.type for event in wb.events.recent()] == ["deep.done", "late.done", "event.put_aside"]


def test_a_second_supervisor_is_refused(stack: Stack) -> None:
    with pytest.raises(ServerError, match="runs already"):
        stack.supervise()
    assert all_run(stack)


def test_a_supervisor_that_is_killed_is_started_again_and_adopts_everything(stack: Stack, home: Path) -> None:
    before = pids(home)
    os.kill(before["supervisor"], signal.SIGKILL)
    assert wait_until(lambda: not is_alive(before["supervisor"]), 10)
    assert wait_until(stack.is_up, 120)
    after = pids(home)
    assert after.pop("supervisor") != before.pop("supervisor")
    assert after == before
    assert stack.up() == stack.endpoints()


def test_a_guardian_that_is_killed_is_started_again(stack: Stack, home: Path) -> None:
    guardian = ManagedProcess("guardian", home)
    assert wait_until(lambda: guardian.pid() is not None, 30)
    killed = guardian.pid()
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    assert wait_until(lambda: guardian.pid() not in {None, killed}, 30)


def test_what_is_killed_is_started_again(stack: Stack, home: Path) -> None:
    before = pids(home)
    postgres = next(service.pid for service in stack.status() if service.name == "PostgreSQL")
    assert postgres is not None
    for pid in (before["worker"], before["relay"], postgres):
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not any(map(is_alive, (before["worker"], before["relay"], postgres))), 10)
    assert wait_until(lambda: all_run(stack), 120)
    after = pids(home)
    assert after["supervisor"] == before["supervisor"]
    assert {after["worker"], after["relay"]}.isdisjoint(before.values())


def test_however_often_postgresql_dies_everything_runs_again(stack: Stack, home: Path) -> None:
    """At random moments, also while databases, roles and migrations are looked after."""
    for name in ("guardian", "supervisor"):
        kill(ManagedProcess(name, home).pid(), signal.SIGKILL)
    supervisor = ManagedProcess("supervisor", home)
    program = (
        "import sys; from workbench.stack import pauses\n"
        "pauses._LONGEST = 0.1\n"  # it would pause for a minute after the sixth death
        "from workbench.stack.__main__ import main; sys.exit(main())"
    )
    supervisor.start(
        [sys.executable, "-c", program, "--again"],
        environment=process_environment(Settings(home=home), {}),
        folder=home,
    )
    pid, postgres, moments = supervisor.pid(), EmbeddedPostgres(Settings(home=home)), random.Random(7)
    for number in range(KILLS):
        assert wait_until(lambda: postgres.running() is not None, 120)
        time.sleep(moments.uniform(0.0, 3.0))
        running = postgres.running()
        if running is not None:
            kill(running.pid, (signal.SIGKILL, signal.SIGQUIT)[number % 2])
    assert wait_until(lambda: stack.is_up() and all_run(stack), 300), supervisor.new_log()[-3000:]
    assert supervisor.pid() == pid
    with psycopg.connect(stack.endpoints().database_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_nothing_was_written_to_the_user_s_own_prefect_folder(stack: Stack, home: Path) -> None:
    assert not (home.parent / ".prefect").exists()


def test_down_leaves_no_process(stack: Stack, home: Path) -> None:
    running = [service.pid for service in stack.status() if service.pid is not None]
    assert len(running) == len(SERVICES)
    stopped = stack.down()
    assert set(stopped) >= {"supervisor", "prefect-server", "worker", "relay", "Valkey", "PostgreSQL"}
    assert not any(map(is_alive, running))
    assert not list(marked(home))
    assert stack.down() == []
    assert not any(service.running for service in stack.status())
