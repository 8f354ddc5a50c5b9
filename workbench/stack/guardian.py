"""Restarts a supervisor that was killed: `python -m workbench.stack.guardian`; logs with the supervisor.

Guardian and supervisor restart each other, so that the stack only stays down if both are killed at once. A
supervisor that was stopped, or failed to start, records that in its state, and the guardian ends.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from workbench.embedded.process import MARK, ManagedProcess
from workbench.errors import ServerError
from workbench.home.locks import is_held
from workbench.home.presence import Presence
from workbench.stack.pauses import Pauses
from workbench.stack.state import SUPERVISOR, StateFile, supervisor_lock

__all__ = ["GUARDIAN", "main"]

GUARDIAN = "guardian"

_LOOK_EVERY = 1.0

logger = logging.getLogger("workbench.stack.guardian")


def main() -> int:
    """Watch the supervisor of the home in the environment, until it is stopped."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    home = Path(os.environ[MARK])
    end = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        end.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    state, pauses = StateFile(home), Pauses()
    try:
        presence = Presence(home)
    except ServerError as error:
        logger.warning("%s", error)
        return 0
    while not end.wait(_LOOK_EVERY):
        try:
            if presence.is_gone():
                logger.warning("the home %s is gone, or another one is there now: ending", home)
                return 0
            found = state.read()
            if found is None or found.phase in {"stopping", "failed"}:
                return 0
            if not is_held(supervisor_lock(home)) and pauses.are_over(SUPERVISOR):
                logger.warning("the supervisor is gone; starting it again")
                ManagedProcess(SUPERVISOR, home).start(
                    [sys.executable, "-m", "workbench.stack", "--again"], environment=os.environ, folder=home
                )
        except Exception:
            # E.g. a full disk: tried again until it works.
            logger.exception("the supervisor cannot be started again yet")
    return 0


if __name__ == "__main__":
    sys.exit(main())
