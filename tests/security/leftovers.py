"""What tests of leftovers share: a program that is started to be killed, and what is there afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.acceptance.conftest import CLONE

__all__ = ["kill", "our_folders", "said_by", "started"]


def our_folders(above: Path) -> list[str]:
    """What is there by our names, or by those of what we use."""
    names = ("workbench-", "dask-scratch", "run-", "sweep-", "dask-")
    return sorted(path.name for path in above.iterdir() if path.name.startswith(names))


def started(program: str, *arguments: str, tmp: Path) -> subprocess.Popen[str]:
    tmp.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(tmp), "PYTHONPATH": str(CLONE)}
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments], env=environment, text=True, stdout=subprocess.PIPE
    )


def said_by(program: str, *arguments: str, tmp: Path) -> str:
    """What a program prints that ends well."""
    process = started(program, *arguments, tmp=tmp)
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 0, said
    return said


def kill(process: subprocess.Popen[str], number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal and wait for the end, not for that of what it started."""
    process.send_signal(number)
    process.wait(100)
    assert process.stdout is not None
    process.stdout.close()
