"""The whole stack, once: it starts, answers, survives being killed in parts, and ends without a trace."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from workbench.embedded import ManagedProcess
from workbench.embedded.process import is_alive, marked, wait_until
from workbench.errors import ServerError
from workbench.settings import Settings
from workbench.stack import Stack
from workbench.stack.prefect_api import PrefectApi

# One stack for all of them, in order.
pytestmark = [pytest.mark.timeout(600)]

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


def test_everything_runs_and_tells_so(stack: Stack) -> None:
    assert [service.name for service in stack.status()] == SERVICES
    assert all_run(stack)
    assert stack.is_up()
    assert stack.is_set_up()
    assert not [finding for finding in stack.doctor() if finding.level != "ok"]


def test_prefect_wants_a_password(stack: Stack) -> None:
    endpoints = stack.endpoints()
    assert endpoints.prefect_api_url is not None
    assert endpoints.prefect_auth_string is not None
    assert PrefectApi(endpoints.prefect_api_url, endpoints.prefect_auth_string).version()
    with pytest.raises(ServerError, match="refuses our login"):
        PrefectApi(endpoints.prefect_api_url, "admin:guess").version()
    with pytest.raises(ServerError, match="refuses our login"):
        PrefectApi(endpoints.prefect_api_url, None).version()


def test_prefect_s_pages_are_there_and_other_sites_may_not_call_its_api(stack: Stack) -> None:
    endpoints = stack.endpoints()
    with urllib.request.urlopen(f"{endpoints.prefect_ui_url}/", timeout=30) as page:
        assert b"Prefect" in page.read()
    asked = urllib.request.Request(f"{endpoints.prefect_api_url}/flows/filter", method="OPTIONS")
    asked.add_header("Origin", "http://elsewhere.example")
    asked.add_header("Access-Control-Request-Method", "POST")
    with pytest.raises(urllib.error.HTTPError) as refused, urllib.request.urlopen(asked, timeout=30):
        pass
    refused.value.close()
    assert refused.value.code == 400


def test_nobody_hears_but_loopback(stack: Stack, home: Path) -> None:
    ours = {service.pid for service in stack.status()}
    heard = [one for one in psutil.net_connections("inet") if one.pid in ours]
    addresses = {one.laddr[0] for one in heard if one.status == psutil.CONN_LISTEN and one.laddr}
    assert addresses == {"127.0.0.1"}


def test_the_worker_shares_no_folder_with_other_users(stack: Stack, home: Path) -> None:
    """Prefect's own place for runs is one folder for the whole machine, closed by whoever came first."""
    scratch = psutil.Process(pids(home)["worker"]).environ()["TMPDIR"]
    assert Path(scratch).is_relative_to(home)


def test_up_again_changes_nothing(stack: Stack, home: Path) -> None:
    before = pids(home)
    assert stack.up() == stack.endpoints()
    assert pids(home) == before


def test_a_second_supervisor_is_refused(stack: Stack) -> None:
    with pytest.raises(ServerError, match="runs already"):
        stack.supervise()
    assert all_run(stack)


def test_after_its_supervisor_was_killed_everything_is_adopted(stack: Stack, home: Path) -> None:
    before = pids(home)
    os.kill(before["supervisor"], signal.SIGKILL)
    assert wait_until(lambda: not is_alive(before["supervisor"]), 10)
    assert not stack.is_up()
    stack.up()
    after = pids(home)
    assert after.pop("supervisor") != before.pop("supervisor")
    assert after == before


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
