"""Nothing is left behind of a home that is deleted, or emptied, while everything runs for it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.acceptance.conftest import Site, end_site, make_site
from tests.servers import wait_for
from workbench.embedded.process import living_in, marked

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def place() -> Iterator[Site]:
    """A place where nothing runs yet."""
    made = make_site()
    yield made
    end_site(made)


def everything(site: Site) -> list[psutil.Process]:
    """Every process of that home: those that bear its mark, and the servers on its data."""
    return [*marked(site.home), *living_in(site.home)]


def run_on(processes: list[psutil.Process]) -> list[str]:
    """What of these still runs, by its command line."""
    found = []
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.NoSuchProcess:
            continue
    return found


def delete(home: Path) -> None:
    """Delete as a user does: again where a server that was still stopping has written a file meanwhile."""
    for _ in range(50):
        subprocess.run(["rm", "-rf", str(home)], check=False)
        if not home.exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"{home} cannot be deleted")


def up(site: Site) -> list[psutil.Process]:
    done = site.run("up", "--detach")
    assert done.returncode == 0, done.stderr
    found = everything(site)
    # Supervisor, guardian, Prefect's server, worker, relay, PostgreSQL, Valkey.
    assert len(found) >= 7
    return found


def test_a_stack_whose_home_is_deleted_ends_within_seconds_and_makes_nothing_anew(place: Site) -> None:
    killed = [place.home / "tmp" / "worker-deadbeef", place.home / "prefect" / "tmp"]
    for left in killed:
        (left / "runner_storage").mkdir(parents=True)
    processes = up(place)
    # What killed workers left goes at the start, and the new one works in a folder of its own.
    assert not any(left.exists() for left in killed)
    (worker,) = [process for process in processes if "workbench.stack.worker" in process.cmdline()]
    assert Path(worker.environ()["TMPDIR"]).parent == place.home / "tmp"
    delete(place.home)
    wait_for(lambda: not run_on(processes), "everything of the deleted home ends", 45)
    assert everything(place) == []
    assert not place.home.exists()


def test_what_a_deleted_home_s_folder_only_holds_counts_too(place: Site) -> None:
    """`rm -rf home/*`: the folder stays, and stays empty."""

    def empty(*, check: bool) -> None:
        subprocess.run(["sh", "-c", 'rm -rf "$1"/*', "sh", str(place.home)], check=check)

    processes = up(place)
    # It fails where a server writes a file into a folder that is just being removed.
    empty(check=False)
    wait_for(lambda: not run_on(processes), "everything of the emptied home ends", 45)
    empty(check=True)
    time.sleep(2.0)
    assert list(place.home.iterdir()) == []


def test_without_their_supervisor_the_services_notice_too_and_down_ends_the_servers(place: Site) -> None:
    processes = up(place)
    for process in processes:
        if {"workbench.stack", "workbench.stack.guardian"} & set(process.cmdline()):
            process.kill()
    servers = list(living_in(place.home))
    assert {process.name() for process in servers} == {"postgres", "valkey-server"}
    delete(place.home)
    services = [process for process in processes if process not in servers]
    wait_for(lambda: not run_on(services), "worker, relay and Prefect's server end", 30)
    # Nobody is left who could end the servers but this command.
    done = place.run("down")
    assert done.returncode == 0, done.stderr
    assert "stopped" in done.stderr
    assert run_on(processes) == []
    assert not place.home.exists()


def test_a_home_that_is_made_anew_at_once_has_one_stack_its_own(place: Site) -> None:
    before = up(place)
    delete(place.home)
    after = up(place)
    wait_for(lambda: not run_on(before), "everything of the deleted home ends", 45)
    assert len(run_on(after)) == len(after)
    assert place.run("status").returncode == 0
    place.run("down")
    assert everything(place) == []
