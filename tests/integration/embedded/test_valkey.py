"""The embedded Valkey: private, durable, adopted, one at a time, stopped."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys

import psutil
import pytest
import redis

from workbench.embedded import EmbeddedValkey
from workbench.embedded.ports import LOOPBACK, RememberedPort
from workbench.embedded.process import is_alive, wait_until
from workbench.settings import Settings

ENSURE = (
    "import sys; from pathlib import Path; from workbench.settings import Settings;"
    "from workbench.embedded import EmbeddedValkey;"
    "print(EmbeddedValkey(Settings(home=Path(sys.argv[1]))).ensure(), flush=True);"
)


@pytest.fixture
def valkey(settings: Settings) -> EmbeddedValkey:
    return EmbeddedValkey(settings)


def pid_of(valkey: EmbeddedValkey) -> int:
    running = valkey.running()
    assert running is not None
    return running.pid


def test_it_wants_the_password_and_listens_on_loopback_only(valkey: EmbeddedValkey) -> None:
    url = valkey.ensure()
    port = int(url.rpartition(":")[2].partition("/")[0])
    with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    heard = [one for one in psutil.net_connections("tcp") if one.pid == pid_of(valkey)]
    addresses = {one.laddr[0] for one in heard if one.status == psutil.CONN_LISTEN and one.laddr}
    assert addresses == {LOOPBACK}


def test_the_password_is_in_no_command_line_and_in_no_file_that_others_read(valkey: EmbeddedValkey) -> None:
    password = valkey.ensure().split(":")[2].split("@")[0]
    assert password not in " ".join(psutil.Process(pid_of(valkey)).cmdline())
    assert (valkey.data / "valkey.conf").stat().st_mode & 0o777 == 0o600


def test_streams_survive_a_kill(valkey: EmbeddedValkey) -> None:
    url = valkey.ensure()
    with redis.Redis.from_url(url) as client:
        client.config_set("appendfsync", "always")
        client.xadd("stream", {"answer": "42"})
    killed = pid_of(valkey)
    os.kill(killed, signal.SIGKILL)
    assert wait_until(lambda: not is_alive(killed), 10)
    assert valkey.running() is None
    assert valkey.ensure() == url
    with redis.Redis.from_url(url) as client:
        assert client.xlen("stream") == 1


def test_a_server_whose_starter_was_killed_is_adopted(valkey: EmbeddedValkey, settings: Settings) -> None:
    code = ENSURE + "import os; os.kill(os.getpid(), 9)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(settings.home)], stdout=subprocess.PIPE, text=True, check=False
    )
    pid = pid_of(valkey)
    assert valkey.ensure() == done.stdout.strip()
    assert pid_of(valkey) == pid


def test_two_starters_at_once_start_one_server(valkey: EmbeddedValkey, settings: Settings) -> None:
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", ENSURE, str(settings.home)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    answers = {starter.communicate(timeout=120)[0].strip() for starter in starters}
    assert answers == {valkey.ensure()}


def test_a_port_that_somebody_took_is_changed(valkey: EmbeddedValkey, settings: Settings) -> None:
    valkey.ensure()
    valkey.stop()
    taken = RememberedPort(settings.home / "run" / "valkey.port").read()
    assert taken is not None
    with socket.create_server((LOOPBACK, taken)):
        assert f":{taken}/" not in valkey.ensure()


def test_one_whose_pid_file_and_port_were_lost_is_replaced_not_doubled(
    valkey: EmbeddedValkey, settings: Settings
) -> None:
    valkey.ensure()
    lost = pid_of(valkey)
    (settings.home / "run" / "valkey.pid").unlink()
    (settings.home / "run" / "valkey.port").unlink()
    valkey.ensure()
    assert pid_of(valkey) != lost
    assert not is_alive(lost)


def test_it_is_stopped_even_when_its_home_was_deleted(valkey: EmbeddedValkey, settings: Settings) -> None:
    valkey.ensure()
    pid = pid_of(valkey)
    shutil.rmtree(settings.home)
    settings.home.mkdir()
    assert valkey.stop()
    assert not is_alive(pid)
    assert not valkey.stop()
