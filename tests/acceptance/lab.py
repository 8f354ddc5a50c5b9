"""`workbench lab` as a user starts it, and a kernel in it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import psutil

from tests.acceptance.conftest import Site
from tests.servers import free_port

__all__ = ["open_kernel", "running_lab"]


@contextlib.contextmanager
def running_lab(site: Site) -> Iterator[str]:
    """`workbench lab` on a free port; the address that it prints, with its token."""
    port = free_port()
    log = site.folder / "lab.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "workbench.cli", "lab", "--no-browser", "--port", str(port)],
            cwd=site.folder,
            env=site.environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    try:
        deadline = time.monotonic() + 90
        address = ""
        while not address and time.monotonic() < deadline and process.poll() is None:
            lines = [line.strip() for line in log.read_text().splitlines() if "?token=" in line]
            address = next((line[line.index("http") :] for line in lines if "127.0.0.1" in line), "")
            time.sleep(0.2)
        assert address.startswith(f"http://127.0.0.1:{port}/"), log.read_text()
        yield address
    finally:
        labs = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        if labs:  # else somebody has ended JupyterLab, and the command ends by itself
            process.terminate()
        assert process.wait(60) == 0, log.read_text()
        _, left = psutil.wait_procs(labs, timeout=10)
        assert not left


def open_kernel(address: str) -> None:
    """Open the start page's notebook with a kernel, in the JupyterLab at that address."""
    server, _, token = address.partition("/lab/tree/00_start_here.ipynb?token=")
    kernel = {"path": "00_start_here.ipynb", "type": "notebook", "name": "", "kernel": {"name": "python3"}}
    asked = urllib.request.Request(
        f"{server}/api/sessions", json.dumps(kernel).encode(), {"Authorization": f"token {token}"}
    )
    urllib.request.urlopen(asked, timeout=60)
