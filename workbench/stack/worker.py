"""The worker's process: `prefect worker start` with the given arguments; ends when its home is gone."""

from __future__ import annotations

import runpy
import sys

from workbench.stack.gone import end_with_home


def main() -> None:
    """Work until SIGTERM or SIGINT."""
    end_with_home()
    sys.argv = ["prefect", "worker", "start", *sys.argv[1:]]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
