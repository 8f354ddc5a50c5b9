"""Display of a `WorkbenchError` in a notebook: the user's own lines and the message; `%tb` shows all."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["short_tracebacks"]

# Code in these folders is not the user's.
_NOT_THE_USERS = (
    str(Path(__file__).resolve().parents[1]),
    sysconfig.get_path("purelib"),
    sysconfig.get_path("platlib"),
    sysconfig.get_path("stdlib"),
)


def short_tracebacks(shell: InteractiveShell | None = None) -> None:
    """Register the short display of workbench's errors; an existing custom handler is kept.

    Parameters
    ----------
    shell : InteractiveShell, optional
        Default: the current one. Outside of IPython this does nothing.
    """
    shell = shell or _shell()
    if shell is not None and not shell.custom_exceptions:
        shell.set_custom_exc((WorkbenchError,), _show)


def _shell() -> InteractiveShell | None:
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def _show(
    shell: InteractiveShell,
    kind: type[BaseException],
    error: BaseException,
    traceback: TracebackType,
    tb_offset: int | None = None,
) -> list[str]:
    # `%tb` and `%debug` read the whole traceback from here.
    sys.last_type, sys.last_value, sys.last_traceback = kind, error, traceback
    lines = _own_rendering(error) or _short(shell, kind, error, traceback, tb_offset)
    shell._showtraceback(kind, error, lines)
    return lines


def _own_rendering(error: BaseException) -> list[str]:
    render = getattr(error, "_render_traceback_", None)
    return [] if render is None else list(render())


def _short(
    shell: InteractiveShell,
    kind: type[BaseException],
    error: BaseException,
    traceback: TracebackType,
    tb_offset: int | None,
) -> list[str]:
    cause, suppressed = error.__cause__, error.__suppress_context__
    # A cause from a driver or Prefect repeats the message and is hidden; one from the user's code is shown.
    if not any(_users(frame) for frame in _frames((cause or error.__context__ or error).__traceback__)):
        error.__cause__, error.__suppress_context__ = None, True
    try:
        shown: list[str] = shell.InteractiveTB.structured_traceback(
            kind, error, _without_ours(traceback), tb_offset=tb_offset
        )
        return shown
    finally:
        error.__cause__, error.__suppress_context__ = cause, suppressed


def _without_ours(traceback: TracebackType) -> TracebackType:
    """The traceback without library frames; the first, IPython's own, is kept, and never shown by it."""
    kept = [traceback, *(frame for frame in _frames(traceback.tb_next) if _users(frame))]
    following: TracebackType | None = None
    for one in reversed(kept):
        following = TracebackType(following, one.tb_frame, one.tb_lasti, one.tb_lineno)
    assert following is not None
    return following


def _frames(traceback: Any) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _users(frame: TracebackType) -> bool:
    return not frame.tb_frame.f_code.co_filename.startswith(_NOT_THE_USERS)
