"""The supervisor's state file, for processes that wait for it: its phase and its steps."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from workbench.home.files import replace_file
from workbench.home.folders import private_folder

__all__ = ["SUPERVISOR", "StackState", "StateFile", "supervisor_lock"]

SUPERVISOR = "supervisor"
"""The name of the supervisor's process."""


def supervisor_lock(home: Path) -> Path:
    """The lock that a supervisor of that home holds while it runs."""
    return home / "run" / "supervisor.lock"


@dataclass
class StackState:
    """The state of a supervisor.

    Attributes
    ----------
    pid : int
        The supervisor's.
    phase : str
        "starting", "ready", "stopping" or "failed".
    steps : list of str
        The steps done so far, as texts.
    error : str
        Why it failed, or empty.
    restarts : dict of str to int
        Service to its number of restarts.
    """

    pid: int
    phase: Literal["starting", "ready", "stopping", "failed"] = "starting"
    steps: list[str] = field(default_factory=list)
    error: str = ""
    restarts: dict[str, int] = field(default_factory=dict)


class StateFile:
    """The file `<home>/run/stack.json`.

    Parameters
    ----------
    home : Path
    """

    def __init__(self, home: Path) -> None:
        self._path = home / "run" / "stack.json"

    def write(self, state: StackState) -> None:
        """Replace the file's content."""
        private_folder(self._path.parent)
        replace_file(self._path, json.dumps(asdict(state)) + "\n")

    def read(self) -> StackState | None:
        """The state written by the last supervisor, which may have died since; None before the first."""
        try:
            return StackState(**json.loads(self._path.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def clear(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)
