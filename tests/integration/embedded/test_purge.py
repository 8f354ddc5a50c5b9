"""`workbench down --purge`: a home goes whole, at the second try at the latest, and nothing else does."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.servers import wait_for
from workbench.embedded import EmbeddedPostgres, place
from workbench.embedded.process import living_in
from workbench.errors import ServerError
from workbench.home.secrets import Secrets
from workbench.settings import Settings
from workbench.stack import Stack

LAUNCH = """
import sys
from pathlib import Path
from workbench.embedded import place
place.AWAY = Path(sys.argv.pop(1))
from workbench.cli import main
main()
"""


def command(settings: Settings, *words: str) -> list[str]:
    """`workbench WORDS`, with the folder away from home that this test has."""
    return [sys.executable, "-c", LAUNCH, str(place.AWAY), *words]


def environment(settings: Settings) -> dict[str, str]:
    return {**os.environ, "WORKBENCH_HOME": str(settings.home), "COLUMNS": "300"}


def run(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(settings, *words),
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def answer(settings: Settings, said: str, *words: str) -> tuple[int, str]:
    """The exit code, and all that a terminal shows where a person answers `said`."""
    main, side = pty.openpty()
    process = subprocess.Popen(
        command(settings, *words), env=environment(settings), stdin=side, stdout=side, stderr=side
    )
    os.close(side)
    os.write(main, said.encode() + b"\n")
    shown = b""
    while True:
        try:
            piece = os.read(main, 65536)
        except OSError:  # so a terminal tells that nobody is left on the other side
            break
        if not piece:
            break
        shown += piece
    os.close(main)
    return process.wait(60), shown.decode()


def begin(settings: Settings) -> None:
    """Both servers, with tables; as root in a home that PostgreSQL's account cannot enter."""
    settings.home.mkdir(parents=True, exist_ok=True)
    settings.home.parent.chmod(0o700)
    Stack(settings).start_servers()


def test_all_of_a_home_goes_and_what_runs_for_it(settings: Settings) -> None:
    begin(settings)
    servers = [*living_in(settings.home), *living_in(place.AWAY)]
    assert len(servers) == 2
    done = run(settings, "down", "--purge", "--yes")
    assert done.returncode == 0, done.stderr
    assert "stopped Valkey, PostgreSQL" in done.stderr
    assert not settings.home.exists()
    assert not any(server.is_running() and server.status() != psutil.STATUS_ZOMBIE for server in servers)
    # Nobody needs the programs any longer, either.
    assert not place.AWAY.exists() or [path.name for path in place.AWAY.iterdir()] == ["lock"]
    assert "there is no home" in run(settings, "down", "--purge", "--yes").stderr


def test_it_asks_and_without_a_terminal_it_refuses(settings: Settings) -> None:
    Secrets(settings.home).get("cluster")
    done = run(settings, "down", "--purge")
    assert done.returncode == 1
    assert "nobody can be asked here; nothing was removed. Say so with --yes" in done.stderr
    assert str(settings.home) in done.stderr
    code, shown = answer(settings, "n", "down", "--purge")
    assert code == 1
    assert "nothing was removed" in shown
    assert settings.home.exists()
    code, shown = answer(settings, "y", "down", "--purge")
    assert (code, settings.home.exists()) == (0, False), shown


def test_what_is_no_home_is_left_alone(settings: Settings, folder: Path) -> None:
    home = settings.home
    home.mkdir(parents=True)
    (home / "thesis.txt").write_text("years of work")
    stack = Stack(settings)
    with pytest.raises(ServerError, match=r"has no secrets\.json, so it is not a home"):
        stack.purge()
    (home / "secrets.json").write_text(json.dumps({"token": "of another program"}))
    with pytest.raises(ServerError, match="was not written by workbench"):
        stack.purge()
    (home / "secrets.json").unlink()
    Secrets(home).get("cluster")
    with pytest.raises(ServerError, match=r"what workbench did not make: thesis\.txt\. Nothing was removed"):
        stack.purge()
    link = folder / "link"
    link.symlink_to(home)
    with pytest.raises(ServerError, match=r"link is a link to .*, and a home is not removed through a link"):
        Stack(Settings(home=link)).purge()
    assert (home / "thesis.txt").read_text() == "years of work"
    assert (home / "secrets.json").exists()


def test_what_a_link_in_it_leads_to_is_left(settings: Settings, folder: Path) -> None:
    Secrets(settings.home).get("cluster")
    elsewhere = folder / "big disk"
    elsewhere.mkdir()
    (elsewhere / "kept.ipynb").write_text("{}")
    (settings.home / "runs").symlink_to(elsewhere)
    done = run(settings, "down", "--purge", "--yes")
    assert done.returncode == 0, done.stderr
    assert f"{settings.home / 'runs'} is a link; what it leads to, {elsewhere}, is left" in done.stderr
    assert not settings.home.exists()
    assert (elsewhere / "kept.ipynb").exists()


def test_killed_half_way_it_is_done_by_the_second_try(settings: Settings) -> None:
    Secrets(settings.home).get("cluster")
    runs = settings.home / "runs"
    for number in range(60_000):
        if number % 1000 == 0:
            (runs / str(number // 1000)).mkdir(parents=True)
        (runs / str(number // 1000) / str(number)).touch()
    process = subprocess.Popen(
        command(settings, "down", "--purge", "--yes"), env=environment(settings), stderr=subprocess.DEVNULL
    )
    wait_for(lambda: len(list(runs.iterdir())) < 60, "the removal begins")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (settings.home / "secrets.json").exists()
    done = run(settings, "down", "--purge", "--yes")
    assert done.returncode == 0, done.stderr
    assert not settings.home.exists()


def test_a_home_that_was_deleted_by_hand_is_purged_of_the_rest(settings: Settings) -> None:
    begin(settings)
    subprocess.run(["rm", "-rf", str(settings.home)], check=True)
    done = run(settings, "down", "--purge", "--yes")
    assert done.returncode == 0, done.stderr
    assert not settings.home.exists()
    assert not list(living_in(place.AWAY))
    assert not place.away_folder(settings.home).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="clusters lie away from home where root starts them")
def test_doctor_tells_of_orphans_and_clean_removes_them(settings: Settings) -> None:
    begin(settings)
    EmbeddedPostgres(settings).stop()
    Stack(settings).down()
    subprocess.run(["rm", "-rf", str(settings.home)], check=True)
    away = place.away_folder(settings.home)
    told = run(settings, "doctor").stdout
    assert f"{away} (" in told
    assert f"its home {settings.home} is gone" in told
    assert "workbench clean --orphans removes it." in told
    refused = run(settings, "clean", "--orphans")
    assert refused.returncode == 1
    assert "nobody can be asked here; nothing was removed" in refused.stderr
    assert away.exists()
    done = run(settings, "clean", "--orphans", "--yes")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in place.AWAY.iterdir()] == ["lock"]
    assert "there are no orphans" in run(settings, "clean", "--orphans").stderr
