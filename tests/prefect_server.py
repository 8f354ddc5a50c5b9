"""A Prefect server of one's own, as a user starts it: on SQLite, and without a login."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import wait_for
from workbench.stack.prefect_api import PrefectApi

__all__ = ["prefect_server"]


@contextmanager
def prefect_server(folder: Path, *, schedules: bool) -> Iterator[tuple[str, PrefectApi]]:
    """Its API's URL, and the API; with or without its scheduler."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": str(schedules).lower(),
        "PREFECT_API_SERVICES_SCHEDULER_ENABLED": str(schedules).lower(),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_UI_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}/api"
    api = PrefectApi(url, None)
    try:
        wait_for(lambda: server.poll() is not None or api.is_healthy(), "Prefect answers", seconds=120)
        assert server.poll() is None, (folder / "log").read_text()
        yield url, api
    finally:
        server.terminate()
        server.wait(30)
