"""A home's folders are for its owner alone, whatever the umask says and an earlier version made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.home.folders import is_open_to_others, make_home, private_folder


@pytest.fixture(autouse=True)
def generous_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(folder: Path) -> int:
    return folder.stat().st_mode & 0o777


def test_a_new_home_is_private(tmp_path: Path) -> None:
    make_home(tmp_path / "new" / "home")
    assert mode(tmp_path / "new" / "home") == mode(tmp_path / "new" / "home" / "run") == 0o700
    # What lies above it is not ours alone.
    assert mode(tmp_path / "new") == 0o777


def test_another_account_may_pass_through_where_a_server_of_its_own_lies_within(tmp_path: Path) -> None:
    make_home(tmp_path / "home", entered=True)
    assert mode(tmp_path / "home") == 0o711
    assert not is_open_to_others(tmp_path / "home")


def test_a_home_that_is_there_keeps_its_permissions_and_what_we_made_in_it_is_closed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for name in ("runs", "logs", "store", "cache", "prefect", "mine"):
        (home / name).mkdir(parents=True)
    make_home(home)
    assert mode(home) == 0o777
    assert is_open_to_others(home)
    assert {mode(home / name) for name in ("runs", "logs", "store", "cache", "prefect", "run")} == {0o700}
    assert mode(home / "mine") == 0o777


def test_a_link_to_another_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "runs").symlink_to(tmp_path / "elsewhere")
    make_home(tmp_path / "home")
    assert mode(tmp_path / "elsewhere") == 0o777


def test_folders_above_a_private_one_are_private_too(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "a" / "b")
    assert mode(folder) == mode(folder.parent) == 0o700
    folder.chmod(0o750)
    assert mode(private_folder(folder)) == 0o750
