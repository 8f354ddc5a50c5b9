"""Secrets are private, whole, and the same for everyone who asks; locks end with their holder."""

from __future__ import annotations

import subprocess
import sys
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


def test_processes_that_ask_at_once_agree(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from workbench.home.secrets import Secrets;"
        "print([Secrets(Path(sys.argv[1])).get(f'name{n}') for n in range(10)])"
    )
    askers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    answers = [asker.communicate(timeout=60)[0] for asker in askers]
    assert all(answers)
    assert len(set(answers)) == 1


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


def test_a_killed_holder_holds_no_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = (
        "import sys, time; from pathlib import Path; from workbench.home.locks import exclusive\n"
        "with exclusive(Path(sys.argv[1]), patience=1, doing='x'):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert is_held(lock)
        holder.kill()
    assert not is_held(lock)
