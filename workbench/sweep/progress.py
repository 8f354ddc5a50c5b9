"""`Progress`: the progress bar of a sweep; with ``show=False`` it does nothing."""

from __future__ import annotations

from types import TracebackType
from typing import Any

__all__ = ["Progress"]


class Progress:
    """A progress bar; a context manager.

    Parameters
    ----------
    name : str
        Label of the bar.
    total, done : int
        All rows, and those already stored.
    estimate : str
        Printed above the bar.
    show : bool
    """

    def __init__(self, name: str, total: int, done: int, estimate: str, *, show: bool) -> None:
        self._bar: Any = None
        if show:
            from tqdm.auto import tqdm

            tqdm.write(f"{name}: {estimate}")
            self._bar = tqdm(total=total, initial=done, desc=name, unit=" variants", unit_scale=True)

    def advance(self, rows: int) -> None:
        """Move the bar by `rows` rows."""
        if self._bar is not None:
            self._bar.update(rows)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
