"""A real Prefect server, for what is asked of one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.servers import wait_for
from workbench.stack.prefect_api import PrefectApi

POOL = "workbench"


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectApi]:
    """A Prefect server on SQLite, without its scheduler."""
    folder = tmp_path_factory.mktemp("prefect")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
        "PREFECT_API_SERVICES_SCHEDULER_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_UI_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    api = PrefectApi(f"http://127.0.0.1:{port}/api", None)
    try:
        wait_for(lambda: server.poll() is not None or api.is_healthy(), "Prefect answers", seconds=120)
        assert server.poll() is None, (folder / "log").read_text()
        api.ask("/work_pools/", {"name": POOL, "type": "process"})
        yield api
    finally:
        server.terminate()
        server.wait(30)
