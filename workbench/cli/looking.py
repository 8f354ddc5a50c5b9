"""A Workbench for commands that only look: servers that it has to start are stopped again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from workbench.session import Session
from workbench.settings import Settings
from workbench.terminal import note
from workbench.workbench import Workbench

__all__ = ["looking_workbench"]


@contextmanager
def looking_workbench() -> Iterator[Workbench]:
    """A Workbench to look with; says so in one line where it starts servers, and stops those at the end.

    Raises
    ------
    ServerError
        Nothing was ever stored in this home, or its servers cannot be started.
    """
    session = Session(Settings.load(), only_looks=True)
    with session.stack.looking(note), Workbench(session=session) as wb:
        yield wb
