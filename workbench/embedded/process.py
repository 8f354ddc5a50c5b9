"""Processes that outlive their starter: start in their own session, find again by pid file, stop."""

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

__all__ = [
    "MARK",
    "ManagedProcess",
    "data_servers",
    "is_alive",
    "living_in",
    "marked",
    "sees_our_files",
    "stop_process",
    "wait_until",
]

MARK = "WORKBENCH_STACK"
"""The environment variable that marks the processes of a home; its value is the home's path."""

# Not ended as descendants: a server started by a flow run is used by other processes too.
_SERVERS = {"postgres", "valkey-server"}
_LOG_LIMIT = 10 * 1024 * 1024


class ManagedProcess:
    """One named process of a home, with a pid file and a log.

    The pid file has the pid, the process's start time and its name, so that a pid that was reused by another
    process is never mistaken for ours.

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
        """The pid of our running process, or None."""
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
        """Start the process, detached from this process and its terminal, and write its pid file.

        Parameters
        ----------
        command : sequence of str or Path
            The program and its arguments.
        environment : mapping
            Its complete environment.
        folder : Path
            Its working folder.
        account : Account, optional
            The account that it runs as. Default: ours.

        Returns
        -------
        int
            Its pid.

        Raises
        ------
        ServerError
            The program cannot be started.
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
                    # Ctrl-C or closing the terminal must only reach the starter.
                    start_new_session=True,
                    user=account.uid if account else None,
                    group=account.gid if account else None,
                    extra_groups=[] if account else None,
                )
            except OSError as error:
                raise ServerError(
                    f"{self.name} cannot be started: {command[0]}: {error.strerror}."
                ) from error
        # It outlives this object; without this, Popen would warn that it still runs.
        child.returncode = 0
        try:
            self.adopt(child.pid)
        except OSError as error:
            # Without a pid file it could not be found, and would be started a second time.
            stop_process(child.pid, patience=1.0)
            raise ServerError(
                f"{self.name} cannot be started: {self.pid_file} cannot be written ({error.strerror})."
            ) from error
        return child.pid

    def adopt(self, pid: int) -> None:
        """Write the pid file for an existing process."""
        identity = _identity(pid)
        if identity is not None:
            record = {"pid": pid, "started": identity[0], "command": identity[1]}
            private_folder(self.pid_file.parent)
            replace_file(self.pid_file, json.dumps(record) + "\n")

    def stop(self, *, patience: float = 20.0, family: bool = True) -> bool:
        """Stop our process; returns True if it was running.

        Parameters
        ----------
        patience : float
            Seconds between SIGTERM and SIGKILL.
        family : bool
            Whether its descendants are stopped too.
        """
        pid = self.pid()
        if pid is not None:
            stop_process(pid, patience=patience, family=family)
        self.pid_file.unlink(missing_ok=True)
        return pid is not None

    def last_words(self, lines: int = 3) -> str:
        """The last non-empty lines logged since the last `start`, joined by " / "."""
        return " / ".join(self.new_log().strip().splitlines()[-lines:]) or "nothing in its log"

    def new_log(self) -> str:
        """The log since the last `start` of this object (at most the last 64 KB)."""
        try:
            with open(self.log_file, "rb") as log:
                end = log.seek(0, os.SEEK_END)
                log.seek(max(self._log_start if self._log_start <= end else 0, end - 65536))
                return log.read().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return ""


def is_alive(pid: int) -> bool:
    """Whether a process with that pid runs; a zombie does not."""
    try:
        return _runs(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


def stop_process(
    pid: int, *, first: signal.Signals = signal.SIGTERM, patience: float = 20.0, family: bool = True
) -> None:
    """Signal a process to end, wait, kill it after the timeout, and end its descendants.

    Parameters
    ----------
    pid : int
        If it does not exist, nothing is done.
    first : signal.Signals
        The first signal.
    patience : float
        Seconds to wait before SIGKILL.
    family : bool
        Whether its descendants are ended too, except PostgreSQL and Valkey.

    Raises
    ------
    ServerError
        The process belongs to another account, or does not end even by SIGKILL.
    """
    try:
        process = psutil.Process(pid)
        members = [process, *(_descendants(process) if family else [])]
        process.send_signal(first)
        wait_until(lambda: not _runs(process), patience)
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            for member in filter(_runs, members):
                # The process itself already had its first signal, so it is killed.
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
    raise ServerError(f"Process {pid} does not end even by SIGKILL; is its disk hanging?")


def marked(home: Path) -> Iterator[psutil.Process]:
    """The running processes with the mark of that home, without this process and its ancestors."""
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter():
        try:
            if process.pid not in ours and process.environ().get(MARK) == str(home) and _runs(process):
                yield process
        except (psutil.Error, OSError):
            continue


def living_in(folder: Path) -> Iterator[psutil.Process]:
    """The running servers whose data are below that folder, also if it was deleted since."""
    for process, data in data_servers():
        if data.is_relative_to(folder):
            yield process


def data_servers() -> Iterator[tuple[psutil.Process, Path]]:
    """The running PostgreSQL, Valkey and Redis servers of every account, each with its data folder.

    PostgreSQL is recognised by its command line, Valkey and Redis by their working folder. In a container the
    same path is another folder, so servers in another mount namespace are not included.
    """
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            name = process.name()
            if name == "postgres":
                # Its children overwrite their command line with their status, so they do not match.
                words = process.cmdline()
                at = words[words.index("-D") + 1] if "-D" in words[:-1] else ""
            elif name in {"valkey-server", "redis-server"}:
                at = process.cwd().removesuffix(" (deleted)")
            else:
                continue
            if at and sees_our_files(process) and _runs(process):
                yield process, Path(at)


def wait_until(condition: Callable[[], bool], seconds: float, *, every: float = 0.05) -> bool:
    """Poll until `condition()` is true; returns False after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every)
    return True


def _identity(pid: int) -> tuple[str, str] | None:
    """The start time and the name of a process; None if there is none."""
    try:
        process = psutil.Process(pid)
        return _started(process), process.name()
    except (psutil.Error, OSError, ValueError):
        return None


def _started(process: psutil.Process) -> str:
    # On Linux in ticks since boot, which do not depend on the clock; unique with the boot id and the pid.
    try:
        stat = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{stat.rpartition(')')[2].split()[19]}"
    except (FileNotFoundError, PermissionError):
        return f"{process.create_time():.1f}"


def sees_our_files(process: psutil.Process) -> bool:
    """Whether the process is in our mount namespace; True if that cannot be determined."""
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
        # If it was our child, reap it; else its parent does.
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
