"""A Dask cluster that we start runs code of its maker's alone, and listens on loopback only."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest
from distributed import Client
from distributed.security import Security

from workbench.settings import Settings
from workbench.stack import doctor
from workbench.sweep.executors.dask_cluster import private_cluster

LISTENS = psutil.CONN_LISTEN


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with private_cluster(1) as opened:
        yield opened


def test_its_maker_computes_on_it(cluster: Any) -> None:
    with Client(cluster, set_as_default=False) as client:
        assert client.submit(sum, [1, 2, 3]).result(timeout=30) == 6


def _stranger(kind: str) -> ssl.SSLContext:
    """A client that checks no certificate, and has none or one from another authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if kind == "with one of another's":
        made = Security.temporary().get_connection_args("client")["ssl_context"]
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
        return made  # type: ignore[no-any-return]
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.mark.parametrize("kind", ["in the clear", "without a certificate", "with one of another's"])
def test_nobody_else_is_heard(cluster: Any, kind: str) -> None:
    port = int(cluster.scheduler_address.rpartition(":")[2])
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        try:
            if kind == "in the clear":
                plain.sendall(b"\x00" * 64)
                said = plain.recv(64)
            else:
                with _stranger(kind).wrap_socket(plain) as dressed:
                    dressed.sendall(b"\x00" * 64)
                    said = dressed.recv(64)
        except (ssl.SSLError, ConnectionError):
            pass
    # An alert of TLS (RFC 8446, section 6) may come, and nothing else.
    assert said == b"" or said[0] == 0x15


def test_it_listens_on_loopback_and_tells_nothing_over_http(cluster: Any) -> None:
    me = psutil.Process()
    heard = {
        one.laddr
        for process in [me, *me.children(recursive=True)]
        for one in process.net_connections("inet")
        if one.status == LISTENS
    }
    assert heard
    assert {address.ip for address in heard} == {"127.0.0.1"}
    for address in heard:
        for path in ("/", "/status", "/health", "/metrics", "/json/counts.json", "/info/main/workers.html"):
            try:
                answer = httpx.get(f"http://127.0.0.1:{address.port}{path}", timeout=5)
            except httpx.HTTPError:
                continue  # it speaks TLS, and no HTTP
            assert answer.status_code == 404, (address, path)


def test_two_of_them_run_at_once(cluster: Any) -> None:
    with private_cluster(1) as another:
        assert another.scheduler_address != cluster.scheduler_address


def test_doctor_warns_of_a_scheduler_without_tls(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path)
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://10.0.0.5:8786")
    (finding,) = doctor._dask(settings)
    assert finding.level == "warn"
    assert finding.what.startswith(
        "DASK_SCHEDULER_ADDRESS names a Dask scheduler without TLS (tcp://10.0.0.5:8786)"
    )
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tls://10.0.0.5:8786")
    assert [*doctor._dask(settings)] == []
