"""Servers that are started only to look something up, and stopped again when nobody else came to use them.

A marker in the home tells that they run for looks only. Whoever wants them for longer takes it away
(`claim`), and they stay. Lookers share a lock; the last of them stops the servers, and whoever comes then
waits until that is done.
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
# Our own connections were closed just now; the servers notice it a moment later.
_SETTLING = 3.0
_DOING = "stopping the servers after a look"


def claim(home: Path) -> None:
    """Tell that the servers are wanted by more than a look; waits where they are just being stopped."""
    marker = _marker(home)
    if marker.exists():
        with exclusive(_ending(home), patience=_PATIENCE, doing=_DOING):
            marker.unlink(missing_ok=True)


@contextmanager
def looking(home: Path, servers: Servers, start: Callable[[], object], tell: Progress) -> Iterator[None]:
    """While the block runs the servers do; those that this started are stopped afterwards.

    They stay where somebody else is connected to them, looks, too, or has claimed them meanwhile.

    Parameters
    ----------
    home : Path
    servers : Servers
    start : callable
        Starts them.
    tell : callable
        Told, once, that they are started to look.

    Raises
    ------
    ServerError
        They cannot be started or stopped.
    """
    try:
        with shared(_looks(home), patience=_PATIENCE, doing=_DOING):
            if servers.are_down():
                with exclusive(_ending(home), patience=_PATIENCE, doing=_DOING):
                    # Before the start, so that nobody who wants them for longer comes unseen.
                    _marker(home).touch()
                tell("nothing runs for this home: its servers are started to look, and stopped again")
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
            return  # somebody else looks, and stops them in the end
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
