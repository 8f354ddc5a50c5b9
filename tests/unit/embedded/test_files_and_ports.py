"""Small files that are never half there, and ports that are remembered."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from workbench.embedded.ports import LOOPBACK, RememberedPort, is_free
from workbench.home.files import replace_file


def test_a_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    replace_file(tmp_path / "facts", "one\n")
    replace_file(tmp_path / "facts", "two\n")
    assert (tmp_path / "facts").read_text() == "two\n"
    assert [path.name for path in tmp_path.iterdir()] == ["facts"]


def test_a_private_file_can_be_read_by_its_owner_alone(tmp_path: Path) -> None:
    replace_file(tmp_path / "secret", "x", mode=0o600)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_a_failed_write_keeps_what_was_there(tmp_path: Path) -> None:
    replace_file(tmp_path / "facts", "one\n")
    with pytest.raises(UnicodeEncodeError):
        replace_file(tmp_path / "facts", "half \ud800")
    assert (tmp_path / "facts").read_text() == "one\n"
    assert [path.name for path in tmp_path.iterdir()] == ["facts"]


def test_a_port_stays_the_same_while_it_is_free(tmp_path: Path) -> None:
    port = RememberedPort(tmp_path / "run" / "server.port")
    assert port.read() is None
    first = port.take()
    assert port.take() == first == port.read()


def test_a_port_that_somebody_took_is_chosen_anew(tmp_path: Path) -> None:
    port = RememberedPort(tmp_path / "server.port")
    first = port.take()
    with socket.create_server((LOOPBACK, first)):
        assert not is_free(first)
        second = port.take()
    assert second != first
    assert port.read() == second


@pytest.mark.parametrize("damage", ["", "many", "70000", "-1"])
def test_a_damaged_port_file_counts_as_none(tmp_path: Path, damage: str) -> None:
    (tmp_path / "server.port").write_text(damage)
    assert RememberedPort(tmp_path / "server.port").read() is None
