"""A command that only looks leaves what runs as it was, and cuts off nobody."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa

from tests.acceptance.conftest import Site, end_site, make_site
from workbench.events import outbox
from workbench.stack import Stack

pytestmark = [pytest.mark.timeout(600)]

SAID = "nothing runs for this home: its servers are started for this command and then stopped"


@pytest.fixture(scope="module")
def home() -> Iterator[Site]:
    """A home with bars in it."""
    made = make_site()
    try:
        assert made.run("ingest", "FB").returncode == 0
        yield made
    finally:
        end_site(made)


@pytest.fixture
def site(home: Site) -> Site:
    """The same, where nothing runs."""
    Stack(home.settings).down()
    return home


@contextlib.contextmanager
def a_long_look(site: Site) -> Iterator[subprocess.Popen[str]]:
    """A running `workbench events tail`, which has started the servers; ended with Ctrl-C."""
    # Where the tests run in the background SIGINT may be ignored, and what they start would ignore it, too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [sys.executable, "-m", "workbench.cli", "events", "tail"],
        cwd=site.folder,
        env=site.environment(),
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    ) as look:
        signal.signal(signal.SIGINT, before)
        assert look.stderr is not None
        assert SAID in look.stderr.readline()
        assert "events arrive while the relay runs" in look.stderr.readline()
        yield look
        look.send_signal(signal.SIGINT)
        assert look.wait(60) == 0


def running(site: Site) -> list[str]:
    return [service.name for service in Stack(site.settings).status() if service.running]


@pytest.mark.parametrize(
    "words", [["runs", "list"], ["quality"], ["events", "tail", "--no-follow"]], ids=" ".join
)
def test_what_a_look_started_it_stops_again_and_says_so_in_one_line(site: Site, words: list[str]) -> None:
    done = site.run(*words)
    assert done.returncode == 0, done.stderr
    assert [line.strip() for line in done.stderr.splitlines()].count(SAID) == 1
    assert running(site) == []


def test_a_look_that_ends_in_an_error_stops_what_it_started_too(site: Site) -> None:
    assert "there is no run ffffffff" in site.refusal("runs", "show", "ffffffff")
    assert running(site) == []


def test_of_two_looks_at_once_the_last_one_stops_the_servers(site: Site) -> None:
    with a_long_look(site):
        second = site.run("runs", "list")
        assert second.returncode == 0, second.stderr
        assert SAID not in second.stderr
        assert running(site) == ["PostgreSQL", "Valkey"]
    assert running(site) == []


def test_who_began_to_work_meanwhile_keeps_the_servers(site: Site) -> None:
    with a_long_look(site), site.workbench() as wb:
        assert len(wb.data_ingestion.load_market_data("FB", source="yahoo")) == 196
        # Closed again: nobody is connected, but whoever works here counts on the servers.
    assert running(site) == ["PostgreSQL", "Valkey"]
    # Nor does the next look stop what it has not started.
    assert SAID not in site.run("runs", "list").stderr
    assert running(site) == ["PostgreSQL", "Valkey"]


def test_who_is_connected_is_not_cut_off(site: Site) -> None:
    with a_long_look(site):
        url = Stack(site.settings).endpoints().database_url
        with psycopg.connect(url) as connection:
            assert site.run("runs", "list").returncode == 0
            assert connection.execute("SELECT 1").fetchone() == (1,)
            look = Stack(site.settings, only_looks=True)
            with look.looking(lambda _: None):
                pass
            assert connection.execute("SELECT 1").fetchone() == (1,)
    assert running(site) == []


def test_a_connection_that_outlives_the_look_keeps_the_servers(site: Site) -> None:
    with contextlib.ExitStack() as stays:
        with a_long_look(site):
            url = Stack(site.settings).endpoints().database_url
            connection = stays.enter_context(psycopg.connect(url))
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert running(site) == ["PostgreSQL", "Valkey"]


def test_in_a_home_where_nothing_was_stored_nothing_is_made() -> None:
    empty = make_site()
    try:
        assert "nothing was ever stored in the home" in empty.refusal("runs", "list")
        assert not empty.home.exists()
    finally:
        end_site(empty)


def test_events_that_were_put_aside_are_shown_and_tried_again(site: Site) -> None:
    none = site.run("events", "aside")
    assert (none.returncode, none.stdout) == (0, "")
    assert "no event was put aside" in none.stderr
    with site.workbench() as wb:
        wb.events.publish_data_event("thing.done", "runs", {"n": 1})
        with wb.runs.pool.begin() as connection:
            newest = outbox.rows().order_by(sa.desc("event_id")).limit(1)
            row = outbox.Row(*connection.execute(newest).one())
            outbox.put_aside(connection, row, "prefect", "it answers 500: [depth] exceeded", 5)
    shown = site.run("events", "aside")
    assert f"{row.event_id} thing.done: prefect refused it 5 times: it answers 500: [depth]" in shown.stdout
    (told,) = site.ask("events", "aside")
    assert (told["event_id"], told["sink"], told["tries"]) == (row.event_id, "prefect", 5)

    wrong = site.run("events", "retry", "999999")
    assert wrong.returncode == 1
    assert "no event of the number 999999 was put aside; workbench events aside lists" in wrong.stderr
    done = site.run("events", "retry", str(row.event_id))
    assert done.returncode == 0
    assert "1 event is tried again" in done.stderr
    assert "start it with: workbench up --detach" in done.stderr
    assert site.ask("events", "aside") == []


def test_status_and_doctor_fail_where_what_was_promoted_does_not_run(site: Site) -> None:
    """As after the machine was started anew: nothing else would tell that no schedule is kept."""
    assert site.run("status").returncode == 0
    assert site.run("doctor").returncode == 0
    promoted = site.home / "store" / "ab"
    promoted.mkdir(parents=True)
    try:
        status, doctor = site.run("status"), site.run("doctor")
    finally:
        shutil.rmtree(site.home / "store")
    assert status.returncode == doctor.returncode == 1
    assert "notebooks were promoted here, and nothing runs them" in status.stderr
    assert "workbench up --detach starts it" in status.stderr
    assert "\u2717 Nothing runs; notebooks were promoted here" in doctor.stdout
