"""The parent process of a run's kernel: it ends everything that the run started, however the kernel ends.

It imports only what Python has loaded at its start, since the kernel is forked from it.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["END_ALL", "become_kernel"]

END_ALL = signal.SIGUSR1
"""The signal by which a keeper kills its kernel and all that descends from it, at once."""

_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36
# Between SIGTERM and SIGKILL: for the kernel as jupyter_client has it, for what a run leaves behind.
_KERNEL_SECONDS, _LEFTOVER_SECONDS = 2.5, 2.0
# A process that survives SIGKILL hangs in the system, and is given up.
_GIVE_UP_SECONDS = 5.0
# Servers that a notebook started are used by others, too; they and the stack carry no mark of a run.
_SERVERS = {"postgres", "valkey-server"}
_STACK = b"WORKBENCH_STACK="


def become_kernel(parent: int, mark: str) -> None:
    """Fork: return in the child, which is to become the kernel; the other one keeps it, and never returns.

    The keeper is the subreaper of everything that descends from it, so that not even a daemon with a
    session of its own and an empty environment gets away. It ends as its kernel ended: by the same code or
    signal.

    Parameters
    ----------
    parent : int
        The process that must still be ours; when it dies, all of this does.
    mark : str
        `NAME=value`, in the environment of the kernel and of what it starts.
    """
    if sys.platform != "linux":
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    system = ctypes.CDLL(None)
    # Even when the parent is killed outright, and even while the kernel is inside of compiled code.
    system.prctl(_SET_PDEATHSIG, END_ALL)
    system.prctl(_SET_CHILD_SUBREAPER, 1)
    keeper = os.getpid()
    if os.getppid() != parent:
        sys.exit("the run that started this kernel is gone")
    kernel = os.fork()
    if kernel:
        _Keeper(kernel, mark.encode()).keep()
    system.prctl(_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:
        os._exit(1)
    # The kernel's own watch over its parent.
    os.environ["JPY_PARENT_PID"] = str(keeper)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Keeper:
    def __init__(self, kernel: int, mark: bytes) -> None:
        self._kernel = kernel
        self._mark = mark
        self._status: int | None = None
        self._at_once = False
        self._kill_at: float | None = None

    def keep(self) -> None:
        """Wait for the kernel's end, end what is left, and end like the kernel."""
        while self._status is None and not self._at_once:
            self._listen(None if self._kill_at is None else max(0.0, self._kill_at - time.monotonic()))
            self._at_once = self._at_once or (self._kill_at is not None and time.monotonic() >= self._kill_at)
            self._reap()
        if not self._at_once:
            self._end(signal.SIGTERM, _LEFTOVER_SECONDS, until=lambda: self._at_once)
        self._end(signal.SIGKILL, _GIVE_UP_SECONDS)
        status = 0 if self._status is None else self._status
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if number != signal.SIGKILL:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
            os.kill(os.getpid(), number)
        os._exit(os.waitstatus_to_exitcode(status))

    def _listen(self, seconds: float | None) -> None:
        """Take one signal, if one comes in time. All are blocked: what is not named here does nothing."""
        wanted = {signal.SIGCHLD, signal.SIGTERM, END_ALL}
        got = signal.sigwaitinfo(wanted) if seconds is None else signal.sigtimedwait(wanted, seconds)
        if got is None:
            return
        if got.si_signo == END_ALL:
            self._at_once = True
        elif got.si_signo == signal.SIGTERM and self._kill_at is None:
            _send(self._kernel, signal.SIGTERM)
            self._kill_at = time.monotonic() + _KERNEL_SECONDS

    def _reap(self) -> None:
        """Take leave of every child that has ended: the kernel, and orphans that became ours."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._kernel:
                self._status = status

    def _end(self, number: int, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Send the signal to all that descend from us, again to those that come to be meanwhile."""
        deadline = time.monotonic() + seconds
        told: set[int] = set()
        while (left := list(self._left())) and time.monotonic() < deadline and not until():
            for pid in left:
                if pid not in told or number == signal.SIGKILL:
                    told.add(pid)
                    _send(pid, number)
            self._listen(0.01)
            self._reap()

    def _left(self) -> Iterator[int]:
        """What descends from us and still runs, but for servers that serve others."""
        children: dict[int, list[int]] = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal() and (found := _parent_of(folder)) is not None:
                children.setdefault(found, []).append(int(folder.name))
        waiting = children.get(os.getpid(), [])
        while waiting:
            pid = waiting.pop()
            waiting += children.get(pid, [])
            if not self._serves_others(Path(f"/proc/{pid}")):
                yield pid

    def _serves_others(self, folder: Path) -> bool:
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            name = (folder / "comm").read_text().strip()
        except OSError:
            return False
        if self._mark in environment:
            return False
        return name in _SERVERS or any(variable.startswith(_STACK) for variable in environment)


def _parent_of(folder: Path) -> int | None:
    """The pid of a living process's parent; None for one that has ended."""
    try:
        state, parent, *_ = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state in "ZX" else int(parent)


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        return
