"""Servers that are started for one read-only command, and stopped after it if nothing else uses them.

A marker file in the home means that the servers run only for such commands. A process that needs them for
longer removes it (`claim`), and they stay. The commands share a lock; the last one stops the servers, and
processes that need them meanwhile wait until that is done.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.embedded.process import wait_until
from workbench.errors import ServerError
from workbench.home.locks import exclusive, is_held, shared
from workbench.stack.model import Progress
from workbench.stack.servers import Servers
from workbench.stack.supervisor import supervisor_lock

__all__ = ["claim", "looking"]

_PATIENCE = 300.0
# Our own connections have just been closed; the servers need a moment to notice.
_SETTLING = 3.0
_DOING = "stopping the servers after a look"


def claim(home: Path) -> None:
    """Keep the servers running after read-only commands; waits if they are just being stopped."""
    marker = _marker(home)
    if marker.exists():
        with exclusive(_ending(home), patience=_PATIENCE, doing=_DOING):
            marker.unlink(missing_ok=True)


@contextmanager
def looking(home: Path, servers: Servers, start: Callable[[], object], tell: Progress) -> Iterator[None]:
    """Run the servers while the block runs; if this started them, they are stopped afterwards.

    They stay if another client is connected, another such command runs, or they were claimed meanwhile.

    Parameters
    ----------
    home : Path
    servers : Servers
    start : callable
        Starts them.
    tell : callable
        Called once with a text when the servers are started.

    Raises
    ------
    ServerError
        They cannot be started or stopped.
    """
    try:
        with shared(_looks(home), patience=_PATIENCE, doing=_DOING):
            if servers.are_down():
                with exclusive(_ending(home), patience=_PATIENCE, doing=_DOING):
                    # Before the start, so that no `claim` is missed.
                    _marker(home).touch()
                tell("nothing runs for this home: its servers are started for this command and then stopped")
                start()
            yield
    finally:
        with exclusive(_ending(home), patience=_PATIENCE, doing=_DOING):
            if _marker(home).exists():
                _end(home, servers)


def _end(home: Path, servers: Servers) -> None:
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(exclusive(_looks(home), patience=0.0, doing="looking"))
        except ServerError:
            return  # another such command runs, and will stop them
        used = is_held(supervisor_lock(home)) or not wait_until(lambda: servers.connections() == 0, _SETTLING)
        if not used:
            servers.stop(lambda _: None)
        _marker(home).unlink(missing_ok=True)


def _marker(home: Path) -> Path:
    return home / "run" / "only-to-look"


def _looks(home: Path) -> Path:
    return home / "run" / "look.lock"


def _ending(home: Path) -> Path:
    return home / "run" / "look-end.lock"
