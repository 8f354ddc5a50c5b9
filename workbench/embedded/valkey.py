"""The embedded Valkey (compatible with Redis) of a home: starts it, finds a running one, stops it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from workbench.embedded.accounts import clean_environment
from workbench.embedded.binaries import find_valkey
from workbench.embedded.ports import LOOPBACK, RememberedPort
from workbench.embedded.process import ManagedProcess, is_alive, living_in, stop_process, wait_until
from workbench.errors import ServerError
from workbench.home.files import replace_file
from workbench.home.folders import private_folder
from workbench.home.locks import exclusive
from workbench.home.secrets import Secret, Secrets
from workbench.settings import Settings

__all__ = ["EmbeddedValkey", "RunningValkey"]

_TRIES = 5
# Long, because a large append-only file is read before the server answers.
_START_PATIENCE = 300.0
_STOP_PATIENCE = 60.0


@dataclass(frozen=True)
class RunningValkey:
    """A running server: its pid, its port on 127.0.0.1, its version, and whether it has read its data yet."""

    pid: int
    port: int
    version: str
    ready: bool


class EmbeddedValkey:
    """The Valkey of `settings.home`, with an append-only file, so that streams survive.

    Parameters
    ----------
    settings : Settings
        `home` is used.
    """

    def __init__(self, settings: Settings) -> None:
        self._home = Path(os.path.realpath(settings.home))
        self.data = self._home / "valkey"
        self._configuration = self.data / "valkey.conf"
        self._secrets = Secrets(self._home)
        self._port = RememberedPort(self._home / "run" / "valkey.port")
        self._process = ManagedProcess("valkey", self._home)
        self._lock = self._home / "run" / "valkey.lock"

    @property
    def log_file(self) -> Path:
        """The server's log file."""
        return self._process.log_file

    def running(self) -> RunningValkey | None:
        """The server if it runs and accepts our password; takes about a millisecond."""
        port, password = self._port.read(), self._secrets.peek("valkey")
        if port is None or password is None:
            return None
        facts = _info(port, password)
        if facts is None or facts.get("config_file") != str(self._configuration):
            return None
        return RunningValkey(
            pid=int(facts["process_id"]),
            port=port,
            version=facts.get("valkey_version", "unknown"),
            ready=facts.get("loading", "0") == "0",
        )

    def url(self, port: int) -> str:
        """The URL on that port, password included."""
        return Secret(f"redis://:{self._secrets.get('valkey')}@{LOOPBACK}:{port}/0")

    def ensure(self, progress: Callable[[str], None] | None = None) -> str:
        """Start the server if it does not run.

        Returns
        -------
        str
            `redis://:<password>@127.0.0.1:<port>/0`.

        Raises
        ------
        ServerError
            It cannot be started; the message has the cause and advice.
        """
        found = self.running()
        if found is None or not found.ready:
            with exclusive(self._lock, patience=_START_PATIENCE, doing="starting or stopping Valkey"):
                found = self._started(progress or (lambda _: None))
        return self.url(found.port)

    def stop(self) -> bool:
        """Stop the server after it has written its data; returns True if it was running."""
        if not self._home.is_dir():
            # Without a home nothing is created, not even a lock.
            strays = [process.pid for process in living_in(self.data)]
            for pid in strays:
                stop_process(pid, patience=_STOP_PATIENCE)
            return bool(strays)
        with exclusive(self._lock, patience=_START_PATIENCE, doing="starting or stopping Valkey"):
            pids = set(self._pids())
            for pid in pids:
                stop_process(pid, patience=_STOP_PATIENCE)
            self._process.pid_file.unlink(missing_ok=True)
            return bool(pids)

    def _started(self, progress: Callable[[str], None]) -> RunningValkey:
        found = self.running()
        if found is None:
            for pid in self._pids():
                # Ours, but it does not answer: its port or password differs, or it hangs. It is stopped,
                # since two servers would corrupt the append-only file.
                stop_process(pid, patience=_STOP_PATIENCE)
            progress("Starting Valkey")
            return self._launch()
        return found if found.ready else self._await(found.pid)

    def _launch(self) -> RunningValkey:
        program = find_valkey()
        private_folder(self.data)
        for _ in range(_TRIES):
            replace_file(self._configuration, self._text(self._port.take()), mode=0o600)
            pid = self._process.start(
                [program, self._configuration], environment=clean_environment(), folder=self.data
            )
            try:
                return self._await(pid)
            except ServerError:
                if "ddress already in use" not in self._process.new_log():
                    raise
                self._port.renew()
        raise ServerError(f"Valkey does not start after {_TRIES} tries; its log is {self.log_file}")

    def _await(self, pid: int) -> RunningValkey:
        def settled() -> bool:
            found = self.running()
            return not is_alive(pid) or (found is not None and found.pid == pid and found.ready)

        wait_until(settled, _START_PATIENCE)
        found = self.running()
        if found is None or found.pid != pid or not found.ready:
            raise ServerError(f"Valkey did not start: {self._process.last_words()} (log: {self.log_file})")
        return found

    def _text(self, port: int) -> str:
        # The password is only in this file of mode 0600: everybody can read a command line.
        return "\n".join(
            [
                f"bind {LOOPBACK}",
                f"port {port}",
                "protected-mode yes",
                f"requirepass {self._secrets.get('valkey')}",
                f'dir "{self.data}"',
                "appendonly yes",
                "appendfsync everysec",
                'save ""',
                "daemonize no",
                "",
            ]
        )

    def _pids(self) -> Iterator[int]:
        """Every Valkey of this home, also without a pid file, found by its working folder."""
        known = self._process.pid()
        if known is not None:
            yield known
        yield from (process.pid for process in living_in(self.data) if process.pid != known)


def _info(port: int, password: str) -> dict[str, str] | None:
    """The reply to INFO on that port; None if there is no server, or it refuses our password."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=2.0) as connection:
            connection.sendall(f"AUTH {password}\r\nINFO server persistence\r\nQUIT\r\n".encode())
            with connection.makefile("r", encoding="utf-8", newline="\r\n") as answer:
                if answer.readline().strip() != "+OK":
                    return None
                pairs = (line.strip().partition(":") for line in answer)
                return {name: value for name, separator, value in pairs if separator}
    except (OSError, UnicodeDecodeError):
        return None
