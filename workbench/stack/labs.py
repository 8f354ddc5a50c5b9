"""JupyterLab and its kernels that work on a home, whoever started them: found, named, ended."""

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
    """JupyterLab, or a kernel that somebody works in.

    Attributes
    ----------
    pid : int
    what : str
        "JupyterLab", or "kernel of research/01_explore.ipynb".
    memory : int
        What it holds in memory, in bytes.
    """

    pid: int
    what: str
    memory: int

    def __str__(self) -> str:
        return f"{self.what} (process {self.pid}, {self.memory / 1e6:,.0f} MB)"


def lab_processes(home: Path) -> list[LabProcess]:
    """The living ones of that home that belong to our account, JupyterLab first.

    They are known by their environment: `WORKBENCH_HOME`, as `workbench lab` sets it, names the home. Kernels
    of headless runs are not among them, nor is anything that this process descends from.
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
    """End them, JupyterLab first, for it ends its kernels itself; what does not go is killed.

    Raises
    ------
    ServerError
        One does not even end by SIGKILL.
    """
    for process in processes:
        stop_process(process.pid, patience=_PATIENCE)


def _what(command: Sequence[str], environment: dict[str, str]) -> str:
    """What the process is, in words; empty where it is neither JupyterLab nor a kernel that is worked in."""
    words = {Path(word).name for word in command[:6]}
    if words & {"jupyterlab", "jupyter-lab"}:
        return "JupyterLab"
    if words & {"ipykernel_launcher", "ipykernel"} and "WORKBENCH_RUN_ID" not in environment:
        notebook = environment.get("JPY_SESSION_NAME", "")
        return f"kernel of {Path(notebook).name}" if notebook else "kernel"
    return ""
