"""What a supervisor tells those who wait for it: its phase and its steps, in one small file."""

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
    """The lock that a supervisor of that home holds as long as it lives."""
    return home / "run" / "supervisor.lock"


@dataclass
class StackState:
    """A supervisor's own account of itself.

    Attributes
    ----------
    pid : int
        The supervisor's.
    phase : str
        "starting", "ready", "stopping" or "failed".
    steps : list of str
        What it did so far, in plain words.
    error : str
        Why it failed; empty otherwise.
    restarts : dict of str to int
        How often a service had to be started again.
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
        """Replace what it says."""
        private_folder(self._path.parent)
        replace_file(self._path, json.dumps(asdict(state)) + "\n")

    def read(self) -> StackState | None:
        """What the last supervisor wrote, which may be dead by now; None before the first."""
        try:
            return StackState(**json.loads(self._path.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def clear(self) -> None:
        """Forget the last supervisor."""
        self._path.unlink(missing_ok=True)
