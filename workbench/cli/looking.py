"""A Workbench for commands that only look: what it has to start is stopped again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from workbench.settings import Settings
from workbench.terminal import note
from workbench.workbench import Workbench

if TYPE_CHECKING:
    from workbench.stack import Stack

__all__ = ["looking_workbench"]


class _LookingWorkbench(Workbench):
    """One that has no wish to keep the servers running."""

    @cached_property
    def _stack(self) -> Stack:
        from workbench.stack import Stack

        return Stack(self.settings, only_looks=True)


@contextmanager
def looking_workbench() -> Iterator[Workbench]:
    """A Workbench to look with; says in one line where it starts servers, and stops those in the end.

    Raises
    ------
    ServerError
        Nothing was ever stored in this home, or its servers cannot be started.
    """
    wb = _LookingWorkbench(Settings.load())
    with wb._stack.looking(note), wb:
        yield wb
