"""Finds and ends JupyterLab and its kernels that use a home."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from workbench.embedded.process import stop_process

__all__ = ["LabProcess", "end_labs", "lab_processes"]

# JupyterLab ends its kernels before it ends itself.
_PATIENCE = 20.0


@dataclass(frozen=True)
class LabProcess:
    """JupyterLab, or an interactive kernel.

    Attributes
    ----------
    pid : int
    what : str
        "JupyterLab", or "kernel of research/01_explore.ipynb".
    memory : int
        Its resident memory, in bytes.
    """

    pid: int
    what: str
    memory: int

    def __str__(self) -> str:
        return f"{self.what} (process {self.pid}, {self.memory / 1e6:,.0f} MB)"


def lab_processes(home: Path) -> list[LabProcess]:
    """The running ones of that home and of our account, JupyterLab first.

    They are found by `WORKBENCH_HOME` in their environment, as `workbench lab` sets it. Kernels of headless
    runs are not included, nor are this process and its ancestors.
    """
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid in ours or process.uids().real != os.getuid():
                continue
            environment = process.environ()
            what, at = _what(process.cmdline(), environment), environment.get("WORKBENCH_HOME")
            if not what or not at or process.status() in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}:
                continue
            if os.path.realpath(Path(process.cwd()) / Path(at).expanduser()) == str(home):
                found.append(LabProcess(process.pid, what, process.memory_info().rss))
    return sorted(found, key=lambda one: (one.what != "JupyterLab", one.what, one.pid))


def end_labs(processes: Sequence[LabProcess]) -> None:
    """End them, JupyterLab first, because it ends its kernels itself; those that do not end are killed.

    Raises
    ------
    ServerError
        One does not even end by SIGKILL.
    """
    for process in processes:
        stop_process(process.pid, patience=_PATIENCE)


def _what(command: Sequence[str], environment: dict[str, str]) -> str:
    """A name of the process; empty if it is neither JupyterLab nor an interactive kernel."""
    words = {Path(word).name for word in command[:6]}
    if words & {"jupyterlab", "jupyter-lab"}:
        return "JupyterLab"
    if words & {"ipykernel_launcher", "ipykernel"} and "WORKBENCH_RUN_ID" not in environment:
        notebook = environment.get("JPY_SESSION_NAME", "")
        return f"kernel of {Path(notebook).name}" if notebook else "kernel"
    return ""
