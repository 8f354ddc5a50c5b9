"""Which process answers for a run, told so that no other process is ever taken for it."""

from __future__ import annotations

import functools
import os
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

from workbench.embedded.process import is_alive

__all__ = ["ProcessIdentity", "identity_of", "this_process"]


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process, on whatever machine.

    Attributes
    ----------
    host : str
        The machine's name, to be shown.
    boot : str
        The machine's boot and the pid namespace, within which pids mean something: containers of one machine
        share the boot, but not the pids.
    pid : int
    started : int
        In ticks since the boot, which do not depend on the clock: a pid that was used again has another.
    """

    host: str
    boot: str
    pid: int
    started: int

    @property
    def is_near(self) -> bool:
        """Whether this process could see it."""
        return self.boot == _boot()

    def is_there(self) -> bool:
        """Whether it runs, stopped or not; only for one that is near."""
        return is_alive(self.pid) and _started(self.pid) in (self.started, None)


def this_process() -> ProcessIdentity:
    """The calling process."""
    return ProcessIdentity(socket.gethostname(), _boot(), os.getpid(), _started(os.getpid()) or 0)


def identity_of(pid: int) -> ProcessIdentity | None:
    """A process of this machine; None if there is none, or it cannot be told."""
    started = _started(pid)
    return None if started is None else ProcessIdentity(socket.gethostname(), _boot(), pid, started)


def _started(pid: int) -> int | None:
    """None for a process that has ended, or whose start this account may not see."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return int(stat.rpartition(")")[2].split()[19])
    except (OSError, IndexError):
        pass
    try:
        return None if Path("/proc/self/stat").exists() else int(psutil.Process(pid).create_time() * 100)
    except psutil.Error:
        return None


@functools.cache
def _boot() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return f"{socket.gethostname()}/{psutil.boot_time():.0f}"
    return f"{boot}/{namespace}"
