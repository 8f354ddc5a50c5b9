"""The worker's process: `prefect worker start` with the given arguments; ends when its home is gone."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

from workbench.embedded.process import MARK, ManagedProcess
from workbench.stack.gone import end_with_home

ALONE = "--alone"
"""The last argument of a worker that no supervisor has started."""


def main() -> None:
    """Work until SIGTERM or SIGINT."""
    end_with_home()
    arguments = sys.argv[1:]
    if ALONE in arguments:
        arguments.remove(ALONE)
        # So that `workbench status` and `workbench down` know of it.
        ManagedProcess("worker", Path(os.environ[MARK])).adopt(os.getpid())
    sys.argv = ["prefect", "worker", "start", *arguments]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
