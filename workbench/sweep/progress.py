"""`Progress`: the bar that a sweep moves, and nothing at all where nobody wants one."""

from __future__ import annotations

from types import TracebackType
from typing import Any

__all__ = ["Progress"]


class Progress:
    """How far a sweep is; a context manager.

    Parameters
    ----------
    name : str
        What stands before the bar.
    total, done : int
        Rows, and how many of them there were before.
    say : str
        The estimate, which stands above it.
    show : bool
    """

    def __init__(self, name: str, total: int, done: int, say: str, *, show: bool) -> None:
        self._bar: Any = None
        if show:
            from tqdm.auto import tqdm

            tqdm.write(f"{name}: {say}")
            self._bar = tqdm(total=total, initial=done, desc=name, unit=" variants", unit_scale=True)

    def advance(self, rows: int) -> None:
        """So many more rows are on disk."""
        if self._bar is not None:
            self._bar.update(rows)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
