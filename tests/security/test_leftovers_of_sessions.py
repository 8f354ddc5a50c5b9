"""Sessions of tests and benchmarks leave nothing when they are interrupted; killed, the next one sweeps."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.acceptance.conftest import CLONE, Site, end_site, make_site
from tests.security.leftovers import kill, our_folders, said_by, started
from tests.servers import wait_for
from workbench.embedded.place import AWAY
from workbench.embedded.process import living_in

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def place() -> Iterator[Site]:
    """A folder that every account may enter."""
    made = make_site()
    yield made
    end_site(made)


SESSION = """
import time
from pathlib import Path
from tests.servers import server_park
from workbench.embedded import EmbeddedPostgres
from workbench.settings import Settings

def test_that_takes_long(tmp_path):
    with server_park() as park:
        park.postgres("postgresql-18")
        park.valkey()
        Path({begun!r}).touch()
        time.sleep(200)
"""


def living_with(tmp: Path) -> list[str]:
    """What runs with its temporary folder below this one."""
    found = []
    for process in psutil.process_iter():
        try:
            at = process.environ().get("TMPDIR", "")
            if at and Path(at).is_relative_to(tmp) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except (psutil.Error, OSError):
            continue
    return found + [" ".join(process.cmdline()) for process in living_in(tmp) if process.name() != "postgres"]


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "xdist"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_session_of_tests_that_is_interrupted_leaves_nothing(
    place: Site, number: signal.Signals, workers: list[str]
) -> None:
    # Below `place`: the account that runs PostgreSQL must be able to enter.
    tmp, begun, test = place.folder / "tmp", place.folder / "begun", place.folder / "test_long.py"
    test.write_text(SESSION.format(begun=str(begun)))
    words = ["-p", "tests.session", "-p", "no:cacheprovider", "-q", *workers, str(test)]
    words = ["-c", str(CLONE / "pyproject.toml"), "--rootdir", str(place.folder), *words]
    run = f"import os, sys, pytest; os.chdir({str(place.folder)!r}); sys.exit(pytest.main({words!r}))"
    before = sorted(AWAY.glob("*"))
    process = started(run, tmp=tmp)
    wait_for(lambda: begun.exists() or process.poll() is not None, "the servers of the session run", 120)
    assert len(our_folders(tmp)) == 1
    assert len(living_with(tmp)) >= 3
    kill(process, number)
    if number == signal.SIGKILL:
        assert len(our_folders(tmp)) == 1
        test.write_text("def test_that_is_quick():\n    pass\n")
        assert "1 passed" in said_by(run, tmp=tmp)
    assert our_folders(tmp) == []
    assert living_with(tmp) == []
    assert sorted(AWAY.glob("*")) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_benchmark_that_is_interrupted_leaves_nothing(place: Site, number: signal.Signals) -> None:
    tmp = place.folder / "tmp"
    run = (
        "import runpy, sys; sys.argv[1:] = sys.argv[1:] or ['startup']; "
        "runpy.run_module('benchmarks', run_name='__main__')"
    )
    process = started(run, tmp=tmp)
    wait_for(
        lambda: list(tmp.glob("workbench-bench-*/*/home/postgres/PG_VERSION")), "its server is made", 120
    )
    time.sleep(1)
    assert len(living_with(tmp)) >= 2
    kill(process, number)
    if number == signal.SIGKILL:
        assert len(our_folders(tmp)) == 1
        # A session that only says what there is ends at once.
        said_by(run, "--help", tmp=tmp)
    assert our_folders(tmp) == []
    assert living_with(tmp) == []
