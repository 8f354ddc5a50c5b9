"""Nobody else reads, or lists, what lies in a home; where somebody could, `doctor` tells."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import Site

pytestmark = [pytest.mark.timeout(600)]

NOT_PRIVATE = "can be listed by others"


@pytest.fixture(scope="module")
def used(site: Site) -> Site:
    """A place where something of each kind was made."""
    assert site.run("ingest", "AAPL").returncode == 0
    assert site.run("run", "strategies/sma_cross.ipynb", "-p", "symbols=AAPL").returncode == 0
    return site


def test_every_folder_is_its_owners_alone(used: Site) -> None:
    home = used.home
    # As root, PostgreSQL's account passes through to its own folder, and lists nothing.
    assert home.stat().st_mode & 0o777 == (0o711 if os.geteuid() == 0 else 0o700)
    modes = {path.name: path.stat().st_mode & 0o777 for path in home.iterdir() if path.is_dir()}
    assert {"run", "runs", "logs", "store", "cache", "prefect", "valkey"} - modes.keys() <= {"store"}
    assert set(modes.values()) == {0o700}, modes


def test_no_file_at_the_top_is_open_to_others(used: Site) -> None:
    for path in used.home.iterdir():
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try it as another account")
def test_another_account_gets_at_nothing(used: Site) -> None:
    other = pwd.getpwnam("nobody")
    for path in (used.home, used.home / "runs", used.home / "logs", used.home / "secrets.json"):
        tried = subprocess.run(
            ["/bin/sh", "-c", 'ls "$1" && cat "$1"', "sh", str(path)],
            user=other.pw_uid,
            group=other.pw_gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        assert "ermission denied" in tried.stderr, path
        assert tried.returncode != 0


def test_doctor_tells_of_a_home_that_others_can_list(used: Site) -> None:
    before = used.home.stat().st_mode & 0o777
    assert NOT_PRIVATE not in used.run("doctor").stdout
    used.home.chmod(0o755)
    try:
        said = used.run("doctor").stdout
        assert NOT_PRIVATE in said
        assert f"chmod {before:o} {used.home}" in said.replace("\n", "")
    finally:
        used.home.chmod(before)


def test_what_an_earlier_version_left_open_is_closed_at_the_next_start(used: Site) -> None:
    for name in ("runs", "logs"):
        (used.home / name).chmod(0o755)
    assert used.run("up", "--detach").returncode == 0
    assert {Path(used.home / name).stat().st_mode & 0o777 for name in ("runs", "logs")} == {0o700}
