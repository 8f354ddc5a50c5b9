"""A Workbench for commands that only look: servers that it has to start are stopped again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager

from workbench.session import Session
from workbench.settings import Settings
from workbench.terminal import note
from workbench.workbench import Workbench

__all__ = ["looking_session", "looking_workbench"]


@contextmanager
def looking_session(settings: Settings) -> Iterator[Session]:
    """A session to look with; says so in one line where it starts servers, and stops those at the end.

    Raises
    ------
    ServerError
        Nothing was ever stored in this home, or its servers cannot be started.
    """
    session = Session(settings, only_looks=True)
    with session.stack.looking(note), contextlib.closing(session):
        yield session


@contextmanager
def looking_workbench() -> Iterator[Workbench]:
    """A Workbench to look with; says so in one line where it starts servers, and stops those at the end.

    Raises
    ------
    ServerError
        Nothing was ever stored in this home, or its servers cannot be started.
    """
    with looking_session(Settings.load()) as session:
        yield Workbench(session=session)
