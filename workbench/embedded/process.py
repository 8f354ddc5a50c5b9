"""A process that outlives its starter: in a session of its own, found again, stopped with patience."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from workbench.embedded.accounts import Account
from workbench.errors import ServerError
from workbench.home.files import replace_file
from workbench.home.folders import private_folder

__all__ = ["MARK", "ManagedProcess", "is_alive", "living_in", "marked", "stop_process", "wait_until"]

MARK = "WORKBENCH_STACK"
"""The environment variable by which processes of one home are known; it holds the home."""

# Never ended as somebody's descendant: a server that a flow run had to start serves the others, too.
_SERVERS = {"postgres", "valkey-server"}
_LOG_LIMIT = 10 * 1024 * 1024


class ManagedProcess:
    """One named process of a home, with a pid file and a log.

    The pid file holds the pid, when the process started and its name, so that a pid which the system
    gave to another process since is never mistaken for ours.

    Parameters
    ----------
    name : str
        As in "prefect-server"; names the pid file and the log.
    home : Path
        The folder of everything embedded (`Settings.home`).
    """

    def __init__(self, name: str, home: Path) -> None:
        self.name = name
        self.pid_file = home / "run" / f"{name}.pid"
        self.log_file = home / "logs" / f"{name}.log"
        self._log_start = 0

    def pid(self) -> int | None:
        """The pid of our living process, or None."""
        try:
            record = json.loads(self.pid_file.read_text(encoding="utf-8"))
            pid = int(record["pid"])
            known = (str(record["started"]), str(record["command"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return pid if _identity(pid) == known and is_alive(pid) else None

    def start(
        self,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        folder: Path,
        account: Account | None = None,
    ) -> int:
        """Start the process, detached from us and our terminal, and write its pid file.

        Parameters
        ----------
        command : sequence of str or Path
            The program and its arguments.
        environment : mapping
            Its whole environment.
        folder : Path
            Its working folder.
        account : Account, optional
            The account it runs as; ours by default.

        Returns
        -------
        int
            Its pid.

        Raises
        ------
        ServerError
            The program cannot be started at all.
        """
        for folder_needed in (self.pid_file.parent, self.log_file.parent):
            private_folder(folder_needed)
        _rotate(self.log_file)
        with open(self.log_file, "ab") as log:
            self._log_start = log.tell()
            try:
                child = subprocess.Popen(
                    [os.fspath(part) for part in command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=folder,
                    env=dict(environment),
                    # A Ctrl-C or a closed terminal is for the starter alone.
                    start_new_session=True,
                    user=account.uid if account else None,
                    group=account.gid if account else None,
                    extra_groups=[] if account else None,
                )
            except OSError as error:
                raise ServerError(
                    f"{self.name} cannot be started: {command[0]}: {error.strerror}."
                ) from error
        # It is meant to outlive this object: without this, Popen warns that it still runs.
        child.returncode = 0
        try:
            self.adopt(child.pid)
        except OSError as error:
            # Nobody would find it again: a full disk must not leave two of it.
            stop_process(child.pid, patience=1.0)
            raise ServerError(
                f"{self.name} cannot be started: {self.pid_file} cannot be written ({error.strerror})."
            ) from error
        return child.pid

    def adopt(self, pid: int) -> None:
        """Take that living process as ours: write the pid file for it."""
        identity = _identity(pid)
        if identity is not None:
            record = {"pid": pid, "started": identity[0], "command": identity[1]}
            private_folder(self.pid_file.parent)
            replace_file(self.pid_file, json.dumps(record) + "\n")

    def stop(self, *, patience: float = 20.0, family: bool = True) -> bool:
        """Stop our process; True if it was running.

        Parameters
        ----------
        patience : float
            Seconds between SIGTERM and SIGKILL.
        family : bool
            Whether what it started ends with it.
        """
        pid = self.pid()
        if pid is not None:
            stop_process(pid, patience=patience, family=family)
        self.pid_file.unlink(missing_ok=True)
        return pid is not None

    def last_words(self, lines: int = 3) -> str:
        """The last non-empty lines that were logged since the last `start`, joined by " / "."""
        return " / ".join(self.new_log().strip().splitlines()[-lines:]) or "it logged nothing"

    def new_log(self) -> str:
        """What was logged since the last `start` of this object (at most the last 64 KB)."""
        try:
            with open(self.log_file, "rb") as log:
                end = log.seek(0, os.SEEK_END)
                log.seek(max(self._log_start if self._log_start <= end else 0, end - 65536))
                return log.read().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return ""


def is_alive(pid: int) -> bool:
    """Whether a process with that pid runs; one that ended but was not waited for does not."""
    try:
        return _runs(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


def stop_process(
    pid: int, *, first: signal.Signals = signal.SIGTERM, patience: float = 20.0, family: bool = True
) -> None:
    """Ask a process to end, wait, kill it when patience ends, and end what it leaves behind.

    Parameters
    ----------
    pid : int
        One that does not exist is fine.
    first : signal.Signals
        The signal that asks it to end.
    patience : float
        Seconds to wait before SIGKILL.
    family : bool
        Whether its descendants end with it, all but PostgreSQL and Valkey.

    Raises
    ------
    ServerError
        The process belongs to somebody else, or does not even end by SIGKILL.
    """
    try:
        process = psutil.Process(pid)
        members = [process, *(_descendants(process) if family else [])]
        process.send_signal(first)
        wait_until(lambda: not _runs(process), patience)
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            for member in filter(_runs, members):
                # Whoever did not go by its own signal gets no second polite one.
                _send(member, signal.SIGKILL if member is process else signal_number)
            if wait_until(lambda: not any(map(_runs, members)), 5.0):
                return
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied as error:
        raise ServerError(
            f"Process {pid} belongs to another account and cannot be stopped from this one; "
            "use the account that started it."
        ) from error
    raise ServerError(f"Process {pid} does not end, not even by SIGKILL; is its disk hanging?")


def marked(home: Path) -> Iterator[psutil.Process]:
    """The living processes that carry the mark of that home, but for us and those that we descend from."""
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter():
        try:
            if process.pid not in ours and process.environ().get(MARK) == str(home) and _runs(process):
                yield process
        except (psutil.Error, OSError):
            continue


def living_in(folder: Path) -> Iterator[psutil.Process]:
    """The living servers whose data are below that folder, also where it was deleted since.

    PostgreSQL is known by its command line, Valkey and Redis by the folder that they work in. In a container,
    the same path is another folder: servers that see other file systems than we do are not among them.
    """
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            name = process.name()
            if name == "postgres":
                # Its children write what they do where their command line was, and have no such words.
                words = process.cmdline()
                at = words[words.index("-D") + 1] if "-D" in words[:-1] else ""
            elif name in {"valkey-server", "redis-server"}:
                at = process.cwd().removesuffix(" (deleted)")
            else:
                continue
            if at and Path(at).is_relative_to(folder) and _sees_our_files(process) and _runs(process):
                yield process


def wait_until(condition: Callable[[], bool], seconds: float, *, every: float = 0.05) -> bool:
    """Ask again and again until `condition()` is true; False if that took more than `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every)
    return True


def _identity(pid: int) -> tuple[str, str] | None:
    """When the process started and what it is called; None if there is none."""
    try:
        process = psutil.Process(pid)
        return _started(process), process.name()
    except (psutil.Error, OSError, ValueError):
        return None


def _started(process: psutil.Process) -> str:
    # Linux tells it in ticks since boot, which no change of the clock moves; together with the boot's
    # id nothing else ever has it.
    try:
        stat = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{stat.rpartition(')')[2].split()[19]}"
    except (FileNotFoundError, PermissionError):
        return f"{process.create_time():.1f}"


def _sees_our_files(process: psutil.Process) -> bool:
    """Whether a path means the same to that process as to us; where the system cannot tell, it does."""
    try:
        return os.path.samestat(os.stat(f"/proc/{process.pid}/ns/mnt"), os.stat("/proc/self/ns/mnt"))
    except FileNotFoundError:
        return True


def _runs(process: psutil.Process) -> bool:
    try:
        if not process.is_running():
            return False
        ended = process.status() in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
    except psutil.NoSuchProcess:
        return False
    if ended:
        # If it was our child, take leave of it; else its own parent does.
        with contextlib.suppress(OSError):
            os.waitpid(process.pid, os.WNOHANG)
    return not ended


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    found = []
    for child in process.children(recursive=True):
        try:
            if child.name() not in _SERVERS:
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def _send(process: psutil.Process, signal_number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal_number)


def _rotate(log_file: Path) -> None:
    try:
        if log_file.stat().st_size > _LOG_LIMIT:
            os.replace(log_file, log_file.with_suffix(".log.1"))
    except FileNotFoundError:
        pass
