"""Secrets are private, whole and kept; a lock says what holds it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from workbench.errors import ServerError
from workbench.home.locks import exclusive, is_held
from workbench.home.secrets import Secrets


def test_a_secret_is_random_long_and_kept(tmp_path: Path) -> None:
    first = Secrets(tmp_path).get("postgres")
    assert len(first) == 32
    assert first != Secrets(tmp_path).get("valkey")
    assert Secrets(tmp_path).get("postgres") == first


def test_the_secrets_can_be_read_by_their_owner_alone(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path)
    secrets.get("postgres")
    assert secrets.path.stat().st_mode & 0o777 == 0o600
    assert secrets.is_private()
    secrets.path.chmod(0o644)
    assert not secrets.is_private()


def test_looking_makes_nothing(tmp_path: Path) -> None:
    assert Secrets(tmp_path).peek("postgres") is None
    assert not Secrets(tmp_path).exists()


@pytest.mark.parametrize("damage", ["{", "[]", '{"postgres": 1}'])
def test_damaged_secrets_are_named_and_not_replaced(tmp_path: Path, damage: str) -> None:
    secrets = Secrets(tmp_path)
    secrets.path.write_text(damage)
    with pytest.raises(ServerError, match=r"secrets\.json is damaged"):
        secrets.get("postgres")
    assert secrets.path.read_text() == damage


def test_a_second_holder_is_told_what_holds_it_up(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    refused: list[str] = []

    def second() -> None:
        try:
            with exclusive(lock, patience=0.1, doing="starting PostgreSQL"):
                pass
        except ServerError as error:
            refused.append(str(error))

    with exclusive(lock, patience=1, doing="starting PostgreSQL"):
        assert is_held(lock)
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert "starting PostgreSQL" in refused[0]
    assert not is_held(lock)
