"""No password of the servers is where it could be read by others or passed on by mistake."""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy.engine import make_url

from tests.acceptance.conftest import Site
from tests.acceptance.notebooks import write_notebook
from workbench.db.roles import all_roles, role_url
from workbench.embedded.process import marked
from workbench.errors import WorkbenchError
from workbench.stack import Stack
from workbench.stack.environment import settings_environment
from workbench.stack.prefect_api import PrefectApi

pytestmark = [pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def canaries(site: Site) -> dict[str, str]:
    """Every password there is, by what it opens."""
    endpoints = Stack(site.settings).endpoints()
    urls = {"administrator": endpoints.database_url, "valkey": endpoints.redis_url}
    found = {name: str(make_url(url).password) for name, url in urls.items()}
    found["prefect"] = str(endpoints.prefect_auth_string).partition(":")[2]
    found["prefect's login"] = str(endpoints.prefect_auth_string)
    for role in all_roles():
        found[role] = str(role_url(site.settings, endpoints.database_url, role).password)
    assert all(len(password) > 20 for password in found.values())
    return found


@pytest.fixture(scope="module")
def used(site: Site) -> Site:
    """A place where things have been done, well and badly, so that all that is written has been written."""
    assert site.run("ingest", "AAPL").returncode == 0
    assert site.run("run", "strategies/sma_cross.ipynb", "-p", "symbols=AAPL").returncode == 0
    failing = write_notebook(
        site.folder / "failing.ipynb",
        parameters="n: int = 1",
        cells=[
            "from workbench import Workbench\nwb = Workbench()\nprint(wb, wb.settings, wb.runs)",
            "wb.sql('SELECT nonsense')",
        ],
    )
    assert site.run("run", str(failing)).returncode == 1
    with site.workbench() as wb:
        promoted = wb.promote(failing, name="failing", cron="0 6 1 1 *", timezone="UTC", force="it fails")
        wb.deployments.trigger(promoted)
    return site


def held(text: str, canaries: dict[str, str]) -> set[str]:
    """Whose passwords stand in a text, as they are or in base64."""
    found = set()
    for name, password in canaries.items():
        # In base64 of something longer it stands in one of three shapes.
        encoded = [base64.b64encode(b"x" * shift + password.encode()).decode()[4:-4] for shift in range(3)]
        if password in text or any(part in text for part in encoded):
            found.add(name)
    return found


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def test_a_canary_is_found_also_in_base64(canaries: dict[str, str]) -> None:
    password = canaries["valkey"]
    for text in (password, *(base64.b64encode(f"{'a' * n}{password}:b".encode()).decode() for n in range(3))):
        assert held(f"x{text}y", canaries) == {"valkey"}


def test_what_is_printed_of_the_stack_holds_none(used: Site, canaries: dict[str, str]) -> None:
    stack = Stack(used.settings)
    endpoints = stack.endpoints()
    with used.workbench() as wb:
        things = [endpoints, stack, used.settings, wb, wb.runs, wb.events, wb.runs.pool, wb.data_ingestion]
        said = " ".join(f"{thing!r} {thing!s}" for thing in things)
    assert "127.0.0.1" in said
    assert held(said, canaries) == set()


def _ask(site: Site, statement: str) -> None:
    with site.workbench() as wb:
        wb.sql(statement)


def _start(site: Site) -> None:
    Stack(site.settings).start_servers()


def _ask_prefect(site: Site) -> None:
    endpoints = Stack(site.settings).endpoints()
    PrefectApi(str(endpoints.prefect_api_url), endpoints.prefect_auth_string).version()


@pytest.mark.parametrize(
    ("fails", "act"),
    [
        (None, lambda site: _ask(site, "SELECT nonsense")),
        ("workbench.stack.servers.Servers.is_set_up", lambda site: _ask(site, "SELECT 1")),
        ("workbench.db.bootstrap._create_database", _start),
        ("workbench.db.migrate._run_script", _start),
        ("workbench.stack.prefect_api.PrefectApi.ask", _ask_prefect),
    ],
)
def test_a_traceback_with_every_variable_holds_none(
    used: Site,
    canaries: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    fails: str | None,
    act: Callable[[Site], None],
) -> None:
    """As IPython's `%xmode Verbose` shows it, wherever it fails before a driver is called."""
    if fails is not None:

        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("as if it could not be done")

        monkeypatch.setattr(fails, fail)
    try:
        act(used)
    except (RuntimeError, WorkbenchError) as error:
        # Without this test's own frame, which holds them all.
        error.__traceback__ = error.__traceback__.tb_next if error.__traceback__ else None
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    said = "".join(shown.format())
    assert "self = " in said
    assert held(said, canaries) == set()


def test_no_command_prints_one(used: Site, canaries: dict[str, str]) -> None:
    """But for the sign-in that `up` and `lab` print."""
    for words in (
        *(("status",), ("status", "--json"), ("doctor",), ("runs", "list", "--json"), ("db", "current")),
        *(("events", "tail", "--no-follow", "--json"), ("quality",), ("db", "check")),
    ):
        done = used.run(*words)
        assert held(done.stdout + done.stderr, canaries) == set(), words


def test_no_log_page_output_or_stored_notebook_holds_one(used: Site, canaries: dict[str, str]) -> None:
    looked = 0
    for folder in ("logs", "runs", "store"):
        for path in files(used.home / folder):
            looked += 1
            assert held(path.read_text(encoding="utf-8", errors="replace"), canaries) == set(), path
    assert looked > 10


def test_no_record_and_no_event_holds_one(used: Site, canaries: dict[str, str]) -> None:
    with used.workbench() as wb:
        runs = [wb.runs.show(run_id) for run_id in wb.runs.list(latest=100)["run_id"]]
        events = [event.to_json() for event in wb.events.recent(1_000)]
    assert len(runs) == 3
    assert held(json.dumps([runs, events], default=str), canaries) == set()


def test_no_process_is_given_one_as_an_argument(used: Site, canaries: dict[str, str]) -> None:
    """Everyone on the machine may read them."""
    processes = list(marked(used.home))
    assert len(processes) > 4
    for process in [*processes, *(child for one in processes for child in one.children(recursive=True))]:
        try:
            assert held(" ".join(process.cmdline()), canaries) == set()
        except psutil.NoSuchProcess:
            continue


def test_only_files_that_their_owner_alone_reads_hold_one(used: Site, canaries: dict[str, str]) -> None:
    stamp = used.home / "run" / "databases.stamp"
    assert stamp.stat().st_mode & 0o777 == 0o600
    open_to_others = [path for path in files(used.home) if path.stat().st_mode & 0o044]
    assert len(open_to_others) > 10
    for path in open_to_others:
        assert held(path.read_bytes().decode("latin-1"), canaries) == set(), path


def test_the_settings_environment_names_no_password_of_embedded_servers(
    used: Site, canaries: dict[str, str]
) -> None:
    assert held(str(settings_environment(used.settings)), canaries) == set()
